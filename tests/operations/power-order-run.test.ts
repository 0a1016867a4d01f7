import { readLive } from "../../operations/live";
import { planSiteDown, planSiteUp } from "../../operations/plan-site-power";
import { sitePowerSteps } from "../../operations/power-order-run";
import { runSteps } from "../../operations/steps";
import { APP, ReturnSite, SQL } from "./return-site";

let site: ReturnSite;
beforeAll(async () => {
  site = await ReturnSite.start();
  await site.failOver();
});
afterAll(() => site.remove());

const down = { guestsOnly: false, stopSeconds: 60 };
const titles = (plan: Parameters<typeof sitePowerSteps>[1]) =>
  sitePowerSteps(site.operator(), plan).map(({ id }) => id);

async function run(plan: Parameters<typeof sitePowerSteps>[1]): Promise<void> {
  const operator = site.operator();
  const operation = await operator.journal.open(plan.way, "smb", operator.by, plan);
  await runSteps(operator, operation, sitePowerSteps(operator, plan));
}

test("down: guests where they are active now, against their start, then servers; only what is on", async () => {
  const { plan, refusals } = planSiteDown(site.manifest, await readLive(site.operator()), down);
  expect(refusals).toEqual([]);
  expect(titles(plan)).toEqual([`stop-${APP}`, `stop-${SQL}`, "off-srv1", "off-srv2", "off-backup-1"]);
  expect(plan.actions[0]).toMatchObject({ guest: APP, vmid: 9112, server: "srv1" });
  site.servers.down.add("srv1");
  const unreachable = planSiteDown(site.manifest, await readLive(site.operator()), down);
  expect(unreachable.refusals).toEqual([]);
  site.servers.down.clear();
});

test("up after guests went down: they start again on the side that is active, in order", async () => {
  const off = planSiteDown(site.manifest, await readLive(site.operator()), { ...down, guestsOnly: true });
  expect(titles(off.plan)).toEqual([`stop-${APP}`, `stop-${SQL}`]);
  await run(off.plan);
  expect((await site.guests()).filter((line) => / running /.test(line))).toEqual([]);
  const on = planSiteUp(site.manifest, await readLive(site.operator()), { stopSeconds: 60 });
  expect(titles(on.plan)).toEqual([`start-${SQL}`, `wait-${SQL}`, `start-${APP}`]);
  await run(on.plan);
  expect((await site.guests()).filter((line) => / running /.test(line))).toEqual([
    `113 ${SQL} running srv1`,
    `9112 ${APP}-spare running srv1`,
  ]);
});

test("two sides at once, and a helper without a way to it, are refused", async () => {
  const live = structuredClone(await readLive(site.operator()));
  live.guests[SQL]!.runningOn.push({ server: "srv2", vmid: 113, config: true, running: true, tags: [] });
  live.servers["backup-1"]!.ssh = "none";
  const { refusals } = planSiteDown(site.manifest, live, down);
  expect(refusals.map(({ code, subject }) => `${code} ${subject}`).sort()).toEqual([
    `OPERATION-BOTH-RUN ${SQL}`,
    "OPERATION-NO-SSH backup-1",
  ]);
});

test("a server that is off is switched on where that is possible, and waited for where it is not", async () => {
  const live = structuredClone(await readLive(site.operator()));
  for (const server of ["srv1", "srv2"]) Object.assign(live.servers[server]!, { api: "down", ssh: "down" });
  const manifest = structuredClone(site.manifest);
  manifest.servers.srv1!.power = { kind: "command", off: ["off"], on: ["on"], status: ["status"] };
  const { plan, warnings } = planSiteUp(manifest, live, { stopSeconds: 60 });
  expect(titles(plan).slice(0, 2)).toEqual(["on-srv2", "on-srv1"]);
  expect(warnings.map(({ subject }) => subject)).toEqual(["srv2"]);
});

test("a server goes down by its API, and that is enough for it", async () => {
  const { plan } = planSiteDown(site.manifest, await readLive(site.operator()), down);
  await run({
    ...plan,
    actions: plan.actions.filter((action) => action.kind === "server" && action.server !== "srv1"),
  });
  expect(site.servers.commands).toContain("backup-1: shutdown -h now");
  await site.trial.until(
    async () => {
      await site.trial.pass(60);
      const rows = await site.pve.get<{ type: string; name: string; online?: number }[]>("/cluster/status");
      return rows.find(({ name, type }) => name === "srv2" && type === "node");
    },
    (row) => row?.online === 0,
  );
});
