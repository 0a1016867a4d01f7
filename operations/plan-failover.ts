/** What a failover would do: which guests go where, in which order, with which data, and why not. Pure. */
import type { Finding } from "../planning";
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { ACTIVATION_SECONDS, POWER_OFF_SECONDS } from "../planning/recovery";
import { startOrder } from "../planning/start-order";
import { byName } from "../planning/units";
import { ACTIVE_TAG, type LiveGuest, type LiveSite } from "./live-types";
import { chooseRoom, type StopOnSpare } from "./plan-capacity";
import { goesBackInTime, guestChecks, siteChecks } from "./plan-failover-checks";
import { choosePoint, newestGood, type RecoveryChoice } from "./plan-point";
import { recordsOf } from "./voters";

/** What the person asks for. */
export interface FailoverRequest {
  /** The server that the guests leave. */
  server: string;
  /** Only these; empty: all that are active there. */
  guests: readonly string[];
  /** The server is alive: guests are shut down and synchronised a last time. */
  planned: boolean;
  /** `latest`, a time (the newest point not after it), or the volume id of a backup. */
  toPoint?: string;
  /** The word of consent for a spare older than promised. */
  acceptStale: boolean;
  /** One of several domain controllers gets a fresh VM generation id before it starts with older data. */
  freshGeneration?: boolean;
  /** The server of which a person confirms that it is off. */
  confirmOff?: string;
  /** Somebody will be asked to confirm before anything is changed. */
  willAsk?: boolean;
  /** Fence a server that still answers (`power`, `lease`). */
  forceFence: boolean;
}

/** What is known beside the live state. */
export interface FailoverFacts {
  /** Privileges that the token has on a path, inherited ones included; `undefined`: it could not be asked. */
  privileges(path: string): ReadonlySet<string> | undefined;
  /** Operations of others, or of oneself, that were begun on this site and not ended. */
  open: readonly { id: string; kind: string; subject: string; by: string; openedAt: string; plan: unknown }[];
  /** Backups on the shared storage of guests by `restore`, newest first. */
  backups: Readonly<Record<string, readonly { volid: string; time: string }[]>>;
  /** Volumes of guests by `storage-replication` on the server that they go to. */
  volumes: Readonly<Record<string, readonly string[] | undefined>>;
  /** Refusals that the manifest gives rise to: older than what is on the servers. */
  manifest: readonly Finding[];
  /** Secrets that can be read, by name. */
  hasSecret(name: string): boolean;
}

/** How it is made sure that the old side is off. */
export type FencingChoice =
  /** The server is alive and lets its guests go itself. */
  | { method: "consent" }
  | { method: "confirm"; server: string }
  | { method: "power"; server: string }
  | { method: "lease"; server: string; marginSeconds: number; termSeconds: number };

/** One guest's change of side. */
export interface GuestMove {
  guest: string;
  kind: "qemu" | "lxc";
  method: NonNullable<ManifestGuest["method"]>;
  from: string;
  to: string;
  /** Id under which it runs on either side. */
  fromId: number;
  toId: number;
  point: RecoveryChoice;
  /** Replication job between the two, if there is one. */
  job?: string;
  /** Lock in its configuration that the dead server left: taken off before the start. */
  unlock?: string;
  /** False: it was off when a planned switch began, and is moved without being started. */
  startAfter?: boolean;
  /** It gets a fresh VM generation id before its start. */
  freshGeneration?: true;
  /** Networks or addresses differ on the other side. */
  networks: boolean;
  group?: string;
  /** Wait after its start, or after it answers. */
  waitSeconds: number;
  untilUp: boolean;
  bootSeconds: number;
  /** Starts that each voter had granted when this was planned. */
  grants: Record<string, number>;
  /** From the command's confirmation until it answers. */
  estimateSeconds: number;
  /** What the site's plan promises or computed for the same. */
  plannedSeconds?: number;
}

/** Everything that a failover does: plain data, kept in the journal. */
export interface FailoverPlan {
  formatVersion: 1;
  site: string;
  server: string;
  planned: boolean;
  fencing: FencingChoice;
  /** In the order of their start. */
  moves: GuestMove[];
  /** Stopped on the spare first, to make room. */
  stops: StopOnSpare[];
  /** Not started, for want of room. */
  left: string[];
  /** Guests of the server without a spare. */
  lost: string[];
  /** Boot ids of servers that take over a guest with two voters: what was confirmed before a restart counts no more. */
  boots?: Record<string, string>;
}

export interface PlannedFailover {
  plan: FailoverPlan;
  refusals: Finding[];
  warnings: Finding[];
}

