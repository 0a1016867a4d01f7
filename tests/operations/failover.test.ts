import { failoverSteps } from "../../operations/failover";
import { failoverFacts } from "../../operations/failover-facts";
import type { Taken } from "../../operations/failover-taken";
import { readLive } from "../../operations/live";
import { type FailoverPlan, type FailoverRequest, planFailover } from "../../operations/plan-failover";
import { begin, openOperations, runOperation } from "../../operations/run-operation";
import { type Failures, StepFailed } from "../../operations/steps";
import { FakeSite, SYNCED } from "./fake-site";

const request: FailoverRequest = {
  server: "srv2",
  guests: [],
  planned: false,
  acceptStale: false,
  confirmOff: "srv2",
  forceFence: false,
};

const AT_HOME = ["110 on srv1", "111 on srv1", "112 on srv2", "113 on srv2", "114 on srv2"];
const ON_SRV1 = ["110 on srv1", "111 on srv1", "113 on srv1", "114 on srv1", "9112 on srv1"];

async function plan(site: FakeSite, change: Partial<FailoverRequest> = {}, by?: string) {
  const operator = site.operator(by);
  const live = await readLive(operator);
  const asked = { ...request, ...change };
  const { others } = await openOperations(operator, "failover", asked.server, false);
  const facts = await failoverFacts(operator, live, asked, others);
  return { operator, ...planFailover(site.manifest, live, facts, asked) };
}

/** One run of the command: a new one, or the continuation of what is open. Ends after `crashAfter` steps. */
async function command(
  site: FakeSite,
  change: Partial<FailoverRequest> = {},
  options: { crashAfter?: string; by?: string } = {},
) {
  const operator = site.operator(options.by);
  const { own } = await openOperations(operator, "failover", "srv2", false);
  const planned = own ? { plan: own.plan as FailoverPlan, refusals: [] } : await plan(site, change, options.by);
  expect(planned.refusals).toEqual([]);
  const begun = await begin(operator, "failover", "srv2", planned.plan, own);
  const taken: Taken = new Map();
  const steps = failoverSteps(operator, begun.operation, planned.plan, { record: false, taken });
  const at =
    options.crashAfter === undefined ? steps.length : steps.findIndex(({ id }) => id === options.crashAfter) + 1;
  let passed = 0;
  await runOperation(operator, begun, steps, { stopped: () => passed++ >= at }).catch((error: Error) => {
    if (error.name !== "Interrupted") throw error;
  });
  return { steps, operation: begun.operation, taken };
}

