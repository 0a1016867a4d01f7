import { isOwner } from "./access";
import type { Datastore } from "./datastore";
import { type GroupId, groupText, type Snapshot, snapshotText } from "./snapshots";
import type { PbsTaskHandle } from "./tasks";

/** `keep-*` options; all absent or 0: nothing is removed. */
export type KeepOptions = Partial<Record<(typeof KEEP_KEYS)[number], number>>;

export const KEEP_KEYS = [
  "keep-last",
  "keep-hourly",
  "keep-daily",
  "keep-weekly",
  "keep-monthly",
  "keep-yearly",
] as const;

export type Mark = "protected" | "keep" | "keep-partial" | "remove";

/** Reads the `keep-*` parameters of a call or a job. */
export function keepOptions(values: Record<string, string>): KeepOptions {
  const keep: KeepOptions = {};
  for (const key of KEEP_KEYS) if (values[key] !== undefined) keep[key] = Number(values[key]);
  return keep;
}

export function keepsSomething(keep: KeepOptions): boolean {
  return KEEP_KEYS.some((key) => (keep[key] ?? 0) > 0);
}

/** Year and week after ISO 8601, as PBS selects weeks. */
function isoWeek(time: number): string {
  const day = new Date(time * 1000);
  const thursday = new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate()));
  thursday.setUTCDate(thursday.getUTCDate() + 3 - ((thursday.getUTCDay() + 6) % 7));
  const year = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * 86400 * 1000));
  return `${year}/${String(week).padStart(2, "0")}`;
}

const iso = (length: number) => (time: number) => new Date(time * 1000).toISOString().slice(0, length);

/** In this order; a period that an earlier rule has covered does not count again. */
const PERIODS: [(typeof KEEP_KEYS)[number], (time: number) => string][] = [
  ["keep-last", iso(19)],
  ["keep-hourly", iso(13)],
  ["keep-daily", iso(10)],
  ["keep-weekly", isoWeek],
  ["keep-monthly", iso(7)],
  ["keep-yearly", iso(4)],
];

/** What of a prune simulation or run is decided about: the time, and what the snapshot is. */
export type Prunable = Pick<Snapshot, "time" | "protected"> & { manifest?: unknown };

/**
 * PBS's rules: newest first; within each period of a rule the newest is kept; protected ones are left out of the count;
 * unfinished ones go, but for one that is newer than every finished one.
 *
 * @returns each snapshot with its mark, newest first
 */
export function pruneMarks<T extends Prunable>(snapshots: T[], keep: KeepOptions): { snapshot: T; mark: Mark }[] {
  const newest = [...snapshots].sort((a, b) => b.time - a.time);
  const marks = new Map<T, Mark>();
  let mayBeRunning = true;
  for (const snapshot of newest) {
    if (!snapshot.manifest) marks.set(snapshot, mayBeRunning ? "keep-partial" : "remove");
    mayBeRunning = false;
  }
  for (const [key, period] of PERIODS) if (keep[key] !== undefined) select(newest, marks, keep[key], period);
  return newest.map((snapshot) => ({
    snapshot,
    mark: snapshot.protected ? "protected" : (marks.get(snapshot) ?? "remove"),
  }));
}

function select<T extends Prunable>(
  newest: T[],
  marks: Map<T, Mark>,
  count: number,
  period: (time: number) => string,
): void {
  const covered = new Set(newest.filter((each) => marks.get(each) === "keep").map(({ time }) => period(time)));
  const chosen = new Set<string>();
  for (const snapshot of newest) {
    if (marks.has(snapshot)) continue;
    if (snapshot.protected) {
      marks.set(snapshot, "protected");
      continue;
    }
    const name = period(snapshot.time);
    if (covered.has(name)) continue;
    if (chosen.has(name)) marks.set(snapshot, "remove");
    else if (chosen.size >= count) break;
    else {
      chosen.add(name);
      marks.set(snapshot, "keep");
    }
  }
}

export interface PruneScope {
  ns: string;
  depth?: number;
  keep: KeepOptions;
  dryRun?: boolean;
  /** Only groups that this identity owns. */
  ownerOnly?: string;
}

/** Prunes all groups of a namespace and below it. */
export async function pruneNamespace(store: Datastore, scope: PruneScope, handle: PbsTaskHandle): Promise<void> {
  store.open("write");
  handle.log(`Starting datastore prune on datastore '${store.name}', namespace '${scope.ns || "Root"}'`);
  if (!keepsSomething(scope.keep)) {
    handle.log("No prune selection - keeping all files.");
    return;
  }
  for (const ns of store.tree.namespaces(scope.ns, scope.depth))
    for (const group of store.tree.groups(ns)) {
      if (scope.ownerOnly && !isOwner(store.tree.owner(group), scope.ownerOnly)) continue;
      await handle.takes(0.2);
      pruneGroup(store, group, scope.keep, scope.dryRun ?? false, (line) => handle.log(line));
    }
}

/** Prunes one group. @returns what was decided, oldest first as PBS lists it */
export function pruneGroup(
  store: Datastore,
  group: GroupId,
  keep: KeepOptions,
  dryRun: boolean,
  log: (line: string) => void = () => {},
): { snapshot: Snapshot; mark: Mark }[] {
  const marked = pruneMarks(store.tree.snapshots(group), keep).reverse();
  if (!keepsSomething(keep))
    return marked.map(({ snapshot }) => ({ snapshot, mark: snapshot.protected ? "protected" : "keep" }));
  log(`Pruning group ${group.ns ? `${group.ns}:` : ""}"${groupText(group)}"`);
  for (const { snapshot, mark } of marked) {
    log(`${mark} ${snapshotText(snapshot)}`);
    if (mark === "remove" && !dryRun) store.tree.removeSnapshot(snapshot);
  }
  return marked;
}