/** Plans the failover of a server, or of some guests of it. All refusals at once. */
export function planFailover(
  manifest: SiteManifest,
  live: LiveSite,
  facts: FailoverFacts,
  request: FailoverRequest,
): PlannedFailover {
  const refusals: Finding[] = [];
  const warnings: Finding[] = [];
  const chosen = chooseGuests(manifest, live, request);
  const fencing = fencingOf(manifest, request);
  const moves = chosen.moving.map((guest) => {
    const point = choosePoint(guest, live.guests[guest.name]!, facts.backups[guest.name] ?? [], request, live.at);
    refusals.push(...point.refusals);
    warnings.push(...point.warnings);
    return moveOf(manifest, guest, live, request, point.choice);
  });
  const room = chooseRoom(manifest, live, moves, request.guests.length > 0);
  const staying = new Set(room.left);
  const plan: FailoverPlan = {
    formatVersion: 1,
    site: manifest.site,
    server: request.server,
    planned: request.planned,
    fencing,
    moves: inOrder(
      manifest,
      moves.filter(({ guest }) => !staying.has(guest)),
      fencing,
    ),
    stops: room.stops,
    left: room.left,
    lost: chosen.lost,
    ...bootsOf(manifest, live, moves),
  };
  refusals.push(...siteChecks(manifest, live, facts, request, plan, chosen), ...room.refusals);
  warnings.push(...room.warnings);
  for (const move of plan.moves) {
    const found = guestChecks(manifest, live, facts, request, move);
    refusals.push(...found.refusals);
    warnings.push(...found.warnings);
  }
  return { plan, refusals, warnings };
}

/** Guests that are active on the server, by what can be known of it. */
export interface ChosenGuests {
  moving: ManifestGuest[];
  /** Active there and without a spare. */
  lost: string[];
  /** Asked for by name and not active there: where they are, as far as known. */
  elsewhere: { guest: string; server: string | undefined }[];
  /** Asked for by name and not known. */
  unknown: string[];
  /** Nobody can say which side is active. */
  unclear: string[];
}

export function chooseGuests(manifest: SiteManifest, live: LiveSite, request: FailoverRequest): ChosenGuests {
  const { server, guests: named } = request;
  const chosen: ChosenGuests = { moving: [], lost: [], elsewhere: [], unknown: [], unclear: [] };
  for (const name of named) if (manifest.guests[name] === undefined) chosen.unknown.push(name);
  for (const guest of Object.values(manifest.guests).sort((a, b) => byName(a.name, b.name))) {
    const asked = named.includes(guest.name);
    if (named.length > 0 && !asked) continue;
    // What is normally off is not missed, and nothing starts it: it moves when it is named, or with a planned switch.
    if (guest.started === false && !asked && request.planned !== true) continue;
    const seen = live.guests[guest.name]!;
    const concerned = guest.primary === server || guest.spare === server;
    if (guest.spare === undefined) {
      if (guest.primary === server || asked) chosen.lost.push(guest.name);
    } else if (seen.activeServer === server || isStranded(guest, seen, server)) chosen.moving.push(guest);
    else if (seen.activeServer === undefined && concerned) chosen.unclear.push(guest.name);
    else if (asked) chosen.elsewhere.push({ guest: guest.name, server: seen.activeServer });
  }
  return chosen;
}

/**
 * A switch away from the server was given up half way: the other side was given the guest, and never got it. What was brought
 * up there and is merely off is another thing: it may have newer data than any copy.
 */
function isStranded({ vmid, method, primary, spare }: ManifestGuest, seen: LiveGuest, server: string): boolean {
  const other = server === primary ? spare : primary;
  const isOff =
    seen.runningOn.length === 0 && seen.seats.every((seat) => seat.server !== other || seat.running === false);
  if (seen.activeServer !== other || (server !== primary && server !== spare) || !isOff) return false;
  if (method === "restore") return other === spare && !seen.standbys.some(({ tags }) => tags.includes(ACTIVE_TAG));
  const own = seen.seats.filter((seat) => seat.server === other && seat.vmid === vmid);
  if (method === "zfs-sync") return other === spare && !own.some(({ tags }) => tags.includes(ACTIVE_TAG));
  return own.some((seat) => seat.config === false);
}

export function fencingOf(manifest: SiteManifest, request: FailoverRequest): FencingChoice {
  const { server } = request;
  if (request.planned) return { method: "consent" };
  // A person who says that it is off needs no switch and no clock.
  if (manifest.fencing === "confirm" || request.confirmOff === server) return { method: "confirm", server };
  if (manifest.fencing === "power") return { method: "power", server };
  const { marginSeconds, termSeconds } = manifest.lease;
  return { method: "lease", server, marginSeconds, termSeconds };
}

