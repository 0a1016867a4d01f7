/**
 * Proxmox VE calendar events: `[WEEKDAY] [[YEARS-]MONTHS-DAYS] [HOURS:]MINUTES[:SECONDS]`, a subset of systemd.time.
 * Replication jobs, backup jobs and realm syncs all take them. The grammar is that of Proxmox VE's own parser
 * (PVE::CalendarEvent, since 7.1 over the Rust crate proxmox-time), described at
 * https://pbs.proxmox.com/docs/calendarevents.html.
 */

/** A parsed calendar event. Absent sets match everything. */
export interface CalendarEvent {
  text: string;
  /** 0 = Sunday … 6 = Saturday. */
  weekdays?: ReadonlySet<number>;
  years?: ReadonlySet<number>;
  /** 1-12. */
  months?: ReadonlySet<number>;
  /** 1-31. */
  days?: ReadonlySet<number>;
  /** Sorted, never empty. */
  hours: readonly number[];
  minutes: readonly number[];
  seconds: readonly number[];
  /** The text ended in `UTC`: the server's time zone does not count. */
  utc: boolean;
}

/** Either the event, or what is wrong with the text, in words. */
export type ParsedCalendarEvent = { event: CalendarEvent; problem?: never } | { event?: never; problem: string };

/** Examples to show next to a text that cannot be parsed. */
export const CALENDAR_EXAMPLES = '"*/15" (every quarter of an hour), "22:30" (daily), "mon..fri 12,18:00"';

const SHORTHANDS: Record<string, string> = {
  minutely: "*:*",
  hourly: "*:00",
  daily: "00:00",
  weekly: "mon 00:00",
  monthly: "*-01 00:00",
  quarterly: "01,04,07,10-01 00:00",
  semiannually: "01,07-01 00:00",
  "semi-annually": "01,07-01 00:00",
  yearly: "01-01 00:00",
  annually: "01-01 00:00",
};

const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const DAY_SECONDS = 86_400;

class Invalid extends Error {}

function all(from: number, to: number, step = 1): number[] {
  const values: number[] = [];
  for (let value = from; value <= to; value += step) values.push(value);
  return values;
}

interface Field {
  what: string;
  from: number;
  to: number;
}
const YEAR: Field = { what: "year", from: 1970, to: 2100 };
const MONTH: Field = { what: "month", from: 1, to: 12 };
const DAY: Field = { what: "day", from: 1, to: 31 };
const HOUR: Field = { what: "hour", from: 0, to: 23 };
const MINUTE: Field = { what: "minute", from: 0, to: 59 };
const SECOND: Field = { what: "second", from: 0, to: 59 };

function number(text: string, field: Field): number {
  if (!/^\d{1,4}$/.test(text)) throw new Invalid(`'${text}' is no ${field.what}`);
  const value = Number(text);
  if (value < field.from || value > field.to)
    throw new Invalid(`${field.what} ${value} is outside ${field.from}..${field.to}`);
  return value;
}

