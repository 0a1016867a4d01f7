/** How old a restored standby copy is at worst, from the two schedules that make it. */
import { type CalendarEvent, longestGapSeconds, nextRun } from "./calendar";

/** A backup job: when it starts and how long it takes at most. */
export interface BackupRun {
  event: CalendarEvent;
  seconds: number;
}

const WEEK = 7 * 86_400;
/** A Monday far from any leap year's edge; only distances count, no clock is read. */
const START = 1_767_571_200;
/** More runs than this are not followed one by one. */
const RUN_LIMIT = 3000;
/** A job that takes longer is followed by nobody either: it is a mistyped size, and a finding elsewhere. */
const LONGEST_JOB = 4 * WEEK;

function runs(event: CalendarEvent, from: number, to: number): number[] {
  const times: number[] = [];
  for (let at = nextRun(event, from - 1); at !== undefined && at <= to; at = nextRun(event, at)) times.push(at);
  return times;
}

/**
 * The greatest age of the newest good standby copy, in seconds. A restore takes the newest backup that is complete when
 * it starts; its content is as old as the start of that backup, and it stays the newest until the next restore is done.
 *
 * Schedules that repeat weekly are followed run by run. With months or days of the month in one of them, the sum of the
 * longest gaps stands in: never too small, at most one backup gap too large.
 * @returns Infinity when no restore ever finds a complete backup
 */
export function worstRestoreAge(
  backups: readonly BackupRun[],
  restore: CalendarEvent,
  restoreSeconds: number,
): { seconds: number; gapSeconds: number } {
  const gaps = backups.map(({ event, seconds }) => longestGapSeconds(event) + seconds);
  const bound = longestGapSeconds(restore) + Math.min(...gaps);
  const events = [restore, ...backups.map(({ event }) => event)];
  const dated = events.some(({ months, days, years }) => months || days || years);
  const perWeek = events.reduce(
    (total, { hours, minutes, seconds }) => total + hours.length * minutes.length * seconds.length * 7,
    0,
  );
  const longestJob = Math.max(...backups.map(({ seconds }) => seconds));
  if (dated || !Number.isFinite(bound) || perWeek > RUN_LIMIT || longestJob > LONGEST_JOB)
    return { seconds: bound + restoreSeconds, gapSeconds: bound };

  const warmUp = START + WEEK + Math.ceil(longestJob / WEEK) * WEEK;
  const finished = backups
    .flatMap(({ event, seconds }) =>
      runs(event, START, warmUp + 3 * WEEK).map((at) => ({ start: at, end: at + seconds })),
    )
    .sort((a, b) => a.end - b.end);
  let gapSeconds = 0;
  let newest = Number.NEGATIVE_INFINITY;
  let next = 0;
  let previous: number | undefined;
  for (const at of runs(restore, warmUp, warmUp + 2 * WEEK)) {
    if (previous !== undefined) gapSeconds = Math.max(gapSeconds, at - previous);
    for (; next < finished.length && (finished[next]?.end ?? 0) <= at; next++)
      newest = Math.max(newest, finished[next]?.start ?? newest);
    previous = newest;
  }
  return { seconds: gapSeconds + restoreSeconds, gapSeconds };
}