/** Its configuration goes to the other server with it; by `restore` and `zfs-sync` each side has one of its own. */
export function isMoved({ method }: Pick<ManifestGuest, "method">): boolean {
  return method !== "restore" && method !== "zfs-sync";
}

function bootsOf(manifest: SiteManifest, live: LiveSite, moves: readonly GuestMove[]): Pick<FailoverPlan, "boots"> {
  const servers = moves.filter(({ guest }) => manifest.guests[guest]?.voters.length === 2).map(({ to }) => to);
  if (servers.length === 0) return {};
  return { boots: Object.fromEntries(servers.map((server) => [server, live.servers[server]?.node?.boot ?? ""])) };
}

function moveOf(
  manifest: SiteManifest,
  guest: ManifestGuest,
  live: LiveSite,
  request: FailoverRequest,
  point: RecoveryChoice,
): GuestMove {
  const { server: from } = request;
  const seen = live.guests[guest.name]!;
  const toPrimary = from === guest.spare;
  const to = toPrimary ? guest.primary : guest.spare!;
  const away = point.kind === "standby" ? point.standbyId : point.kind === "backup" ? point.into : undefined;
  const fromId = toPrimary ? activeIdOn(guest, seen, from) : guest.vmid;
  const lock = seen.seats.find(({ server, vmid }) => server === from && vmid === fromId)?.lock;
  return {
    guest: guest.name,
    kind: guest.kind,
    method: guest.method ?? "storage-replication",
    from,
    to,
    fromId,
    toId: toPrimary ? guest.vmid : (away ?? nextStandby(guest, seen)),
    point,
    ...(seen.job !== undefined && { job: seen.job.id }),
    ...(lock !== undefined && isMoved(guest) && { unlock: lock }),
    // What a switch that was given up had taken away is off because of that.
    ...(request.planned && seen.activeServer === from && seen.runningOn.length === 0 && { startAfter: false }),
    ...(request.freshGeneration &&
      guest.kind === "qemu" &&
      goesBackInTime(manifest, guest, request).length > 0 && { freshGeneration: true as const }),
    networks: guest.spareNetworks !== undefined,
    ...(guest.group !== undefined && { group: guest.group }),
    waitSeconds: 0,
    untilUp: false,
    bootSeconds: guest.boot.seconds,
    grants: Object.fromEntries(recordsOf(guest, live.readings).map(({ voter, record }) => [voter, record.grants])),
    estimateSeconds: 0,
    ...(guest.recoveryTimeSeconds !== undefined && { plannedSeconds: guest.recoveryTimeSeconds }),
  };
}

/** The standby id that a planned switch restores into: not the one with the newest good copy. Else the guest's own id. */
function nextStandby(guest: ManifestGuest, seen: LiveGuest): number {
  const newest = newestGood(seen.standbys);
  return guest.standbyIds?.find((id) => id !== newest?.vmid) ?? guest.vmid;
}

/** The id under which a guest is active on its spare. */
function activeIdOn(guest: ManifestGuest, seen: LiveGuest, server: string): number {
  if (guest.standbyIds === undefined) return guest.vmid;
  const running = seen.runningOn.find((seat) => seat.server === server);
  return running?.vmid ?? guest.standbyIds[0];
}

/** Seconds that a restore of an older backup is taken to need, at least: what it really needs depends on the storage. */
const RESTORE_SECONDS = 300;

function inOrder(manifest: SiteManifest, moves: readonly GuestMove[], fencing: FencingChoice): GuestMove[] {
  const guests = moves.map(({ guest }) => manifest.guests[guest]!);
  const byGuest = new Map(moves.map((move) => [move.guest, move]));
  let clock = fencingSeconds(fencing);
  return startOrder(guests, manifest.groups).map(({ guest, group, waitSeconds, untilUp }) => {
    const move = byGuest.get(guest)!;
    clock += ACTIVATION_SECONDS + (move.point.kind === "backup" ? RESTORE_SECONDS : 0);
    const estimateSeconds = clock + move.bootSeconds;
    clock += waitSeconds + (untilUp ? move.bootSeconds : 0);
    return { ...move, ...(group !== undefined && { group }), waitSeconds, untilUp, estimateSeconds };
  });
}

function fencingSeconds(fencing: FencingChoice): number {
  if (fencing.method === "power") return POWER_OFF_SECONDS;
  return fencing.method === "lease" ? fencing.termSeconds + fencing.marginSeconds : 0;
}
