/** What one guest's trouble costs the others, and what is left of a failover that was given up. */
import { failoverSteps } from "../../operations/failover";
import { withGrantsOfNow } from "../../operations/failover-claim";
import { failoverFacts } from "../../operations/failover-facts";
import type { Taken } from "../../operations/failover-taken";
import type { OperationHistory } from "../../operations/journal";
import { readLive } from "../../operations/live";
import { type FailoverPlan, type FailoverRequest, planFailover } from "../../operations/plan-failover";
import { begin, givenUpOperation, openOperations, runOperation } from "../../operations/run-operation";
import { SomeFailed, type Step } from "../../operations/steps";
import { FakeSite } from "./fake-site";

const lost: FailoverRequest = {
  server: "srv2",
  guests: [],
  planned: false,
  acceptStale: false,
  confirmOff: "srv2",
  forceFence: false,
};
const planned: FailoverRequest = { server: "srv2", guests: [], planned: true, acceptStale: false, forceFence: false };
const ON_SRV1 = ["110 on srv1", "111 on srv1", "113 on srv1", "114 on srv1", "9112 on srv1"];

let site: FakeSite;
beforeEach(() => {
  site = new FakeSite();
});
afterEach(() => site.remove());

async function planOf(request: FailoverRequest) {
  const operator = site.operator();
  const live = await readLive(operator);
  return planFailover(site.manifest, live, await failoverFacts(operator, live, request, []), request);
}

/** One run of the command; `spoil` changes its steps. */
async function command(
  request: FailoverRequest,
  options: { own?: OperationHistory; spoil?: (step: Step) => Step; stopAfter?: string } = {},
) {
  const operator = site.operator();
  const own = options.own ?? (await openOperations(operator, "failover", request.server, false)).own;
  const { plan, refusals } = own ? { plan: own.plan as FailoverPlan, refusals: [] } : await planOf(request);
  expect(refusals).toEqual([]);
  const begun = await begin(operator, "failover", request.server, plan, own);
  const taken: Taken = new Map();
  const current = own ? await withGrantsOfNow(operator, own, plan) : plan;
  const steps = failoverSteps(operator, begun.operation, current, { record: false, taken });
  const last = steps.findIndex(({ id }) => id === options.stopAfter);
  let passed = 0;
  const stopped = () => last >= 0 && passed++ > last;
  await runOperation(operator, begun, steps.map(options.spoil ?? ((step) => step)), { stopped });
  return { steps: steps.map(({ id }) => id), taken };
}

const fails =
  (id: string, reason: string) =>
  (step: Step): Step =>
    step.id === id ? { ...step, run: () => Promise.reject(new Error(reason)) } : step;

describe("one guest that cannot be brought up", () => {
  test("keeps no other one off; the operation stays open, and the same command goes on with that guest", async () => {
    site.kill("srv2");
    const failed = await command(lost, { spoil: fails("start-sql-erp", "no such image") }).catch((error) => error);
    expect(failed).toBeInstanceOf(SomeFailed);
    expect(failed).toMatchObject({
      message: "start sql-erp (113) on srv1: no such image",
      parts: ["sql-erp"],
    });
    expect(site.running()).toEqual(ON_SRV1.filter((each) => !each.startsWith("113")));
    await command(lost);
    expect(site.running()).toEqual(ON_SRV1);
    expect(site.twice).toEqual([]);
  });

  test("of a planned switch: one that does not shut down stays, and the others go", async () => {
    const failed = await command(planned, { spoil: fails("stop-sql-erp", "it still runs") }).catch((error) => error);
    expect(failed).toMatchObject({ name: "StepFailed", parts: ["sql-erp"] });
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "113 on srv2", "114 on srv1", "9212 on srv1"]);
    expect(site.votes.get("backup-1")!.get("sql-erp")).toMatchObject({ server: "srv2" });
    await command(planned);
    expect(site.running()).toContain("113 on srv1");
  });

  test("of a planned switch: one that its server does not let go stays, and the others go", async () => {
    // Somebody started it again between its stop and its release.
    const again = (step: Step): Step =>
      step.id === "release"
        ? {
            ...step,
            run: (note, failures) => {
              site.guests.get(113)!.running = true;
              return step.run(note, failures);
            },
          }
        : step;
    const failed = await command(planned, { spoil: again }).catch((error) => error);
    expect(failed).toMatchObject({ name: "StepFailed", parts: ["sql-erp"] });
    expect(String(failed)).toMatch(/srv2 does not let go of sql-erp/);
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "113 on srv2", "114 on srv1", "9212 on srv1"]);
  });

  test("a command of a group that must not fail keeps the group off, and no one else", async () => {
    site = new FakeSite((manifest) => {
      for (const guest of Object.values(manifest.guests)) delete guest.group;
      const commands = [{ when: "before-start", on: "operator", run: ["false"], required: true }];
      manifest.groups = { erp: { guests: ["sql-erp"], commands, probes: [] } as never };
      manifest.guests["sql-erp"]!.group = "erp";
      return manifest;
    });
    site.kill("srv2");
    const failed = await command(lost, { spoil: fails("before-start-group-erp", "exit code 1") }).catch(
      (error) => error,
    );
    expect(failed).toMatchObject({ parts: ["group erp"] });
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "114 on srv1", "9112 on srv1"]);
  });
});

