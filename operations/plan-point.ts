/** Which data a guest is started with on its other side. Pure. */
import type { Finding } from "../planning";
import type { ManifestGuest } from "../planning/manifest";
import { formatDuration } from "../planning/units";
import type { LiveGuest, LiveStandby } from "./live-types";
import { caution, refusal } from "./refusals";

/** The data that a guest is started with. `at` is an ISO time. */
export type RecoveryChoice =
  /** A last synchronisation after the shut-down: nothing is lost. */
  | { kind: "now" }
  /** The last good run of the replication, or a copy that is there already. */
  | { kind: "copy"; at?: string }
  /** A recovery point of `zfs-sync`; the newest one there is at the time of the switch, unless an earlier one was asked for. */
  | { kind: "point"; point: string; at: string; earlier?: true }
  | { kind: "standby"; standbyId: number; at: string; volid?: string }
  /** An older backup, restored into a standby id first. */
  | { kind: "backup"; into: number; at: string; volid: string };

export interface PointRequest {
  planned: boolean;
  toPoint?: string;
  acceptStale: boolean;
}

export interface ChosenPoint {
  choice: RecoveryChoice;
  refusals: Finding[];
  warnings: Finding[];
}

/**
 * @param backups On the shared storage, newest first.
 * @param now ISO time on the servers.
 */
export function choosePoint(
  guest: ManifestGuest,
  seen: LiveGuest,
  backups: readonly { volid: string; time: string }[],
  request: PointRequest,
  now: string,
): ChosenPoint {
  const wanted = request.toPoint === undefined || request.toPoint === "latest" ? undefined : request.toPoint;
  if (request.planned) {
    const refusals = wanted === undefined ? [] : [plannedPoint(guest.name)];
    return { choice: { kind: "now" }, refusals, warnings: [] };
  }
  if (guest.method === "zfs-sync") return zfsPoint(guest, seen, request, wanted, now);
  if (guest.method !== "restore") return copyPoint(guest, seen, request, wanted, now);
  return wanted === undefined ? newestStandby(guest, seen, request, now) : chosenBackup(guest, seen, backups, wanted);
}

/** The newest standby that may be started. */
export function newestGood(standbys: readonly LiveStandby[]): LiveStandby | undefined {
  const time = ({ recoveryPoint = "" }: LiveStandby) => recoveryPoint;
  return [...standbys].filter(({ good }) => good).sort((a, b) => (time(a) < time(b) ? 1 : -1))[0];
}

function plannedPoint(guest: string): Finding {
  return refusal(
    "OPERATION-POINT",
    guest,
    `a planned switch of ${guest} takes along everything: there is no point to choose`,
    "leave --to-point out; for older data stop the guest and fail over without --planned",
  );
}

function copyPoint(
  guest: ManifestGuest,
  seen: LiveGuest,
  request: PointRequest,
  wanted: string | undefined,
  now: string,
): ChosenPoint {
  const { name } = guest;
  const at = seen.recoveryPoint;
  const choice: RecoveryChoice = { kind: "copy", ...(at !== undefined && { at }) };
  const refusals: Finding[] = [];
  const warnings: Finding[] = [];
  if (wanted !== undefined && (at === undefined || !(Date.parse(wanted) >= Date.parse(at))))
    refusals.push(
      refusal(
        "OPERATION-POINT",
        name,
        `${name} follows by ${guest.method}: only the last run is there${at === undefined ? "" : ` (${at})`}, nothing older`,
        "leave --to-point out for this guest (name the others with --guest); older data comes from a backup",
      ),
    );
  if (at === undefined)
    warnings.push(
      caution(
        "OPERATION-POINT-UNKNOWN",
        name,
        `how old the copy of ${name} is cannot be known: the server that refreshed it does not answer, and its storage does not say`,
        "expect the loss of everything since the last run of its replication",
      ),
    );
  else refusals.push(...stale(guest, at, request, now));
  return { choice, refusals, warnings };
}

function zfsPoint(
  guest: ManifestGuest,
  seen: LiveGuest,
  request: PointRequest,
  wanted: string | undefined,
  now: string,
): ChosenPoint {
  const { name, spare } = guest;
  const points = seen.zfs?.[spare!]?.points ?? [];
  const newest = points[0];
  if (newest === undefined) {
    const missing = refusal(
      "OPERATION-NO-REPLICA",
      name,
      `${spare} has no complete recovery point of ${name}${seen.zfs?.[spare!] === undefined ? ": it does not answer over SSH" : ""}`,
      `\`coldspare-zfs replica points ${name}\` on ${spare} says what is there; without one, bring its server back or restore a backup`,
    );
    return { choice: { kind: "copy" }, refusals: [missing], warnings: [] };
  }
  if (wanted === undefined) {
    const choice: RecoveryChoice = { kind: "point", point: newest.id, at: newest.at };
    return { choice, refusals: stale(guest, newest.at, request, now), warnings: [] };
  }
  const limit = Date.parse(wanted);
  const chosen = points.find(({ id, at }) => id === wanted || Date.parse(at) <= limit);
  if (chosen !== undefined) {
    const earlier = chosen.id === newest.id ? {} : { earlier: true as const };
    return { choice: { kind: "point", point: chosen.id, at: chosen.at, ...earlier }, refusals: [], warnings: [] };
  }
  const missing = refusal(
    "OPERATION-POINT",
    name,
    Number.isNaN(limit)
      ? `--to-point ${wanted} is no time and no recovery point of ${name}`
      : `${name} has no recovery point that is not after ${wanted}`,
    `there are: ${points
      .slice(0, 8)
      .map(({ at }) => at)
      .join(", ")}`,
  );
  return { choice: { kind: "copy" }, refusals: [missing], warnings: [] };
}

