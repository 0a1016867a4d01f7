import { ageWhenDetached, writeEvent } from "../../../planning/backup/media-age";
import type { Rotation } from "../../../planning/backup/rotation";
import { parseCalendarEvent } from "../../../planning/calendar";

const HOUR = 3600;
const start = Date.UTC(2026, 0, 5) / 1000;

function rotation(swap: string, timeZone = "UTC"): Rotation {
  return { sets: [{ name: "set", media: ["a", "b"], swap }], graceSeconds: 0, timeZone, start };
}

function age(swap: string, backup: string, seconds: number, write: string, writeSeconds: number): number {
  const run = { event: parseCalendarEvent(backup).event!, seconds };
  return ageWhenDetached(rotation(swap), [run], parseCalendarEvent(write).event!, writeSeconds);
}

test.each<[string, number, number]>([
  // From 22:30 in the evening, copied at 05:00, to 09:00 in the morning.
  ["the backup of the night is on the medium", age("mon 09:00", "22:30", 2 * HOUR, "05:00", HOUR), 10.5],
  ["one that takes until six is not complete at five", age("mon 09:00", "22:30", 7.5 * HOUR, "05:00", HOUR), 34.5],
  ["a copy that is not done at nine does not count", age("mon 09:00", "22:30", 2 * HOUR, "05:00", 5 * HOUR), 34.5],
  ["no backup on Sunday", age("mon 09:00", "mon..sat 22:30", 2 * HOUR, "05:00", HOUR), 34.5],
  ["written once a week, the day before", age("mon 09:00", "22:30", 2 * HOUR, "sun 05:00", HOUR), 34.5],
  ["swapped in the middle of the month", age("*-15 09:00", "22:30", 2 * HOUR, "05:00", HOUR), 10.5],
])("%s", (_what, seconds, hours) => {
  expect(seconds / HOUR).toBe(hours);
});

test("of two backups the newer one counts", () => {
  const runs = ["22:30", "sun 04:00"].map((text) => ({ event: parseCalendarEvent(text).event!, seconds: 60 }));
  const write = writeEvent(undefined)!;
  expect(ageWhenDetached(rotation("mon 09:00"), runs, write, 60) / HOUR).toBe(10.5);
  expect(ageWhenDetached(rotation("sun 09:00"), runs, write, 60) / HOUR).toBe(5);
});

test("in the week in which the clock is put back there is an hour more", () => {
  const run = { event: parseCalendarEvent("sat 22:30").event!, seconds: 60 };
  const paris = rotation("sun 09:00", "Europe/Paris");
  expect(ageWhenDetached(paris, [run], writeEvent(undefined)!, 60) / HOUR).toBe(11.5);
});

test("what is never backed up is on no medium", () => {
  expect(ageWhenDetached(rotation("mon 09:00"), [], writeEvent(undefined)!, 60)).toBe(Number.POSITIVE_INFINITY);
});
