import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failoverSteps } from "../../operations/failover";
import { failoverFacts } from "../../operations/failover-facts";
import { readLive } from "../../operations/live";
import { planFailover } from "../../operations/plan-failover";
import { planUndo, type UndoPlan } from "../../operations/plan-undo";
import { begin, openOperations, runOperation } from "../../operations/run-operation";
import { undoSteps } from "../../operations/undo";
import type { ManifestCommand } from "../../planning/manifest";
import { FakeSite } from "./fake-site";

const AT_HOME = ["110 on srv1", "111 on srv1", "112 on srv2", "113 on srv2", "114 on srv2"];

/** srv2 dies, its guests start on srv1 (or the command ends after a step), srv2 returns. */
async function failedOver(planned = false, lastStep?: string, site = new FakeSite()): Promise<FakeSite> {
  const operator = site.operator();
  if (!planned) site.kill("srv2");
  const request = { server: "srv2", guests: [], planned, acceptStale: false, forceFence: false, willAsk: true };
  const live = await readLive(operator);
  const { plan, refusals } = planFailover(
    site.manifest,
    live,
    await failoverFacts(operator, live, request, []),
    request,
  );
  expect(refusals).toEqual([]);
  const begun = await begin(operator, "failover", "srv2", plan);
  const steps = failoverSteps(operator, begun.operation, plan, { record: false });
  const at = steps.findIndex(({ id }) => id === lastStep) + 1 || steps.length;
  let passed = 0;
  await runOperation(operator, begun, steps, { stopped: () => passed++ >= at }).catch(() => undefined);
  site.revive("srv2");
  return site;
}

async function undo(site: FakeSite, what = "srv2", options: { acceptLoss?: boolean; lastStep?: string } = {}) {
  const { PATH } = process.env;
  const operator = { ...site.operator(), env: { PATH } };
  const { own } = await openOperations(operator, "undo", what, false);
  const { acceptLoss = true, lastStep } = options;
  const planned = own
    ? { plan: own.plan as UndoPlan, refusals: [] }
    : planUndo(site.manifest, await readLive(operator), { open: [], manifest: [] }, { what, acceptLoss });
  if (planned.refusals.length > 0) return planned;
  const begun = await begin(operator, "undo", what, planned.plan, own);
  const steps = undoSteps(operator, begun.operation, planned.plan, { record: false });
  const at = steps.findIndex(({ id }) => id === lastStep) + 1 || steps.length;
  let passed = 0;
  await runOperation(operator, begun, steps, { stopped: () => passed++ >= at }).catch((error: Error) => {
    if (error.name !== "Interrupted") throw error;
  });
  return { ...planned, steps };
}