/** One field: values, ranges and repetitions, separated by commas. Undefined: every value. */
function parseField(text: string, field: Field): number[] | undefined {
  if (text === "*") return undefined;
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const [base = "", step, ...more] = part.split("/");
    if (more.length > 0) throw new Invalid(`'${part}' has more than one '/'`);
    if (step !== undefined) {
      if (!/^\d+$/.test(step) || Number(step) === 0) throw new Invalid(`'${part}' repeats every '${step}'`);
      if (Number(step) > field.to)
        throw new Invalid(`'${part}' repeats less than once (${field.what} ends at ${field.to})`);
    }
    const [from = "", to, ...rest] = base.split("..");
    if (rest.length > 0) throw new Invalid(`'${base}' has more than one '..'`);
    const start = from === "*" ? field.from : number(from, field);
    let end = step === undefined && from !== "*" ? start : field.to;
    if (to !== undefined) end = number(to, field);
    if (end < start) throw new Invalid(`wrong order in range '${base}'`);
    for (const value of all(start, end, step === undefined ? 1 : Number(step))) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function weekday(text: string): number {
  const found = WEEKDAYS.findIndex((name) => name === text || name.slice(0, 3) === text);
  if (found < 0) throw new Invalid(`'${text}' is no weekday (mon, tue, wed, thu, fri, sat, sun)`);
  return found;
}

/** `mon,wed..fri`; a range may run over the end of the week (`fri..mon`). */
function parseWeekdays(text: string): Set<number> {
  const days = new Set<number>();
  for (const part of text.split(",")) {
    const [from = "", to, ...rest] = part.split("..");
    if (rest.length > 0) throw new Invalid(`'${part}' has more than one '..'`);
    const start = weekday(from);
    // Weeks start on Monday here, so that 'sat..sun' is two days and 'sun..sat' is all of them.
    const end = to === undefined ? start : weekday(to);
    for (let day = start; ; day = (day + 1) % 7) {
      days.add(day);
      if (day === end) break;
    }
  }
  return days;
}

type DatePart = Pick<CalendarEvent, "years" | "months" | "days">;

function parseDate(text: string): DatePart {
  const parts = text.split("-");
  if (parts.length < 2 || parts.length > 3) throw new Invalid(`'${text}' is no date ([YEARS-]MONTHS-DAYS)`);
  const [day, month, year] = parts.toReversed();
  const years = year === undefined ? undefined : parseField(year, YEAR);
  const months = parseField(month ?? "", MONTH);
  const days = parseField(day ?? "", DAY);
  return {
    ...(years && { years: new Set(years) }),
    ...(months && { months: new Set(months) }),
    ...(days && { days: new Set(days) }),
  };
}

function parseTime(text: string): Pick<CalendarEvent, "hours" | "minutes" | "seconds"> {
  const parts = text.split(":");
  if (parts.length > 3) throw new Invalid(`'${text}' is no time (HOURS:MINUTES[:SECONDS])`);
  // A single field is minutes of every hour: '*/15'.
  const [hour, minute, second] = parts.length === 1 ? ["*", text, undefined] : parts;
  return {
    hours: parseField(hour ?? "", HOUR) ?? all(0, 23),
    minutes: parseField(minute ?? "", MINUTE) ?? all(0, 59),
    seconds: second === undefined ? [0] : (parseField(second, SECOND) ?? all(0, 59)),
  };
}

/**
 * Parses a Proxmox VE calendar event.
 * @returns the event, or `problem`: what is wrong with the text. Never throws.
 */
export function parseCalendarEvent(text: string): ParsedCalendarEvent {
  try {
    let rest = text.trim().toLowerCase();
    if (rest === "") throw new Invalid("the schedule is empty");
    if (Object.hasOwn(SHORTHANDS, rest)) rest = SHORTHANDS[rest] ?? rest;
    const utc = /\sutc$/.test(rest);
    const words = (utc ? rest.slice(0, -3) : rest).trim().split(/\s+/);
    const weekdays = /^[a-z]/.test(words[0] ?? "") ? parseWeekdays(words.shift() ?? "") : undefined;
    const date: DatePart = words[0]?.includes("-") ? parseDate(words.shift() ?? "") : {};
    const time = parseTime(words.shift() ?? "00:00");
    if (words.length > 0) throw new Invalid(`'${words.join(" ")}' is left over after the time`);
    const event: CalendarEvent = { text: text.trim(), ...(weekdays && { weekdays }), ...date, ...time, utc };
    if (!matchesSomeDay(event)) throw new Invalid("no such day ever comes");
    return { event };
  } catch (error) {
    if (error instanceof Invalid) return { problem: error.message };
    throw error;
  }
}

/** Whether the day (days since 1970-01-01) is one of the event's. */
function matchesDay(event: CalendarEvent, day: number): boolean {
  // 1970-01-01 was a Thursday.
  if (event.weekdays && !event.weekdays.has((((day + 4) % 7) + 7) % 7)) return false;
  if (!event.years && !event.months && !event.days) return true;
  const date = new Date(day * DAY_SECONDS * 1000);
  return (
    (event.years?.has(date.getUTCFullYear()) ?? true) &&
    (event.months?.has(date.getUTCMonth() + 1) ?? true) &&
    (event.days?.has(date.getUTCDate()) ?? true)
  );
}

function matchesSomeDay(event: CalendarEvent): boolean {
  const { months, days, years } = event;
  if (!days || days.size === 0) return true;
  // February has no 30th; a weekday on top of a date always comes round within 28 years.
  const longest = (month: number) => new Date(Date.UTC(2024, month, 0)).getUTCDate();
  const possible = [...(months ?? all(1, 12))].some((month) => [...days].some((day) => day <= longest(month)));
  if (!possible || !years) return possible;
  const first = Date.UTC(Math.min(...years), 0, 1) / 1000 / DAY_SECONDS;
  const last = Date.UTC(Math.max(...years) + 1, 0, 1) / 1000 / DAY_SECONDS;
  for (let day = first; day < last; day++) if (matchesDay(event, day)) return true;
  return false;
}

/** Offset of a time zone at an instant, in seconds east of UTC. */
function offsetAt(epochSeconds: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(new Date(epochSeconds * 1000));
  const get = (type: string) => Number(parts.find((part) => part.type === type)?.value ?? 0);
  const wall = Date.UTC(get("year"), get("month") - 1, get("day"), get("hour"), get("minute"), get("second")) / 1000;
  return wall - Math.floor(epochSeconds);
}

/** The first time of day (seconds) of the event at or after `from`. */
function nextTimeOfDay(event: CalendarEvent, from: number): number | undefined {
  for (const hour of event.hours) {
    if (hour * 3600 + 3599 < from) continue;
    for (const minute of event.minutes) {
      if (hour * 3600 + minute * 60 + 59 < from) continue;
      for (const second of event.seconds) {
        const time = hour * 3600 + minute * 60 + second;
        if (time >= from) return time;
      }
    }
  }
  return undefined;
}

/**
 * The event's next run strictly after an instant.
 * @param afterEpochSeconds seconds since 1970-01-01 UTC
 * @param timeZone an IANA name, for example `Europe/Paris`. Default: UTC. A run in an hour that a clock change leaves
 *   out is skipped.
 * @returns seconds since 1970-01-01 UTC; undefined when no run follows (an event whose years are over)
 */
export function nextRun(event: CalendarEvent, afterEpochSeconds: number, timeZone = "UTC"): number | undefined {
  const zone = event.utc || timeZone === "UTC" ? undefined : timeZone;
  const offset = (epoch: number) => (zone === undefined ? 0 : offsetAt(epoch, zone));
  const after = Math.floor(afterEpochSeconds);
  const wall = after + offset(after) + 1;
  const firstDay = Math.floor(wall / DAY_SECONDS);
  // 28 years and a leap year that the century leaves out: every date and weekday has come by then.
  for (let day = firstDay; day < firstDay + 40 * 366; day++) {
    if (!matchesDay(event, day)) continue;
    let from = day === firstDay ? wall - day * DAY_SECONDS : 0;
    for (;;) {
      const time = nextTimeOfDay(event, from);
      if (time === undefined) break;
      const local = day * DAY_SECONDS + time;
      const guess = local - offset(local);
      const epoch = local - offset(guess);
      if (epoch > after && epoch + offset(epoch) === local) return epoch;
      from = time + 1;
    }
  }
  return undefined;
}

/**
 * The longest time between two runs, in seconds: what may be lost at worst before the transfer is added.
 * Clock changes are left out (an hour once a year). Infinity for an event that names years, because it ends.
 */
export function longestGapSeconds(event: CalendarEvent): number {
  if (event.years) return Number.POSITIVE_INFINITY;
  let first: number | undefined;
  let last = 0;
  let longest = 0;
  for (let time = nextTimeOfDay(event, 0); time !== undefined; time = nextTimeOfDay(event, time + 1)) {
    if (first === undefined) first = time;
    else longest = Math.max(longest, time - last);
    last = time;
  }
  return Math.max(longest, longestDayGap(event) * DAY_SECONDS + (first ?? 0) - last);
}

/** The longest distance between two days of the event, in days. */
function longestDayGap(event: CalendarEvent): number {
  const start = Date.UTC(2024, 0, 1) / 1000 / DAY_SECONDS;
  const days = event.months || event.days ? 40 * 366 : 15;
  let previous: number | undefined;
  let longest = 0;
  for (let day = start; day < start + days; day++) {
    if (!matchesDay(event, day)) continue;
    if (previous !== undefined) longest = Math.max(longest, day - previous);
    previous = day;
  }
  return longest;
}
