import fc from "fast-check";
import { type PrunePoint, protectedFromPrune } from "../../../planning/backup/prune-guard";
import { kept } from "../../../planning/backup/retention";
import { DAY, histories, keeps, zones } from "./histories";

const states = fc.constantFrom<PrunePoint["verified"]>("ok", "failed", "none");
const subjects = fc.constantFrom("sql-erp", "folder:backup-1:/srv", "web");

const points = fc
  .tuple(histories, fc.array(states, { minLength: 61, maxLength: 61 }), fc.array(subjects, { minLength: 61 }))
  .map(([times, verified, owners]) =>
    times.map((time, n): PrunePoint => ({ id: `p${n}`, subject: owners[n]!, at: time, verified: verified[n]! })),
  );
const rules = fc.constantFrom("pbs" as const, "restic" as const, "zfs" as const);

test("of each subject the newest good copy outlives any retention", () => {
  fc.assert(
    fc.property(points, keeps, rules, zones, (all, keep, rule, zone) => {
      const decisions = protectedFromPrune(all, keep, rule, zone);
      expect(decisions).toHaveLength(all.length);
      const stay = decisions.filter((one) => !one.delete).map(({ point }) => point);
      for (const subject of new Set(all.map((point) => point.subject))) {
        const own = all.filter((point) => point.subject === subject).sort((a, b) => b.at - a.at);
        const good = own.find(({ verified }) => verified === "ok") ?? own.find(({ verified }) => verified === "none");
        if (good) expect(stay).toContain(good);
      }
    }),
  );
});

test("beyond that one copy it deletes what the rules delete, subject by subject", () => {
  fc.assert(
    fc.property(points, keeps, rules, zones, (all, keep, rule, zone) => {
      const decisions = protectedFromPrune(all, keep, rule, zone);
      for (const subject of new Set(all.map((point) => point.subject))) {
        const own = decisions.filter(({ point }) => point.subject === subject);
        const byRules = kept(
          own.map(({ point }) => point.at),
          keep,
          rule,
          zone,
        );
        expect(own.map(({ point }) => point.at)).toEqual(byRules.map(({ time }) => time));
        const guarded = own.filter((one, n) => one.delete === byRules[n]!.kept);
        expect(guarded.length).toBeLessThanOrEqual(1);
        for (const one of guarded) {
          expect(one.delete).toBe(false);
          expect(one.why).toContain("although no rule does");
        }
      }
    }),
  );
});

test("says why", () => {
  const point = (day: number, verified: PrunePoint["verified"]): PrunePoint => ({
    id: `d${day}`,
    subject: "sql-erp",
    at: day * DAY,
    verified,
  });
  const decide = (all: PrunePoint[]) =>
    protectedFromPrune(all, { last: 1 }, "pbs").map(({ point, why, delete: gone }) => [point.id, gone, why]);
  expect(decide([point(1, "ok"), point(2, "ok"), point(3, "failed"), point(4, "none")])).toEqual([
    ["d4", false, "kept: last"],
    ["d3", true, "no rule keeps it"],
    ["d2", false, "kept although no rule does: it is the newest copy of sql-erp that was verified"],
    ["d1", true, "no rule keeps it"],
  ]);
  expect(decide([point(1, "none"), point(2, "none"), point(3, "failed")])).toEqual([
    ["d3", false, "kept: last"],
    [
      "d2",
      false,
      "kept although no rule does: no copy of sql-erp was verified, and it is the newest that is not known to be bad",
    ],
    ["d1", true, "no rule keeps it"],
  ]);
});
