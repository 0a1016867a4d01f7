/**
 * Local time of a zone without a call of the time zone library per instant: ten thousand copies are dated in a few
 * milliseconds. Instants are epoch seconds; a local time is what the clock on the wall shows, written as if it were UTC.
 */
import { type CalendarEvent, nextRun } from "../calendar";

export interface Zone {
  /** Seconds east of UTC. */
  offset(epoch: number): number;
}

const DAY = 86_400;
/** No zone changes its offset twice within a week, so that equal ends mean one offset throughout. */
const SPAN = 7 * DAY;
const UTC: Zone = { offset: () => 0 };
const zones = new Map<string, Zone>([["UTC", UTC]]);

/**
 * @param timeZone an IANA name, for example `Europe/Paris`
 * @throws RangeError for a name that the time zone database does not have
 */
export function zoneOf(timeZone: string): Zone {
  const known = zones.get(timeZone);
  if (known !== undefined) return known;
  const zone = cachedZone(timeZone);
  zones.set(timeZone, zone);
  return zone;
}

function cachedZone(timeZone: string): Zone {
  const ask = offsetReader(timeZone);
  const spans = new Map<number, { change: number; before: number; after: number }>();
  const spanOf = (index: number) => {
    const first = index * SPAN;
    const before = ask(first);
    const after = ask(first + SPAN - 1);
    return { before, after, change: before === after ? first : changeBetween(ask, first, first + SPAN - 1) };
  };
  return {
    offset(epoch) {
      const index = Math.floor(epoch / SPAN);
      let span = spans.get(index);
      if (span === undefined) {
        span = spanOf(index);
        spans.set(index, span);
      }
      return epoch < span.change ? span.before : span.after;
    },
  };
}

/** The first second with the later offset, when the offset differs between the two. */
function changeBetween(offset: (epoch: number) => number, from: number, to: number): number {
  const later = offset(to);
  let low = from;
  let high = to;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offset(middle) === later) high = middle;
    else low = middle;
  }
  return high;
}

function offsetReader(timeZone: string): (epoch: number) => number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (epoch) => {
    const parts = new Map(format.formatToParts(epoch * 1000).map(({ type, value }) => [type, Number(value)]));
    const get = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
    const wall = Date.UTC(get("year"), get("month") - 1, get("day"), get("hour"), get("minute"), get("second"));
    return wall / 1000 - epoch;
  };
}

/** Instants in `from < instant <= to` at which the offset changes, with the offsets on both sides. */
export function offsetChanges(
  timeZone: string,
  from: number,
  to: number,
): { at: number; before: number; after: number }[] {
  const { offset } = zoneOf(timeZone);
  const changes: { at: number; before: number; after: number }[] = [];
  for (let start = from; start < to; start += SPAN) {
    const end = Math.min(start + SPAN, to);
    if (offset(start) === offset(end)) continue;
    const at = changeBetween(offset, start, end);
    changes.push({ at, before: offset(at - 1), after: offset(at) });
  }
  return changes;
}

/** The instant of a local time; undefined for one in the hour that a clock change leaves out. */
export function instantOf(zone: Zone, local: number): number | undefined {
  const guess = local - zone.offset(local);
  const epoch = local - zone.offset(guess);
  return epoch + zone.offset(epoch) === local ? epoch : undefined;
}

/** As `nextRun` of ../calendar, many times quicker in a zone that is not UTC. */
export function nextRunIn(event: CalendarEvent, after: number, timeZone: string): number | undefined {
  if (event.utc || timeZone === "UTC") return nextRun(event, after);
  const zone = zoneOf(timeZone);
  const onTheWall: CalendarEvent = { ...event, utc: true };
  // A day back: where the clock was put back, a smaller local time can be the later instant.
  let local = nextRun(onTheWall, Math.floor(after) + zone.offset(after) - DAY);
  for (; local !== undefined; local = nextRun(onTheWall, local)) {
    const epoch = instantOf(zone, local);
    if (epoch !== undefined && epoch > after) return epoch;
  }
  return undefined;
}

/** Runs of an event in `from <= run < to`, in order. */
export function runsBetween(event: CalendarEvent, from: number, to: number, timeZone: string): number[] {
  const zone = zoneOf(event.utc ? "UTC" : timeZone);
  const onTheWall: CalendarEvent = { ...event, utc: true };
  const runs: number[] = [];
  let local = nextRun(onTheWall, Math.ceil(from) + zone.offset(from) - DAY);
  for (; local !== undefined; local = nextRun(onTheWall, local)) {
    const epoch = instantOf(zone, local);
    if (epoch === undefined || epoch < from) continue;
    if (epoch >= to) break;
    runs.push(epoch);
  }
  return runs;
}
