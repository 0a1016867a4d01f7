import fc from "fast-check";
import { type CalendarEvent, longestGapSeconds, nextRun, parseCalendarEvent } from "../../planning/calendar";
import { worstRestoreAge } from "../../planning/restore-age";
import { startOrder } from "../../planning/start-order";
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
    [["guests.mail.changeGiBPerHour=0", "guests.mail.coldReplica.schedule=2026-*-* 01:00"], Number.POSITIVE_INFINITY],
    [["guests.mail.coldReplica.schedule=mon..fri 22:00"], 3 * day + 248],
  ])("%j", (set, seconds) => {
    expect(planWith(cleanSite(), set).guests.mail?.replica?.recoveryPoint.seconds).toBe(seconds);
  });
});

describe("refreshes that run one after another", () => {
  const second = (name: string, set: string[] = []) => [
    `guests.${name}={"kind":"vm","os":"linux","on":"one","cores":1,"memoryGiB":1,"disks":[{"sizeGiB":40,"usedGiB":20,"storage":"tank"}],"changeGiBPerHour":40,"coldReplica":{"on":"two","method":"storage-replication","schedule":"*/10"}}`,
    ...set,
  ];
  const point = (set: string[], guest = "mail", active = {}) =>
    planWith(cleanSite(), set, { active }).guests[guest]?.replica?.recoveryPoint;

  test.each<[string, string[], number, object?]>([
    // Ten minutes at 40 GiB/h are 6.67 GiB, 58 s at 125 MB/s.
    ["one waits for the other that leaves the same server", [], 15 * minute + 1 + 58],
    ["not for one on another server", ["guests.chat.on=two", "guests.chat.coldReplica.on=one"], 15 * minute + 1],
    ["nor for one that runs elsewhere for now", [], 15 * minute + 1, { chat: "spare" }],
    ["nor for one of another method", ["guests.chat.coldReplica.method=zfs-sync"], 15 * minute + 1],
  ])("%s", (_, set, seconds, active = {}) => {
    expect(point(second("chat", set), "mail", active)?.seconds).toBe(seconds);
  });

  test("a restore waits for the other restores", () => {
    const restored = [
      "guests.chat.coldReplica.method=restore",
      "guests.chat.coldReplica.schedule=12:00",
      "guests.chat.coldReplica.backupStorage=backups",
    ];
    const alone = point(second("chat"), "wiki")!;
    const both = point(second("chat", restored), "wiki")!;
    expect(both.seconds).toBe(alone.seconds + 269);
    expect(both.basis).toBe(`${alone.basis} + 4 min 29 s while chat may be restored first`);
    // A restored standby that is the active side is left alone by the refresh.
    expect(point(second("chat", restored), "wiki", { chat: "spare" })?.seconds).toBe(alone.seconds);
  });

  test("equals what a clock sees that sends one job after another", () => {
    const jobs = fc.array(
      fc.record({ schedule: fc.constantFrom("*/5", "*/15", "*/30", "hourly"), rate: fc.integer({ min: 0, max: 60 }) }),
      { minLength: 2, maxLength: 4 },
    );
    fc.assert(
      fc.property(jobs, (all) => {
        const set = all.flatMap(({ schedule, rate }, index) =>
          second(`g${index}`, [
            `guests.g${index}.coldReplica.schedule=${schedule}`,
            `guests.g${index}.changeGiBPerHour=${rate}`,
          ]),
        );
        const plan = planWith(cleanSite(), ["guests.mail=null", "guests.wiki=null", ...set]);
        const queue = all.map(({ schedule, rate }, index) => {
          const gap = longestGapSeconds(event(schedule));
          const seconds = Math.ceil((((rate * gap) / 3600) * 1073.741824) / 125);
          return { index, gap, seconds };
        });
        // The last of the queue begins when all others are done, with what its schedule brought since its last start.
        for (const { index, gap, seconds } of queue) {
          let clock = 0;
          for (const other of queue) if (other.index !== index) clock += other.seconds;
          expect(plan.guests[`g${index}`]?.replica?.recoveryPoint.seconds).toBe(gap + clock + seconds);
        }
        const share = queue.reduce((total, { gap, seconds }) => total + seconds / gap, 0);
        const alone = queue.some(({ gap, seconds }) => seconds > gap);
        expect(plan.findings.some(({ code }) => code === "REPLICA-CANNOT-KEEP-UP")).toBe(share > 1 || alone);
      }),
      { numRuns: 40 },
    );
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
    // 60 s to decide and 30 s to switch off; a lease of 60 s and a margin of 75 s.
    [["site.fencing=power"], 165, 180],
    [["site.fencing=lease"], 210, 225],
    [["site.fencing=lease", "site.lease.termSeconds=30", "site.lease.marginSeconds=100"], 205, 220],
    // In a group its list counts, and what comes after the group waits until its last guest answers.
    [['groups.office={"guests":["wiki","mail"]}'], 390, 375],
    [['groups.office={"guests":["wiki"],"order":7,"delaySeconds":9}'], 459, 375],
  ])("%j", (set, mail, wiki) => {
    const { guests } = planWith(cleanSite(), [...base, ...set]);
    expect([guests.mail, guests.wiki].map((guest) => guest?.replica?.recoveryTime.seconds)).toEqual([mail, wiki]);
  });
});