describe("failover of a dead server", () => {
  let site: FakeSite;
  beforeEach(() => {
    site = new FakeSite();
  });
  afterEach(() => site.remove());

  test("starts everything on the spare, in order, with the data of the last refresh", async () => {
    expect(site.running()).toEqual(AT_HOME);
    site.kill("srv2");
    const { plan: planned } = await plan(site);
    expect(planned.moves.map(({ guest, toId, point }) => [guest, toId, point.kind])).toEqual([
      ["sql-erp", 113, "copy"],
      ["remote-app", 9112, "standby"],
      ["docker-1", 114, "copy"],
    ]);
    expect(planned.moves[0]!.point).toEqual({ kind: "copy", at: new Date(SYNCED * 1000).toISOString() });
    await command(site);
    expect(site.running()).toEqual(ON_SRV1);
    expect(site.twice).toEqual([]);
    expect(site.jobs.get("113-0")).toMatchObject({ disable: true, source: "srv1" });
    expect(site.guests.get(9112)!.config.tags).toMatch(/coldspare-active/);
    const [done] = await site.operator().journal.operations();
    expect(done!.closed?.outcome).toBe("done");
  });

  test("blocks for everybody before it fences, and gives to the spare only then", async () => {
    site.kill("srv2");
    await command(site);
    const claims = site.changes.filter((change) => change.includes("sql-erp="));
    expect(claims).toEqual([
      "claim sql-erp=2@- at backup-1",
      "claim sql-erp=2@- at srv1",
      "claim sql-erp=3@srv1 at backup-1",
      "claim sql-erp=3@srv1 at srv1",
    ]);
  });

  test("the old side does not start when it returns", async () => {
    site.kill("srv2");
    await command(site);
    site.revive("srv2");
    expect(site.running()).toEqual(ON_SRV1);
  });

  test("ended after each of its steps and run again, it reaches the same end", async () => {
    const first = new FakeSite();
    first.kill("srv2");
    const { steps } = await command(first);
    first.remove();
    expect(steps.length).toBeGreaterThan(12);
    for (const { id } of steps.slice(0, -1)) {
      const each = new FakeSite();
      each.kill("srv2");
      await command(each, {}, { crashAfter: id });
      await command(each);
      expect([id, each.running(), each.twice]).toEqual([id, ON_SRV1, []]);
      const operations = await each.operator().journal.operations();
      expect(operations.map(({ closed }) => closed?.outcome)).toEqual(["done"]);
      each.remove();
    }
  });

  test.each(["check", "block", "fence", "assign"])(
    "the server returns after step '%s': nothing runs twice",
    async (step) => {
      site.kill("srv2");
      await command(site, {}, { crashAfter: step });
      site.revive("srv2");
      const again = command(site);
      if (step === "check") {
        await expect(again).rejects.toThrow(/srv2 is back .*failover srv2 --planned/);
        expect(site.running()).toEqual(AT_HOME);
      } else if (step === "block") {
        await expect(again).rejects.toThrow(/confirmed to be off, but it lives.*undo srv2/);
        expect(site.running()).toEqual(["110 on srv1", "111 on srv1"]);
      } else {
        await again;
        expect(site.running()).toEqual(ON_SRV1);
      }
      expect(site.twice).toEqual([]);
    },
  );

  test("a start on the old side between plan and block is noticed", async () => {
    site.kill("srv2");
    const { operator, plan: planned } = await plan(site);
    site.revive("srv2");
    site.kill("srv2");
    const begun = await begin(operator, "failover", "srv2", planned);
    const steps = failoverSteps(operator, begun.operation, planned, { record: false });
    await expect(runOperation(operator, begun, steps)).rejects.toThrow(/was started on srv2 after this was planned/);
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1"]);
  });

  test("of two at once one gets nothing and says who was quicker", async () => {
    site.kill("srv2");
    const anna = await plan(site, {}, "anna@laptop");
    const ben = await plan(site, {}, "ben@desk");
    const run = async ({ operator, plan: planned }: typeof anna) => {
      const begun = await begin(operator, "failover", "srv2", planned);
      await runOperation(operator, begun, failoverSteps(operator, begun.operation, planned, { record: false }));
    };
    const results = await Promise.allSettled([run(anna), run(ben)]);
    const failed = results.filter((result): result is PromiseRejectedResult => result.status === "rejected");
    expect(failed).toHaveLength(1);
    expect(failed[0]!.reason).toBeInstanceOf(StepFailed);
    expect(String(failed[0]!.reason)).toMatch(/is held by failover-srv2-\d+T\d+Z-[0-9a-f]{4} .*which was quicker/);
    expect(site.running()).toEqual(ON_SRV1);
    const closed = (await site.operator().journal.operations()).map(({ closed: end }) => end?.outcome).sort();
    expect(closed).toEqual(["abandoned", "done"]);
  });

  test("what somebody else was given after the fencing is not claimed back without fencing anew", async () => {
    site.kill("srv2");
    await command(site, {}, { crashAfter: "assign" });
    Object.assign(site.votes.get("srv1")!.get("sql-erp")!, { epoch: 9, server: "srv2", by: "guard@srv2" });
    await expect(command(site)).rejects.toThrow(/sql-erp has gone to srv2: .*the same command again/);
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1"]);
    for (const voter of ["srv1", "backup-1"])
      Object.assign(site.votes.get(voter)!.get("sql-erp")!, { epoch: 9, server: "srv2", by: "ben" });
    const { taken } = await command(site);
    expect([...taken.values()]).toEqual([{ text: "sql-erp was given to srv2 by ben", home: false }]);
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "114 on srv1", "9112 on srv1"]);
  });

  /** What the guard of a server that came back does, with the consent of a spare that runs nothing of the guest. */
  const goesHome = (name: string, vmid: number) => {
    for (const voter of ["srv1", "srv2", "backup-1"])
      Object.assign(site.votes.get(voter)!.get(name)!, { epoch: 4, server: "srv2", by: "guard@srv2" });
    site.up.set("srv2", true);
    const at = site.guests.get(vmid)!;
    at.running = true;
    // As long as the spare had it, the guard there took it for an old side.
    Object.assign(at.config, { onboot: 0, tags: "coldspare;coldspare-diverged" });
  };

  test.each(["assign", "job-sql-erp"])(
    "a guest that the returning server took with consent after '%s' stays there, the others move",
    async (step) => {
      site.kill("srv2");
      await command(site, {}, { crashAfter: step });
      goesHome("sql-erp", 113);
      const { taken, operation } = await command(site);
      expect([...taken.keys()]).toEqual(["sql-erp"]);
      expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "113 on srv2", "114 on srv1", "9112 on srv1"]);
      expect(site.twice).toEqual([]);
      // What the switch had done for it is taken back.
      expect(site.jobs.get("113-0")).toMatchObject({ disable: false, source: "srv2" });
      expect(site.guests.get(113)!.config).toMatchObject({ onboot: "true", tags: "coldspare" });
      const history = (await site.operator().journal.operations()).find(({ id }) => id === operation.id)!;
      expect(history.closed?.outcome).toBe("done");
      const texts = history.lines.flatMap((line) => ("text" in line && line.text !== undefined ? [line.text] : []));
      expect(texts.filter((text) => text.includes("sql-erp has gone home: srv2 came back and took it"))).toHaveLength(
        1,
      );
    },
  );

  test("one that goes home while the command runs is noticed when its step fails", async () => {
    site.kill("srv2");
    const { operator, plan: planned } = await plan(site);
    const begun = await begin(operator, "failover", "srv2", planned);
    const taken: Taken = new Map();
    const steps = failoverSteps(operator, begun.operation, planned, { record: false, taken }).map((each) =>
      each.id === "take-sql-erp"
        ? {
            ...each,
            run: (note: (text: string) => void, failed: Failures) => {
              goesHome("sql-erp", 113);
              return each.run(note, failed);
            },
          }
        : each,
    );
    await runOperation(operator, begun, steps);
    expect([...taken.keys()]).toEqual(["sql-erp"]);
    expect(site.running()).toContain("113 on srv2");
    expect(site.jobs.get("113-0")).toMatchObject({ disable: false });
    expect(site.twice).toEqual([]);
  });

  test("a second operator is told of the open one, and may go on with it", async () => {
    site.kill("srv2");
    await command(site, {}, { crashAfter: "assign" });
    const { refusals } = await plan(site, {}, "ben@desk");
    expect(refusals.map(({ code }) => code)).toContain("OPERATION-OPEN");
    expect(refusals[0]!.message).toMatch(/begun by anna@laptop/);
    const { own } = await openOperations(site.operator("ben@desk"), "failover", "srv2", true);
    expect(own!.by).toBe("anna@laptop");
    expect(own!.done.has("assign")).toBe(true);
  });

  test("a lease is waited for, with its margin", async () => {
    site = new FakeSite((manifest) => ({ ...manifest, fencing: "lease" }));
    site.kill("srv2");
    await command(site, { confirmOff: undefined } as never);
    expect(site.slept).toBeGreaterThanOrEqual(40 + site.manifest.lease.marginSeconds);
    expect(site.running()).toEqual(ON_SRV1);
  });
});

