import fc from "fast-check";
import {
  type ForecastInput,
  type ForecastSubject,
  firstFullGiB,
  largestKeep,
  scaledKeep,
  simulateTarget,
} from "../../../planning/backup/forecast-core";
import { DATA_RATIOS } from "../../../planning/backup/ratios";
import { KEEP_RULES, type Keep, kept, type RetentionRule } from "../../../planning/backup/retention";
import { nextRun, parseCalendarEvent } from "../../../planning/calendar";
import { at, DAY, keeps } from "./histories";

const from = at("2026-01-01T00:00:00Z");
const plain = { compression: 1, deduplication: 1, basis: "measured" };
const subject = (more: Partial<ForecastSubject> = {}): ForecastSubject => ({
  name: "sql-erp",
  usedGiB: 100,
  ratio: { ...plain, dailyChange: 0.02 },
  schedule: "22:30",
  keep: { last: 3 },
  ...more,
});
const rules = fc.constantFrom<RetentionRule>("pbs", "vzdump", "restic", "zfs");
const subjects = fc.record({
  name: fc.constant("guest"),
  usedGiB: fc.integer({ min: 1, max: 500 }),
  ratio: fc.record({
    compression: fc.constantFrom(0.15, 0.5, 1),
    dailyChange: fc.constantFrom(0, 0.005, 0.02, 0.3, 1),
    deduplication: fc.constantFrom(0.6, 1),
    basis: fc.constant("measured"),
  }),
  schedule: fc.constantFrom("22:30", "sat 03:00", "mon..fri 12,18:00", "*-01 00:00"),
  keep: keeps,
});

describe("by hand", () => {
  test("fulls: three stay, and the fourth is there before the first goes", () => {
    const forecast = simulateTarget({ rule: "vzdump", from, subjects: [subject()] });
    expect(forecast.months).toEqual(Array(12).fill(300));
    expect(forecast).toMatchObject({ peakGiB: 400, copies: 3 });
    expect(forecast.peakAt).toBe(from + 3 * DAY + 22.5 * 3600);
  });

  test("differences: the first full and what changed between the copies that stay", () => {
    const { months, peakGiB } = simulateTarget({ rule: "pbs", from, subjects: [subject()] });
    expect(months[0]).toBeCloseTo(100 + 2 * 2, 6);
    expect(peakGiB).toBeCloseTo(100 + 3 * 2, 6);
  });

  test("a monthly full of a tenant's machine, on storage that keeps three copies", () => {
    const monthly = subject({ usedGiB: 40, schedule: "*-01 04:00", keep: { monthly: 6 } });
    const { months } = simulateTarget({ rule: "vzdump", from, subjects: [monthly], storedCopies: 3 });
    expect(months).toEqual([120, 240, 360, 480, 600, 720, 720, 720, 720, 720, 720, 720]);
  });

  test("a database shrinks as its ratio says", () => {
    const database = subject({ usedGiB: 10, ratio: DATA_RATIOS.database, keep: { last: 1 } });
    expect(firstFullGiB(database, "restic")).toBeCloseTo(1.5);
    expect(simulateTarget({ rule: "restic", from, subjects: [database] }).months[11]).toBeCloseTo(1.5);
  });

  test("the day it fills, and the run that does it", () => {
    const all: ForecastInput = { rule: "vzdump", from, subjects: [subject({ keep: { last: 30 } })], limitGiB: 1050 };
    expect(simulateTarget(all).fillsAt).toBe(from + 10 * DAY + 22.5 * 3600);
    expect(simulateTarget({ ...all, limitGiB: 3100 }).fillsAt).toBeUndefined();
  });

  test("seconds over the link", () => {
    const media = subject({ name: "films", usedGiB: 1000, ratio: { ...plain, dailyChange: 0 } });
    const { transfer } = simulateTarget({ rule: "restic", from, subjects: [subject(), media], linkMbps: 100 });
    const perGiB = (2 ** 30 * 8) / 100e6;
    expect(transfer!.restoreLargest).toEqual({ subject: "films", seconds: expect.closeTo(1000 * perGiB, 3) });
    expect(transfer!.restoreAllSeconds).toBeCloseTo(1100 * perGiB, 3);
    expect(transfer!.firstFullSeconds).toBeCloseTo(1100 * perGiB, 3);
    expect(transfer!.largestRunSeconds).toBeCloseTo(2 * perGiB, 3);
  });

  test("months end on the wall, also where February is short", () => {
    const start = at("2026-01-30T23:00:00Z");
    const { months } = simulateTarget({
      rule: "vzdump",
      from: start,
      timeZone: "Europe/Paris",
      months: 2,
      subjects: [subject({ keep: { last: 100 }, schedule: "00:00" })],
    });
    // 31 January (the first run is at its midnight) to 27 February; then to 30 March.
    expect(months).toEqual([2800, 5900]);
  });

  test("nothing to back up takes nothing; a mistyped schedule is named", () => {
    expect(simulateTarget({ rule: "pbs", from, subjects: [] })).toEqual({
      months: Array(12).fill(0),
      peakGiB: 0,
      copies: 0,
    });
    expect(() => simulateTarget({ rule: "pbs", from, subjects: [subject({ schedule: "25:00" })] })).toThrow(
      "schedule '25:00'",
    );
  });
});

