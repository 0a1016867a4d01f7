/** The kinds of sites that backups are planned for. */
import { planSite } from "../../../planning";
import { fleetSite, meshSite, tenantSite } from "../backup-sites";

describe("a mesh whose data a NAS at home fetches", () => {
  const { backups, findings, siteLoss } = planSite(meshSite());
  const nas = backups.targets.nas!;

  test("3 disks of 6 TB are no 18 TB: each step is explained", () => {
    const sizes = nas.sizeSteps.map((line) => /([\d.]+) TB = ([\d.]+) TiB/.exec(line)?.slice(1, 3));
    expect(sizes[0]).toEqual(["18.00", "16.37"]);
    expect(sizes[1]).toEqual(["12.00", "10.91"]);
    expect(nas.sizeSteps.map((line) => line.split(" ")[0])).toEqual([
      "raw",
      "parity",
      "padding",
      "slop",
      "metadata",
      "fill-limit",
    ]);
    expect(nas.sizeGiB / 1024).toBeGreaterThan(10.4);
    expect(nas.sizeGiB / 1024).toBeLessThan(10.9);
    // About 9 TB in practice.
    expect((nas.limitGiB * 2 ** 30) / 1e12).toBeGreaterThan(8.8);
    expect((nas.limitGiB * 2 ** 30) / 1e12).toBeLessThan(9.6);
  });

  test("it fits, the first copy takes a day and the others minutes", () => {
    const { firstRunSeconds, laterRunSeconds, recoveryPointSeconds } = backups.policies.services!;
    expect(nas.fits).toBe(true);
    // 400 GiB at 0.7, over 4 MB/s.
    expect(firstRunSeconds / 3600).toBeCloseTo((400 * 0.7 * 1073.741824) / 4 / 3600, 1);
    expect(laterRunSeconds).toBeLessThan(1800);
    expect(recoveryPointSeconds).toBe(86_400 + laterRunSeconds);
  });

  test("it lies elsewhere, and cannot be reached by whoever takes the server; a second copy is missing", () => {
    const { copies } = backups.copies["dataset:rented:tank/services"]!;
    expect(copies.map(({ where, location }) => [where, location])).toEqual([
      ["rented", "data-centre"],
      ["nas", "home"],
    ]);
    const codes = findings.filter(({ subject }) => subject === "backups").map(({ code }) => code);
    expect(codes).toContain("COPIES-FEW");
    expect(codes).not.toContain("COPIES-ONE-PLACE");
    expect(siteLoss.text).toMatch(/nothing is left: no off-line medium is planned\.$/);
  });
});

describe("a tenant with a replica in another data centre", () => {
  const plan = planSite(tenantSite());
  const { policies, targets } = plan.backups;

  test("40 GiB bought are 120 GiB allocated, and the quota is what may be filled", () => {
    expect(targets.data).toMatchObject({ sizeGiB: 40, limitGiB: 40, allocatedGiB: 120, fits: true });
  });

  test("10 GB of MySQL make 1.5 GB of backup, and the numbers say where they come from", () => {
    const [mysql] = policies.mysql!.subjects;
    expect((mysql!.firstGiB * 2 ** 30) / 1e9).toBeCloseTo(1.5, 6);
    expect(mysql!.basis).toMatch(/10 GB of MySQL make about 1\.5 GB/);
    const measured = tenantSite();
    measured.backups!.mysql!.compressionRatio = 0.2;
    const sized = planSite(measured).backups.policies.mysql!.subjects[0]!;
    expect((sized.firstGiB * 2 ** 30) / 1e9).toBeCloseTo(2, 6);
    expect(sized.basis).toMatch(/measured/);
  });

  test("the replica is restored from what the other data centre fetched: its age counts backup, sync and restore", () => {
    const { seconds, basis } = plan.guests.shop!.replica!.recoveryPoint;
    expect(plan.findings.filter(({ subject }) => subject.includes("backupStorage"))).toEqual([]);
    expect(basis).toMatch(/ \+ 1 d between two runs of '03:00' that fetch it to store-dc2 and \d+ s for the transfer$/);
    // At most a day each from backup to backup, sync to sync and restore to restore.
    expect(seconds).toBeGreaterThan(2 * 86_400);
    expect(seconds).toBeLessThan(3.1 * 86_400);
  });

  test("a synchronised target holds what its source holds", () => {
    expect(targets["store-dc2"]!.forecast.peakGiB).toBeCloseTo(targets.store!.forecast.peakGiB, 6);
    expect(plan.backups.copies.shop!.copies.map(({ where }) => where)).toEqual([
      "dc1-node",
      "dc2-node",
      "store",
      "store-dc2",
    ]);
  });

  test("without a policy that reaches it, the replica is never filled", () => {
    const site = tenantSite();
    delete site.backups!.daily;
    delete site.backups!.monthly;
    const { findings } = planSite(site);
    expect(findings.find(({ code }) => code === "RESTORE-NOT-BACKED-UP")?.message).toBe(
      "shop is restored from store-dc2, but no backup policy writes shop there, nor to store, which store-dc2 is fed from.",
    );
  });
});

describe("a fleet of 15 nodes", () => {
  const plan = planSite(fleetSite());

  test("every guest is in one policy by its tag, and all of it fits", () => {
    const { gold, silver } = plan.backups.policies;
    expect([gold!.subjects.length, silver!.subjects.length]).toEqual([30, 90]);
    expect(plan.backups.targets.pbs).toMatchObject({ fits: true, server: "pbs" });
  });

  test("a finding names a few subjects and counts the others", () => {
    const found = plan.findings.filter(({ code }) => code === "COPIES-FEW");
    expect(found).toHaveLength(1);
    expect(found[0]!.message).toMatch(/^guest-1, (.*, ){6}guest-\d+ and 112 more have fewer than three copies/);
  });

  test("too small a datastore: the day, and what would fit", () => {
    const site = fleetSite();
    site.targets!.pbs = { kind: "pbs", on: "pbs", datastore: "fleet", sizeGiB: 4500 };
    const { backups, findings } = planSite(site);
    const { fillsAfterDays, largestKeep } = backups.targets.pbs!.forecast;
    expect(fillsAfterDays).toBeGreaterThan(1);
    expect(largestKeep?.policy).toBe("silver");
    expect(findings.find(({ code }) => code === "TARGET-FULL")?.fix).toMatch(/^Set backups\.silver\.keep to daily \d+/);
    // What is named as fitting does fit.
    for (const policy of Object.values(site.backups!)) policy.keep = { daily: 1 };
    expect(planSite(site).backups.targets.pbs!.fits).toBe(true);
  });
});