describe("a server that started something between plan and block", () => {
  const reboots = async (request: FailoverRequest) => {
    site.kill("srv2");
    const { plan } = await planOf(request);
    site.revive("srv2");
    site.kill("srv2");
    const operator = site.operator();
    const begun = await begin(operator, "failover", "srv2", plan);
    return runOperation(operator, begun, failoverSteps(operator, begun.operation, plan, { record: false }));
  };

  test("a new word, by the same command, is about what is now: it goes on", async () => {
    await expect(reboots(lost)).rejects.toThrow(/srv2 was not off.*run the same command again/);
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1"]);
    await command(lost);
    expect(site.running()).toEqual(ON_SRV1);
  });

  test("with a lease it is told and waited for: what comes after the block ends it", async () => {
    site = new FakeSite((manifest) => ({ ...manifest, fencing: "lease" }));
    const { confirmOff: _, ...request } = lost;
    await reboots(request);
    expect(site.running()).toEqual(ON_SRV1);
    expect(site.said.map(({ text }) => text).join("\n")).toMatch(/sql-erp was started on srv2 after this was planned/);
  });
});

describe("a failover that was given up", () => {
  const close = async () => {
    const operator = site.operator();
    const [open] = await operator.journal.openOperations();
    await operator.journal.write(open!, { event: "closed", outcome: "abandoned", by: "anna" });
  };

  test("is taken up again while the voters still hold its claims", async () => {
    site.kill("srv2");
    await command(lost, { stopAfter: "block" }).catch(() => undefined);
    await close();
    expect((await planOf(lost)).refusals.map(({ code, fix }) => `${code} ${fix}`).join("\n")).toMatch(
      /OPERATION-OPEN .*--resume/,
    );
    const own = await givenUpOperation(site.operator(), "failover", "srv2", (plan) =>
      (plan as FailoverPlan).moves.map(({ guest }) => guest),
    );
    await command(lost, { own: own! });
    expect(site.running()).toEqual(ON_SRV1);
  });

  test("is none any more when somebody else holds the guests", async () => {
    site.kill("srv2");
    await command(lost);
    expect(await givenUpOperation(site.operator(), "failover", "srv2", () => ["sql-erp"])).toBeUndefined();
  });

  test("guests that were given to the spare and never came there are switched anew", async () => {
    site.kill("srv2");
    await command(lost, { stopAfter: "take-sql-erp" }).catch(() => undefined);
    await close();
    const { plan } = await planOf(lost);
    // sql-erp came there and is off: it may have newer data than any copy, and is not touched.
    expect(plan.moves.map(({ guest }) => guest)).toEqual(["remote-app", "docker-1"]);
    await command(lost);
    expect(site.running()).toEqual(ON_SRV1.filter((each) => !each.startsWith("113")));
  });
});

test("replication jobs that cannot be read are no missing ones: one that goes on would overwrite the lost server's data", async () => {
  site.kill("srv2");
  const operator = site.operator();
  const live = { ...(await readLive(operator)), jobsKnown: false };
  for (const guest of Object.values(live.guests)) delete guest.job;
  const facts = await failoverFacts(operator, live, lost, []);
  const { refusals } = planFailover(site.manifest, live, facts, lost);
  expect(refusals.map(({ code, subject }) => `${code} ${subject}`)).toEqual([
    "OPERATION-JOBS-UNKNOWN sql-erp",
    "OPERATION-JOBS-UNKNOWN docker-1",
  ]);
});

test("guests of a planned switch that was given up after its release are moved and started", async () => {
  await command(planned, { stopAfter: "release" }).catch(() => undefined);
  const operator = site.operator();
  const [open] = await operator.journal.openOperations();
  await operator.journal.write(open!, { event: "closed", outcome: "abandoned", by: "anna" });
  expect(site.running()).toEqual(["110 on srv1", "111 on srv1"]);
  await command(planned);
  expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "113 on srv1", "114 on srv1", "9212 on srv1"]);
});

describe("a planned switch of a guest that is off", () => {
  test("moves it, says so, and leaves it off", async () => {
    site.guests.get(114)!.running = false;
    const { plan, warnings } = await planOf(planned);
    expect(plan.moves.find(({ guest }) => guest === "docker-1")).toMatchObject({ startAfter: false });
    expect(warnings.map(({ code, subject }) => `${code} ${subject}`)).toContain("OPERATION-NOT-RUNNING docker-1");
    const { steps } = await command(planned);
    expect(steps).not.toContain("start-docker-1");
    expect(site.guests.get(114)).toMatchObject({ server: "srv1", running: false });
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "113 on srv1", "9212 on srv1"]);
  });
});
