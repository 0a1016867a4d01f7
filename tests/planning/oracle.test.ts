import fc from "fast-check";
import { planSite } from "../../planning";
import { anyWayToSurvive, lossOracle, poolOracle, sentPointOracle } from "./oracle";
import { randomSite } from "./random-sites";

/** A run is repeated with the seed that fast-check prints when it fails. */
const runs = { numRuns: 150 };

describe("the plan of a random site equals its enumeration", () => {
  test("who survives, who restarts where and when, who is lost or shed, what is left free", () => {
    let refused = 0;
    let shedding = 0;
    let survived = 0;
    fc.assert(
      fc.property(randomSite, ({ spec, options }) => {
        const plan = planSite(spec, options);
        for (const server of Object.keys(plan.spec.servers)) {
          const loss = plan.losses[server]!;
          const expected = lossOracle(plan.spec, options.active ?? {}, server);
          expect({
            survives: loss.survives,
            lost: loss.lost,
            shed: loss.shed.toSorted(),
            restarts: loss.restarts
              .map(({ guest, on, recoveryTimeSeconds }) => ({ guest, on, recoveryTimeSeconds }))
              .sort((a, b) => (a.guest < b.guest ? -1 : 1)),
            quorate: loss.quorum?.quorate,
          }).toEqual({
            survives: expected.survives,
            lost: expected.lost,
            shed: expected.shed,
            restarts: expected.restarts,
            quorate: expected.quorate,
          });
          for (const [name, usage] of Object.entries(expected.usage)) {
            const { memoryGiB, cores, fits, guests } = plan.servers[name]!.capacity.afterLossOf[server]!;
            expect({ cores, fits, guests }).toEqual({ cores: usage.cores, fits: usage.fits, guests: usage.guests });
            expect(memoryGiB).toBeCloseTo(usage.memoryGiB, 6);
          }
          expect(loss.survives).toBe(
            loss.lost.length === 0 && anyWayToSurvive(plan.spec, options.active ?? {}, server),
          );
          refused += Number(!loss.survives);
          survived += Number(loss.survives && loss.restarts.length > 0);
          shedding += Number(loss.shed.length > 0);
        }
      }),
      runs,
    );
    // Otherwise the sites would be too easy, or too hard, to prove anything.
    expect(Math.min(refused, shedding, survived)).toBeGreaterThan(0);
  });

  test("how much may be lost of what is sent", () => {
    let waits = 0;
    fc.assert(
      fc.property(randomSite, ({ spec, options }) => {
        const plan = planSite(spec, options);
        for (const [name, { replica }] of Object.entries(plan.guests)) {
          const expected = sentPointOracle(plan.spec, options.active ?? {}, name);
          if (expected === undefined || replica === undefined) continue;
          const { seconds, basis } = replica.recoveryPoint;
          waits += Number(basis.includes("may be sent first"));
          if (!Number.isFinite(expected)) expect(seconds).toBe(expected);
          // The plan rounds each transfer up to a whole second.
          else expect(Math.abs(seconds - expected - 3)).toBeLessThanOrEqual(4);
        }
      }),
      runs,
    );
    expect(waits).toBeGreaterThan(0);
  });

  test("what every storage pool has to hold", () => {
    fc.assert(
      fc.property(randomSite, ({ spec, options }) => {
        const plan = planSite(spec, options);
        for (const pool of plan.storages) {
          const expected = poolOracle(plan.spec, pool.server, pool.storage);
          const total = expected.primaryGiB + expected.replicaGiB + expected.backupGiB + expected.imageGiB;
          for (const kind of ["primaryGiB", "replicaGiB", "backupGiB", "imageGiB"] as const)
            expect(pool[kind]).toBeCloseTo(expected[kind], 1);
          expect(pool.totalGiB).toBeCloseTo(total, 1);
          if (Math.abs(total - pool.limitGiB) > 0.1) expect(pool.fits).toBe(total <= pool.limitGiB);
        }
      }),
      runs,
    );
  });
});
