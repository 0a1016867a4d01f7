/** What a failback or a commit would do, guest by guest, and why not. Pure. */
import { type Finding, formatGiB } from "../planning";
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import type { LiveGuest, LiveSite } from "./live-types";
import { ACTIVE_TAG } from "./live-types";
import { startOrder } from "./power-order";
import { caution, refusal } from "./refusals";

/** What becomes of data that only the old side has. */
export type DivergedChoice = "discard" | "keep" | "extract";
export const DIVERGED_CHOICES: readonly DivergedChoice[] = ["discard", "keep", "extract"];

export interface ReturnRequest {
  /** `failback`: home again. `commit`: where it is becomes its home. */
  kind: "failback" | "commit";
  /** Guests, or servers: then everything that has its home there and is away. */
  subjects: readonly string[];
  diverged?: DivergedChoice;
  /** Seconds for a guest to shut down. */
  stopSeconds: number;
  /** A guest that does not shut down in time is stopped hard. */
  forceStop: boolean;
}

/** One guest that returns (or stays for good). Plain data: it is kept in the journal, so that it can be resumed. */
export interface ReturnGuest {
  guest: string;
  method: "storage-replication" | "zfs-sync" | "restore";
  kind: "qemu" | "lxc";
  /** The old side's server, to which it comes home, and the one where it is active. */
  home: string;
  away: string;
  /**
   * It is at home already, after a switch that nobody planned, and its replication is off: nothing moves, only the copy follows
   * again. The old side is the spare then: `home` is the spare's server and `away` the primary's.
   */
  stays?: true;
  /** Id at home, and the one that is active now. */
  vmid: number;
  activeId: number;
  wasRunning: boolean;
  /** `none`: the old side has nothing that is not on the active one. */
  diverged: "none" | DivergedChoice;
  /** Id of the guest that keeps the old data. */
  divergedId?: number;
  jobId?: string;
  /** With `restore`: where backups lie, and the storage at home that the guest is restored to. */
  backupStorage?: string;
  storage?: string;
  /** The old primary is there: it is restored over, never removed. */
  oldPrimary: boolean;
}

export interface ReturnPlan {
  kind: ReturnRequest["kind"];
  subject: string;
  guests: ReturnGuest[];
  stopSeconds: number;
  forceStop: boolean;
  refusals: Finding[];
  warnings: Finding[];
}

/** All findings at once; a plan with refusals is not carried out. */
export function planReturn(manifest: SiteManifest, live: LiveSite, request: ReturnRequest): ReturnPlan {
  const refusals: Finding[] = [];
  const warnings: Finding[] = [];
  const chosen = chosenGuests(manifest, live, request, refusals);
  const taken = new Set(live.takenIds);
  const guests: ReturnGuest[] = [];
  for (const guest of chosen) {
    const state = live.guests[guest.name]!;
    const problems = problemsOf(live, guest, state, request);
    refusals.push(...problems);
    if (problems.length > 0) continue;
    guests.push(returnOf(guest, state, request, taken));
    warnings.push(...warningsOf(guest, state, request));
  }
  if (request.kind === "failback") refusals.push(...noRoom(manifest, live, guests));
  const { stopSeconds, forceStop, kind } = request;
  return { kind, subject: request.subjects.join("+"), guests, stopSeconds, forceStop, refusals, warnings };
}

