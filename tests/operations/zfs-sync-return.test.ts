/** A guest by zfs-sync comes home, or its switch is undone: what is kept, what is lost, what is refused. */
import { returnSteps } from "../../operations/failback";
import { planReturn, type ReturnPlan, type ReturnRequest } from "../../operations/failback-plan";
import { failoverSteps } from "../../operations/failover";
import { failoverFacts } from "../../operations/failover-facts";
import { readLive } from "../../operations/live";
import { ACTIVE_TAG } from "../../operations/live-types";
import { planFailover } from "../../operations/plan-failover";
import { planUndo } from "../../operations/plan-undo";
import { begin, openOperations, runOperation } from "../../operations/run-operation";
import { undoSteps } from "../../operations/undo";
import { GUEST, VMID, type ZfsSyncSite, zfsSyncSite } from "./zfs-sync-site";

let at: ZfsSyncSite;
afterEach(() => {
  expect(at.site.twice).toEqual([]);
  at.site.remove();
});

async function failover(planned: boolean): Promise<void> {
  const operator = at.site.operator();
  const asked = { server: "srv2", guests: [GUEST], planned, acceptStale: true, confirmOff: "srv2", forceFence: false };
  const live = await readLive(operator);
  const { plan, refusals } = planFailover(
    at.site.manifest,
    live,
    await failoverFacts(operator, live, asked, []),
    asked,
  );
  expect(refusals).toEqual([]);
  const begun = await begin(operator, "failover", "srv2", plan);
  await runOperation(operator, begun, failoverSteps(operator, begun.operation, plan, { wait: false, record: false }));
}

/** srv2 dies with data that was never sent, the guest goes on on srv1, srv2 comes back. */
async function afterLoss(): Promise<void> {
  at = zfsSyncSite();
  at.zfs.write("srv2", "orders 1");
  await at.timer();
  at.zfs.write("srv2", "orders 1, lost");
  at.site.kill("srv2");
  await failover(false);
  at.zfs.write("srv1", "orders 1, new");
  at.site.revive("srv2");
  // As the agent on srv2 does when it sees the record.
  at.site.guests.get(VMID)!.config.tags = "coldspare;coldspare-diverged";
  expect(await at.timer("srv1")).toBe(3);
  expect(await at.timer("srv2")).toBe(3);
}

async function returned(change: Partial<ReturnRequest> = {}): Promise<ReturnPlan> {
  const live = await readLive(at.site.operator());
  const request: ReturnRequest = { kind: "failback", subjects: [GUEST], stopSeconds: 60, forceStop: false, ...change };
  return planReturn(at.site.manifest, live, request);
}

async function failback(change: Partial<ReturnRequest> = {}): Promise<void> {
  const plan = await returned(change);
  expect(plan.refusals).toEqual([]);
  const operator = at.site.operator();
  const begun = await begin(operator, "failback", GUEST, plan);
  await runOperation(operator, begun, returnSteps(operator, begun.operation, plan));
}

const atHome = () => {
  expect(at.site.guestAt("srv2", VMID)!.running).toBe(true);
  expect(at.site.guestAt("srv1", VMID)).toMatchObject({ running: false });
  expect(at.site.guestAt("srv1", VMID)!.config.tags).not.toContain(ACTIVE_TAG);
};