describe("with two voters", () => {
  const two = () =>
    new FakeSite((manifest) => {
      for (const guest of Object.values(manifest.guests)) guest.voters = guest.voters.slice(0, 2);
      return manifest;
    });

  test("a person's word stands for the dead one's vote, start by start", async () => {
    const site = two();
    site.kill("srv2");
    await command(site);
    expect(site.running()).toEqual(ON_SRV1);
    expect(site.twice).toEqual([]);
    site.remove();
  });

  test("a spare that was restarted after the fencing is not sure any more", async () => {
    const site = two();
    site.kill("srv2");
    await command(site, {}, { crashAfter: "assign" });
    site.boot = "another";
    await expect(command(site)).rejects.toThrow(/srv1 was restarted after the other side was fenced/);
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1"]);
    site.remove();
  });

  test("the permit is given on top of the own claim only", async () => {
    const site = two();
    site.kill("srv2");
    await command(site, {}, { crashAfter: "take-sql-erp" });
    Object.assign(site.votes.get("srv1")!.get("sql-erp")!, { epoch: 9, server: "srv2", by: "ben" });
    await expect(command(site)).rejects.toThrow(/sql-erp is held by ben/);
    site.remove();
  });
});

test("a guest that runs on the old side again, moved there by hand, is not taken over", async () => {
  const site = new FakeSite();
  site.kill("srv2");
  await command(site, {}, { crashAfter: "job-sql-erp" });
  site.up.set("srv2", true);
  site.guests.get(113)!.running = true;
  await expect(command(site)).rejects.toThrow(/sql-erp \(113\) runs on srv2, which is back/);
  expect(site.running()).not.toContain("113 on srv1");
  site.remove();
});

describe("planned failover", () => {
  test("takes everything along, with the old side's consent, and turns the replication round", async () => {
    const site = new FakeSite();
    const { steps } = await command(site, { planned: true, confirmOff: undefined } as never);
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "113 on srv1", "114 on srv1", "9212 on srv1"]);
    expect(site.twice).toEqual([]);
    expect(site.jobs.get("113-0")).toMatchObject({ disable: false, source: "srv1", target: "srv2" });
    expect(steps.map(({ id }) => id).filter((id) => id.startsWith("stop-"))).toEqual([
      "stop-docker-1",
      "stop-remote-app",
      "stop-sql-erp",
    ]);
    expect(site.changes).toContain("release sql-erp by srv2");
    site.remove();
  });

  test("ended after each of its steps and run again, it reaches the same end", async () => {
    const first = new FakeSite();
    const change = { planned: true, confirmOff: undefined } as never;
    const { steps } = await command(first, change);
    first.remove();
    for (const { id } of steps.slice(0, -1)) {
      const site = new FakeSite();
      await command(site, change, { crashAfter: id });
      await command(site, change);
      expect([
        id,
        site.running().length,
        site.running().filter((line) => line.endsWith("srv1")).length,
        site.twice,
      ]).toEqual([id, 5, 5, []]);
      site.remove();
    }
  });
});