function chosenGuests(
  manifest: SiteManifest,
  live: LiveSite,
  { subjects, kind }: ReturnRequest,
  refusals: Finding[],
): ManifestGuest[] {
  const names = new Set<string>();
  for (const subject of subjects) {
    const guest = own(manifest.guests, subject);
    if (guest !== undefined) {
      const problem = notAway(guest, live.guests[subject], kind);
      if (problem === undefined) names.add(subject);
      else refusals.push(problem);
    } else if (own(manifest.servers, subject) !== undefined) {
      const away = Object.values(manifest.guests).filter(
        ({ primary, name }) => primary === subject && live.guests[name]?.activeSide === "spare",
      );
      const parted = Object.values(manifest.guests).filter(
        (each) => [each.primary, each.spare].includes(subject) && isAtHomeAlone(each, live.guests[each.name]),
      );
      for (const { name } of away) names.add(name);
      if (away.length === 0) {
        refusals.push(
          refusal(
            "OPERATION-NOT-AWAY",
            subject,
            `no guest that has its home on ${subject} is active elsewhere`,
            parted.length === 0
              ? "see `coldspare status`"
              : `see \`coldspare status\`; replication that is off comes on again guest by guest: \`coldspare failback ${parted.map(({ name }) => name).join(" ")}\``,
          ),
        );
      }
    } else {
      refusals.push(
        refusal(
          "OPERATION-UNKNOWN-GUEST",
          subject,
          `${manifest.site} has no guest and no server '${subject}'`,
          "see `coldspare status`",
        ),
      );
    }
  }
  return startOrder(manifest, [...names]);
}

/** At home, with a replication that a switch without a plan has left off: its spare has, or may have, data of its own. */
function isAtHomeAlone({ method }: ManifestGuest, live: LiveGuest | undefined): boolean {
  const off = live?.job?.disabled === true && live.job.pausedByDrill !== true;
  return method === "storage-replication" && live?.record !== undefined && live.activeSide === "primary" && off;
}

/** The server whose data is to be decided about, and the one where the guest is active. */
function sidesOf(guest: ManifestGuest, state: LiveGuest | undefined): { old: string; active: string } {
  const { primary, spare } = guest;
  return isAtHomeAlone(guest, state) ? { old: spare!, active: primary } : { old: primary, active: spare! };
}

function notAway(guest: ManifestGuest, live: LiveGuest | undefined, kind: ReturnRequest["kind"]): Finding | undefined {
  const { name, spare, primary } = guest;
  if (spare === undefined) {
    return refusal("OPERATION-NO-SPARE", name, `${name} has no spare, so it is nowhere else`, "nothing is to be done");
  }
  const side = live?.record === undefined ? "unknown" : live.activeSide;
  switch (side) {
    case "spare":
      return undefined;
    case "primary":
      if (kind === "failback" && isAtHomeAlone(guest, live)) return undefined;
      return refusal(
        "OPERATION-AT-HOME",
        name,
        `${name} is active on ${primary}, its home`,
        atHomeFix(guest, live, kind),
      );
    case "nobody":
      return refusal(
        "OPERATION-SIDE-UNKNOWN",
        name,
        `a switch of ${name} was begun and not ended: no server may run it`,
        `end it first: \`coldspare failover ${primary} --guest ${name}\`, or \`coldspare undo\``,
      );
    default:
      return refusal(
        "OPERATION-SIDE-UNKNOWN",
        name,
        `which side of ${name} is active is not known: too few of ${guest.voters.join(", ")} answer, or they do not agree`,
        "bring them back, then look: `coldspare status`",
      );
  }
}

function atHomeFix(guest: ManifestGuest, live: LiveGuest | undefined, kind: ReturnRequest["kind"]): string {
  const { name, primary, spare } = guest;
  if (live?.job?.pausedByDrill) return `nothing is to be done; its replication is off because of a drill on ${spare}`;
  if (kind === "failback") return "nothing is to be done";
  const first = isAtHomeAlone(guest, live) ? `its replication is off: \`coldspare failback ${name}\` first; then ` : "";
  return `${first}fail over first: \`coldspare failover ${primary} --planned --guest ${name}\``;
}

