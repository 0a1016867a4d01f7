/** What a restore of a guest would do: which copy, where to, what is in the way and kept, and why not. Pure. */
import type { Finding } from "../../planning";
import { deriveGuestId } from "../../planning/identity";
import type { ManifestGuest, SiteManifest } from "../../planning/manifest";
import { formatDuration } from "../../planning/units";
import type { LiveSite } from "../live-types";
import { caution, refusal } from "../refusals";
import { choosePoint } from "./choose-point";
import type { Copies, Point } from "./copies";
import { BEFORE_RESTORE_TAG, RESTORED_TAG } from "./notes";

/** What a person asks for. */
export interface RestoreRequest {
  guest: string;
  /** `latest`, a time, or an id. */
  point: string;
  /** Default: where the guest is active. */
  to?: string;
  /** A guest beside the original, under this name and an id of its own. */
  as?: string;
  /** What is there may be written over, once it is kept: as a guest of its own, or as a protected backup. */
  over?: "keep" | "backup";
  /** For all disks. Default: the storages that they had. */
  storage?: string;
  /** Start it afterwards. Default: with `as` no, otherwise only if it ran. */
  start?: boolean;
  stopSeconds: number;
  forceStop: boolean;
}

/** The guest that is there under the id. */
export interface Existing {
  name: string;
  running: boolean;
  /** What is given back to the restored one, as a backup has them from long ago. */
  settings: { name?: string; tags?: string; description?: string; startup?: string; onboot: boolean };
  keep: "keep" | "backup";
  keptId: number;
  keptName: string;
  backupStorage?: string;
}

/** Plain data: it lies in the journal. */
export interface RestorePlan {
  kind: "restore" | "branch";
  site: string;
  guest: string;
  guestKind: "qemu" | "lxc";
  point: Pick<Point, "id" | "at" | "target" | "bytes" | "verified">;
  server: string;
  vmid: number;
  name: string;
  /** A guest of its own beside the original: new hardware addresses, tags, and it does not start with its server. */
  beside: boolean;
  tags: string[];
  notes: string;
  storage?: string;
  existing?: Existing;
  start: boolean;
  stopSeconds: number;
  forceStop: boolean;
  memoryGiB: number;
  estimateSeconds: number;
  /** Cloned from the guest itself, under this id on the same server, instead of a copy. */
  live?: { vmid: number };
  /** ISO time after which a branch may be removed. */
  expires?: string;
  /** Where its network cards are put, with `beside`; absent: where the original has them. */
  bridges?: Record<number, string>;
  /** A network of bridges without ports, that is made for it on the server. */
  network?: { name: string; bridges: { bridge: string; addresses: string[] }[] };
  refusals: Finding[];
  warnings: Finding[];
}

/** What the plan is made from. */
export interface RestoreFacts {
  manifest: SiteManifest;
  live: LiveSite;
  copies: Copies;
  /** What is under an id on a server now; undefined: nothing. */
  guestAt(server: string, vmid: number): Promise<Omit<Existing, "keep" | "keptId" | "keptName"> | undefined>;
}

/** Bytes per second that a restore is reckoned with: a hundred megabytes, about what a disk or a network of 1 Gbit/s gives. */
const RESTORE_RATE = 100e6;

export function emptyPlan(request: RestoreRequest, manifest: SiteManifest): RestorePlan {
  return {
    kind: "restore",
    site: manifest.site,
    guest: request.guest,
    guestKind: manifest.guests[request.guest]?.kind ?? "qemu",
    point: { id: "", at: "", target: "", verified: "none" },
    server: "",
    vmid: 0,
    name: request.as ?? request.guest,
    beside: request.as !== undefined,
    tags: [],
    notes: "",
    start: false,
    stopSeconds: request.stopSeconds,
    forceStop: request.forceStop,
    memoryGiB: manifest.guests[request.guest]?.memoryGiB ?? 0,
    estimateSeconds: 0,
    refusals: [],
    warnings: [],
  };
}

