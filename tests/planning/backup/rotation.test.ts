import fc from "fast-check";
import {
  acceptedAt,
  attachedAt,
  mayWrite,
  type OfflineAge,
  offlineAges,
  type Rotation,
  rotationProblem,
  type Swap,
  swaps,
} from "../../../planning/backup/rotation";
import { nextRun, parseCalendarEvent } from "../../../planning/calendar";
import { at, DAY, HOUR } from "./histories";
import { office, rotations } from "./rotations";

const YEAR = 366 * DAY;

test("weekly disks and a monthly one off the site take their turns", () => {
  const shown = swaps(office, office.start, at("2026-03-10")).map(
    ({ at, attach, detach, takeTo }) =>
      `${new Date(at * 1000).toISOString().slice(5, 16)} ${detach}>${attach} ${takeTo}`,
  );
  expect(shown).toEqual([
    "01-12T08:00 A>B shelf",
    "01-19T08:00 B>A shelf",
    "01-26T08:00 A>B shelf",
    // The first Monday of the month is the monthly set's; the weekly one keeps its place.
    "02-02T08:00 B>M1 shelf",
    "02-09T08:00 M1>A off-site",
    "02-16T08:00 A>B shelf",
    "02-23T08:00 B>A shelf",
    "03-02T08:00 A>M2 shelf",
    "03-09T08:00 M2>B off-site",
  ]);
});

test("a swap is at the same time of day in summer", () => {
  const [, april] = swaps(office, at("2026-03-23"), at("2026-03-31"));
  expect(new Date(april!.at * 1000).toISOString()).toBe("2026-03-30T07:00:00.000Z");
});

test("what should be attached, and what is accepted", () => {
  expect(attachedAt(office, office.start)).toEqual({
    medium: "A",
    set: "weekly",
    since: office.start,
    until: office.start + 7 * DAY,
  });
  const tuesday = at("2026-02-03T12:00:00Z");
  expect(attachedAt(office, tuesday)).toMatchObject({ medium: "M1", set: "monthly", before: "B" });
  expect(acceptedAt(office, tuesday)).toEqual(["M1", "B"]);
  expect(acceptedAt(office, tuesday + 2 * DAY)).toEqual(["M1"]);
});

test("the wrong medium is refused with the right one", () => {
  const friday = at("2026-02-06T12:00:00Z");
  expect(mayWrite(office, "M1", friday)).toEqual({ ok: true });
  expect(mayWrite(office, "B", friday)).toEqual({
    ok: false,
    attach: "M1",
    refusal:
      "Medium B of set weekly is not written: it is the turn of M1 since 2026-02-02T08:00Z (4 d 4 h ago). Attach M1, take B to the shelf.",
  });
  expect(mayWrite(office, "M2", friday)).toMatchObject({
    refusal: expect.stringContaining("take M2 to the place off site"),
  });
  expect(mayWrite(office, "X", friday)).toMatchObject({
    refusal: expect.stringContaining("Medium 'X' is none of this rotation"),
  });
});

test("rotations that cannot be followed", () => {
  const set = { name: "weekly", media: ["A", "B"], swap: "mon 09:00" };
  expect(rotationProblem({ sets: [set] })).toBeUndefined();
  expect(rotationProblem({ sets: [] })).toContain("fewer than two media");
  expect(rotationProblem({ sets: [{ ...set, media: ["A"] }] })).toContain("fewer than two media");
  expect(rotationProblem({ sets: [set, { ...set, name: "more", media: ["B"] }] })).toContain("medium B is in it twice");
  expect(rotationProblem({ sets: [set, { ...set, name: "none", media: [] }] })).toContain("set none has no medium");
  expect(rotationProblem({ sets: [{ ...set, swap: "moonday" }] })).toMatch(/swap 'moonday' of set weekly: .*Examples/);
  expect(rotationProblem({ sets: [set, { ...set, name: "off", media: ["M"] }] })).toBe(
    "set weekly never gets its turn: set off has the same calendar and goes before it",
  );
  expect(() => swaps({ ...office, sets: [] }, 0, 1)).toThrow("fewer than two media");
});

/** The rotation hour by hour, and minute by minute around swaps, told by whoever carries the disks; shares no code. */
function carried(rotation: Rotation, until: number): { at: number; from: string; to: string }[] {
  const queues = rotation.sets.map(({ media }) => [...media]);
  let now = queues[0]!.shift()!;
  queues[0]!.push(now);
  const events = rotation.sets.map(({ swap }) => parseCalendarEvent(swap).event!);
  const dues = events.map((event) => nextRun(event, rotation.start, rotation.timeZone)!);
  const log: { at: number; from: string; to: string }[] = [];
  for (let time = rotation.start; time < until; time += 1800) {
    const ringing = dues.flatMap((due, index) => (due === time ? [index] : []));
    if (ringing.length === 0) continue;
    for (const index of ringing) dues[index] = nextRun(events[index]!, time, rotation.timeZone)!;
    const queue = queues[ringing.at(-1)!]!;
    const to = queue.shift()!;
    queue.push(to);
    if (to !== now) log.push({ at: time, from: now, to });
    now = to;
  }
  return log;
}

