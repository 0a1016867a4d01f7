/** `coldspare shutdown` and `coldspare start` when not everything answers: nothing is left out unsaid, and the rest goes on. */
import type { Operator } from "../../operations/context";
import { readLive } from "../../operations/live";
import { planSiteDown, planSiteUp, type SitePowerPlan } from "../../operations/plan-site-power";
import { mayNotSwitchOff, runSitePower, sitePowerSteps } from "../../operations/power-order-run";
import { begin } from "../../operations/run-operation";
import type { SomeFailed } from "../../operations/steps";
import type { PveClient } from "../../providers/pve/client";
import { PveError } from "../../providers/pve/errors";
import { FakeSite } from "./fake-site";

let site: FakeSite;
/** Servers whose API hangs, whose API refuses to switch them off, and that come up at their power switch. */
const hangs = new Set<string>();
const refuses = new Set<string>();
const stuck = new Set<number>();
const off: string[] = [];

beforeEach(() => {
  site = new FakeSite();
  site.privileges.push("Sys.PowerMgmt");
  for (const each of [hangs, refuses, stuck]) each.clear();
  off.length = 0;
});
afterEach(() => site.remove());

const failure = (server: string, call: string, status: number, reason: string) =>
  new PveError({ server, call, status, reason });

function api(client: PveClient, server: string): PveClient {
  return {
    ...client,
    async get(path: string, query?: Record<string, string>) {
      if (hangs.has(server)) throw new PveError({ server, call: path, status: 0, reason: "hangs", code: "ETIMEDOUT" });
      if (path === "/version" && site.up.get(server)) return {};
      return client.get(path, query);
    },
    async post(path: string, form?: Record<string, string>) {
      if (path !== `/nodes/${server}/status`) return client.post(path, form);
      if (refuses.has(server)) throw failure(server, path, 403, "Permission check failed");
      off.push(`${server} by API`);
      site.kill(server);
      return null;
    },
    async task(node: string, method: "POST", path: string, form: Record<string, string>) {
      const vmid = Number(/\/(\d+)\/status\/shutdown$/.exec(path)?.[1]);
      if (stuck.has(vmid)) throw failure(server, path, 200, "got timeout");
      return client.task(node, method, path, form, {});
    },
  } as unknown as PveClient;
}

function operator(): Operator {
  const real = site.operator();
  const run: Operator["ssh"]["run"] = async (server, argv, options) => {
    const [program = "", verb = "", id] = argv;
    // Whoever does not answer does not answer this either.
    if (program === "true" || program === "shutdown") await real.ssh.run(server, ["rm"]);
    if (program === "true") return { code: 0, stdout: "", stderr: "" };
    const guest = site.guests.get(Number(id));
    if (program === "shutdown") {
      off.push(`${server} by SSH`);
      site.kill(server);
      return { code: 255, stdout: "", stderr: "" };
    }
    if (program !== "qm" || verb === "unlock") return real.ssh.run(server, argv, options);
    if (guest?.server !== server) return { code: 2, stdout: "", stderr: `file '${id}.conf' does not exist` };
    if (verb === "shutdown") guest.running = false;
    return { code: 0, stdout: `status: ${guest.running ? "running" : "stopped"}\n`, stderr: "" };
  };
  return {
    ...real,
    ssh: { run, close: async () => undefined },
    pveAt: (server) => {
      const client = real.pveAt(server);
      return client && api(client, server);
    },
  };
}

const options = { guestsOnly: false, stopSeconds: 60 };
const ids = (plan: SitePowerPlan) => sitePowerSteps(operator(), plan).map(({ id }) => id);
const titles = (plan: SitePowerPlan) => sitePowerSteps(operator(), plan).map(({ title }) => title);

async function down() {
  const live = await readLive(operator());
  return planSiteDown(site.manifest, live, {
    ...options,
    mayNotSwitchOff: await mayNotSwitchOff(operator(), live),
  });
}

async function run(plan: SitePowerPlan): Promise<SomeFailed | undefined> {
  const mine = operator();
  const begun = await begin(mine, plan.way, "smb", plan);
  try {
    await runSitePower(mine, begun, sitePowerSteps(mine, plan));
    return undefined;
  } catch (error) {
    if ((error as Error).name !== "StepFailed") throw error;
    return error as SomeFailed;
  }
}

/** As failovers of srv2 have left it: everything of it is active on srv1, the volumes' configurations moved. */
function failedOver(): void {
  for (const name of ["sql-erp", "remote-app", "docker-1"]) {
    const { voters, vmid, method } = site.manifest.guests[name]!;
    for (const voter of voters)
      Object.assign(site.votes.get(voter)!.get(name)!, { epoch: 4, server: "srv1", by: "failover" });
    const guest = site.guests.get(vmid)!;
    guest.running = false;
    if (method !== "restore") guest.server = "srv1";
  }
  site.guests.get(9112)!.config.tags = "coldspare;coldspare-spare;coldspare-active";
}

function powerCut(): void {
  for (const server of site.up.keys()) site.kill(server);
}

/** Somebody presses the buttons while the command waits. */
function comesUp(...servers: string[]): void {
  const { operator: make } = site;
  site.operator = (...args) => {
    const made = make.apply(site, args);
    const sleep = made.clock.sleep.bind(made.clock);
    made.clock.sleep = async (seconds) => {
      await sleep(seconds);
      for (const server of servers) site.up.set(server, true);
    };
    return made;
  };
}

