/** How every guest and server of a site is doing: computed from what was read, without a question to anybody. */
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { byName, formatDuration, list } from "../planning/units";
import type { BackupStatus } from "./backups/status-backups";
import { ACTIVE_TAG, type LiveGuest, type LiveServer, type LiveSite } from "./live-types";
import { NOBODY, operationOf } from "./voters";

/**
 * - `ready`: runs at home, and its spare is as new as promised
 * - `stale`: runs at home; its spare is older than promised, broken or not there
 * - `refreshing`: its spare is being refreshed right now
 * - `failing-over`, `failing-back`: a switch is under way, or was left in the middle
 * - `failed-over`: its spare side is the active one
 * - `diverged`: after a switch that nobody planned, either way, the old side is back with data of its own that nobody has dealt
 *   with; its replication is off
 * - `no-spare`: only one side exists
 * - `unknown`: nobody can say for sure which side is active, or two sides run
 */
export const GUEST_STATES = [
  "ready",
  "stale",
  "refreshing",
  "failing-over",
  "failed-over",
  "failing-back",
  "diverged",
  "no-spare",
  "unknown",
] as const;
export type GuestState = (typeof GUEST_STATES)[number];

export interface GuestStatus {
  name: string;
  state: GuestState;
  primary: string;
  spare?: string;
  method?: string;
  activeSide: "primary" | "spare" | "none" | "unknown";
  activeServer?: string;
  /** Servers on which one of its ids runs. */
  runsOn: string[];
  /** Nobody can say: a server that may run it does not answer. */
  runsUnseen: string[];
  /** Epoch of the record that a majority of its voters holds. */
  epoch?: number;
  recoveryPoint?: {
    /** ISO time of the data that the other side has. */
    at: string;
    ageSeconds: number;
    promisedSeconds?: number;
    /** Within the promise; true without one. */
    kept: boolean;
  };
  lastDrill?: { at: string; ageSeconds: number; ok: boolean; recoveryTimeSeconds?: number; overdue: boolean };
  /** What is to be looked at, in words. */
  problems: string[];
}

export const SERVER_STATES = ["up", "partly", "down", "unknown"] as const;

export interface ServerStatus {
  name: string;
  roles: string[];
  /** `partly`: one of its two ways (API, SSH) does not answer. `down`: neither does. */
  state: (typeof SERVER_STATES)[number];
  quorate?: boolean;
  /** What the other hypervisors say of it. */
  seenByOthers?: boolean;
  running: number;
  usedGiB: number;
  limitGiB: number;
  /** Of the manifest that lies there. */
  generation?: number;
  problems: string[];
}

/** What `coldspare status --json` prints. Keys are only added. Sizes are GiB, times are seconds. */
export interface SiteStatus {
  formatVersion: 1;
  site: string;
  /** ISO time, on the servers' clock. */
  at: string;
  fencing: string;
  /** Every guest is ready (or has no spare to be), every server is up, no drill is overdue, copies and media are as promised. */
  ok: boolean;
  guests: Record<string, GuestStatus>;
  servers: Record<string, ServerStatus>;
  /** Copies and media; absent where the site has no policies. */
  backups?: BackupStatus;
}

/** The status of everything. Pure. */
export function siteStatus(live: LiveSite, manifest: SiteManifest, backups?: BackupStatus): SiteStatus {
  const now = Date.parse(live.at);
  const guests = Object.values(manifest.guests)
    .sort((a, b) => byName(a.name, b.name))
    .map((guest) => guestStatus(guest, live, manifest, now));
  const servers = Object.values(live.servers)
    .sort((a, b) => byName(a.name, b.name))
    .map((server) => serverStatus(server, manifest));
  const fine: GuestState[] = ["ready", "refreshing", "no-spare"];
  return {
    formatVersion: 1,
    site: manifest.site,
    at: live.at,
    fencing: manifest.fencing,
    ok:
      guests.every(({ state, problems }) => fine.includes(state) && problems.length === 0) &&
      servers.every(({ state, problems }) => state === "up" && problems.length === 0) &&
      backups?.ok !== false,
    guests: Object.fromEntries(guests.map((guest) => [guest.name, guest])),
    servers: Object.fromEntries(servers.map((server) => [server.name, server])),
    ...(backups && { backups }),
  };
}