test("equal a rotation carried out step by step", () => {
  fc.assert(
    fc.property(rotations, (rotation) => {
      const until = rotation.start + 200 * DAY;
      const found = swaps(rotation, rotation.start, until);
      expect(found.map(({ at, detach, attach }) => ({ at, from: detach, to: attach }))).toEqual(
        carried(rotation, until),
      );
    }),
    { numRuns: 30 },
  );
});

test("exactly one medium is attached at any time, and each gets its turn", () => {
  fc.assert(
    fc.property(rotations, fc.nat(300 * DAY), (rotation, later) => {
      const all = swaps(rotation, rotation.start, rotation.start + 3 * YEAR);
      let attached = rotation.sets[0]!.media[0]!;
      for (const [index, swap] of all.entries()) {
        expect(swap.detach).toBe(attached);
        expect(swap.attach).not.toBe(attached);
        expect(swap.at).toBeGreaterThan(all[index - 1]?.at ?? rotation.start);
        attached = swap.attach;
      }
      const seen = new Set([rotation.sets[0]!.media[0], ...all.map(({ attach }) => attach)]);
      for (const label of rotation.sets.flatMap(({ media }) => media)) expect(seen).toContain(label);

      const turn = attachedAt(rotation, rotation.start + later);
      const last = all.findLast(({ at }) => at <= rotation.start + later);
      expect(turn.medium).toBe(last?.attach ?? rotation.sets[0]!.media[0]);
      expect(mayWrite(rotation, turn.medium, rotation.start + later)).toEqual({ ok: true });
      for (const label of rotation.sets.flatMap(({ media }) => media)) {
        const answer = mayWrite(rotation, label, rotation.start + later);
        expect(answer.ok).toBe(acceptedAt(rotation, rotation.start + later).includes(label));
      }
    }),
    { numRuns: 30 },
  );
});

/** Age of the newest medium that is away at an instant. */
function ageAt(all: readonly Swap[], time: number, counts: (swap: Swap) => boolean): number {
  const away = new Map<string, number>();
  for (const swap of all) {
    if (swap.at > time) break;
    away.delete(swap.attach);
    if (counts(swap)) away.set(swap.detach, swap.at);
  }
  return away.size === 0 ? Number.POSITIVE_INFINITY : time - Math.max(...away.values());
}

function bruteAge(all: readonly Swap[], from: number, to: number, counts: (swap: Swap) => boolean): number {
  let worst = 0;
  for (let time = from; time < to; time += HOUR) worst = Math.max(worst, ageAt(all, time, counts));
  return worst;
}

test("the worst age is what an hourly look finds, and never less", () => {
  fc.assert(
    fc.property(rotations, (rotation) => {
      const all = swaps(rotation, rotation.start, rotation.start + 2 * YEAR);
      const { offline, offSite } = offlineAges(rotation);
      const compare = ({ seconds, at: worstAt }: OfflineAge, counts: (swap: Swap) => boolean) => {
        const first = all.find(counts);
        if (first === undefined) return expect(seconds).toBe(Number.POSITIVE_INFINITY);
        const found = bruteAge(all, first.at, first.at + 60 * DAY, counts);
        expect(seconds).toBeGreaterThanOrEqual(found);
        // And it is really reached.
        expect(ageAt(all, worstAt - 1, counts)).toBe(seconds - 1);
      };
      compare(offline, () => true);
      if (offSite) compare(offSite, ({ takeTo }) => takeTo === "off-site");
      expect(offSite === undefined).toBe(rotation.sets.every((set) => set.offSite !== true));
    }),
    { numRuns: 10 },
  );
  const { offline, offSite } = offlineAges(office);
  const all = swaps(office, office.start, office.start + 2 * YEAR);
  const first = all.find(({ takeTo }) => takeTo === "off-site")!;
  // A week; in autumn it has an hour more.
  expect(offline.seconds).toBe(7 * DAY + HOUR);
  const hourly = bruteAge(all, first.at, first.at + YEAR, ({ takeTo }) => takeTo === "off-site");
  expect(offSite!.seconds - hourly).toBeLessThanOrEqual(HOUR);
  expect(offSite!.seconds).toBeGreaterThanOrEqual(hourly);
});

test("a single disk off the site is no disk off the site while it is attached", () => {
  const sets = [office.sets[0]!, { ...office.sets[1]!, media: ["M1"] }];
  expect(offlineAges({ ...office, sets }).offSite!.seconds).toBe(Number.POSITIVE_INFINITY);
});