test("a server whose API hangs goes down over SSH, with the guests that run there", async () => {
  hangs.add("srv2");
  const { plan, refusals, warnings } = await down();
  expect({ refusals, warnings }).toEqual({ refusals: [], warnings: [] });
  expect(ids(plan)).toEqual([
    "stop-docker-1-114",
    "stop-remote-app-112",
    "stop-sql-erp-113",
    "stop-files-1",
    "stop-dc-1",
    "off-srv1",
    "off-srv2",
    "off-backup-1",
  ]);
  expect(titles(plan)).toContain("switch srv2 off over SSH (its API does not answer as it should)");
  expect(await run(plan)).toBeUndefined();
  expect(site.running()).toEqual([]);
  expect(off).toEqual(["srv1 by API", "srv2 by SSH", "backup-1 by SSH"]);
});

test("a server that does not answer at all is named, with what is active there", async () => {
  site.kill("srv2");
  const { plan, refusals, warnings } = await down();
  expect(refusals).toEqual([]);
  expect(warnings).toMatchObject([{ code: "OPERATION-SERVER-SILENT", subject: "srv2" }]);
  expect(warnings[0]!.message).toMatch(/^srv2 does not answer, with .*sql-erp.*, which are active there: it is taken/);
  expect(ids(plan)).not.toContain("off-srv2");
});

test("a server that only we do not reach is tried, and told", async () => {
  site.cutOff.add("srv2");
  const { plan, warnings } = await down();
  expect(warnings).toMatchObject([{ code: "OPERATION-SERVER-SILENT", subject: "srv2" }]);
  const failed = await run(plan);
  expect(failed?.failures.map(({ step }) => step.id)).toEqual(["off-srv2"]);
  expect(off).toEqual(["srv1 by API", "backup-1 by SSH"]);
});

test("a guest that does not end fails the operation at its end, and keeps nothing on", async () => {
  stuck.add(113);
  const { plan } = await down();
  const failed = await run(plan);
  expect(failed?.parts).toEqual(["guest sql-erp"]);
  expect(off).toHaveLength(3);
  const [newest] = await operator().journal.operations();
  expect(newest?.closed?.outcome).toBe("abandoned");
});

test("a server that refuses to go down by its API goes down over SSH; without SSH it is told, and the others go down", async () => {
  const { plan } = await down();
  refuses.add("srv1");
  refuses.add("srv2");
  delete site.manifest.servers.srv1!.ssh;
  const failed = await run(plan);
  expect(failed?.parts).toEqual(["server srv1"]);
  expect(failed?.message).toMatch(/switch srv1 off: .*Permission check failed/);
  expect(off).toEqual(["srv2 by SSH", "backup-1 by SSH"]);
});

test("a token without Sys.PowerMgmt: over SSH, and where SSH does not lead it is refused", async () => {
  site.privileges = site.privileges.filter((name) => name !== "Sys.PowerMgmt");
  delete site.manifest.servers.srv1!.ssh;
  const { plan, refusals } = await down();
  expect(titles(plan)).toContain("switch srv2 off over SSH (the token lacks Sys.PowerMgmt there)");
  expect(refusals).toMatchObject([{ code: "OPERATION-PRIVILEGE", subject: "srv1" }]);
});

test("start after a power cut: guests that had failed over start where their records say", async () => {
  failedOver();
  powerCut();
  const { plan } = planSiteUp(site.manifest, await readLive(operator()), { stopSeconds: 60 });
  expect(titles(plan)).toContain("start sql-erp where its record says");
  comesUp("srv1", "srv2", "backup-1");
  expect(await run(plan)).toBeUndefined();
  expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "113 on srv1", "114 on srv1", "9112 on srv1"]);
  expect(site.twice).toEqual([]);
});

test("start: a server that stays off costs its own guests, named with the way out, and no others", async () => {
  powerCut();
  const { plan } = planSiteUp(site.manifest, await readLive(operator()), { stopSeconds: 60 });
  comesUp("srv1", "backup-1");
  const failed = await run(plan);
  expect(site.running()).toEqual(["110 on srv1", "111 on srv1"]);
  expect(failed?.parts).toEqual(["server srv2", "guest sql-erp", "guest remote-app", "guest docker-1"]);
  expect(failed?.message).toMatch(/wait until srv2 answers: it does not answer 15 minutes after/);
  expect(failed?.message).toMatch(
    /sql-erp where its record says: .*srv2, which does not answer.*`coldspare failover srv2`/,
  );
  // Nothing is left open that would keep that failover back, and nobody waited for what cannot come.
  expect((await operator().journal.openOperations()).length).toBe(0);
  expect(site.slept).toBeLessThan(1500);
});

test("start: what the boot unit has started meanwhile is done, and what the guard refuses is told", async () => {
  powerCut();
  const { plan } = planSiteUp(site.manifest, await readLive(operator()), { stopSeconds: 60 });
  for (const server of ["backup-1", "srv1", "srv2"]) site.revive(server);
  site.guests.get(113)!.running = false;
  for (const voter of ["srv1", "backup-1"])
    Object.assign(site.votes.get(voter)!.get("sql-erp")!, { epoch: 9, server: "-", by: "failover-srv2-x" });
  site.changes.length = 0;
  const failed = await run(plan);
  expect(failed?.parts).toEqual(["guest sql-erp"]);
  expect(failed?.message).toMatch(/left in the middle/);
  expect(site.changes).toEqual([]);
});
