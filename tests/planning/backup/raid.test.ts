import fc from "fast-check";
import {
  type DiskSet,
  explainRaid,
  type RaidLayout,
  raidProblem,
  raidSpace,
  raidzEfficiency,
  usableGiB,
} from "../../../planning/backup/raid";
import { DATA_RATIOS, ratioOf } from "../../../planning/backup/ratios";

const layouts: RaidLayout[] = ["single", "stripe", "mirror", "raidz1", "raidz2", "raidz3", "raid5", "raid6", "raid10"];
const sets: fc.Arbitrary<DiskSet> = fc
  .record({
    layout: fc.constantFrom(...layouts),
    count: fc.integer({ min: 1, max: 24 }),
    sizeTB: fc.integer({ min: 1, max: 240 }).map((tenth) => tenth / 10),
  })
  .filter((set) => raidProblem(set) === undefined);

test("three disks of 6 TB in RAIDZ1: 18 TB raw, 12 TB net of parity = 10.9 TiB, about 9 TB in practice", () => {
  const { steps, netGiB, practicalGiB } = raidSpace({ layout: "raidz1", count: 3, sizeTB: 6 });
  expect(steps.map(({ step, tb, tib }) => [step, Number(tb.toFixed(2)), Number(tib.toFixed(2))])).toEqual([
    ["raw", 18, 16.37],
    ["parity", 12, 10.91],
    ["padding", 12, 10.91],
    ["slop", 11.86, 10.79],
    ["metadata", 11.74, 10.68],
    ["fill-limit", 9.4, 8.54],
  ]);
  expect(netGiB / 1024).toBeCloseTo(10.91, 2);
  expect(practicalGiB / 1024).toBeCloseTo(8.54, 2);
  expect(explainRaid({ layout: "raidz1", count: 3, sizeTB: 6 })).toEqual([
    "raw           18.00 TB = 16.37 TiB  3 disks of 6 TB",
    "parity        12.00 TB = 10.91 TiB  parity takes 1 disk: as many may fail",
    "padding       12.00 TB = 10.91 TiB  blocks of 128 KiB in sectors of 4 KiB lose 0 %",
    "slop          11.86 TB = 10.79 TiB  ZFS keeps 128 GiB for itself (1/32, at most 128 GiB)",
    "metadata      11.74 TB = 10.68 TiB  1 % for ZFS's metadata (assumption)",
    "fill-limit      9.40 TB = 8.54 TiB  not filled beyond 80 %",
  ]);
});

test.each<[number, number, number, number, number]>([
  // Disks, parity, block in KiB, ashift; sectors allocated for the block.
  [3, 1, 128, 12, 48],
  [3, 1, 8, 12, 4],
  [3, 1, 16, 12, 6],
  [6, 2, 8, 12, 6],
  [6, 2, 16, 12, 6],
  [6, 2, 128, 12, 48],
  [8, 3, 4, 12, 4],
  [5, 1, 8, 9, 20],
])("%i disks, parity %i, blocks of %i KiB, ashift %i", (disks, parity, block, ashift, sectors) => {
  const stored = (block * 1024) / (sectors * 2 ** ashift);
  expect(raidzEfficiency(disks, parity, block, ashift)).toBeCloseTo(stored / ((disks - parity) / disks), 10);
});

test("small blocks of a zvol on RAIDZ1 cost a quarter of what seemed usable", () => {
  const disks: DiskSet = { layout: "raidz1", count: 3, sizeTB: 6 };
  const share = raidSpace(disks, { blockKiB: 8 }).steps.find(({ step }) => step === "padding")!;
  expect(share.tb).toBeCloseTo(9, 5);
  expect(share.why).toBe("blocks of 8 KiB in sectors of 4 KiB lose 25 %");
});

test("each step leaves no more than the one before, and more of anything is never less", () => {
  fc.assert(
    fc.property(sets, fc.constantFrom(8, 16, 128), (set, blockKiB) => {
      const { steps, usableGiB: usable, practicalGiB } = raidSpace(set, { blockKiB });
      for (const [index, { bytes }] of steps.entries()) {
        expect(bytes).toBeGreaterThan(0);
        if (index > 0) expect(bytes).toBeLessThanOrEqual(steps[index - 1]!.bytes);
      }
      expect(practicalGiB).toBeLessThan(usable);
      expect(usableGiB({ ...set, sizeTB: set.sizeTB + 1 })).toBeGreaterThan(usableGiB(set));
      expect(usableGiB(set)).toBe(raidSpace(set).usableGiB);
    }),
  );
});

test("parity and mirrors take whole disks", () => {
  const net = (layout: RaidLayout, count: number) =>
    Math.round((raidSpace({ layout, count, sizeTB: 4 }).netGiB * 2 ** 30) / 1e12);
  expect(net("single", 1)).toBe(4);
  expect(net("stripe", 3)).toBe(12);
  expect(net("mirror", 3)).toBe(4);
  expect(net("raidz2", 6)).toBe(16);
  expect(net("raidz3", 8)).toBe(20);
  expect(net("raid5", 4)).toBe(12);
  expect(net("raid6", 6)).toBe(16);
  expect(net("raid10", 6)).toBe(12);
});

test("what cannot be built", () => {
  expect(raidProblem({ layout: "raidz2", count: 2, sizeTB: 1 })).toBe("raidz2 needs at least 3 disks, and has 2");
  expect(raidProblem({ layout: "raid10", count: 5, sizeTB: 1 })).toBe("raid10 is made of pairs, and has 5 disks");
  expect(raidProblem({ layout: "single", count: 2, sizeTB: 1 })).toContain("single is one disk");
  expect(() => raidSpace({ layout: "raid6", count: 3, sizeTB: 1 })).toThrow("raid6 needs at least 4 disks");
});

describe("ratios", () => {
  test("each says on what it rests", () => {
    for (const { compression, dailyChange, deduplication, basis } of Object.values(DATA_RATIOS)) {
      for (const share of [compression, dailyChange, deduplication]) {
        expect(share).toBeGreaterThan(0);
        expect(share).toBeLessThanOrEqual(1);
      }
      expect(basis.length).toBeGreaterThan(10);
    }
    // The tenant's case: 10 GB of MySQL are 1.5 GB.
    expect(10 * DATA_RATIOS.database.compression * DATA_RATIOS.database.deduplication).toBeCloseTo(1.5);
  });

  test("measured numbers replace them", () => {
    expect(ratioOf("mail")).toBe(DATA_RATIOS.mail);
    expect(ratioOf("mail", { compression: 0.4, dailyChange: 0.1 })).toEqual({
      compression: 0.4,
      dailyChange: 0.1,
      deduplication: 1,
      basis: "measured",
    });
    expect(ratioOf("mail", { dailyChange: 0.1 })).toMatchObject({
      compression: DATA_RATIOS.mail.compression,
      deduplication: DATA_RATIOS.mail.deduplication,
      basis: `daily change measured; ${DATA_RATIOS.mail.basis}`,
    });
  });
});