function guestStatus(guest: ManifestGuest, live: LiveSite, manifest: SiteManifest, now: number): GuestStatus {
  const seen = live.guests[guest.name]!;
  const age = (time: string) => Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  const { recoveryPointSeconds: promised } = guest;
  const point = seen.recoveryPoint;
  const recoveryPoint = point === undefined ? undefined : { at: point, ageSeconds: age(point) };
  const kept = recoveryPoint === undefined ? false : promised === undefined || recoveryPoint.ageSeconds <= promised;
  const state = stateOf(guest, seen, kept);
  const runsOn = [...new Set(seen.runningOn.map(({ server }) => server))];
  const unseen = seen.seats.filter(({ running, config }) => running === undefined && config !== false);
  const limit = Math.min(
    ...Object.values(manifest.drills)
      .filter(({ guests }) => guests.includes(guest.name))
      .map(({ maximumAgeSeconds }) => maximumAgeSeconds ?? Number.POSITIVE_INFINITY),
  );
  const drill = seen.drill && {
    at: seen.drill.at,
    ageSeconds: age(seen.drill.at),
    ok: seen.drill.ok,
    ...(seen.drill.recoveryTimeSeconds !== undefined && { recoveryTimeSeconds: seen.drill.recoveryTimeSeconds }),
    overdue: age(seen.drill.at) > limit,
  };
  return {
    name: guest.name,
    state,
    primary: guest.primary,
    ...(guest.spare !== undefined && { spare: guest.spare }),
    ...(guest.method !== undefined && { method: guest.method }),
    activeSide: seen.activeSide === "nobody" ? "none" : seen.activeSide,
    ...(seen.activeServer !== undefined && { activeServer: seen.activeServer }),
    runsOn,
    runsUnseen: [...new Set(unseen.map(({ server }) => server))],
    ...(seen.record !== undefined && { epoch: seen.record.epoch }),
    ...(recoveryPoint && {
      recoveryPoint: { ...recoveryPoint, ...(promised !== undefined && { promisedSeconds: promised }), kept },
    }),
    ...(drill && { lastDrill: drill }),
    problems: [
      ...guestProblems(guest, live, state, recoveryPoint?.ageSeconds, runsOn),
      ...drillProblems(drill, Number.isFinite(limit) && guest.spare !== undefined, limit),
    ],
  };
}

function stateOf({ spare, recoveryPointSeconds }: ManifestGuest, seen: LiveGuest, kept: boolean): GuestState {
  if (spare === undefined) return "no-spare";
  const running = new Set(seen.runningOn.map(({ server }) => server));
  if (running.size > 1) return "unknown";
  if (seen.activeSide === "nobody") {
    return operationOf(seen.record?.by ?? "")?.startsWith("failback-") ? "failing-back" : "failing-over";
  }
  if (seen.activeSide === "unknown") return "unknown";
  // It runs where the record does not allow it: neither of the two is to be believed alone.
  if (running.size === 1 && !running.has(seen.activeServer ?? "")) return "unknown";
  if (seen.activeSide === "spare") return seen.diverged ? "diverged" : "failed-over";
  if (isParted(seen)) return "diverged";
  if (seen.refreshing) return "refreshing";
  return kept || (recoveryPointSeconds === undefined && seen.recoveryPoint !== undefined) ? "ready" : "stale";
}

/** At home, and the spare has, or may have, what was written there while it was the active side. */
function isParted({ activeSide, diverged, job }: LiveGuest): boolean {
  return activeSide === "primary" && diverged && job?.disabled === true && job.pausedByDrill !== true;
}

function guestProblems(
  guest: ManifestGuest,
  live: LiveSite,
  state: GuestState,
  age: number | undefined,
  runsOn: readonly string[],
): string[] {
  const seen = live.guests[guest.name]!;
  const problems = offProblems(guest, seen, live);
  if (guest.spare === undefined) return problems;
  const { job } = seen;
  if (runsOn.length > 1) problems.push(`runs on ${list(runsOn)} at once: stop the side that has the older data, now`);
  else if (state === "unknown" && runsOn[0] !== undefined && seen.activeServer !== undefined)
    problems.push(`runs on ${runsOn[0]}, while its voters say ${seen.activeServer}`);
  else if (state === "unknown") problems.push("no majority of its voters says which side is active");
  if (seen.record?.server === NOBODY)
    problems.push(`a switch was begun (${operationOf(seen.record.by) ?? seen.record.by}): run the same command again`);
  if (state === "stale" && seen.recoveryPoint === undefined) problems.push(noCopy(guest, seen));
  if (state === "stale" && age !== undefined && guest.recoveryPointSeconds !== undefined)
    problems.push(`its copy is ${formatDuration(age)} old, promised are ${formatDuration(guest.recoveryPointSeconds)}`);
  if (job?.disabled && seen.activeSide === "primary")
    problems.push(`replication ${job.id} is disabled${whyDisabled(guest, seen)}`);
  if ((job?.failCount ?? 0) > 0)
    problems.push(`replication ${job!.id} failed ${job!.failCount} times: ${job!.error ?? "no reason is given"}`);
  problems.push(...syncProblems(seen));
  const broken = seen.standbys.filter(({ good, running, lock }) => !good && !running && lock !== "create");
  if (broken.length > 0)
    problems.push(
      `standby ${list(broken.map(({ vmid }) => String(vmid)))} cannot be started (not checked, locked or foreign)`,
    );
  if (state === "diverged" && seen.activeSide === "spare")
    problems.push("the old side has data of its own: `coldspare failback` offers what to do with it");
  return problems;
}

function whyDisabled({ name, spare }: ManifestGuest, seen: LiveGuest): string {
  const command = `\`coldspare failback ${name}\``;
  if (seen.job?.pausedByDrill)
    return `: a drill on ${spare} has paused it; the next one switches it on if this one has died`;
  if (isParted(seen))
    return `, and what is on ${spare} may be its own: ${command} offers what to do with it, and switches replication on again`;
  return `: once ${spare} is back, ${command} switches it on again`;
}

