/** systemd calendar events (systemd.time(7), 'CALENDAR EVENTS'), as far as a timer of a drill needs them. */

const SHORTHANDS = [
  "minutely",
  "hourly",
  "daily",
  "weekly",
  "monthly",
  "quarterly",
  "semiannually",
  "yearly",
  "annually",
];
const WEEKDAY = "(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*";
const WEEKDAYS = new RegExp(`^${WEEKDAY}(?:(?:\\.\\.|,)${WEEKDAY})*,?$`, "i");
const NUMBERS = "(?:\\*|\\d+(?:\\.\\.\\d+)?)(?:/\\d+)?";
const LIST = `${NUMBERS}(?:,${NUMBERS})*`;
const DATE = new RegExp(`^(?:(${LIST})-)?(${LIST})([-~])(${LIST})$`);
const TIME = new RegExp(`^(${LIST}):(${LIST})(?::(${LIST}))?$`);
/** UTC, or a name of the time zone database. */
const ZONE = /^(UTC|[A-Z][A-Za-z_]+(\/[A-Za-z0-9_+-]+)+)$/;

/** Why systemd does not accept a text as a calendar event; undefined when it does. */
export function systemdCalendarProblem(text: string): string | undefined {
  const words = text.trim().split(/\s+/);
  if (words.length === 1 && SHORTHANDS.includes((words[0] ?? "").toLowerCase())) return undefined;
  if (words.length > 1 && ZONE.test(words.at(-1) ?? "")) words.pop();
  if (words[0] === "") return "it is empty";
  if (WEEKDAYS.test(words[0] ?? "")) words.shift();
  const date = DATE.exec(words[0] ?? "");
  if (date !== null) {
    words.shift();
    const [, , months = "", , days = ""] = date;
    if (!within(months, 1, 12)) return `'${months}' is no month (1 to 12)`;
    if (!within(days, 1, 31)) return `'${days}' is no day of a month (1 to 31)`;
  }
  const time = TIME.exec(words[0] ?? "");
  if (time !== null) {
    words.shift();
    const [, hours = "", minutes = "", seconds = "0"] = time;
    if (!within(hours, 0, 23)) return `'${hours}' is no hour (0 to 23)`;
    if (!within(minutes, 0, 59)) return `'${minutes}' is no minute (0 to 59)`;
    if (!within(seconds, 0, 59)) return `'${seconds}' is no second (0 to 59)`;
  }
  return words.length === 0
    ? undefined
    : `'${words.join(" ")}' is neither weekday, date (*-*-1), time (03:00) nor zone`;
}

function within(list: string, first: number, last: number): boolean {
  const numbers = list.split(",").flatMap((part) => (part.split("/")[0] ?? "").split(".."));
  return numbers.every((number) => number === "*" || (Number(number) >= first && Number(number) <= last));
}
