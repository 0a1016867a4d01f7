/** The last good copy is protected from schedules that prune by age alone, and let go again. */
import type { Point } from "../../operations/backups/copies";
import { keepLastGood, planLastGood } from "../../operations/backups/last-good";
import type { Operator } from "../../operations/context";
import { PveError } from "../../providers/pve/errors";

const point = (day: number, more: Partial<Point> = {}): Point => ({
  id: `vault:backup/vm/100/2026-11-${String(day).padStart(2, "0")}T22:30:00Z`,
  subject: "erp",
  policies: ["nightly"],
  target: "vault",
  kind: "pbs",
  at: `2026-11-${String(day).padStart(2, "0")}T22:30:00Z`,
  verified: "ok",
  servers: ["srv1"],
  ...more,
});
const broken = { verified: "failed" } as const;
const plan = (...points: Point[]) =>
  planLastGood(points).map((each) => `${each.protect ? "protect" : "look at"} ${each.point.at.slice(8, 10)}`);

describe("what is to be done", () => {
  test.each([
    ["nothing while the newest is good", [point(1), point(2), point(3)], []],
    ["the last good one is protected", [point(1), point(2), point(3, broken)], ["protect 02"]],
    [
      "one that was never read counts as good",
      [point(1), point(2, { verified: "none" }), point(3, broken)],
      ["protect 02"],
    ],
    ["nothing where it is protected already", [point(2, { protected: true }), point(3, broken)], []],
    ["nothing where none is good", [point(1, broken), point(2, broken)], []],
    ["with a newer good one it may go", [point(1, { protected: true }), point(2)], ["look at 01"]],
    [
      "repositories and media have rules of their own",
      [point(1, { kind: "restic" }), point(2, { kind: "restic", ...broken })],
      [],
    ],
    [
      "each target and subject for itself",
      [point(1), point(2, broken), point(1, { target: "far" }), point(2, { target: "far" })],
      ["protect 01"],
    ],
  ])("%s", (_, points, wanted) => {
    expect(plan(...points)).toEqual(wanted);
  });
});

describe("doing it", () => {
  const written: Record<string, unknown>[] = [];
  const operator = (notes: string, refuse = false): Operator => {
    written.length = 0;
    return {
      pve: {
        get: async () => ({ notes }),
        put: async (_path: string, form: Record<string, unknown>) => {
          if (refuse)
            throw new PveError({
              doing: "protect",
              server: "srv1",
              call: "PUT",
              status: 403,
              reason: "Permission check failed",
              fix: "",
            });
          written.push(form);
        },
      },
    } as unknown as Operator;
  };

  test("all of the notes stay, with a line that says whose protection it is", async () => {
    const [kept] = await keepLastGood(operator("erp\nbefore the update"), [point(1), point(2, broken)]);
    expect(kept?.text).toMatch(/T22:30:00Z is the last good copy of erp: it is protected, and no schedule removes it/);
    const notes = "erp\nbefore the update\nKept by coldspare: every newer copy was found to be broken.";
    expect(written).toEqual([{ protected: true, notes }]);
  });

  test("only a protection of ours is lifted", async () => {
    const points = [point(1, { protected: true }), point(2)];
    expect(await keepLastGood(operator("somebody's own"), points)).toEqual([]);
    expect(written).toEqual([]);
    const ours = "erp\nKept by coldspare: every newer copy was found to be broken.";
    const [gone] = await keepLastGood(operator(ours), points);
    expect(gone?.text).toMatch(/is protected no longer/);
    expect(written).toEqual([{ protected: false, notes: "erp" }]);
  });

  test("what is refused is told by name", async () => {
    const [kept] = await keepLastGood(operator("", true), [point(1), point(2, broken)]);
    expect(kept).toMatchObject({ error: "Permission check failed" });
    expect(kept?.text).toMatch(/of erp could not be protected/);
  });
});
