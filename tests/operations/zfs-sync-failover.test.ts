/** A guest by zfs-sync changes sides: which point it starts with, what is refused, what is lost. */
import { failoverSteps } from "../../operations/failover";
import { failoverFacts } from "../../operations/failover-facts";
import { readLive } from "../../operations/live";
import { ACTIVE_TAG } from "../../operations/live-types";
import { type FailoverPlan, type FailoverRequest, planFailover } from "../../operations/plan-failover";
import { begin, openOperations, runOperation } from "../../operations/run-operation";
import { siteStatus } from "../../operations/status";
import { replicasIn } from "../../operations/zfs-replica";
import { notesWithDisks } from "../../planning/registered-notes";
import { GUEST, VMID, type ZfsSyncSite, zfsSyncSite } from "./zfs-sync-site";

let at: ZfsSyncSite;
afterEach(() => at.site.remove());

const request: FailoverRequest = {
  server: "srv2",
  guests: [GUEST],
  planned: false,
  acceptStale: false,
  confirmOff: "srv2",
  forceFence: false,
};

async function planned(change: Partial<FailoverRequest> = {}) {
  const operator = at.site.operator();
  const asked = { ...request, ...change };
  const live = await readLive(operator);
  return { ...planFailover(at.site.manifest, live, await failoverFacts(operator, live, asked, []), asked), live };
}

async function failover(change: Partial<FailoverRequest> = {}): Promise<string[]> {
  const { plan, refusals } = await planned(change);
  expect(refusals).toEqual([]);
  const operator = at.site.operator();
  const begun = await begin(operator, "failover", "srv2", plan);
  const steps = failoverSteps(operator, begun.operation, plan, { wait: false, record: false });
  await runOperation(operator, begun, steps);
  return steps.map(({ id }) => id);
}

const spare = () => at.site.guestAt("srv1", VMID)!;

describe("the server dies", () => {
  beforeEach(async () => {
    at = zfsSyncSite();
    at.zfs.write("srv2", "orders 1");
    await at.timer();
    at.zfs.write("srv2", "orders 1, 2");
    await at.timer();
    at.zfs.write("srv2", "orders 1, 2, 3");
    at.site.kill("srv2");
  });

  test("the registered guest starts with the newest point", async () => {
    const steps = await failover();
    expect(steps).toEqual(
      expect.arrayContaining([`activate-${GUEST}`, `whole-${GUEST}`, `tag-${GUEST}`, `start-${GUEST}`]),
    );
    expect(at.zfs.sides.srv1!.data).toBe("orders 1, 2");
    expect(spare()).toMatchObject({ running: true });
    expect(spare().config.tags).toContain(ACTIVE_TAG);
    expect(at.site.twice).toEqual([]);
    // Nobody may run it any more before its volumes are touched.
    const order = at.site.changes.filter((what) => what.startsWith("claim") || what.startsWith("zfs activate"));
    expect(order[0]).toMatch(/^claim .*@-/);
    expect(order.at(-1)).toMatch(/^zfs activate/);
  });

  test("--to-point: an earlier point, and the newer one is kept", async () => {
    const earlier = at.zfs.sides.srv1!.points[0]!;
    await failover({ toPoint: earlier.at });
    expect(at.zfs.sides.srv1).toMatchObject({ data: "orders 1", kept: [{ data: "orders 1, 2" }] });
  });

  test.each<[string, Partial<FailoverRequest>, string]>([
    ["a time before the first point", { toPoint: "2020-01-01T00:00:00Z" }, "OPERATION-POINT"],
    ["what is no time", { toPoint: "yesterday" }, "OPERATION-POINT"],
  ])("--to-point with %s is refused, with those that there are", async (_, change, code) => {
    const { refusals } = await planned(change);
    expect(refusals).toMatchObject([{ code, fix: expect.stringContaining(at.zfs.sides.srv1!.points[1]!.at) }]);
  });

  test("a spare older than promised needs a word", async () => {
    at.site.time += 3_600_000;
    expect((await planned()).refusals).toMatchObject([{ code: "OPERATION-STALE" }]);
    await failover({ acceptStale: true });
    expect(spare().running).toBe(true);
  });

  test.each<[string, () => void, string]>([
    ["without a point", () => (at.zfs.sides.srv1!.points = []), "OPERATION-NO-REPLICA"],
    ["without a registered guest", () => void at.site.registered.clear(), "OPERATION-NOT-REGISTERED"],
  ])("%s it is refused", async (_, spoil, code) => {
    spoil();
    expect((await planned()).refusals).toMatchObject([{ code }]);
  });

  test("a registered guest that lacks a disk is not started", async () => {
    delete spare().config.scsi0;
    await expect(failover()).rejects.toThrow(`lacks vm-${VMID}-disk-0`);
    expect(spare().running).toBe(false);
  });

  test("a disk that came after the registration is attached as the notes name it", async () => {
    delete spare().config.scsi0;
    spare().config.description = notesWithDisks("Spare.", { scsi0: `tank:vm-${VMID}-disk-0,discard=on` });
    await failover();
    expect(spare()).toMatchObject({ running: true, config: { scsi0: `tank:vm-${VMID}-disk-0,discard=on` } });
  });

  test.each<[string, () => void, () => void]>([
    ["while the volumes were put to their point", () => (at.zfs.failOnce = "activate"), () => undefined],
    [
      "after that",
      () => void delete spare().config.scsi0,
      () => {
        spare().config.scsi0 = `tank:vm-${VMID}-disk-0`;
        at.zfs.write("srv1", "written by hand");
      },
    ],
  ])("a command that broke %s goes on, and puts nothing back that was written since", async (_, spoil, mend) => {
    spoil();
    await expect(failover()).rejects.toThrow(/the link broke|lacks/);
    expect(spare().running).toBe(false);
    mend();
    const before = at.zfs.sides.srv1!.data;
    const operator = at.site.operator();
    const { own } = await openOperations(operator, "failover", "srv2", false);
    const { operation, done } = await begin(operator, "failover", "srv2", own!.plan, own);
    const steps = failoverSteps(operator, operation, own!.plan as FailoverPlan, { wait: false, record: false });
    await runOperation(operator, { operation, done }, steps);
    expect(spare().running).toBe(true);
    expect(at.zfs.sides.srv1!.data).toBe(done.has(`activate-${GUEST}`) ? before : "orders 1, 2");
    expect(at.site.twice).toEqual([]);
  });
});

