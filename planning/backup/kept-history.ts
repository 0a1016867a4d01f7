/**
 * The life of the copies of one (schedule, retention): which are made and removed, run by run. Simulated once for all
 * subjects that share it; sizes are applied afterwards.
 */
import type { CalendarEvent } from "../calendar";
import { runsBetween, zoneOf } from "./local-time";
import { type DatedCopy, datedCopy, type Keep, type RetentionRule, reasonsToKeep } from "./retention";

/** What happened, run by run. Distances between copies are numbers of `spans`, as few different ones come again and again. */
export interface KeptHistory {
  /** Epoch seconds of each run. */
  at: number[];
  /** Copies with the new one, before and after removal. */
  made: number[];
  left: number[];
  /** Distance to the copy before it; -1 for the first. */
  gap: number[];
  /**
   * Neighbours that removal has changed: distances that are there now, and as `-1 - number` those that are gone. Those of
   * run n end before `changesEnd[n]`.
   */
  changes: number[];
  changesEnd: number[];
  /** Seconds of each distance. */
  spans: number[];
}

const DAY = 86_400;
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
): KeptHistory {
  const zone = zoneOf(timeZone);
  const runs = runsBetween(event, from, to, timeZone);
  const daily = rule !== "vzdump" && runs.length > (2 * (to - from)) / DAY;
  const history: KeptHistory = { at: runs, made: [], left: [], gap: [], changes: [], changesEnd: [], spans: [] };
  const numberOf = numbering(history.spans);
  /** Newest first. */
  let copies: DatedCopy[] = [];
  let prunedDay: number | undefined;
  for (const at of runs) {
    const copy = datedCopy(at, zone);
    history.gap.push(copies.length === 0 ? -1 : numberOf(at - copies[0]!.time));
    copies.unshift(copy);
    history.made.push(copies.length);
    const day = copy.periods[2];
    if (!daily || day !== prunedDay) {
      prunedDay = day;
      const reasons = reasonsToKeep(copies, keep, rule);
      const left = copies.filter((_copy, index) => reasons[index]!.length > 0);
      if (left.length < copies.length) addChanges(history.changes, copies, left, numberOf);
      copies = left;
    }
    history.left.push(copies.length);
    history.changesEnd.push(history.changes.length);
  }
  return history;
}

/** Gives each distance a number, by its first use. */
function numbering(spans: number[]): (seconds: number) => number {
  const known = new Map<number, number>();
  return (seconds) => {
    const found = known.get(seconds);
    if (found !== undefined) return found;
    known.set(seconds, spans.length);
    return spans.push(seconds) - 1;
  };
}

/**
 * Distances between neighbours that are in one list only.
 * @param left A part of `before`, in its order; the newest copy is in it, as no rule ever removes it.
 */
function addChanges(
  changes: number[],
  before: readonly DatedCopy[],
  left: readonly DatedCopy[],
  numberOf: (seconds: number) => number,
): void {
  let index = 0;
  for (const [at, copy] of left.entries()) {
    const older = left[at + 1];
    while (before[index] !== copy) index++;
    if (before[index + 1] === older) continue;
    const end = older === undefined ? before.length - 1 : before.indexOf(older, index);
    for (let n = index; n < end; n++) changes.push(-1 - numberOf(before[n]!.time - before[n + 1]!.time));
    if (older !== undefined) changes.push(numberOf(copy.time - older.time));
  }
}
