/** How old the content of a rotated medium is when it is taken off: what it holds was backed up, then copied, then carried. */
import { type CalendarEvent, longestGapSeconds, parseCalendarEvent } from "../calendar";
import type { BackupRun } from "../restore-age";
import { runsBetween } from "./local-time";
import { type Rotation, swaps } from "./rotation";

const DAY = 86_400;
/** A year and a month: every calendar of a rotation has come round. */
const SPAN = 400 * DAY;
/** A backup that takes longer than this never comes to anything. */
const LONGEST = 10 * 366 * DAY;

/**
 * The greatest age of a medium's content at the moment when it is detached, over a year of swaps. Copied is the newest
 * backup that is complete when the medium is written; a run that is not done before the swap does not count.
 * @param write When the medium is written
 * @param writeSeconds How long that takes
 * @returns Infinity when some medium never gets a backup
 */
export function ageWhenDetached(
  rotation: Rotation,
  backups: readonly BackupRun[],
  write: CalendarEvent,
  writeSeconds: number,
): number {
  const { start, timeZone } = rotation;
  // The first weeks do not count: nothing is backed up yet.
  const settled = start + Math.max(...backups.map(reach), 0) + longestGapSeconds(write) + writeSeconds + 7 * DAY;
  if (!(settled - start < LONGEST)) return Number.POSITIVE_INFINITY;
  const ages = swaps(rotation, settled, settled + SPAN).map(({ at }) => {
    const written = lastRun(write, at - writeSeconds, timeZone);
    if (written === undefined) return Number.POSITIVE_INFINITY;
    const begun = backups.map(
      ({ event, seconds }) => lastRun(event, written - seconds, timeZone) ?? Number.NEGATIVE_INFINITY,
    );
    return at - Math.max(...begun);
  });
  return ages.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...ages);
}

function reach({ event, seconds }: BackupRun): number {
  return longestGapSeconds(event) + seconds;
}

/** The last run at or before an instant. */
function lastRun(event: CalendarEvent, at: number, timeZone: string): number | undefined {
  return runsBetween(event, at - longestGapSeconds(event) - DAY, at + 1, timeZone).at(-1);
}

/** The event at which a medium is written. Default: every day at 05:00, before anybody comes to carry it. */
export function writeEvent(schedule: string | undefined): CalendarEvent | undefined {
  return parseCalendarEvent(schedule ?? MEDIA_SCHEDULE).event;
}

export const MEDIA_SCHEDULE = "05:00";