/** Day by day with lists of copies, each pruned as a whole; every size is added up from the copies that are there. */
function bruteForce({ rule, subjects: all, limitGiB = Number.POSITIVE_INFINITY }: ForecastInput, days: number) {
  const copies = all.map((): number[] => []);
  const sizeOf = (owner: ForecastSubject, times: readonly number[]) => {
    const full = owner.usedGiB * owner.ratio.compression;
    if (rule === "vzdump") return times.length * full;
    const shared = rule === "zfs" ? full : full * owner.ratio.deduplication;
    const sorted = [...times].sort((a, b) => a - b);
    return sorted.reduce((sum, time, n) => {
      if (n === 0) return shared;
      let unchanged = 1;
      let seconds = time - sorted[n - 1]!;
      for (; seconds >= DAY; seconds -= DAY) unchanged *= 1 - owner.ratio.dailyChange;
      return sum + shared * (1 - unchanged * (1 - owner.ratio.dailyChange) ** (seconds / DAY));
    }, 0);
  };
  const total = () => all.reduce((sum, owner, n) => sum + sizeOf(owner, copies[n]!), 0);
  const events = all.map(({ schedule }) => parseCalendarEvent(schedule).event!);
  let peak = 0;
  let fillsAt: number | undefined;
  for (let time = from; time < from + days * DAY; time += 1800) {
    const due = events.flatMap((event, n) => (nextRun(event, time - 1) === time ? [n] : []));
    if (due.length === 0) continue;
    for (const n of due) copies[n]!.push(time);
    const now = total();
    peak = Math.max(peak, now);
    if (now > limitGiB + 1e-9) fillsAt ??= time;
    for (const n of due)
      copies[n] = kept(copies[n]!, all[n]!.keep, rule)
        .filter((copy) => copy.kept)
        .map((copy) => copy.time);
  }
  return { end: total(), peak, fillsAt };
}

test("equals a brute-force count of what the copies hold", () => {
  fc.assert(
    fc.property(
      rules,
      fc.array(subjects, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 999 }),
      (rule, all, limit) => {
        const input: ForecastInput = { rule, from, subjects: all, months: 3, limitGiB: limit };
        const found = simulateTarget(input);
        const brute = bruteForce(input, 90);
        expect(found.months.at(-1)).toBeCloseTo(brute.end, 6);
        expect(found.peakGiB).toBeCloseTo(brute.peak, 6);
        if (brute.fillsAt !== undefined) expect(found.fillsAt).toBe(brute.fillsAt);
      },
    ),
    { numRuns: 40 },
  );
});