describe("undo", () => {
  test("goes back to the primaries as they were, and lets the replication refresh the spares again", async () => {
    const site = await failedOver();
    expect((await undo(site)).refusals).toEqual([]);
    expect(site.running()).toEqual(AT_HOME);
    expect(site.twice).toEqual([]);
    expect(site.jobs.get("113-0")).toMatchObject({ disable: false, source: "srv2", target: "srv1" });
    // What ran there is no copy of anything any more.
    expect(site.guests.has(9112)).toBe(false);
    expect(site.guests.has(9212)).toBe(true);
    site.remove();
  });

  test("needs the word of consent, and says since when what was written is lost", async () => {
    const site = await failedOver();
    const before = site.changes.length;
    const { refusals } = await undo(site, "sql-erp", { acceptLoss: false });
    expect(refusals.map(({ code, message, fix }) => `${code} ${message} ${fix}`)).toEqual([
      expect.stringMatching(/^OPERATION-LOSS .*sql-erp on srv1 since 2026-11-22T02:00:00Z .*--accept-loss/),
    ]);
    expect(site.changes).toHaveLength(before);
    site.remove();
  });

  test("one guest alone", async () => {
    const site = await failedOver();
    await undo(site, "sql-erp");
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "113 on srv2", "114 on srv1", "9112 on srv1"]);
    site.remove();
  });

  test("ended after each of its steps and run again, it reaches the same end", async () => {
    const first = await failedOver();
    const { steps } = (await undo(first)) as { steps: { id: string }[] };
    first.remove();
    for (const { id } of steps.slice(0, -1)) {
      const site = await failedOver();
      await undo(site, "srv2", { lastStep: id });
      await undo(site);
      expect([id, site.running(), site.twice]).toEqual([id, AT_HOME, []]);
      site.remove();
    }
  });

  test.each(["block", "assign", "start-sql-erp"])(
    "gives back what a failover left in the middle after '%s'",
    async (step) => {
      const site = await failedOver(false, step);
      expect((await undo(site)).refusals).toEqual([]);
      expect(site.running()).toEqual(AT_HOME);
      expect(site.twice).toEqual([]);
      site.remove();
    },
  );

  test("refuses while the primary's server is off", async () => {
    const site = await failedOver();
    site.kill("srv2");
    const { refusals } = await undo(site, "sql-erp");
    expect(refusals.map(({ code }) => code)).toEqual(["OPERATION-SERVER-DOWN"]);
    expect(refusals[0]!.fix).toMatch(/bring srv2 back/);
    site.remove();
  });

  test("refuses after a planned switch: the old side follows the new one", async () => {
    const site = await failedOver(true);
    const { refusals } = await undo(site, "sql-erp");
    expect(refusals.map(({ code, fix }) => `${code} ${fix}`)).toEqual([
      expect.stringMatching(/OPERATION-NOTHING-TO-UNDO .*coldspare failback sql-erp/),
    ]);
    site.remove();
  });

  test("refuses at home", async () => {
    const site = new FakeSite();
    expect((await undo(site)).refusals.map(({ code }) => code)).toEqual(["OPERATION-NOT-AWAY"]);
    site.remove();
  });

  describe("the site's own commands", () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), "coldspare-undo-"));
    });
    afterEach(() => rmSync(folder, { recursive: true }));
    const seen = () => readFileSync(join(folder, "seen"), "utf8").trim().split("\n");

    /** Writes down when and for whom it ran. */
    const command = (when: ManifestCommand["when"], required = false): ManifestCommand => {
      const text = `${when} $COLDSPARE_GUEST$COLDSPARE_GROUP $COLDSPARE_FROM $COLDSPARE_TO`;
      const script = `echo "${text}" >> ${join(folder, "seen")}`;
      return { when, on: "operator", run: ["sh", "-c", script], timeoutSeconds: 10, required };
    };
    const every = () =>
      (["before-stop", "after-stop", "before-start", "after-start"] as const).map((each) => command(each));

    /** sql-erp and docker-1 are a group; remote-app has commands of its own. */
    const withCommands = () =>
      new FakeSite((manifest) => {
        const guests = ["sql-erp", "docker-1"];
        manifest.groups.erp = { guests, order: 1, delaySeconds: 0, commands: every() };
        for (const name of guests) manifest.guests[name]!.group = "erp";
        manifest.guests["sql-erp"]!.commands = every();
        manifest.guests["remote-app"]!.commands = every();
        return manifest;
      });

    test("an address that the failover had moved comes home: guests and groups, with the primary as the target", async () => {
      const site = await failedOver(false, undefined, withCommands());
      rmSync(join(folder, "seen"), { force: true });
      expect((await undo(site)).refusals).toEqual([]);
      expect(seen()).toEqual([
        "after-stop remote-app srv1 srv2",
        "after-stop sql-erp srv1 srv2",
        "after-stop erp srv1 srv2",
        "before-start erp srv1 srv2",
        "before-start sql-erp srv1 srv2",
        "after-start sql-erp srv1 srv2",
        "after-start erp srv1 srv2",
        "before-start remote-app srv1 srv2",
        "after-start remote-app srv1 srv2",
      ]);
      expect(site.running()).toEqual(AT_HOME);
      site.remove();
    });

    test("what is set before a stop is left out, as the stop is hard, and the plan says so", async () => {
      const site = await failedOver(false, undefined, withCommands());
      const { steps } = (await undo(site)) as { steps: { id: string; title: string }[] };
      const titles = steps.filter(({ id }) => id.startsWith("stop-")).map(({ title }) => title);
      expect(titles).toEqual([
        expect.stringMatching(
          /^stop remote-app \(9112\) on srv1, hard: what is set before a stop is left out \(sh -c .*before-stop/,
        ),
        expect.stringMatching(/^stop docker-1 .*, hard: .*before-stop/),
        expect.stringMatching(/^stop sql-erp .*, hard: .*before-stop/),
      ]);
      site.remove();
    });

    test("one that must succeed and does not stops the undo; run again, it goes on there", async () => {
      const site = new FakeSite((manifest) => {
        manifest.guests["sql-erp"]!.commands = [{ ...command("after-stop", true), run: ["false"] }];
        return manifest;
      });
      await failedOver(false, undefined, site);
      await expect(undo(site)).rejects.toThrow(/after the stop of sql-erp/);
      expect(site.running()).not.toContain("113 on srv2");
      site.manifest.guests["sql-erp"]!.commands = [command("after-stop", true)];
      await undo(site);
      expect(seen()).toEqual(["after-stop sql-erp srv1 srv2"]);
      expect(site.running()).toEqual(AT_HOME);
      site.remove();
    });
  });
});
