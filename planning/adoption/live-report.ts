/** What would happen to a running cluster if a server died now: pure, from what was read of it. */
import type { SitePlan } from "../plan";
import { byName, list } from "../units";
import type { Interpretation } from "./interpretation";
import { allListed } from "./live-backups";
import * as cluster from "./live-checks-cluster";
import * as copies from "./live-checks-copies";
import { type Facts, factsOf } from "./live-facts";
import { lossesOf } from "./live-loss";
import type { LiveCopies, LiveFinding, LiveReport, ServerLoss } from "./live-types";
import type { Check } from "./live-words";
import type { ClusterSnapshot } from "./snapshot";

/** In the order of urgency; within a severity it decides what is told first. */
const CHECKS: readonly Check[] = [
  cluster.noQuorum,
  cluster.serversOff,
  copies.noCopy,
  copies.backupBeside,
  copies.brokenBackup,
  copies.failingReplication,
  cluster.votesLost,
  cluster.fullStorages,
  cluster.haLocal,
  cluster.noRoom,
  cluster.overNow,
  copies.noBackup,
  copies.noSpare,
  cluster.unread,
  copies.oldBackup,
  copies.noJob,
  copies.disabledJobs,
  copies.jobsToNowhere,
  copies.lateReplication,
  copies.disabledReplication,
  cluster.lentStorages,
  copies.backupInCluster,
  cluster.bound,
  copies.leftOut,
  cluster.thinPools,
  cluster.inactiveStorages,
  cluster.oneServer,
  cluster.locked,
  cluster.snapshots,
  cluster.notAtBoot,
  cluster.templates,
];