/** Locks of work that takes a guest away or brings it: it is off meanwhile. */
const UNDER_WAY: readonly (string | undefined)[] = ["migrate", "create", "clone", "rollback"];

/** Seconds in which a switch that has just named a server starts the guest there. */
const SWITCH_SECONDS = 120;

/** It should run where it belongs, and the server there says that it does not. */
function offProblems(guest: ManifestGuest, seen: LiveGuest, live: LiveSite): string[] {
  const server = seen.activeServer;
  if (server === undefined || !guest.boot.atHostBoot || seen.runningOn.length > 0) return [];
  if (live.servers[server]?.api !== "up" || seen.seats.some(({ lock }) => UNDER_WAY.includes(lock))) return [];
  const switched = Date.parse(live.at) - Date.parse(seen.record?.since ?? "");
  if (switched >= 0 && switched < SWITCH_SECONDS * 1000) return [];
  const there = seen.seats.filter((seat) => seat.server === server);
  if (isBare(guest, seen, server)) {
    const other = server === guest.primary ? guest.spare : guest.primary;
    const isSwitch = server === guest.spare || operationOf(seen.record?.by ?? "")?.startsWith("failover-") === true;
    return [
      isSwitch
        ? `was given to ${server} and never brought up: run the failover again (\`coldspare failover ${other}\`)`
        : `does not run on ${server}: its configuration is not there`,
    ];
  }
  const lock = there.find((seat) => seat.lock !== undefined)?.lock;
  return [
    lock === undefined
      ? `does not run on ${server}: start it there, or look why it stopped`
      : `does not run on ${server}, where it is locked (${lock})`,
  ];
}

/** Nothing of it was brought to the server: no configuration, or only a standby that was never made the active side. */
function isBare({ spare, method, vmid }: ManifestGuest, seen: LiveGuest, server: string): boolean {
  if (method === "restore" && server === spare) return !seen.standbys.some(({ tags }) => tags.includes(ACTIVE_TAG));
  return seen.seats.some((seat) => seat.server === server && seat.vmid === vmid && seat.config === false);
}

function noCopy(guest: ManifestGuest, seen: LiveGuest): string {
  if (guest.method === "restore") return `${guest.spare} has no good standby`;
  if (guest.method === "zfs-sync") return noPoint(guest, seen);
  return seen.job === undefined ? "there is no replication job" : `${guest.spare} has no copy that is known to be good`;
}

function noPoint({ name, spare }: ManifestGuest, { zfs }: LiveGuest): string {
  if (zfs?.[spare!] === undefined) return `${spare} does not say over SSH which recovery points it has`;
  return `${spare} has no complete recovery point: \`coldspare-zfs replica sync ${name}\` on its server makes one`;
}

/** The chain is broken, or the way to the other server: the age of its copy grows from now on. */
function syncProblems(seen: LiveGuest): string[] {
  const sync = seen.zfs?.[seen.activeServer ?? ""]?.sync;
  if (sync?.state !== "failed" || seen.diverged) return [];
  return [`its last run of zfs-sync on ${seen.activeServer} failed: ${sync.error ?? "no reason is given"}`];
}

function drillProblems(drill: GuestStatus["lastDrill"], wanted: boolean, limit: number): string[] {
  if (drill === undefined) return wanted ? ["no drill was ever made"] : [];
  if (!drill.ok) return ["its last drill failed"];
  return drill.overdue
    ? [`its last drill is ${formatDuration(drill.ageSeconds)} ago, allowed are ${formatDuration(limit)}`]
    : [];
}

function serverStatus(server: LiveServer, manifest: SiteManifest): ServerStatus {
  const ways = [server.api, server.ssh].filter((way) => way !== "none");
  const up = ways.filter((way) => way === "up").length;
  const state = ways.length === 0 ? "unknown" : up === ways.length ? "up" : up > 0 ? "partly" : "down";
  const problems = [
    ...(server.api !== "up" && server.apiProblem !== undefined && state !== "down"
      ? [`API: ${server.apiProblem}`]
      : []),
    ...(server.sshProblem !== undefined && state !== "down" ? [`SSH: ${server.sshProblem}`] : []),
    ...(state === "down" ? ["it answers neither over the API nor over SSH"] : []),
    ...(server.quorate === false ? ["it has no quorum: nothing can be started or changed there"] : []),
  ];
  return {
    name: server.name,
    roles: manifest.servers[server.name]?.roles ?? [],
    state,
    ...(server.quorate !== undefined && { quorate: server.quorate }),
    ...(server.online !== undefined && { seenByOthers: server.online }),
    running: server.running.length,
    usedGiB: Math.round(server.usedGiB * 100) / 100,
    limitGiB: manifest.servers[server.name]?.memoryLimitGiB ?? 0,
    ...(server.node !== undefined && { generation: server.node.generation }),
    problems,
  };
}