/** All refusals at once, as far as they can be known. Room on storages is looked at by `roomFor`. */
export async function planRestore(facts: RestoreFacts, request: RestoreRequest): Promise<RestorePlan> {
  const { manifest, copies, live } = facts;
  const plan = emptyPlan(request, manifest);
  const guest = manifest.guests[request.guest];
  if (guest === undefined) {
    plan.refusals.push(unknownGuest(request.guest));
    return plan;
  }
  const chosen = choosePoint(copies.points, guest.name, request.point);
  plan.refusals.push(...chosen.refusals);
  plan.warnings.push(...chosen.warnings);
  placeIt(plan, guest, live, request);
  if (chosen.point !== undefined) takePoint(plan, chosen.point, live.at);
  if (plan.server === "" || live.servers[plan.server]?.api !== "up") {
    if (plan.server !== "") plan.refusals.push(serverDown(plan.server));
    return plan;
  }
  if (request.storage !== undefined) plan.storage = request.storage;
  if (plan.beside) beside(plan, guest, live, request);
  else await over(plan, guest, facts, request);
  return plan;
}

export function unknownGuest(name: string): Finding {
  return refusal("OPERATION-UNKNOWN-GUEST", name, `the site has no guest '${name}'`, "see `coldspare status`");
}

function serverDown(server: string): Finding {
  return refusal(
    "OPERATION-SERVER-DOWN",
    server,
    `${server} does not answer, so nothing is restored there`,
    "bring it back, or name another one with --to",
  );
}

/** Where to, and under which id. Only the side that is active is ever written over: the other one is a copy of it. */
function placeIt(plan: RestorePlan, guest: ManifestGuest, live: LiveSite, { to }: RestoreRequest): void {
  const seen = live.guests[guest.name]!;
  const home = guest.spare === undefined ? guest.primary : seen.activeServer;
  if (plan.beside) {
    plan.server = to ?? home ?? guest.primary;
    return;
  }
  if (home === undefined) {
    plan.refusals.push(
      refusal(
        "OPERATION-SIDE-UNKNOWN",
        guest.name,
        `which side of ${guest.name} is active is not known, and only that one may be written over`,
        `see \`coldspare status\`; or restore it beside with --as NAME`,
      ),
    );
    return;
  }
  plan.server = to ?? home;
  plan.vmid = guest.vmid;
  if (guest.method === "restore" && home !== guest.primary)
    plan.refusals.push(
      refusal(
        "OPERATION-RESTORE-ELSEWHERE",
        guest.name,
        `${guest.name} is active as a standby on ${home}, under an id of its own`,
        "`coldspare failback` or `coldspare commit` first; or restore it beside with --as NAME",
      ),
    );
  else if (to !== undefined && to !== home) elsewhere(plan, guest, live, to, home);
}

/** The same guest on another server is only possible where nothing of it is left: otherwise there would be two. */
function elsewhere(plan: RestorePlan, guest: ManifestGuest, live: LiveSite, to: string, home: string): void {
  const fix = `restore it beside, as a guest of its own: --as ${guest.name}-2 --to ${to}`;
  if (!Object.hasOwn(live.servers, to) || !live.servers[to]!.hypervisor) {
    plan.refusals.push(
      refusal("OPERATION-SERVER-DOWN", to, `${to} is no hypervisor of this site`, "see `coldspare status`"),
    );
  } else if (guest.spare !== undefined) {
    const way = to === guest.spare || to === guest.primary ? `\`coldspare failover ${home}\`` : "a failover";
    const message = `${guest.name} is active on ${home} and has a spare: on ${to} it would run without its guard's record`;
    plan.refusals.push(refusal("OPERATION-RESTORE-ELSEWHERE", guest.name, message, `${way} takes it along; or ${fix}`));
  } else if (live.takenIds.includes(guest.vmid)) {
    const message = `id ${guest.vmid} of ${guest.name} is still taken on ${home}`;
    plan.refusals.push(refusal("OPERATION-RESTORE-ELSEWHERE", guest.name, message, fix));
  } else {
    plan.warnings.push(
      caution(
        "OPERATION-HOME-MOVES",
        guest.name,
        `${guest.name} belongs on ${guest.primary} by the specification`,
        `say \`on: ${to}\` in the site file before the next \`pulumi up\``,
      ),
    );
  }
}

/** Takes the copy into the plan: how old, how long, and whether the server sees it. */
export function takePoint(plan: RestorePlan, point: Point, now: string): void {
  const { id, at, target, bytes, verified } = point;
  plan.point = { id, at, target, ...(bytes !== undefined && { bytes }), verified };
  plan.estimateSeconds = Math.round(30 + (bytes ?? 0) / RESTORE_RATE);
  if (!plan.beside) {
    const age = Math.max(0, (Date.parse(now) - Date.parse(at)) / 1000);
    plan.warnings.push(
      caution(
        "OPERATION-OLDER-DATA",
        plan.guest,
        `${plan.guest} goes back to ${at}: what was written in the ${formatDuration(age)} since then is not in it`,
        "choose another one with --point, or restore it beside with --as NAME and compare",
      ),
    );
  }
  if (plan.server !== "" && !point.servers.includes(plan.server))
    plan.refusals.push(
      refusal(
        "OPERATION-POINT-NOT-SEEN",
        plan.guest,
        `${plan.server} does not see ${id}${point.servers.length > 0 ? `, ${point.servers.join(", ")} does` : ""}`,
        point.servers.length > 0
          ? `restore it there: --to ${point.servers[0]}`
          : "choose a copy on a storage that it reaches",
      ),
    );
}