const RANK = { error: 0, warning: 1, info: 2 } as const;
/** What is of no weight for whether a guest comes back. */
const MINOR = /^the (pools|cluster's firewall|security groups|firewall|networks of)/;

/**
 * The report of a running cluster.
 *
 * ```ts
 * const snapshot = await readCluster(pve);
 * const interpretation = interpretCluster(snapshot);
 * const report = liveReport(snapshot, interpretation, planSite(interpretation.site), await readCopies(pve, snapshot));
 * console.log(report.headline);
 * ```
 *
 * @param found Which backups there are and how replication last ran. Without it the jobs alone speak, and `survives` is never true.
 */
export function liveReport(
  snapshot: ClusterSnapshot,
  interpretation: Interpretation,
  plan: SitePlan,
  found?: LiveCopies,
): LiveReport {
  const facts = factsOf(snapshot, interpretation, plan, found);
  const losses = lossesOf(facts);
  const findings = CHECKS.flatMap((check) => check({ facts, losses })).sort(
    (a, b) => RANK[a.severity] - RANK[b.severity],
  );
  const unread = [...snapshot.unread, ...(found?.unread ?? [])];
  const lossless = losses.every(({ guests }) => guests.every(({ comesBack }) => comesBack));
  const whole = found !== undefined && unread.every(({ what }) => MINOR.test(what));
  const running = facts.guests.filter((guest) => guest.running).length;
  return {
    formatVersion: 1,
    ...(snapshot.cluster !== undefined && { cluster: snapshot.cluster }),
    version: snapshot.version,
    readAt: snapshot.readAt,
    headline: headlineOf(facts, losses, running, whole),
    survives: lossless && whole,
    ok: lossless && whole && findings.every(({ severity }) => severity !== "error"),
    counts: {
      servers: facts.nodes.length,
      off: facts.nodes.filter(({ online }) => !online).length,
      running,
      stopped: facts.guests.filter((guest) => !guest.running && !guest.template).length,
      templates: facts.guests.filter(({ template }) => template).length,
    },
    servers: losses,
    storages: cluster
      .storagesOf(facts)
      .sort((a, b) => byName(a.storage, b.storage) || byName(a.server ?? "", b.server ?? "")),
    findings,
    unread,
    next: nextSteps(findings, interpretation),
  };
}

/** Guests that do not come back. */
const staysAway = ({ guests }: ServerLoss): number => guests.filter(({ comesBack }) => !comesBack).length;

/** The worst loss that is still to come, in one sentence. */
function headlineOf(facts: Facts, losses: readonly ServerLoss[], running: number, whole: boolean): string {
  if (running === 0) return "No guest runs here: nothing is lost with any server.";
  const alive = losses.filter(({ online }) => online);
  const [worst] = alive.toSorted(
    (a, b) => staysAway(b) - staysAway(a) || b.withoutBackup - a.withoutBackup || byName(a.server, b.server),
  );
  const gone = worst === undefined ? 0 : staysAway(worst);
  if (worst === undefined) return "No server of this cluster answers.";
  if (gone === 0) return nothingLost(alive, running, whole);
  const down = losses.filter(({ online }) => !online).reduce((sum, loss) => sum + loss.guests.length, 0);
  const before = down === 0 ? "" : `${down} ${down === 1 ? "guest is" : "guests are"} down already. `;
  const too = down === 0 ? "" : ", too";
  const guests =
    gone === running && gone === 1
      ? "its only guest does"
      : `${gone} of ${running} guests ${gone === 1 ? "does" : "do"}`;
  return `${before}If ${worst.server} dies tonight${too}, ${guests} not come back${backupText(facts, gone, worst.withoutBackup)}.`;
}

function backupText(facts: Facts, gone: number, without: number): string {
  if (without === 0) return "";
  const lack = allListed(facts) ? "no backup" : "no known backup";
  if (without === gone)
    return gone === 1
      ? `, and it has ${lack} that survives`
      : `, and none of them has ${lack.replace("no ", "a ")} that survives`;
  return `; ${without} of them ${without === 1 ? "has" : "have"} ${lack} that survives`;
}

function nothingLost(losses: readonly ServerLoss[], running: number, whole: boolean): string {
  const most = (key: "itself" | "person") => Math.max(...losses.map(({ counts }) => counts[key]));
  const person = most("person");
  const how =
    person === 0
      ? "without anybody's help"
      : person === running
        ? "once somebody starts them"
        : `up to ${person} of them once somebody starts them`;
  const lead = whole ? "If any one server dies tonight" : "As far as could be read: if any one server dies tonight";
  if (running === 1) return `${lead}, the only guest comes back${person === 0 ? "" : " once somebody starts it"}.`;
  return `${lead}, all ${running} guests come back, ${how}.`;
}

/** What the rest of coldspare has to do with what was found. */
function nextSteps(findings: readonly LiveFinding[], { guests }: Interpretation): string[] {
  const has = (...codes: string[]) => findings.some(({ code }) => codes.includes(code));
  const said = guests.filter(({ name }) => name !== undefined).length;
  return [
    `\`coldspare import\` writes down what runs here as one file (${said} of ${guests.length} guests), and touches nothing.`,
    ...(has("GUEST-NO-SPARE", "LIVE-NO-COPY")
      ? ["It then gives guests without a spare a cold replica on another server: one word in that file for each."]
      : []),
    ...(has("CAPACITY-MEMORY", "LIVE-QUORUM-LOST", "QUORUM-NO-THIRD-VOTE")
      ? [
          "Every change is proved beforehand: who starts where after each loss, whether it fits, whether there is a majority.",
        ]
      : []),
    ...(has("LIVE-NO-COPY", "GUEST-NO-BACKUP", "TARGET-SAME-SERVER", "LIVE-BACKUP-OLD", "LIVE-BACKUP-IN-CLUSTER")
      ? [
          "Backups get a plan: what lies where, how old it is at worst, how long the target lasts, which medium hangs when.",
        ]
      : []),
    `When a server dies, one command brings up what it carried (${list(["`coldspare failover`", "back with `coldspare failback`"])}); a drill shows beforehand that it does.`,
  ];
}
