/**
 * The life of the copies of one (schedule, retention): which are made and removed, run by run. Simulated once for all
 * subjects that share it; sizes are applied afterwards.
 */
import type { CalendarEvent } from "../calendar";
import { runsBetween, zoneOf } from "./local-time";
import { type DatedCopy, datedCopy, type Keep, type RetentionRule, reasonsToKeep } from "./retention";

/** One run: a copy is made, then others may be removed. */
export interface KeptRun {
  /** Epoch seconds. */
  at: number;
  /** Seconds since the copy before it; undefined for the first. */
  gap: number | undefined;
  /** Distances between neighbouring copies that are gone after the run, as copies between them were removed … */
  closed: readonly number[];
  /** … and those that are there instead. */
  opened: readonly number[];
  /** Copies after the run, before and after removal. */
  made: number;
  left: number;
}

const DAY = 86_400;
const NONE: readonly number[] = [];

/**
 * Removal follows each run (vzdump, `restic forget`) or, where there are several runs a day, the first run of a day,
 * as a daily prune job does: what a day piles up is counted before it goes.
 */
export function keptHistory(
  event: CalendarEvent,
  keep: Keep,
  rule: RetentionRule,
  from: number,
  to: number,
  timeZone: string,
): KeptRun[] {
  const zone = zoneOf(timeZone);
  const runs = runsBetween(event, from, to, timeZone);
  const daily = rule !== "vzdump" && runs.length > (2 * (to - from)) / DAY;
  const history: KeptRun[] = [];
  /** Newest first. */
  let copies: DatedCopy[] = [];
  let prunedDay: number | undefined;
  for (const at of runs) {
    const copy = datedCopy(at, zone);
    const gap = copies.length === 0 ? undefined : at - copies[0]!.time;
    copies.unshift(copy);
    const made = copies.length;
    const day = copy.periods[2];
    let change: Pick<KeptRun, "closed" | "opened"> = { closed: NONE, opened: NONE };
    if (!daily || day !== prunedDay) {
      prunedDay = day;
      const reasons = reasonsToKeep(copies, keep, rule);
      const left = copies.filter((_copy, index) => reasons[index]!.length > 0);
      if (left.length < made) change = gapChange(copies, left);
      copies = left;
    }
    history.push({ at, gap, ...change, made, left: copies.length });
  }
  return history;
}

/** Distances between neighbours that are in one list only. @param left A part of `before`, in its order. */
function gapChange(before: readonly DatedCopy[], left: readonly DatedCopy[]): Pick<KeptRun, "closed" | "opened"> {
  const closed: number[] = [];
  const opened: number[] = [];
  let index = 0;
  for (const [at, copy] of left.entries()) {
    const older = left[at + 1];
    while (before[index] !== copy) index++;
    if (before[index + 1] === older) continue;
    const end = older === undefined ? before.length - 1 : before.indexOf(older, index);
    for (let n = index; n < end; n++) closed.push(before[n]!.time - before[n + 1]!.time);
    if (older !== undefined) opened.push(copy.time - older.time);
  }
  return { closed, opened };
}
