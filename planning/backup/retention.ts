/**
 * Retention: which copies stay. Two families of rules with the same words and different results:
 *
 * - Proxmox Backup Server and Proxmox VE (`prune-backups`): the rules are applied one after another, `last` first. A
 *   period in which an earlier rule keeps a copy is passed over, and not counted. Copies that a rule has thinned out are
 *   not looked at again. Sources: https://pbs.proxmox.com/docs/maintenance.html (Pruning), its prune simulator, and
 *   pbs-datastore/src/prune.rs; Proxmox VE's PVE::Storage has the same steps.
 * - restic: each rule counts for itself and keeps the newest copy of each period. Since 0.16 a rule that is not exhausted
 *   keeps the oldest copy, too (Debian 12 has 0.14, Debian 13 and so Proxmox VE 9 has 0.18). Sources: its manual
 *   (Removing backup snapshots), https://github.com/restic/restic/pull/4366 and snapshot_policy.go.
 *
 * All of them count periods that have a copy, in the local time zone; weeks are ISO weeks, from Monday.
 */
import { list } from "../units";
import { type Zone, zoneOf } from "./local-time";

/** How many copies stay, by rule. Absent and 0 are the same: the rule is not used. */
export interface Keep {
  last?: number | undefined;
  hourly?: number | undefined;
  daily?: number | undefined;
  weekly?: number | undefined;
  monthly?: number | undefined;
  yearly?: number | undefined;
}

/** In the order in which they are applied. */
export const KEEP_RULES = ["last", "hourly", "daily", "weekly", "monthly", "yearly"] as const;
export type KeepRule = (typeof KEEP_RULES)[number];

/** Whose rules: `zfs` is what coldspare does with snapshots, each rule for itself. */
export type RetentionRule = "pbs" | "vzdump" | "restic" | "zfs";

/** `oldest daily`: restic keeps the oldest copy, as daily copies are to spare. `all`: no rule is used. */
export type KeepReason = KeepRule | `oldest ${KeepRule}` | "all";

export interface Retained {
  /** Epoch seconds. */
  time: number;
  kept: boolean;
  /** Why it stays; empty when it goes. */
  rules: KeepReason[];
}

/** A copy with its periods, one for each of KEEP_RULES: equal numbers mean the same hour, day, … */
export interface DatedCopy {
  time: number;
  periods: readonly number[];
}

/** No rule is used. All programs here keep everything then; as a wish to keep nothing it is a mistake. */
export function keepsNothing(keep: Keep): boolean {
  return KEEP_RULES.every((rule) => (keep[rule] ?? 0) <= 0);
}

/** `last 3, daily 13 and yearly 9` */
export function keepInWords(keep: Keep): string {
  const used = KEEP_RULES.filter((rule) => (keep[rule] ?? 0) > 0).map((rule) => `${rule} ${keep[rule]}`);
  return used.length === 0 ? "everything" : list(used);
}

export function datedCopy(time: number, zone: Zone): DatedCopy {
  const local = time + zone.offset(time);
  const day = Math.floor(local / 86_400);
  const date = new Date(day * 86_400_000);
  const year = date.getUTCFullYear();
  // 1970-01-01 was a Thursday: three days later than the Monday of its week.
  const week = Math.floor((day + 3) / 7);
  return { time, periods: [time, Math.floor(local / 3600), day, week, year * 12 + date.getUTCMonth(), year] };
}

/** Why each copy stays, in the order given. @param copies Newest first. */
export function reasonsToKeep(copies: readonly DatedCopy[], keep: Keep, rule: RetentionRule): KeepReason[][] {
  if (keepsNothing(keep)) return copies.map(() => ["all"]);
  if (rule === "pbs" || rule === "vzdump") return oneAfterAnother(copies, keep);
  return eachForItself(copies, keep, rule === "restic");
}