describe("failback after a loss", () => {
  beforeEach(afterLoss);

  test("asks what becomes of the old side's own data", async () => {
    expect((await returned()).refusals).toMatchObject([{ code: "OPERATION-DIVERGED-CHOICE" }]);
  });

  test.each(["keep", "extract"] as const)(
    "%s: everything comes home, and the old data stays under another name",
    async (diverged) => {
      await failback({ diverged });
      atHome();
      expect(at.zfs.sides.srv2).toMatchObject({
        data: "orders 1, new",
        readonly: false,
        kept: [{ data: "orders 1, lost" }],
      });
      expect(at.zfs.sides.srv1!.readonly).toBe(true);
      expect(at.site.said.map(({ text }) => text).join("\n")).toContain(at.zfs.sides.srv2!.kept[0]!.name);
      // The timer goes on from there.
      at.zfs.write("srv2", "orders 1, new, newer");
      expect(await at.timer("srv2")).toBe(0);
      expect(at.zfs.sides.srv1!.data).toBe("orders 1, new, newer");
    },
  );

  test("discard: nothing is kept", async () => {
    await failback({ diverged: "discard" });
    atHome();
    expect(at.zfs.sides.srv2).toMatchObject({ data: "orders 1, new", kept: [] });
  });

  test.each(["reverse", "sync", "activate"])("broken at %s it goes on, and nothing is lost", async (command) => {
    const plan = await returned({ diverged: "keep" });
    const operator = at.site.operator();
    const begun = await begin(operator, "failback", GUEST, plan);
    at.zfs.failOnce = command;
    await expect(runOperation(operator, begun, returnSteps(operator, begun.operation, plan))).rejects.toThrow(
      "the link broke",
    );
    const { own } = await openOperations(operator, "failback", GUEST, false);
    const again = await begin(operator, "failback", GUEST, plan, own);
    await runOperation(operator, again, returnSteps(operator, own!, plan));
    atHome();
    expect(at.zfs.sides.srv2).toMatchObject({ data: "orders 1, new", kept: [{ data: "orders 1, lost" }] });
  });

  test.each<[string, () => void, string]>([
    ["the old side is off", () => at.site.kill("srv2"), "OPERATION-SERVER-DOWN"],
    ["the old side knows no such guest", () => void at.site.guests.delete(VMID), "OPERATION-NOT-REGISTERED"],
  ])("refused while %s", async (_, spoil, code) => {
    spoil();
    expect((await returned({ diverged: "keep" })).refusals.map((each) => each.code)).toContain(code);
  });
});

test("after a planned switch, once the other direction has run, nothing is asked", async () => {
  at = zfsSyncSite();
  at.zfs.write("srv2", "orders 1");
  await at.timer();
  await failover(true);
  at.zfs.write("srv1", "orders 1, 2");
  expect(await at.timer("srv1")).toBe(0);
  at.zfs.write("srv1", "orders 1, 2, 3");
  await failback();
  atHome();
  expect(at.zfs.sides.srv2).toMatchObject({ data: "orders 1, 2, 3", kept: [] });
});

test("commit is refused, with why and the way out", async () => {
  await afterLoss();
  expect((await returned({ kind: "commit", diverged: "keep" })).refusals).toMatchObject([
    { code: "OPERATION-METHOD", fix: expect.stringContaining("failback") },
  ]);
});

describe("undo", () => {
  const planned = async (acceptLoss: boolean) =>
    planUndo(
      at.site.manifest,
      await readLive(at.site.operator()),
      { open: [], manifest: [] },
      { what: GUEST, acceptLoss },
    );

  async function undo(): Promise<void> {
    const { plan, refusals } = await planned(true);
    expect(refusals).toEqual([]);
    const operator = at.site.operator();
    const begun = await begin(operator, "undo", GUEST, plan);
    await runOperation(operator, begun, undoSteps(operator, begun.operation, plan, { record: false }));
  }

  test("the primary starts as it was when its server was lost; the spare is its copy again", async () => {
    await afterLoss();
    expect((await planned(false)).refusals).toMatchObject([{ code: "OPERATION-LOSS" }]);
    await undo();
    atHome();
    expect(at.zfs.sides.srv2).toMatchObject({ data: "orders 1, lost", kept: [] });
    expect(at.zfs.sides.srv1).toMatchObject({ data: "orders 1, lost", kept: [] });
    expect(await at.timer("srv2")).toBe(0);
  });

  test("after a planned switch the volumes at home are opened again", async () => {
    at = zfsSyncSite();
    at.zfs.write("srv2", "orders 1");
    await failover(true);
    at.zfs.write("srv1", "orders 1, on the spare");
    await undo();
    atHome();
    expect(at.zfs.sides.srv2).toMatchObject({ data: "orders 1", readonly: false });
  });

  test("once the spare has sent what is written there, there is nothing to undo", async () => {
    at = zfsSyncSite();
    at.zfs.write("srv2", "orders 1");
    await failover(true);
    expect(await at.timer("srv1")).toBe(0);
    expect((await planned(true)).refusals).toMatchObject([{ code: "OPERATION-NOTHING-TO-UNDO" }]);
  });
});
