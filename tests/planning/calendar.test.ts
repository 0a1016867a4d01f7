import fc from "fast-check";
import { longestGapSeconds, nextRun, parseCalendarEvent } from "../../planning/calendar";

const hour = 3600;
const day = 24 * hour;

function event(text: string) {
  const parsed = parseCalendarEvent(text);
  if (parsed.event === undefined) throw new Error(`${text}: ${parsed.problem}`);
  return parsed.event;
}

describe("next runs", () => {
  // 1970-01-01 was a Thursday. The first rows are what Proxmox VE's own parser is documented to answer.
  test.each<[string, number, number]>([
    ["*", 0, 60],
    ["*/10", 599, 600],
    ["*/10", 600, 1200],
    ["*/10", 50 * 60, hour],
    ["*/12:0", 10, 12 * hour],
    ["*/12:0", 13 * hour, day],
    ["1/12:0/15", hour + 45 * 60, 13 * hour],
    ["1/12:0/15", 13 * hour + 45 * 60, 25 * hour],
    ["1,4,6", 6 * 60, hour + 60],
    ["mon", 0, 4 * day],
    ["Mon", 4 * day, 11 * day],
    ["sat..sun", 0, 2 * day],
    ["sat..sun", 3 * day, 9 * day],
    ["fri..mon", 0, day],
    ["fri..mon", 4 * day, 8 * day],
    ["22/1:0", 22 * hour + 59 * 60, 23 * hour],
    ["20..22:*/30", 22 * hour + 30 * 60, 44 * hour],
    ["02:00", 0, 2 * hour],
    ["mon..fri 22:30", day + 22 * hour + 30 * 60, 4 * day + 22 * hour + 30 * 60],
    ["mon,wed 8..18:0/30", 0, 4 * day + 8 * hour],
    ["sat *-1..7 15:00", 0, 2 * day + 15 * hour],
    ["sat *-1..7 15:00", 3 * day, 37 * day + 15 * hour],
    ["monthly", 0, 31 * day],
    ["yearly", 0, 365 * day],
    ["weekly", 0, 4 * day],
    ["hourly", 1, hour],
    ["minutely", 1, 60],
    ["02-29", 0, (365 + 365 + 31 + 28) * day],
    ["1971-03-01 04:05:06", 0, (365 + 31 + 28) * day + 4 * hour + 5 * 60 + 6],
  ])("%s after %i", (text, after, expected) => {
    expect(nextRun(event(text), after)).toBe(expected);
  });

  test("nothing follows an event whose years are over", () => {
    expect(nextRun(event("1971-03-01"), 3 * 365 * day)).toBeUndefined();
  });

  test("in a time zone, across a clock change", () => {
    const winter = Date.UTC(2026, 0, 10) / 1000;
    const beforeChange = Date.UTC(2026, 2, 28, 12) / 1000;
    expect(nextRun(event("22:30"), winter, "Europe/Paris")).toBe(Date.UTC(2026, 0, 10, 21, 30) / 1000);
    expect(nextRun(event("22:30 UTC"), winter, "Europe/Paris")).toBe(Date.UTC(2026, 0, 10, 22, 30) / 1000);
    // 02:30 does not exist in Paris on 29 March 2026.
    expect(nextRun(event("02:30"), beforeChange, "Europe/Paris")).toBe(Date.UTC(2026, 2, 30, 0, 30) / 1000);
  });
});

describe("longest gaps", () => {
  test.each<[string, number]>([
    ["*/15", 900],
    ["*/7", 420],
    ["*/40", 40 * 60],
    ["22:30", day],
    ["mon..fri 22:30", 3 * day],
    ["mon..fri 8..18:0/30", 2 * day + (24 - 18 + 8) * hour - 30 * 60],
    ["hourly", hour],
    ["daily", day],
    ["weekly", 7 * day],
    ["monthly", 31 * day],
    ["yearly", 366 * day],
    ["2..4:00", 22 * hour],
    ["2026-01-01", Number.POSITIVE_INFINITY],
  ])("%s", (text, expected) => {
    expect(longestGapSeconds(event(text))).toBe(expected);
  });

  test("is never less than any distance between two runs that follow one another", () => {
    const field = fc.oneof(
      fc.constant("*"),
      fc.integer({ min: 0, max: 23 }).map(String),
      fc.constant("*/5"),
      fc.constant("3..9"),
    );
    const dow = fc.constantFrom("", "mon ", "mon..fri ", "sat,sun ", "fri..mon ");
    fc.assert(
      fc.property(dow, field, field, fc.integer({ min: 0, max: 2e9 }), (days, hours, minutes, start) => {
        const parsed = event(`${days}${hours}:${minutes}`);
        const gap = longestGapSeconds(parsed);
        let at = nextRun(parsed, start)!;
        for (let n = 0; n < 5; n++) {
          const next = nextRun(parsed, at)!;
          expect(next - at).toBeGreaterThan(0);
          expect(next - at).toBeLessThanOrEqual(gap);
          at = next;
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("what cannot be parsed", () => {
  test.each([
    ["", "the schedule is empty"],
    ["every night", "'every' is no weekday (mon, tue, wed, thu, fri, sat, sun)"],
    ["25:00", "hour 25 is outside 0..23"],
    ["*/15 * * * *", "'* * * *' is left over after the time"],
    ["9..5:00", "wrong order in range '9..5'"],
    ["*/0", "'*/0' repeats every '0'"],
    ["*/90", "'*/90' repeats less than once (minute ends at 59)"],
    ["12:5x", "'5x' is no minute"],
    ["02-30", "no such day ever comes"],
    ["1:2:3:4", "'1:2:3:4' is no time (HOURS:MINUTES[:SECONDS])"],
    ["1/2/3", "'1/2/3' has more than one '/'"],
  ])("%j: %s", (text, problem) => {
    expect(parseCalendarEvent(text)).toEqual({ problem });
  });

  test("no text makes it throw", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseCalendarEvent(text)));
    fc.assert(fc.property(fc.stringMatching(/^[a-z0-9*/.,: -]{0,20}$/), (text) => void parseCalendarEvent(text)));
  });
});