function problemsOf(live: LiveSite, guest: ManifestGuest, state: LiveGuest, request: ReturnRequest): Finding[] {
  const { name, primary, spare, method } = guest;
  const found = [...serverProblems(live, guest, state, request), ...runningProblems(state)];
  const choice = needsChoice(guest, state, live);
  if (method === "zfs-sync") found.push(...zfsProblems(live, guest, state, request));
  if (method === "storage-replication" && state.job === undefined) {
    found.push(
      refusal(
        "OPERATION-JOB-MISSING",
        name,
        `there is no replication job for ${name} between ${primary} and ${spare}, so nothing can be brought up to date`,
        "`pulumi up --refresh` makes it anew; or `pvesr create-local-job` on the server where the guest is",
      ),
    );
  }
  if (method === "restore" && guest.backupStorage === undefined) {
    found.push(
      refusal(
        "OPERATION-NO-BACKUP-STORAGE",
        name,
        `the manifest names no storage for backups of ${name}: the way home leads over one`,
        "set coldReplica.backupStorage, then `pulumi up`",
      ),
    );
  }
  if (choice && request.diverged === undefined) found.push(choiceMissing(guest, state, request));
  if (choice && request.diverged !== undefined && request.diverged !== "discard") {
    found.push(...keepProblems(guest, state));
  }
  return found;
}

/** Each of the two servers is asked for its own volumes, over SSH. */
function zfsProblems(live: LiveSite, guest: ManifestGuest, state: LiveGuest, { kind }: ReturnRequest): Finding[] {
  const { name, primary, spare, vmid } = guest;
  if (kind === "commit")
    return [
      refusal(
        "OPERATION-METHOD",
        name,
        `${name} is kept by zfs-sync: ${primary} and ${spare} have an API each, and to the engine a guest cannot move from one to the other without being made anew`,
        `take it home: \`coldspare failback ${name}\`. It may stay on ${spare} as long as you like: its replica is ${primary} then`,
      ),
    ];
  const found =
    live.servers[primary]?.ssh === "up" ? [] : [noSsh(name, primary, live, "its volumes are written there")];
  const home = state.seats.find((seat) => seat.server === primary && seat.vmid === vmid);
  if (home?.config === false)
    found.push(
      refusal(
        "OPERATION-NOT-REGISTERED",
        name,
        `${primary} knows no guest ${vmid}: there is nothing of ${name} that could be started there`,
        `if ${primary} was made anew: \`pulumi up --refresh\` makes the guest again, powered off; then run this again`,
      ),
    );
  return found;
}

function serverProblems(
  live: LiveSite,
  guest: ManifestGuest,
  state: LiveGuest,
  { kind, diverged }: ReturnRequest,
): Finding[] {
  const { old, active } = sidesOf(guest, state);
  const { name, primary, spare, method } = guest;
  const down = [primary, spare!].filter((server) => live.servers[server]?.api !== "up");
  // The old server is gone for good: its guest is restored on the new one, if nothing of it is left in the cluster.
  const gone = kind === "commit" && method === "restore" && !isThere(live, guest);
  const missing = down.filter((server) => !(gone && server === primary));
  const found = missing.map((server) =>
    refusal(
      "OPERATION-SERVER-DOWN",
      name,
      `${server} does not answer: ${live.servers[server]?.apiProblem ?? "no reason is known"}`,
      kind === "commit" && server === primary
        ? `bring ${server} back first. If it never comes back, take it out of the cluster (\`pvecm delnode ${server}\`) and give ${name} another spare in the site file`
        : `bring ${server} back first; \`coldspare status\` says what it sees`,
    ),
  );
  const minority = [primary, spare!].filter((server) => live.servers[server]?.quorate === false);
  found.push(
    ...minority.map((server) =>
      refusal(
        "OPERATION-NO-QUORUM",
        name,
        `${server} is in a part of the cluster without a majority: nothing can be changed there`,
        "wait until the servers see one another again: `pvecm status`",
      ),
    ),
  );
  // A record can only be given up by the server that it names, over SSH.
  if (active === spare && live.servers[active]?.ssh !== "up") {
    found.push(noSsh(name, active, live, "it has to give the guest up"));
  }
  if (
    diverged !== undefined &&
    diverged !== "discard" &&
    method === "storage-replication" &&
    live.servers[old]?.ssh !== "up"
  ) {
    found.push(noSsh(name, old, live, "the old volumes are copied there"));
  }
  return found;
}

