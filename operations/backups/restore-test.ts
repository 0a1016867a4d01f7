/**
 * Test restores: the newest copy of a guest is restored under an id of its own, started in isolation, probed, and thrown away.
 * That is the only proof that a copy is one. Neither the guest nor its spare is touched.
 */
import type { Finding } from "../../planning";
import type { GuestRow } from "../../providers/pve/types";
import { normalTags } from "../../providers/standby-inspect";
import type { Operator } from "../context";
import { type ProbeResult, probeAll } from "../drill-probe";
import { configOf, type GuestAt, runs, stopHard } from "../guest-power";
import { refusal } from "../refusals";
import type { Point } from "./copies";
import { TEST_TAG } from "./notes";
import { planBranch } from "./plan-branch";
import type { RestoreFacts, RestorePlan } from "./plan-restore";
import { addRoom, restoreFacts } from "./restore-facts";
import { restoreSteps } from "./restore-steps";
import { unknownPolicy } from "./run-policy";
import { keepVerification } from "./verify-policy";

export interface TestPlan {
  policy: string;
  tests: { plan: RestorePlan; point: Point }[];
  refusals: Finding[];
  warnings: Finding[];
}

/** How one test ended; kept on the server where it was made. */
export interface TestResult {
  formatVersion: 1;
  guest: string;
  policy: string;
  point: string;
  /** The moment whose data was started. */
  dataAt: string;
  server: string;
  /** When it began. */
  at: string;
  ok: boolean;
  restoreSeconds?: number;
  /** From power-on until every probe was answered. */
  answersAfterSeconds?: number;
  probes: ProbeResult[];
  reason?: string;
}

/** Where results are kept. */
export const TEST_FOLDER = "/var/lib/coldspare/restore-tests";

const testName = (guest: string) => `${guest}-restore-test`;

/** @param guests Default: those that the policy names for it, or else all of the policy. */
export async function planTests(operator: Operator, policy: string, guests: readonly string[] = []): Promise<TestPlan> {
  const spec = operator.manifest.backups?.policies[policy];
  const plan: TestPlan = { policy, tests: [], refusals: [], warnings: [] };
  if (spec === undefined) return { ...plan, refusals: [unknownPolicy(operator, policy)] };
  const named = spec.testRestore?.guests ?? [];
  const wanted = guests.length > 0 ? guests : named.length > 0 ? named : spec.guests;
  for (const guest of wanted.filter((each) => !spec.guests.includes(each)))
    plan.refusals.push(
      refusal(
        "OPERATION-NO-POINT",
        guest,
        `policy ${policy} does not back ${guest} up`,
        `one of ${spec.guests.join(", ")}`,
      ),
    );
  if (wanted.length === 0)
    plan.refusals.push(
      refusal(
        "OPERATION-NO-POINT",
        policy,
        `policy ${policy} takes no guests, and only these can be started`,
        `\`coldspare backups verify ${policy}\` reads its copies again`,
      ),
    );
  const facts = await restoreFacts(operator);
  for (const guest of wanted.filter((each) => spec.guests.includes(each))) await addTest(operator, facts, plan, guest);
  return plan;
}

async function addTest(operator: Operator, facts: RestoreFacts, plan: TestPlan, guest: string): Promise<void> {
  const { manifest, live, copies } = facts;
  const spec = manifest.backups!.policies[plan.policy]!;
  const own = copies.points.filter(({ target, policies }) => target === spec.target && policies.includes(plan.policy));
  const { primary, spare } = manifest.guests[guest]!;
  const made = planBranch(
    { ...facts, copies: { ...copies, points: own } },
    {
      guest,
      point: "latest",
      to: spec.testRestore?.on ?? spare ?? primary,
      network: "isolated",
      expires: "1d",
      name: testName(guest),
      live: false,
      start: true,
      brief: true,
      by: operator.by,
    },
  );
  made.tags = ["coldspare", TEST_TAG];
  made.notes = `Test restore of ${made.point.id}. Managed by coldspare: it is thrown away at its end.`;
  // What an earlier test left is removed first, so its name is no reason.
  made.refusals = made.refusals.filter(({ code }) => code !== "OPERATION-NAME");
  await addRoom(operator, facts, made);
  plan.refusals.push(...made.refusals);
  plan.warnings.push(...made.warnings);
  if (manifest.servers[made.server]?.ssh === undefined)
    plan.refusals.push(
      refusal(
        "OPERATION-NO-SSH",
        guest,
        `${made.server} is not reached over SSH, and the test's network is made there`,
        "name its host key in the stack's config, then `pulumi up`",
      ),
    );
  else if (made.refusals.length === 0)
    plan.tests.push({ plan: made, point: own.find(({ id }) => id === made.point.id)! });
  live.takenIds.push(made.vmid);
}

/** One after another. Never throws for one that fails: that is a result. */
export async function runTests(
  operator: Operator,
  { policy, tests }: TestPlan,
  stopped: () => boolean = () => false,
): Promise<TestResult[]> {
  const results: TestResult[] = [];
  for (const { plan, point } of tests) {
    if (stopped()) break;
    const result = await testOne(operator, policy, plan);
    await keepResult(operator, result, point);
    results.push(result);
  }
  return results;
}

