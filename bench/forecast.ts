/** The forecast of a target with a thousand guests over twelve months, next to each guest simulated alone. */
import {
  type ForecastInput,
  type ForecastSubject,
  largestKeep,
  simulateTarget,
} from "../planning/backup/forecast-core";
import { DATA_RATIOS, ratioOf } from "../planning/backup/ratios";
import { kept } from "../planning/backup/retention";
import { milliseconds, type Row, sample } from "./measure";

/** Milliseconds that the forecast may take. */
const bound = 1000;
const guests = 1000;
const from = Date.UTC(2026, 0, 1) / 1000;
const keep = { last: 3, daily: 7, weekly: 4, monthly: 12 };
const schedules = ["22:30", "mon..fri 12,18:00", "sat 03:00", "*-01 04:00"];

/** Each guest has a measured rate of change of its own; four policies. */
function thousand(): ForecastSubject[] {
  return Array.from({ length: guests }, (_, guest) => ({
    name: `guest-${guest}`,
    usedGiB: 20 + (guest % 50) * 10,
    ratio: { ...DATA_RATIOS.mixed, ...ratioOf("mixed", { dailyChange: 0.005 + guest / 40_000 }) },
    schedule: schedules[guest % schedules.length]!,
    keep,
  }));
}

export function benchForecast(): Row[] {
  const input: ForecastInput = { rule: "pbs", subjects: thousand(), from, timeZone: "Europe/Paris", limitGiB: 1e6 };
  const together = sample(() => simulateTarget(input), 10);
  const alone = sample(
    () => {
      for (const subject of input.subjects) simulateTarget({ ...input, subjects: [subject] });
    },
    1,
    0,
  );
  const largest = sample(() => largestKeep(input), 3, 1);
  const hourly = {
    ...input,
    subjects: input.subjects.map((subject) => ({ ...subject, schedule: "*:00", keep: { ...keep, hourly: 48 } })),
  };
  const times = Array.from({ length: 10_000 }, (_, n) => from + n * 3600);
  const dating = sample(() => kept(times, keep, "pbs", "Europe/Paris"), 10);
  return [
    {
      what: `forecast of ${guests} guests over 12 months (4 schedules, ${guests} rates of change)`,
      value: milliseconds(together),
      beside: `each guest simulated alone: ${milliseconds(alone)}; bound ${bound} ms`,
    },
    {
      what: "the same, backed up every hour",
      value: milliseconds(sample(() => simulateTarget(hourly), 3, 1)),
      beside: `bound ${bound} ms`,
    },
    { what: "the largest retention that fits them", value: milliseconds(largest), beside: "eight simulations" },
    { what: "retention of 10,000 copies", value: milliseconds(dating), beside: "-" },
  ];
}