test("equals real blocks that are overwritten at random, within what chance does", () => {
  const blocks = 20_000;
  let state = 7;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  for (const [change, keep] of [
    [0.02, { daily: 7, weekly: 4, monthly: 3 }],
    [0.2, { last: 2, weekly: 3 }],
  ] as const) {
    const live = new Uint16Array(blocks);
    let copies: { time: number; content: Uint16Array }[] = [];
    for (let day = 0; day < 90; day++) {
      for (let block = 0; block < blocks; block++) if (random() < change) live[block]!++;
      copies.push({ time: from + day * DAY, content: live.slice() });
      const stay = new Set(
        kept(
          copies.map(({ time }) => time),
          keep,
          "pbs",
        )
          .filter((copy) => copy.kept)
          .map(({ time }) => time),
      );
      copies = copies.filter(({ time }) => stay.has(time));
    }
    const held = new Set(
      copies.flatMap(({ content }) => [...content].map((version, block) => version * blocks + block)),
    );
    const input = {
      rule: "pbs" as const,
      from,
      months: 3,
      subjects: [subject({ usedGiB: blocks, schedule: "00:00", keep, ratio: { ...plain, dailyChange: change } })],
    };
    const [, , end] = simulateTarget(input).months;
    expect(Math.abs(end! - held.size) / held.size).toBeLessThan(0.02);
  }
});

test("more data never takes less space, nor does one more subject", () => {
  fc.assert(
    fc.property(rules, subjects, subjects, fc.integer({ min: 1, max: 100 }), (rule, one, other, more) => {
      const space = (all: ForecastSubject[]) => simulateTarget({ rule, from, months: 4, subjects: all }).months.at(-1)!;
      const alone = space([one]);
      expect(space([{ ...one, usedGiB: one.usedGiB + more }])).toBeGreaterThanOrEqual(alone);
      expect(space([one, other])).toBeCloseTo(alone + space([other]), 6);
    }),
    { numRuns: 40 },
  );
});

test("a longer retention never takes less space where each rule counts for itself", () => {
  const ordered = fc.constantFrom<RetentionRule>("restic", "zfs");
  fc.assert(
    fc.property(ordered, subjects, keeps, (rule, one, more) => {
      const sum: Keep = {};
      for (const name of KEEP_RULES) sum[name] = (one.keep[name] ?? 0) + (more[name] ?? 0);
      const space = (keep: Keep) => simulateTarget({ rule, from, subjects: [{ ...one, keep }] }).months;
      const [less, longer] = [space(one.keep), space(sum)];
      for (const [month, gib] of longer.entries()) expect(gib).toBeGreaterThanOrEqual(less[month]! - 1e-6);
    }),
    { numRuns: 100 },
  );
});

test("with Proxmox Backup Server's rules a longer retention can take less space", () => {
  // A second weekly copy covers the month before, and the monthly rule then keeps no copy there that is older.
  const ratio = { ...plain, dailyChange: 0.005 };
  const space = (keep: Keep) => simulateTarget({ rule: "pbs", from, subjects: [subject({ ratio, keep })] }).months;
  const [less, longer] = [space({ weekly: 1, monthly: 1 }), space({ weekly: 2, monthly: 1 })];
  expect(longer.some((gib, month) => gib < less[month]!)).toBe(true);
});

describe("the largest retention that fits", () => {
  test("fits, and the next larger one does not", () => {
    const keep = { daily: 7, weekly: 4 };
    const input: ForecastInput = { rule: "vzdump", from, subjects: [subject({ keep })], limitGiB: 2000 };
    const found = largestKeep(input)!;
    const peak = (factor: number) =>
      simulateTarget({ ...input, subjects: [subject({ keep: scaledKeep(keep, factor) })] }).peakGiB;
    expect(found.keeps).toEqual([{ given: keep, largest: scaledKeep(keep, found.factor) }]);
    expect(peak(found.factor)).toBeLessThanOrEqual(2000);
    expect(peak(found.factor + 1 / 16)).toBeGreaterThan(2000);
  });

  test("nothing fits, everything fits, nothing limits", () => {
    const input: ForecastInput = { rule: "vzdump", from, subjects: [subject()] };
    expect(largestKeep({ ...input, limitGiB: 150 })).toBeUndefined();
    expect(largestKeep({ ...input, limitGiB: 1e6 })).toMatchObject({ factor: 8, keeps: [{ largest: { last: 24 } }] });
    expect(largestKeep(input)).toBeUndefined();
    expect(largestKeep({ ...input, limitGiB: 1, subjects: [subject({ keep: {} })] })).toBeUndefined();
  });
});
