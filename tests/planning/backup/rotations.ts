/** Random rotations. */
import fc from "fast-check";
import { type MediaSet, type Rotation, rotationProblem } from "../../../planning/backup/rotation";
import { at, DAY, HOUR, zones } from "./histories";

/** Weekly A and B, and one of two disks a month off the site. */
export const office: Rotation = {
  sets: [
    { name: "weekly", media: ["A", "B"], swap: "mon 09:00" },
    { name: "monthly", media: ["M1", "M2"], swap: "mon *-1..7 09:00", offSite: true },
  ],
  graceSeconds: 2 * DAY,
  timeZone: "Europe/Paris",
  // Monday, 5 January 2026, 09:00 in Paris.
  start: at("2026-01-05T08:00:00Z"),
};

const calendars = fc.constantFrom(
  "mon 09:00",
  "daily",
  "mon,thu 02:30",
  "*-01 12:00",
  "sat *-1..7 15:00",
  "*-1,15 08:00",
);

export const rotations: fc.Arbitrary<Rotation> = fc
  .record({
    sizes: fc.array(fc.record({ size: fc.integer({ min: 1, max: 4 }), swap: calendars, offSite: fc.boolean() }), {
      minLength: 1,
      maxLength: 3,
    }),
    timeZone: zones,
    graceSeconds: fc.integer({ min: 0, max: 5 * DAY }),
    start: fc.integer({ min: at("2026-01-01") / HOUR, max: at("2027-01-01") / HOUR }).map((hour) => hour * HOUR),
  })
  .map(({ sizes, ...rest }) => ({
    ...rest,
    sets: sizes.map(({ size, swap, offSite }, set): MediaSet => {
      const media = Array.from({ length: size }, (_, disk) => `${"ABC"[set]}${disk}`);
      return { name: `set${set}`, media, swap, offSite };
    }),
  }))
  .filter((rotation) => rotationProblem(rotation) === undefined);