function noSsh(name: string, server: string, live: LiveSite, why: string): Finding {
  return refusal(
    "OPERATION-NO-SSH",
    name,
    `${server} is not reached over SSH, and ${why}: ${live.servers[server]?.sshProblem ?? "the manifest knows no way"}`,
    `try \`ssh root@${server}\`; the way is set by coldspare:ssh, see docs/guard.md`,
  );
}

function runningProblems({ name, runningOn }: LiveGuest): Finding[] {
  const servers = [...new Set(runningOn.map(({ server }) => server))];
  if (servers.length < 2) return [];
  return [
    refusal(
      "OPERATION-BOTH-RUN",
      name,
      `${name} runs on ${servers.join(" and ")} at the same time`,
      "decide which one is right, stop the other one now (`qm stop`), then run this again",
    ),
  ];
}

function isThere(live: LiveSite, { name, primary, vmid }: ManifestGuest): boolean {
  return (
    live.guests[name]?.seats.some((seat) => seat.server === primary && seat.vmid === vmid && seat.config !== false) ===
    true
  );
}

/**
 * Whether the old side has, or may have, something that is nowhere else. After a planned switch replication goes on the other
 * way, so there is nothing; an unplanned one leaves the job off, and a restored standby never had what came after its backup.
 */
function needsChoice(guest: ManifestGuest, state: LiveGuest, live: LiveSite): boolean {
  if (guest.method === "restore") return isThere(live, guest);
  if (guest.method === "zfs-sync") return state.diverged;
  return state.diverged || state.job?.disabled === true;
}

function choiceMissing(guest: ManifestGuest, state: LiveGuest, { kind }: ReturnRequest): Finding {
  const { name, method } = guest;
  const { old } = sidesOf(guest, state);
  const overwritten = method === "restore" ? "restored over" : "overwritten by the next synchronisation";
  const copy =
    method === "zfs-sync" ? "its volumes stay under another name" : `a powered-off copy '${name}-diverged' stays`;
  return refusal(
    "OPERATION-DIVERGED-CHOICE",
    name,
    `what was last written on ${old} before the switch is only there, and would be ${overwritten}`,
    `say what becomes of it: \`coldspare ${kind} ${name} --diverged keep\` (${copy}), \`--diverged extract\` (the same, and how to get files out), or \`--diverged discard\` (it is gone)`,
  );
}

function keepProblems(guest: ManifestGuest, state: LiveGuest): Finding[] {
  const { name, kind, method, vmid } = guest;
  const { old } = sidesOf(guest, state);
  if (kind === "lxc" && method === "storage-replication") {
    return [
      refusal(
        "OPERATION-DIVERGED-CONTAINER",
        name,
        `${name} is a container under storage-replication: Proxmox VE cannot copy its volumes on ${old} while its configuration is elsewhere`,
        `keep them by hand on ${old}: \`zfs list -r\`, then \`zfs snapshot POOL/subvol-${vmid}-disk-0@keep\` and \`zfs send POOL/subvol-${vmid}-disk-0@keep | zfs recv POOL/${name}-diverged\`; then \`--diverged discard\``,
      ),
    ];
  }
  return [];
}

