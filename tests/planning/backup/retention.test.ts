import fc from "fast-check";
import { instantOf, nextRunIn, offsetChanges, runsBetween, zoneOf } from "../../../planning/backup/local-time";
import {
  type Keep,
  keepInWords,
  keepsNothing,
  kept,
  keptByPbs,
  keptByRestic,
  keptBySanoid,
  type RetentionRule,
} from "../../../planning/backup/retention";
import { nextRun, parseCalendarEvent } from "../../../planning/calendar";
import { at, DAY, HOUR, histories, keeps, zones } from "./histories";
import { documentedPrune } from "./prune-oracle";

const rules = fc.constantFrom<RetentionRule>("pbs", "vzdump", "restic", "zfs");
const survivors = (times: readonly number[], keep: Keep, rule: RetentionRule, zone: string) =>
  kept(times, keep, rule, zone)
    .filter((copy) => copy.kept)
    .map(({ time }) => time);
const iso = (time: number) => new Date(time * 1000).toISOString().slice(0, 16);

describe("Proxmox Backup Server's rules", () => {
  const hours = ["2019-11-15T09:39", "2019-11-15T10:49", "2019-11-15T10:59", "2019-11-15T11:39", "2019-11-15T11:59"];
  const days = [
    "2018-11-15T11:59",
    "2019-11-15T11:59",
    "2019-11-21T11:59",
    "2019-11-22T11:59",
    "2019-11-29T11:59",
    "2019-12-01T11:59",
    "2019-12-02T11:59",
    "2019-12-03T11:59",
    "2019-12-04T11:59",
  ];

  test.each<[string, string[], Keep, string[]]>([
    ["the newest of each hour", hours, { hourly: 3 }, ["2019-11-15T11:59", "2019-11-15T10:59", "2019-11-15T09:39"]],
    ["hours beyond the number go", hours, { hourly: 2 }, ["2019-11-15T11:59", "2019-11-15T10:59"]],
    ["last and daily: the next day counts", days, { last: 1, daily: 1 }, ["2019-12-04T11:59", "2019-12-03T11:59"]],
    [
      "the week of a daily copy is passed over",
      days,
      { daily: 1, weekly: 1 },
      ["2019-12-04T11:59", "2019-12-01T11:59"],
    ],
    [
      "a month in which a week's copy stays is passed over",
      days,
      { daily: 1, weekly: 1, monthly: 1 },
      ["2019-12-04T11:59", "2019-12-01T11:59", "2019-11-22T11:59"],
    ],
    ["a year", days, { monthly: 1, yearly: 1 }, ["2019-12-04T11:59", "2018-11-15T11:59"]],
    ["nothing but the last", days, { last: 2 }, ["2019-12-04T11:59", "2019-12-03T11:59"]],
    ["zero is no rule", days, { last: 0, daily: 1 }, ["2019-12-04T11:59"]],
  ])("%s", (_what, times, keep, expected) => {
    const found = survivors(
      times.map((text) => at(`${text}Z`)),
      keep,
      "pbs",
      "UTC",
    );
    expect(found.map(iso)).toEqual(expected);
  });

  test("the archive of ten years in Proxmox VE's manual has what it says", () => {
    // Admin guide, Backup Retention: a daily backup, kept for ten years with growing distances.
    const end = at("2026-11-20T22:30:00Z");
    const times = Array.from({ length: 11 * 365 }, (_, day) => end - day * DAY);
    const keep = { last: 3, daily: 13, weekly: 8, monthly: 11, yearly: 9 };
    const copies = keptByPbs(times, keep, "UTC").filter((copy) => copy.kept);
    const by = (rule: string) => copies.filter(({ rules }) => rules.some((own) => own === rule)).length;
    expect([by("last"), by("daily"), by("weekly"), by("monthly"), by("yearly")]).toEqual([3, 13, 8, 11, 9]);
    // Two weeks without a gap of a day, then two months by week, a year by month and ten years by year.
    expect(times.slice(0, 16).every((time) => copies.some((copy) => copy.time === time))).toBe(true);
    expect(end - copies.at(-1)!.time).toBeGreaterThan(9 * 365 * DAY);
  });

  test("equal the documented rules on random histories", () => {
    fc.assert(
      fc.property(histories, keeps, zones, (times, keep, zone) => {
        expect(survivors(times, keep, "pbs", zone)).toEqual(documentedPrune(times, keep as never, zone));
      }),
      { numRuns: 300 },
    );
  });
});

describe("restic's rules", () => {
  test("each rule counts for itself", () => {
    const times = ["2019-12-04T11:59Z", "2019-12-03T11:59Z", "2019-12-02T11:59Z", "2019-12-01T11:59Z"].map(at);
    expect(keptByRestic(times, { last: 1, daily: 2 })).toEqual([
      { time: times[0], kept: true, rules: ["last", "daily"] },
      { time: times[1], kept: true, rules: ["daily"] },
      { time: times[2], kept: false, rules: [] },
      { time: times[3], kept: false, rules: [] },
    ]);
  });

  test("the oldest stays while a rule has copies to spare", () => {
    const times = ["2019-12-04T11:59Z", "2019-08-03T11:59Z", "2019-02-02T11:59Z"].map(at);
    expect(keptByRestic(times, { yearly: 2 }).map(({ rules }) => rules)).toEqual([["yearly"], [], ["oldest yearly"]]);
    expect(keptByRestic(times, { yearly: 1 }).map(({ rules }) => rules)).toEqual([["yearly"], [], []]);
    expect(kept(times, { yearly: 2 }, "zfs").map(({ rules }) => rules)).toEqual([["yearly"], [], []]);
  });

  test("more of a rule never keeps less", () => {
    fc.assert(
      fc.property(histories, keeps, keeps, zones, (times, keep, more, zone) => {
        const sum = Object.fromEntries(
          [...Object.keys(keep), ...Object.keys(more)].map((rule) => [
            rule,
            (keep[rule as keyof Keep] ?? 0) + (more[rule as keyof Keep] ?? 0),
          ]),
        );
        const larger = new Set(survivors(times, sum, "restic", zone));
        for (const time of survivors(times, keep, "restic", zone)) expect(larger).toContain(time);
      }),
    );
  });
});

