/** Random histories of copies and random retentions. */
import fc from "fast-check";
import { KEEP_RULES, type Keep } from "../../../planning/backup/retention";

export const HOUR = 3600;
export const DAY = 24 * HOUR;

/** Epoch seconds of an ISO text. */
export const at = (text: string): number => Date.parse(text) / 1000;

export const zones = fc.constantFrom(
  "UTC",
  "Europe/Paris",
  "America/New_York",
  "Pacific/Kiritimati",
  "Australia/Lord_Howe",
);

/** Dense, sparse and mixed: steps from a quarter of an hour to a year, beginning anywhere in four years. */
export const histories = fc
  .tuple(
    fc.integer({ min: at("2022-01-01T00:00:00Z"), max: at("2026-01-01T00:00:00Z") }),
    fc.array(
      fc.oneof(
        fc.integer({ min: HOUR / 4, max: 6 * HOUR }),
        fc.integer({ min: HOUR, max: 3 * DAY }),
        fc.integer({ min: DAY, max: 400 * DAY }),
      ),
      { maxLength: 60 },
    ),
  )
  .map(([start, steps]) => {
    const times = [start];
    for (const step of steps) times.push(times.at(-1)! + step);
    return times;
  });

/** Small numbers, zeros and absent rules; never empty. */
export const keeps: fc.Arbitrary<Keep> = fc
  .record(Object.fromEntries(KEEP_RULES.map((rule) => [rule, fc.nat({ max: 6 })])), { requiredKeys: [] })
  .filter((keep) => Object.values(keep).some((count) => (count ?? 0) > 0)) as fc.Arbitrary<Keep>;