async function testOne(operator: Operator, policy: string, plan: RestorePlan): Promise<TestResult> {
  const { guest, server, point } = plan;
  const began = operator.clock.now();
  const result: TestResult = {
    formatVersion: 1,
    guest,
    policy,
    point: point.id,
    dataAt: point.at,
    server,
    at: began.toISOString(),
    ok: false,
    probes: [],
  };
  const say = (text: string, state: "begin" | "done" | "fail" | "note") =>
    operator.say({ at: operator.clock.now().toISOString(), guest, step: "restore-test", text, state });
  try {
    await removeLeftovers(operator, plan);
    const steps = restoreSteps(operator, plan);
    let startedAt = began;
    for (const { id, title, run } of steps) {
      say(title, "begin");
      if (id === `start-${guest}`) startedAt = operator.clock.now();
      await run((line) => say(line, "note"), new Map());
      say(title, "done");
    }
    result.restoreSeconds = secondsBetween(began, startedAt);
    result.probes = await probe(operator, plan, startedAt);
    const broken = result.probes.find(({ ok }) => !ok);
    result.ok = broken === undefined;
    if (broken === undefined) result.answersAfterSeconds = secondsBetween(startedAt, operator.clock.now());
    else result.reason = `${broken.probe}: ${broken.reason ?? "no answer"}`;
  } catch (error) {
    result.reason = error instanceof Error ? error.message : String(error);
  }
  if (result.reason !== undefined) say(result.reason, "fail");
  await cleanUp(operator, plan).catch((error: Error) => {
    result.reason = [result.reason, `what it left could not be removed: ${error.message}`].filter(Boolean).join("; ");
    result.ok = false;
    say(error.message, "fail");
  });
  return result;
}

/** The guest's own probes, from inside its network; without any, that it runs. */
async function probe(operator: Operator, plan: RestorePlan, since: Date): Promise<ProbeResult[]> {
  const { guest, server, vmid, network, bridges = {} } = plan;
  const spec = operator.manifest.guests[guest]!;
  const cards = spec.primary === server ? spec.networks : (spec.spareNetworks ?? spec.networks);
  const address = cards.find((card) => card.address !== undefined)?.address?.split("/")[0];
  const copy = {
    guest,
    drillId: vmid,
    from: "standby" as const,
    bridges,
    ...(address !== undefined && { address }),
    probes: spec.probes,
    bootSeconds: spec.boot.seconds,
    delaySeconds: 0,
  };
  const unit = { name: network?.name ?? "", server, memoryGiB: plan.memoryGiB, networks: [], copies: [copy] };
  const answered = await probeAll(operator, unit, copy, since);
  const on = await runs(operator, atOf(plan));
  return [{ probe: "runs", ok: on === true, ...(on !== true && { reason: "it ended after its start" }) }, ...answered];
}

const atOf = ({ guest, guestKind, server, vmid }: RestorePlan): GuestAt => ({ guest, kind: guestKind, server, vmid });

/** Of an earlier test that was killed: by its tag and its name. */
async function removeLeftovers(operator: Operator, plan: RestorePlan): Promise<void> {
  const pve = operator.pveAt(plan.server) ?? operator.pve;
  const rows = await pve.get<GuestRow[]>("/cluster/resources", { type: "vm" });
  for (const { vmid, node, type, name } of rows)
    if (node === plan.server && name === plan.name)
      await removeTest(operator, { guest: plan.guest, kind: type, server: node, vmid });
}

async function cleanUp(operator: Operator, plan: RestorePlan): Promise<void> {
  await removeTest(operator, atOf(plan));
  if (plan.network === undefined) return;
  await operator.ssh
    .run(plan.server, ["/usr/local/sbin/coldspare-drill", "net-down", plan.network.name])
    .catch(() => undefined);
}

/** @throws Error for a guest that does not carry the tag of a test: it is left alone */
async function removeTest(operator: Operator, at: GuestAt): Promise<void> {
  const config = await configOf(operator, at);
  if (config === undefined) return;
  if (!normalTags(config.tags).includes(TEST_TAG))
    throw new Error(
      `guest ${at.vmid} '${config.name ?? config.hostname ?? ""}' on ${at.server} is no test restore: it is left alone`,
    );
  if ((await runs(operator, at)) === true) await stopHard(operator, at);
  const about = { guest: at.guest, doing: `remove the test restore ${at.vmid} of` };
  const form = { purge: true, "destroy-unreferenced-disks": false };
  await operator.pve.task(at.server, "DELETE", `/nodes/${at.server}/${at.kind}/${at.vmid}`, form, about);
}

/** On the server, for the status; and in the notes of an archive, which has no other place for what was found. */
async function keepResult(operator: Operator, result: TestResult, point: Point): Promise<void> {
  const write = `umask 022; mkdir -p ${TEST_FOLDER} && cat > "${TEST_FOLDER}/.$1.new" && mv "${TEST_FOLDER}/.$1.new" "${TEST_FOLDER}/$1"`;
  const tell = (error: Error) =>
    operator.say({
      at: operator.clock.now().toISOString(),
      guest: result.guest,
      step: "restore-test",
      text: `the result could not be kept: ${error.message}`,
      state: "fail",
    });
  await operator.ssh
    .run(result.server, ["sh", "-c", write, "sh", `${result.guest}.json`], { input: `${JSON.stringify(result)}\n` })
    .catch(tell);
  // A probe that fails says nothing about the archive: only what started and answered is whole.
  if (!result.ok || point.kind !== "vzdump") return;
  await keepVerification(operator, point, { at: result.at, state: "ok", reason: "by a test restore" }).catch(tell);
}

function secondsBetween(from: Date, to: Date): number {
  return Math.round((to.getTime() - from.getTime()) / 100) / 10;
}