test("planned: what was written last comes along", async () => {
  at = zfsSyncSite();
  at.zfs.write("srv2", "orders 1");
  await at.timer();
  at.zfs.write("srv2", "orders 1, 2");
  await failover({ planned: true });
  expect(at.zfs.sides.srv1).toMatchObject({ data: "orders 1, 2", kept: [] });
  expect(at.zfs.sides.srv2!.readonly).toBe(true);
  expect(at.site.running()).toContain(`${VMID} on srv1`);
  expect(at.site.twice).toEqual([]);
  const zfs = at.site.changes.filter((what) => what.startsWith("zfs") || what.startsWith("release"));
  expect(zfs).toEqual([
    `zfs sync ${GUEST} on srv2`,
    `zfs sync ${GUEST} on srv2`,
    `release ${GUEST} by srv2`,
    `zfs passive ${GUEST} on srv2`,
    `zfs activate ${GUEST} on srv1`,
  ]);
});

describe("status", () => {
  const statusOf = async () => siteStatus(await readLive(at.site.operator()), at.site.manifest).guests[GUEST]!;

  test("ready with the age of the newest point on the spare", async () => {
    at = zfsSyncSite();
    await at.timer();
    at.site.time += 120_000;
    expect(await statusOf()).toMatchObject({ state: "ready", problems: [], recoveryPoint: { ageSeconds: 120 } });
  });

  test("without a point, and after a run that failed, it says so", async () => {
    at = zfsSyncSite();
    expect((await statusOf()).problems).toEqual([expect.stringContaining("srv1 has no complete recovery point")]);
    await at.timer();
    at.zfs.sides.srv2!.sync = { state: "failed", at: "2026-11-22T03:01:00Z", error: "no common snapshot" };
    expect((await statusOf()).problems).toEqual(["its last run of zfs-sync on srv2 failed: no common snapshot"]);
  });

  test("the old side is diverged until a run from the active side proves that it has nothing of its own", async () => {
    at = zfsSyncSite();
    at.zfs.write("srv2", "orders 1");
    await at.timer();
    at.zfs.write("srv2", "orders 1, 2");
    at.site.kill("srv2");
    await failover();
    at.site.revive("srv2");
    at.site.guests.get(VMID)!.config.tags = "coldspare;coldspare-diverged";
    expect(await at.timer("srv1")).toBe(3);
    expect(await statusOf()).toMatchObject({ state: "diverged", activeSide: "spare" });
  });
});

test("lines of the program are read; what is not complete counts for nothing", () => {
  const lines = [
    "guest=a server=srv2 state=failed at=2026-11-22T03:00:00Z error=no%20space",
    "end",
    "point=p1 guest=a at=2026-11-22T02:00:00Z complete=yes common=yes",
    "point=p3 guest=a at=2026-11-22T03:00:00Z complete=no common=no",
    "point=p2 guest=a at=2026-11-22T02:30:00Z complete=yes common=no",
    "end",
    "nonsense",
  ];
  expect(replicasIn(lines)).toEqual({
    a: {
      points: [
        { id: "p2", at: "2026-11-22T02:30:00Z", common: false },
        { id: "p1", at: "2026-11-22T02:00:00Z", common: true },
      ],
      sync: { state: "failed", at: "2026-11-22T03:00:00Z", error: "no space" },
    },
  });
});