function oneAfterAnother(copies: readonly DatedCopy[], keep: Keep): KeepReason[][] {
  const reasons = copies.map((): KeepReason[] => []);
  const decided = new Uint8Array(copies.length);
  for (const [at, rule] of KEEP_RULES.entries()) {
    const count = keep[rule] ?? 0;
    if (count <= 0) continue;
    const covered = new Set<number>();
    for (const [index, { periods }] of copies.entries()) if (reasons[index]!.length > 0) covered.add(periods[at]!);
    const counted = new Set<number>();
    for (const [index, { periods }] of copies.entries()) {
      const period = periods[at]!;
      if (decided[index] === 1 || covered.has(period)) continue;
      if (!counted.has(period)) {
        if (counted.size >= count) break;
        counted.add(period);
        reasons[index]!.push(rule);
      }
      decided[index] = 1;
    }
  }
  return reasons;
}

function eachForItself(copies: readonly DatedCopy[], keep: Keep, oldestToo: boolean): KeepReason[][] {
  const reasons = copies.map((): KeepReason[] => []);
  for (const [at, rule] of KEEP_RULES.entries()) {
    let left = keep[rule] ?? 0;
    let previous: number | undefined;
    for (let index = 0; index < copies.length && left > 0; index++) {
      // `last` counts copies, even two of the same second.
      const period = rule === "last" ? -index : copies[index]!.periods[at]!;
      const isNew = period !== previous;
      if (!isNew && !(oldestToo && index === copies.length - 1)) continue;
      reasons[index]!.push(isNew ? rule : `oldest ${rule}`);
      previous = period;
      left--;
    }
  }
  return reasons;
}

/** What a retention keeps of copies made at these times (epoch seconds, in any order); newest first. */
export function kept(times: readonly number[], keep: Keep, rule: RetentionRule, timeZone = "UTC"): Retained[] {
  const zone = zoneOf(timeZone);
  const copies = times.toSorted((one, other) => other - one).map((time) => datedCopy(time, zone));
  const reasons = reasonsToKeep(copies, keep, rule);
  return copies.map(({ time }, index) => ({ time, kept: reasons[index]!.length > 0, rules: reasons[index]! }));
}

/** As `prune` of Proxmox Backup Server and `prune-backups` of Proxmox VE. */
export function keptByPbs(times: readonly number[], keep: Keep, timeZone?: string): Retained[] {
  return kept(times, keep, "pbs", timeZone);
}

/**
 * As `restic forget`. The zone is that of the machine that made the copies: snapshots carry their local time.
 * @param release 0.16 stands for itself and what came later, 0.14 for what came before it
 */
export function keptByRestic(
  times: readonly number[],
  keep: Keep,
  timeZone?: string,
  release: "0.14" | "0.16" = "0.16",
): Retained[] {
  return kept(times, keep, release === "0.16" ? "restic" : "zfs", timeZone);
}

/** Sanoid's snapshots have a kind in their name: autosnap_2026-01-05_00:00:00_daily. */
export interface SanoidSnapshot {
  time: number;
  kind: Exclude<KeepRule, "last">;
}

const SANOID_PERIOD = {
  hourly: 3600,
  daily: 86_400,
  weekly: 7 * 86_400,
  monthly: 31 * 86_400,
  yearly: 365.25 * 86_400,
};

/**
 * As `sanoid --prune-snapshots`: `daily = 30` keeps the newest thirty of that kind and whatever of it is younger than
 * thirty days; a kind that is not kept at all is removed. `last` is no rule of sanoid. Source: sanoid 2.1, prune_snapshots.
 * @returns newest first; of the same second, in the order given
 */
export function keptBySanoid<S extends SanoidSnapshot>(
  snapshots: readonly S[],
  keep: Keep,
  now: number,
): { snapshot: S; kept: boolean }[] {
  const seen = new Map<string, number>();
  return snapshots
    .toSorted((one, other) => other.time - one.time)
    .map((snapshot) => {
      const count = keep[snapshot.kind] ?? 0;
      const rank = seen.get(snapshot.kind) ?? 0;
      seen.set(snapshot.kind, rank + 1);
      const young = snapshot.time >= now - count * SANOID_PERIOD[snapshot.kind];
      return { snapshot, kept: rank < count || young };
    });
}
