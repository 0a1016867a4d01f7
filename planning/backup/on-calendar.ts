/** Calendar events of a specification as systemd timers take them (systemd.time(7), 'CALENDAR EVENTS'). */
import { parseCalendarEvent } from "../calendar";

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;

/**
 * The same moments for `OnCalendar=`. Proxmox VE's grammar is a subset in meaning but not in writing: a bare star with a step
 * counts minutes there and is an error here, so every part is written out.
 *
 * @param timeZone zone in which the event is meant, unless it says UTC itself
 * @throws RangeError for a text that is no calendar event
 */
export function onCalendar(text: string, timeZone: string): string {
  const { event, problem } = parseCalendarEvent(text);
  if (event === undefined) throw new RangeError(`'${text}' is no calendar event: ${problem}`);
  const days =
    event.weekdays === undefined
      ? ""
      : `${[...event.weekdays]
          .sort()
          .map((day) => WEEKDAYS[day])
          .join(",")} `;
  const date = [event.years, event.months, event.days].map((set) => numbers(set && [...set], undefined)).join("-");
  const time = [numbers(event.hours, 24), numbers(event.minutes, 60), numbers(event.seconds, 60)].join(":");
  return `${days}${date} ${time} ${event.utc ? "UTC" : timeZone}`;
}

function numbers(values: readonly number[] | undefined, all: number | undefined): string {
  if (values === undefined || values.length === all) return "*";
  return [...values]
    .sort((one, other) => one - other)
    .map((value) => String(value).padStart(2, "0"))
    .join(",");
}