function newestStandby(guest: ManifestGuest, seen: LiveGuest, request: PointRequest, now: string): ChosenPoint {
  const { name, spare } = guest;
  const warnings = seen.standbys
    .filter(({ good }) => !good)
    .map(({ vmid, lock, ours, recoveryPoint }) => {
      const why = !ours ? "is not ours" : lock !== undefined ? `is locked (${lock})` : "was never checked";
      const other = recoveryPoint === undefined ? "" : `, as of ${recoveryPoint}`;
      return caution(
        "OPERATION-STANDBY-BROKEN",
        name,
        `standby ${vmid} on ${spare} ${why}${other}: it is not used`,
        `the other one is; look at ${vmid} afterwards`,
      );
    });
  const best = newestGood(seen.standbys.filter(({ running }) => !running));
  if (best === undefined) {
    const missing = refusal(
      "OPERATION-NO-STANDBY",
      name,
      `${spare} has no standby of ${name} that can be started (ids ${guest.standbyIds?.join(", ")})`,
      `restore one from a backup: \`coldspare failover … --guest ${name} --to-point <time>\`, or \`coldspare refresh --guest ${name}\` while its server is up`,
    );
    return { choice: { kind: "copy" }, refusals: [missing], warnings };
  }
  const { vmid, volid } = best;
  const at = best.recoveryPoint!;
  const choice: RecoveryChoice = { kind: "standby", standbyId: vmid, at, ...(volid !== undefined && { volid }) };
  return { choice, refusals: stale(guest, at, request, now), warnings };
}

function chosenBackup(
  guest: ManifestGuest,
  seen: LiveGuest,
  backups: readonly { volid: string; time: string }[],
  wanted: string,
): ChosenPoint {
  const { name } = guest;
  const limit = Date.parse(wanted);
  const standby = newestGood(
    seen.standbys
      .filter(({ running }) => !running)
      .filter(({ recoveryPoint, volid }) => volid === wanted || Date.parse(recoveryPoint!) <= limit),
  );
  const backup = backups.find(({ volid, time }) => volid === wanted || Date.parse(time) <= limit);
  const found = { refusals: [], warnings: [] };
  if (standby !== undefined && (backup === undefined || standby.recoveryPoint! >= backup.time)) {
    const { vmid, volid, recoveryPoint } = standby;
    return {
      choice: { kind: "standby", standbyId: vmid, at: recoveryPoint!, ...(volid !== undefined && { volid }) },
      ...found,
    };
  }
  if (backup !== undefined) {
    const newest = newestGood(seen.standbys);
    const into = guest.standbyIds!.find((id) => id !== newest?.vmid)!;
    return { choice: { kind: "backup", into, at: backup.time, volid: backup.volid }, ...found };
  }
  const known = [
    ...new Set([
      ...seen.standbys.flatMap(({ recoveryPoint }) => recoveryPoint ?? []),
      ...backups.map(({ time }) => time),
    ]),
  ];
  const missing = refusal(
    "OPERATION-POINT",
    name,
    Number.isNaN(limit)
      ? `--to-point ${wanted} is no time and no backup of ${name}`
      : `${name} has no recovery point that is not after ${wanted}`,
    known.length === 0
      ? `'${guest.backupStorage}' shows no backup of it`
      : `there are: ${known.sort().reverse().slice(0, 8).join(", ")}`,
  );
  return { choice: { kind: "copy" }, refusals: [missing], warnings: [] };
}

function stale(guest: ManifestGuest, at: string, { acceptStale }: PointRequest, now: string): Finding[] {
  const age = (Date.parse(now) - Date.parse(at)) / 1000;
  const promised = guest.recoveryPointSeconds;
  if (acceptStale || promised === undefined || age <= promised) return [];
  return [
    refusal(
      "OPERATION-STALE",
      guest.name,
      `the spare of ${guest.name} is as of ${at}, ${formatDuration(age)} ago; promised are ${formatDuration(promised)}: everything newer is lost`,
      "if that is to be: add --accept-stale",
    ),
  ];
}