test("how a recovery time comes about, in words", () => {
  const { guests } = planWith(cleanSite(), [
    "guests.wiki.on=one",
    "guests.wiki.coldReplica.on=two",
    'groups.office={"guests":["wiki"],"order":7,"delaySeconds":9}',
    "site.fencing=lease",
  ]);
  expect(guests.mail?.replica?.recoveryTime.basis).toBe(
    "1 min until its leases end + 1 min 15 s of margin + 30 s for 2 activations (after wiki) + 9 s of boot delays + " +
      "1 min until wiki answers + 1 min to boot",
  );
  expect(planWith(cleanSite(), ["site.fencing=power"]).guests.mail?.replica?.recoveryTime.basis).toBe(
    "1 min until decided + 30 s to switch it off + 15 s for 1 activation (first to start) + 0 s of boot delays + 1 min to boot",
  );
});

test("one command starts guests one after another, also where they go to different servers", () => {
  const third = { ...cleanSite().servers.two!, address: "10.0.1.4" };
  const { losses } = planWith(cleanSite(), [
    `servers.three=${JSON.stringify(third)}`,
    "guests.wiki.on=one",
    "guests.wiki.coldReplica.on=three",
    "guests.mail.boot.delaySeconds=20",
  ]);
  expect(losses.one?.restarts).toEqual([
    expect.objectContaining({ guest: "mail", on: "two", recoveryTimeSeconds: 375 }),
    expect.objectContaining({ guest: "wiki", on: "three", recoveryTimeSeconds: 410 }),
  ]);
});

describe("the order of starts", () => {
  const guest = (name: string, order: number, delaySeconds = 0) => ({ name, boot: { order, delaySeconds } });
  const shown = (steps: ReturnType<typeof startOrder>) =>
    steps.map(({ guest: name, group, waitSeconds, untilUp }) => [name, group, waitSeconds, untilUp]);

  test("groups and other guests are on one scale; only what is there is waited for", () => {
    const guests = [guest("web", 20, 5), guest("dc", 90, 60), guest("sql", 10, 30), guest("early", 5, 1)];
    const groups = {
      office: { guests: ["dc", "files", "sql"], order: 10, delaySeconds: 7 },
      empty: { guests: ["nobody"], order: 1, delaySeconds: 99 },
    };
    expect(shown(startOrder(guests, groups))).toEqual([
      ["early", undefined, 1, false],
      ["dc", "office", 60, false],
      ["sql", "office", 7, true],
      ["web", undefined, 5, false],
    ]);
  });

  test("everything starts exactly once, groups in one piece, whatever the order in which they are given", () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const any = fc.record({
      guests: fc.tuple(...names.map((name) => fc.integer({ min: 1, max: 4 }).map((order) => guest(name, order)))),
      one: fc.shuffledSubarray(names),
      order: fc.integer({ min: 1, max: 4 }),
      delaySeconds: fc.nat(9),
    });
    fc.assert(
      fc.property(any, ({ guests, one, order, delaySeconds }) => {
        const groups = {
          office: { guests: one, order, delaySeconds },
          other: { guests: ["zebra"], order, delaySeconds },
        };
        const steps = startOrder(guests, groups);
        expect(steps.map((step) => step.guest).sort()).toEqual(names);
        const first = steps.findIndex(({ group }) => group === "office");
        if (one.length > 0) expect(steps.slice(first, first + one.length).map((step) => step.guest)).toEqual(one);
        expect(steps.filter(({ untilUp }) => untilUp)).toHaveLength(one.length > 0 ? 1 : 0);
        expect(startOrder([...guests].reverse(), groups)).toEqual(steps);
      }),
      { numRuns: 40 },
    );
  });

  test("a guest that is named twice starts once", () => {
    const groups = {
      a: { guests: ["x", "x"], order: 50, delaySeconds: 0 },
      b: { guests: ["x", "y"], order: 50, delaySeconds: 0 },
    };
    expect(startOrder([guest("y", 1), guest("x", 1)], groups).map((step) => step.guest)).toEqual(["x", "y"]);
  });
});

describe("the loss of the whole site", () => {
  test("the youngest medium counts, and guests that are on none are named", () => {
    const { siteLoss } = planWith(cleanSite(), [
      'backups.nightly.guests=["mail"]',
      'targets.daily={"kind":"offline-medium","on":"vault","copies":"backups","sizeGiB":4000,"rotation":[{"name":"daily","media":["d1","d2","d3"],"swap":"09:00"}]}',
    ]);
    expect(siteLoss).toMatchObject({ medium: "daily", worstCaseLossSeconds: day + 8 * 3600 });
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