describe("all rules", () => {
  test("the newest copy stays, and what stays is asked for", () => {
    fc.assert(
      fc.property(histories, keeps, rules, zones, (times, keep, rule, zone) => {
        const copies = kept(times, keep, rule, zone);
        expect(copies.map(({ time }) => time)).toEqual([...times].sort((a, b) => b - a));
        expect(copies[0]!.kept).toBe(true);
        for (const { kept, rules: reasons } of copies) {
          expect(kept).toBe(reasons.length > 0);
          for (const reason of reasons) expect(keep[reason.replace("oldest ", "") as keyof Keep]).toBeGreaterThan(0);
        }
      }),
    );
  });

  test("no rule keeps more copies than it says", () => {
    fc.assert(
      fc.property(histories, keeps, rules, zones, (times, keep, rule, zone) => {
        const copies = kept(times, keep, rule, zone);
        for (const [name, count] of Object.entries(keep))
          expect(
            copies.filter(({ rules: own }) => own.some((reason) => reason.endsWith(name))).length,
          ).toBeLessThanOrEqual(count);
      }),
    );
  });

  test("pruned twice is pruned once", () => {
    fc.assert(
      fc.property(histories, keeps, rules, zones, (times, keep, rule, zone) => {
        const once = survivors(times, keep, rule, zone);
        expect(survivors(once, keep, rule, zone)).toEqual(once);
      }),
      { numRuns: 300 },
    );
  });

  test("an empty retention removes nothing, and is known as such", () => {
    expect(keepsNothing({})).toBe(true);
    expect(keepsNothing({ last: 0, daily: undefined })).toBe(true);
    expect(keepsNothing({ yearly: 1 })).toBe(false);
    expect(keptByPbs([1, 2], { last: 0 }).map(({ rules: reasons }) => reasons)).toEqual([["all"], ["all"]]);
    expect(keepInWords({ last: 3, daily: 7, weekly: 0 })).toBe("last 3 and daily 7");
  });
});

describe("sanoid's rules", () => {
  const daily = (day: number) => ({ time: at("2026-03-01T00:00:00Z") - day * DAY, kind: "daily" as const });

  test("a number is both: so many of the kind, and none younger than so many days is removed", () => {
    const now = at("2026-03-01T00:10:00Z");
    const all = [0, 1, 2, 3, 30, 31].map(daily);
    const stay = (keep: Keep) => keptBySanoid(all, keep, now).filter((one) => one.kept).length;
    expect(stay({ daily: 3 })).toBe(3);
    expect(stay({ daily: 6 })).toBe(6);
    // Three of them taken within the hour are younger than one day.
    const burst = [0, 0.01, 0.02].map(daily);
    expect(keptBySanoid(burst, { daily: 1 }, now).filter((one) => one.kept)).toHaveLength(3);
    expect(keptBySanoid(burst, { hourly: 24 }, now + 1).filter((one) => one.kept)).toHaveLength(0);
  });
});

describe("local time", () => {
  test("offsets are those of the time zone database", () => {
    fc.assert(
      fc.property(fc.integer({ min: at("1975-01-01"), max: at("2037-01-01") }), zones, (time, zone) => {
        const text = new Date(time * 1000).toLocaleString("sv-SE", { timeZone: zone }).replace(" ", "T");
        expect(time + zoneOf(zone).offset(time)).toBe(Date.parse(`${text}Z`) / 1000);
      }),
      { numRuns: 500 },
    );
    expect(offsetChanges("Europe/Paris", at("2026-01-01"), at("2027-01-01"))).toEqual([
      { at: at("2026-03-29T01:00:00Z"), before: HOUR, after: 2 * HOUR },
      { at: at("2026-10-25T01:00:00Z"), before: 2 * HOUR, after: HOUR },
    ]);
    expect(instantOf(zoneOf("Europe/Paris"), at("2026-03-29T02:30:00Z"))).toBeUndefined();
  });

  test("runs are those of the calendar, one after another", () => {
    const texts = fc.constantFrom("02:30", "*/30", "mon..fri 22:30", "*-01 00:00", "sun 1..3:15", "12:00 UTC");
    const start = fc.integer({ min: at("2026-01-01T12:00:00Z"), max: at("2026-12-01T12:00:00Z") });
    fc.assert(
      fc.property(texts, start, zones, (text, from, zone) => {
        const event = parseCalendarEvent(text).event!;
        // Noon on the wall: far from any change of the clock.
        const noon = from - (from % DAY) + DAY / 2 - zoneOf(zone).offset(from);
        const runs = runsBetween(event, noon, noon + 40 * DAY, zone);
        let previous = noon - 1;
        for (const run of runs.slice(0, 120)) {
          expect(run).toBe(nextRun(event, previous, zone));
          expect(run).toBe(nextRunIn(event, previous, zone));
          previous = run;
        }
        if (runs.length < 120) expect(nextRun(event, previous, zone)).toBeGreaterThanOrEqual(noon + 40 * DAY);
      }),
      { numRuns: 60 },
    );
  });
});
