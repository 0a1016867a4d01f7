import fc from "fast-check";
import { type CalendarEvent, nextRun, parseCalendarEvent } from "../../planning/calendar";
import { worstRestoreAge } from "../../planning/restore-age";
import { durationCovering, formatDuration, parseDuration } from "../../planning/units";
import { cleanSite, planWith } from "./sites";

const minute = 60;
const hour = 3600;
const day = 24 * hour;

function event(text: string): CalendarEvent {
  const parsed = parseCalendarEvent(text);
  if (parsed.event === undefined) throw new Error(parsed.problem);
  return parsed.event;
}

describe("how old a restored copy is at worst", () => {
  /** Watches four weeks minute by minute: what would be lost if the primary were lost in this minute? */
  function watched(
    backups: { event: CalendarEvent; seconds: number }[],
    restore: CalendarEvent,
    restoreSeconds: number,
  ): number {
    const start = Date.UTC(2026, 1, 2) / 1000;
    const weeks = 5 * 7 * day;
    const times = (of: CalendarEvent) => {
      const all: number[] = [];
      for (let at = nextRun(of, start - 1)!; at < start + weeks; at = nextRun(of, at)!) all.push(at);
      return all;
    };
    const complete = backups.flatMap((run) => times(run.event).map((at) => ({ at, done: at + run.seconds })));
    const restored = times(restore).map((at) => ({
      done: at + restoreSeconds,
      content: Math.max(
        ...complete.filter(({ done }) => done <= at).map((backup) => backup.at),
        Number.NEGATIVE_INFINITY,
      ),
    }));
    let worst = 0;
    for (let now = start + 2 * 7 * day; now < start + weeks; now += minute) {
      const content = Math.max(...restored.filter(({ done }) => done <= now).map((copy) => copy.content));
      worst = Math.max(worst, now - content);
    }
    return worst;
  }

  const schedules = ["01:00", "mon..fri 12:00", "sat 03:00", "6,18:00", "mon,thu 22:30", "*/8:15"];

  test("equals what a minute-by-minute watch sees", () => {
    const schedule = fc.constantFrom(...schedules).map(event);
    const backup = fc.record({ event: schedule, seconds: fc.integer({ min: 1, max: 600 }).map((m) => m * minute) });
    fc.assert(
      fc.property(
        fc.array(backup, { minLength: 1, maxLength: 2 }),
        schedule,
        fc.integer({ min: 1, max: 120 }),
        (backups, restore, minutes) => {
          const { seconds } = worstRestoreAge(backups, restore, minutes * minute);
          const seen = watched(backups, restore, minutes * minute);
          // The watch looks once a minute, the last time just before the next copy is good.
          expect(seconds - seen).toBeGreaterThanOrEqual(0);
          expect(seconds - seen).toBeLessThanOrEqual(minute);
        },
      ),
      { numRuns: 12 },
    );
  });

  test("with days of the month, the sum of the longest gaps stands in", () => {
    const backups = [{ event: event("01:00"), seconds: hour }];
    expect(worstRestoreAge(backups, event("*-01 12:00"), 2 * hour)).toEqual({
      seconds: 31 * day + day + 3 * hour,
      gapSeconds: 31 * day + day + hour,
    });
  });

  test("a schedule that ends promises nothing", () => {
    const backups = [{ event: event("2026-*-* 01:00"), seconds: hour }];
    expect(worstRestoreAge(backups, event("12:00"), hour).seconds).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("recovery points of replication", () => {
  test.each<[string[], number]>([
    // 15 minutes and 0.1 GiB at 125 MB/s.
    [[], 15 * minute + 1],
    [["guests.mail.coldReplica.schedule=*/5"], 5 * minute + 1],
    [["guests.mail.changeGiBPerHour=40"], 15 * minute + 86],
    [["guests.mail.changeGiBPerHour=40", "guests.mail.coldReplica.rateMBps=50"], 15 * minute + 215],
    [["guests.mail.changeGiBPerHour=40", "policies.linkMbps=10000"], 15 * minute + 9],
    [["guests.mail.changeGiBPerHour=0"], 15 * minute],
    [["guests.mail.coldReplica.schedule=mon..fri 22:00"], 3 * day + 248],
  ])("%j", (set, seconds) => {
    expect(planWith(cleanSite(), set).guests.mail?.replica?.recoveryPoint.seconds).toBe(seconds);
  });
});

describe("recovery times", () => {
  const base = ["guests.wiki.on=one", "guests.wiki.coldReplica.on=two"];
  test.each<[string[], number, number]>([
    // 5 minutes to confirm, 15 s for each activation, 60 s to boot; mail comes before wiki by its name.
    [[], 375, 390],
    [["guests.wiki.boot.order=10"], 390, 375],
    [["guests.mail.boot.delaySeconds=120"], 375, 510],
    [["guests.mail.boot.seconds=200"], 515, 390],
    [["policies.confirmSeconds=0"], 75, 90],
  ])("%j", (set, mail, wiki) => {
    const { guests } = planWith(cleanSite(), [...base, ...set]);
    expect([guests.mail, guests.wiki].map((guest) => guest?.replica?.recoveryTime.seconds)).toEqual([mail, wiki]);
  });
});

describe("the loss of the whole site", () => {
  test("the youngest medium counts, and guests that are on none are named", () => {
    const { siteLoss } = planWith(cleanSite(), [
      'backups.nightly.guests=["mail"]',
      'targets.daily={"kind":"offline-medium","on":"vault","copies":"backups","sizeGiB":4000,"sets":3,"swapEvery":"1d"}',
    ]);
    expect(siteLoss).toMatchObject({ medium: "daily", worstCaseLossSeconds: 2 * day });
    expect(siteLoss.text).toMatch(/Not on it, and lost for good: wiki\.$/);
  });

  test("without a medium, or without backups on it, nothing is left", () => {
    expect(planWith(cleanSite(), ["targets={}"]).siteLoss).toEqual({
      text: "If everything at this site is lost at once, nothing is left: no off-line medium is planned.",
    });
    expect(planWith(cleanSite(), ["backups={}"]).siteLoss).toEqual({
      medium: "shelf",
      text: "If everything at this site is lost at once, nothing is left: no backup reaches off-line medium 'shelf'.",
    });
  });
});

test.each<[string, number, string]>([
  ["90s", 90, "1 min 30 s"],
  ["15m", 900, "15 min"],
  ["1.5h", 5400, "1 h 30 min"],
  ["1d", day, "1 d"],
  ["2w", 14 * day, "14 d"],
  ["0s", 0, "0 s"],
])("%s is %i seconds, said as %s", (text, seconds, words) => {
  expect(parseDuration(text)).toBe(seconds);
  expect(formatDuration(seconds)).toBe(words);
});

test("a promise that is proposed is kept", () => {
  fc.assert(
    fc.property(fc.nat(90 * day), (seconds) =>
      expect(parseDuration(durationCovering(seconds))).toBeGreaterThanOrEqual(seconds),
    ),
  );
  const tight = planWith(cleanSite(), ["guests.wiki.coldReplica.schedule=sun 12:00"]).findings.find(
    ({ code }) => code === "RPO-BROKEN",
  );
  expect(tight?.fix).toBe("Refresh more often (guests.wiki.coldReplica.schedule), or promise 8d.");
  expect(
    planWith(cleanSite(), ["guests.wiki.coldReplica.schedule=sun 12:00", "guests.wiki.coldReplica.recoveryPoint=8d"])
      .findings,
  ).toEqual([]);
});

test("what a restored standby writes while it is active is in no backup: no recovery point is claimed", () => {
  const home = planWith(cleanSite()).guests.wiki?.replica?.recoveryPoint;
  const away = planWith(cleanSite(), [], { active: { wiki: "spare", mail: "spare" } });
  expect(home?.seconds).toBeLessThan(2 * day);
  expect(away.guests.wiki?.replica?.recoveryPoint.seconds).toBe(Number.POSITIVE_INFINITY);
  expect(away.guests.mail?.replica?.recoveryPoint.seconds).toBeLessThan(20 * minute);
});
