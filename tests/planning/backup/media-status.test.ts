import fc from "fast-check";
import { type MediaState, mediaStatus, type SwapRecord } from "../../../planning/backup/media-status";
import { type MediumPoint, retentionAcrossMedia } from "../../../planning/backup/prune-guard";
import { kept } from "../../../planning/backup/retention";
import { attachedAt, swaps } from "../../../planning/backup/rotation";
import { at, DAY, HOUR, histories, keeps } from "./histories";
import { office, rotations } from "./rotations";

const on = (time: string, medium: string, action: SwapRecord["action"] = "attached"): SwapRecord => ({
  at: at(time),
  medium,
  action,
  by: "carrier",
});

// Swaps of the office, Mondays 08:00Z: 12 January B, 19 A, 26 B, 2 February M1, 9 A. Grace: two days.
test.each<[string, SwapRecord[], string, MediaState, number]>([
  ["on time", [on("2026-01-05T08:00Z", "A"), on("2026-01-12T08:20Z", "B")], "2026-01-14T08:00Z", "right", 0],
  ["not yet swapped", [on("2026-01-05T08:00Z", "A")], "2026-01-12T10:00Z", "due", 2 * HOUR],
  ["forgotten", [on("2026-01-05T08:00Z", "A")], "2026-01-15T08:00Z", "overdue", 3 * DAY],
  ["forgotten twice, when it is A's turn again", [on("2026-01-05T08:00Z", "A")], "2026-01-20T08:00Z", "right", 0],
  ["forgotten for a month", [on("2026-01-05T08:00Z", "A")], "2026-02-04T08:00Z", "overdue", 23 * DAY],
  ["out of its turn", [on("2026-01-05T08:00Z", "A"), on("2026-01-13T08:00Z", "M1")], "2026-01-14T08:00Z", "wrong", DAY],
  ["a stranger", [on("2026-01-13T08:00Z", "X")], "2026-01-14T08:00Z", "wrong", DAY],
  ["nothing, shortly", [on("2026-01-12T08:00Z", "A", "detached")], "2026-01-12T09:00Z", "due", HOUR],
  ["nothing was ever recorded", [], "2026-01-15T08:00Z", "overdue", 3 * DAY],
])("%s", (_what, records, now, state, late) => {
  const status = mediaStatus(office, records, at(now));
  expect([status.state, status.lateSeconds]).toEqual([state, late]);
  expect(status.text).toContain(status.turn.medium);
});

test("tells where the media are, how old, and what to do", () => {
  const records = [
    on("2026-01-26T08:10Z", "B"),
    on("2026-02-02T08:10Z", "M1"),
    on("2026-02-09T08:05Z", "M1", "detached"),
    on("2026-02-09T08:10Z", "A"),
  ];
  const status = mediaStatus(office, records.toReversed(), at("2026-02-16T09:00Z"));
  expect(status.media).toEqual([
    { medium: "A", set: "weekly", where: "attached", since: at("2026-02-09T08:10Z") },
    { medium: "B", set: "weekly", where: "shelf", since: at("2026-02-02T08:10Z") },
    { medium: "M1", set: "monthly", where: "off-site", since: at("2026-02-09T08:05Z") },
    { medium: "M2", set: "monthly", where: "never recorded" },
  ]);
  expect(status.offline).toEqual({ medium: "M1", seconds: 7 * DAY + 55 * 60 });
  expect(status.offSite).toEqual(status.offline);
  expect(status.text).toBe(
    "due: B should be attached since 2026-02-16T08:00Z (1 h ago), and A is. Attach B, take A to the shelf.",
  );
});

test("who swaps on time is always right, and records of the future do not count", () => {
  fc.assert(
    fc.property(rotations, fc.nat(200 * DAY), (rotation, later) => {
      const now = rotation.start + later;
      const records = [
        { at: rotation.start, medium: rotation.sets[0]!.media[0]!, action: "attached" as const, by: "carrier" },
        ...swaps(rotation, rotation.start, now + 60 * DAY).map(({ at, attach }) => ({
          at,
          medium: attach,
          action: "attached" as const,
          by: "carrier",
        })),
      ];
      const status = mediaStatus(rotation, records, now);
      expect(status).toMatchObject({ state: "right", lateSeconds: 0, attached: attachedAt(rotation, now).medium });
      const last = records.findLast(({ at }) => at <= now)!;
      if (last.at > rotation.start) expect(status.offline!.seconds).toBe(now - last.at);
    }),
    { numRuns: 50 },
  );
});

test("retention counts the copies of all media, and deletes on the attached one", () => {
  const media = fc.array(fc.constantFrom("A", "B", "M1"), { minLength: 61, maxLength: 61 });
  fc.assert(
    fc.property(histories, media, keeps, (times, owners, keep) => {
      const points = times.map(
        (time, n): MediumPoint => ({ id: `p${n}`, subject: "files", at: time, verified: "ok", medium: owners[n]! }),
      );
      const decisions = retentionAcrossMedia(points, keep, "restic", "A");
      const stay = new Set(
        kept(times, keep, "restic")
          .filter((copy) => copy.kept)
          .map(({ time }) => time),
      );
      for (const { point, delete: gone, waits } of decisions) {
        expect(gone || waits).toBe(!stay.has(point.at));
        if (gone) expect(point.medium).toBe("A");
        if (waits) expect(point.medium).not.toBe("A");
      }
    }),
  );
});