function returnOf(guest: ManifestGuest, state: LiveGuest, request: ReturnRequest, taken: Set<number>): ReturnGuest {
  const { name, kind, primary, vmid, backupStorage } = guest;
  const { old: home, active: away } = sidesOf(guest, state);
  const running = state.runningOn.find(({ server }) => server === away);
  const { method = "storage-replication" } = guest;
  const oldPrimary =
    method === "restore" &&
    state.seats.some((seat) => seat.server === primary && seat.vmid === vmid && seat.config === true);
  const asked = method === "restore" ? oldPrimary : state.diverged || state.job?.disabled === true;
  const diverged = asked ? request.diverged! : "none";
  const keeps = diverged === "keep" || diverged === "extract";
  return {
    guest: name,
    method,
    kind,
    home,
    away,
    ...(isAtHomeAlone(guest, state) && { stays: true as const }),
    vmid,
    activeId: method === "restore" ? (running?.vmid ?? activeStandby(guest, state)) : vmid,
    wasRunning: running !== undefined,
    diverged,
    ...(keeps && method !== "zfs-sync" && { divergedId: freeId(vmid, taken) }),
    ...(state.job !== undefined && method === "storage-replication" && { jobId: state.job.id }),
    ...(method === "restore" && {
      backupStorage: backupStorage!,
      storage: request.kind === "commit" ? (guest.standbyStorage ?? guest.storages[0]!) : guest.storages[0]!,
    }),
    oldPrimary,
  };
}

/** The standby that was started last, when none runs now: the one that is not marked as a spare any more, or the newest. */
function activeStandby({ standbyIds }: ManifestGuest, { standbys }: LiveGuest): number {
  const active = standbys.find(({ tags }) => tags.includes(ACTIVE_TAG));
  const newest = [...standbys].sort((a, b) => ((a.recoveryPoint ?? "") < (b.recoveryPoint ?? "") ? 1 : -1))[0];
  return active?.vmid ?? newest?.vmid ?? standbyIds![0];
}

/** Ids that nobody gives out by hand, told from those of drills by their hundred millions. */
const FIRST_DIVERGED_ID = 800_000_000;

function freeId(vmid: number, taken: Set<number>): number {
  let id = FIRST_DIVERGED_ID + (vmid % 90_000_000);
  while (taken.has(id)) id++;
  taken.add(id);
  return id;
}

function warningsOf(guest: ManifestGuest, state: LiveGuest, request: ReturnRequest): Finding[] {
  const { name, method, storages, role, primary, spare } = guest;
  const found: Finding[] = [];
  if (state.runningOn.length === 0 && !isAtHomeAlone(guest, state)) {
    found.push(
      caution(
        "OPERATION-NOT-RUNNING",
        name,
        `${name} does not run now: it is moved, and stays off`,
        `start it afterwards: \`coldspare status\``,
      ),
    );
  }
  if (method === "restore" && storages.length > 1) {
    found.push(
      caution(
        "OPERATION-ONE-STORAGE",
        name,
        `all disks of ${name} come to ${storages[0]}; before, they were on ${storages.join(" and ")}`,
        "move them afterwards: `qm disk move`",
      ),
    );
  }
  if (role === "domain-controller" && request.kind === "failback" && method === "restore") {
    found.push(
      caution(
        "OPERATION-DOMAIN-CONTROLLER",
        name,
        `${name} is a domain controller and is restored from a backup of a moment ago: with a second one, let that replicate instead`,
        `look after the return: \`repadmin /showrepl\` on ${name}, between ${primary} and ${spare}`,
      ),
    );
  }
  return found;
}

/** At home everything must fit beside what runs there now. */
function noRoom(manifest: SiteManifest, live: LiveSite, guests: readonly ReturnGuest[]): Finding[] {
  const coming = guests.filter(({ stays }) => !stays);
  const homes = [...new Set(coming.map(({ home }) => home))];
  return homes.flatMap((home) => {
    const needed = coming
      .filter((each) => each.home === home && each.wasRunning)
      .reduce((total, { guest }) => total + manifest.guests[guest]!.memoryGiB + manifest.memoryOverheadGiB, 0);
    const used = live.servers[home]?.usedGiB ?? 0;
    const limit = manifest.servers[home]?.memoryLimitGiB ?? 0;
    if (used + needed <= limit) return [];
    return [
      refusal(
        "OPERATION-NO-MEMORY",
        home,
        `${home} has ${formatGiB(Math.max(0, limit - used))} left beside what runs there, and ${formatGiB(needed)} would come home`,
        "stop what need not run there, or bring guests home one by one",
      ),
    ];
  });
}

function own<T>(record: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