/** A free id that depends on the name, and again on nothing else: the same command finds its own guest again. */
export function idFor(site: string, name: string, taken: readonly number[]): number {
  let id = deriveGuestId(site, name);
  while (taken.includes(id)) id++;
  return id;
}

function beside(plan: RestorePlan, guest: ManifestGuest, live: LiveSite, request: RestoreRequest): void {
  const { name } = plan;
  if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(name))
    plan.refusals.push(refusal("OPERATION-NAME", name, `'${name}' is no host name`, "letters, digits and hyphens"));
  const known = Object.keys(live.guests);
  const seen = Object.values(live.servers).flatMap(({ running }) => running.map((each) => each.name));
  if (known.includes(name) || seen.includes(name))
    plan.refusals.push(
      refusal("OPERATION-NAME", name, `there is a guest '${name}' already`, "give another name with --as"),
    );
  plan.vmid = idFor(plan.site, name, live.takenIds);
  plan.tags = ["coldspare", RESTORED_TAG];
  plan.notes = `Restored from ${plan.point.id}, data of ${guest.name} of ${plan.point.at}.`;
  plan.start = request.start === true;
  if (plan.start && (live.guests[guest.name]?.runningOn.length ?? 0) > 0)
    plan.warnings.push(
      caution(
        "OPERATION-SAME-ADDRESS",
        name,
        `${name} starts in the networks of ${guest.name}, which runs: inside it has the same addresses and the same name`,
        "leave --start out and change that first, or use `coldspare branch`, which starts it in isolation",
      ),
    );
}

async function over(
  plan: RestorePlan,
  guest: ManifestGuest,
  facts: RestoreFacts,
  { over: how, start }: RestoreRequest,
): Promise<void> {
  const there = await facts.guestAt(plan.server, plan.vmid);
  plan.start = start ?? there?.running ?? false;
  if (there === undefined) return;
  if (how === undefined) {
    plan.refusals.push(
      refusal(
        "OPERATION-EXISTS",
        guest.name,
        `${guest.name} (${plan.vmid}) is on ${plan.server}${there.running ? ", and runs" : ""}: restoring it writes over its disks`,
        "`--over` does it, and keeps what is there as a guest of its own (`--over backup`: as a protected backup); `--as NAME` restores it beside",
      ),
    );
  }
  const keptName = `${guest.name}-before-restore`;
  const backupStorage = backupStorageOf(facts.manifest, plan);
  plan.existing = {
    ...there,
    keep: how ?? "keep",
    keptId: idFor(plan.site, `${keptName}-${plan.point.at}`, facts.live.takenIds),
    keptName,
    ...(backupStorage !== undefined && { backupStorage }),
  };
  if (how === "backup" && backupStorage === undefined)
    plan.refusals.push(
      refusal(
        "OPERATION-NO-BACKUP-STORAGE",
        guest.name,
        `no storage is known that ${guest.name} could be backed up to first`,
        "`--over keep` keeps it as a guest of its own",
      ),
    );
  if (guest.spare !== undefined) plan.warnings.push(spareIsOlder(guest));
}

/** Where the copy came from: there is a place for backups of this guest. */
function backupStorageOf({ backups }: SiteManifest, { point }: RestorePlan): string | undefined {
  const target = backups?.targets[point.target];
  return target?.kind === "vzdump" || target?.kind === "pbs" ? target.storage : undefined;
}

function spareIsOlder({ name, spare, method }: ManifestGuest): Finding {
  const when =
    method === "restore"
      ? `the standby on ${spare} keeps the data from before until its next refresh: \`coldspare refresh --guest ${name}\``
      : `the copy on ${spare} keeps the data from before until the next replication, which sends everything anew`;
  return caution("OPERATION-SPARE-DIFFERS", name, `${name} has a spare, and ${when}`, "do not fail over before that");
}

/** Tags of what was in the way and is kept. */
export const KEPT_TAGS = ["coldspare", BEFORE_RESTORE_TAG];
