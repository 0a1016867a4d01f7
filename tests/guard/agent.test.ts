import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { Servers, SQL } from "./servers";

// Terms of three seconds: what is measured here is that things happen, in order and in time, not how long a site would wait.
const TIMES = ["term 3", "renew 0.9", "stop 0.2"];

/** watchdog-mux, as far as a client sees it. */
class Watchdog {
  connections = 0;
  /** Milliseconds between two signs of life on one connection, at least. */
  shortestPause = Number.POSITIVE_INFINITY;
  /** How each connection ended: 'V' came first, or not. */
  readonly ends: ("disarmed" | "lost")[] = [];
  private readonly server: Server;
  constructor(file: string) {
    this.server = createServer((socket) => {
      this.connections++;
      let disarmed = false;
      let before: number | undefined;
      socket.on("data", (data) => {
        disarmed = data.toString().endsWith("V");
        const now = Date.now();
        if (before !== undefined && !disarmed) this.shortestPause = Math.min(this.shortestPause, now - before);
        before = now;
      });
      socket.on("error", () => undefined);
      socket.on("close", () => this.ends.push(disarmed ? "disarmed" : "lost"));
    }).listen(file);
  }
  close(): void {
    this.server.close();
  }
}

const sites: Servers[] = [];
const watchdogs: Watchdog[] = [];
function leaseSite(options: { times?: string[]; fencing?: "lease" | "confirm" } = {}): {
  site: Servers;
  watchdog: Watchdog;
} {
  const site = new Servers({ fencing: options.fencing ?? "lease", times: options.times ?? TIMES, guests: [SQL] });
  sites.push(site);
  site.put("srv2/run/nothing", "");
  const watchdog = new Watchdog(join(site.folder, "srv2/run/watchdog-mux.sock"));
  watchdogs.push(watchdog);
  site.run("srv2", ["reconcile"]);
  return { site, watchdog };
}
afterAll(() => {
  for (const watchdog of watchdogs) watchdog.close();
  for (const site of sites) site.remove();
});

const pause = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));
async function until(what: string, holds: () => boolean, seconds = 25): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await pause(25);
  }
}
const uptime = () => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
const alive = (pid: number | undefined) => pid !== undefined && existsSync(`/proc/${pid}`);
const agentRuns = (site: Servers) => site.exists("srv2/run/coldspare/agent/main");
const leaseUntil = (site: Servers) =>
  Number(/until=([\d.]+)/.exec(site.read("srv2/run/coldspare/validity/sql-erp"))?.[1] ?? 0);

describe("the agent under leases", () => {
  // Each waits for real seconds to pass; they share them.
  test.concurrent("renews; when the voters go silent it stops the guest in time, whatever hangs", async () => {
    const { site, watchdog } = leaseSite();
    const agent = site.start("srv2", ["agent"]);
    await until("agent", () => agentRuns(site));
    expect(site.hook("srv2", 113).code).toBe(0);
    const guest = site.guest("srv2", 113);
    site.run("srv2", ["hook", "113", "post-start"]);
    const first = leaseUntil(site);
    await until("renewals", () => leaseUntil(site) > first + 0.6);
    expect(alive(guest.pid)).toBe(true);
    expect(watchdog.connections).toBe(1);
    // watchdog-mux feeds the server's watchdog only in a second without a sign: talking all the time resets the server.
    await until("a second sign of life", () => Number.isFinite(watchdog.shortestPause));
    expect(watchdog.shortestPause).toBeGreaterThan(1500);
    // renewals count no starts
    const said = site.ask("srv1", "read", "sql-erp")["sql-erp"];
    expect(said?.holder).toBe("srv2");
    expect(Number(said?.grants)).toBeLessThanOrEqual(1);

    site.put("srv2/tool.hangs", "");
    site.mode("srv1", "hang");
    site.mode("backup-1", "fail");
    const cut = Date.now();
    await until("guest off", () => guest.signalCode === "SIGKILL");
    // Term 3 s, a turn of the loop, 1.2 s for the tool that hangs, and patience with a busy machine; tool and voter hang for 40 s.
    expect(Date.now() - cut).toBeLessThan(20_000);
    await until("disarmed", () => watchdog.ends[0] === "disarmed");
    agent.kill("SIGTERM");
    await until("agent ended", () => agent.exitCode === 0);
  }, 60_000);

  test.concurrent("beside it: two voters that hang cost a start a few seconds, then it is refused", async () => {
    const { site } = leaseSite({ fencing: "confirm" });
    site.mode("srv1", "hang");
    site.mode("backup-1", "hang");
    const began = Date.now();
    const refused = await site.runAside("srv2", ["hook", "113", "pre-start"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/srv1 +no answer: no answer in time/);
    expect(Date.now() - began).toBeLessThan(20_000);
  }, 60_000);

  test.concurrent("beside it: grants that are over before the start could begin let nothing start", async () => {
    const { site } = leaseSite();
    const born = readFileSync("/proc/self/stat", "utf8").replace(/.*\) /s, "").split(" ")[19];
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    site.put("srv2/run/coldspare/agent/main", `boot=${boot} pid=${process.pid} born=${born} at=100\n`);
    site.clock("srv2", 100);
    // the server sleeps for minutes while the others' grants are on their way
    site.mode("srv1", "suspend");
    site.mode("backup-1", "suspend");
    const refused = await site.runAside("srv2", ["hook", "113", "pre-start"]);
    expect(refused.code).toBe(1);
    // the answers come in the same moment as the new time, or after the patience with them is over
    expect(refused.stderr).toMatch(/the grants were over before the start could begin|no answer in time/);
  }, 60_000);

  test.concurrent("a start that hangs is ended with its lease", async () => {
    const { site } = leaseSite();
    site.start("srv2", ["agent"]);
    await until("agent", () => agentRuns(site));
    const task = site.slowStart("srv2", 113);
    await until("the hook let it pass", () => site.exists("srv2/passed"));
    const first = leaseUntil(site);
    await until("renewals", () => leaseUntil(site) > first + 0.6);
    site.mode("srv1", "fail");
    site.mode("backup-1", "fail");
    await until("task ended", () => task.signalCode === "SIGKILL");
    expect(leaseUntil(site)).toBeLessThan(uptime());
  }, 60_000);

  test.concurrent("stops the guest when another server may run it", async () => {
    const { site } = leaseSite();
    site.start("srv2", ["agent"]);
    await until("agent", () => agentRuns(site));
    expect(site.hook("srv2", 113).code).toBe(0);
    const guest = site.guest("srv2", 113);
    site.claim("op", "sql-erp=1@-", "srv1", "backup-1");
    await until("guest off", () => guest.signalCode !== null);
    expect(site.read("srv2/tool.log")).toContain("stop 113 --skiplock --timeout 0.2");
  }, 60_000);

  test.concurrent("ended by hand it leaves a keeper, which a new agent relieves and the end of the lease ends", async () => {
    const { site, watchdog } = leaseSite({ times: ["term 5", "renew 0.9", "stop 0.2"] });
    const agent = site.start("srv2", ["agent"]);
    await until("agent", () => agentRuns(site));
    expect(site.hook("srv2", 113).code).toBe(0);
    const guest = site.guest("srv2", 113);
    await until("armed", () => watchdog.connections === 1);
    agent.kill("SIGTERM");
    await until("agent ended", () => agent.exitCode === 0);
    expect(watchdog.ends).toEqual([]);
    const second = site.start("srv2", ["agent"]);
    await until("relieved", () => watchdog.connections === 2 && watchdog.ends[0] === "disarmed");
    // a reload keeps process and watchdog
    second.kill("SIGHUP");
    const renewed = leaseUntil(site);
    await until("renewals after the reload", () => leaseUntil(site) > renewed + 0.6);
    expect(second.exitCode).toBeNull();
    expect(alive(guest.pid)).toBe(true);
    expect(watchdog).toMatchObject({ connections: 2, ends: ["disarmed"] });
    second.kill("SIGTERM");
    await until("guest off", () => guest.signalCode !== null);
    await until("keeper gone", () => watchdog.ends.length === 2);
    expect(watchdog.ends).toEqual(["disarmed", "disarmed"]);
  }, 60_000);

  test.concurrent("killed, it lets the watchdog bite; started again after the lease it stops what still runs", async () => {
    const { site, watchdog } = leaseSite();
    const agent = site.start("srv2", ["agent"]);
    await until("agent", () => agentRuns(site));
    expect(site.hook("srv2", 113).code).toBe(0);
    const guest = site.guest("srv2", 113);
    await until("armed", () => watchdog.connections === 1);
    site.mode("srv1", "fail");
    site.mode("backup-1", "fail");
    agent.kill("SIGKILL");
    await until("connection lost", () => watchdog.ends[0] === "lost");
    const end = leaseUntil(site);
    await until("lease over", () => uptime() > end);
    expect(alive(guest.pid)).toBe(true);
    site.start("srv2", ["agent"]);
    await until("guest off", () => guest.signalCode !== null, 3);
  }, 60_000);

  test.concurrent("an incoming migration is no guest that runs; once it does, the side that it left gives it up", async () => {
    const { site } = leaseSite();
    site.claim("op", "sql-erp=1@srv1", "srv1", "srv2", "backup-1");
    site.start("srv2", ["agent"]);
    await until("agent", () => agentRuns(site));
    expect(site.hook("srv2", 113, { PVE_MIGRATED_FROM: "srv1" }).code).toBe(0);
    const guest = site.guest("srv2", 113);
    await until("seen", () => leaseUntil(site) > 0);
    const grace = leaseUntil(site);
    await until("first term over", () => uptime() > grace + 0.7);
    expect(alive(guest.pid)).toBe(true);
    site.config("srv2", 113);
    await until("given up", () => site.ask("srv1", "read", "sql-erp")["sql-erp"]?.server === "srv2");
    await until("granted", () => /held=.*srv1:\d/.test(site.read("srv2/run/coldspare/validity/sql-erp")));
    expect(alive(guest.pid)).toBe(true);
  }, 60_000);

  test.concurrent("with a person's permission it goes on while the voters are silent, not when they say no", async () => {
    const { site } = leaseSite();
    site.mode("srv1", "fail");
    site.mode("backup-1", "fail");
    expect(site.run("srv2", ["allow", "sql-erp", "--because", "srv1 is on fire"]).code).toBe(0);
    site.start("srv2", ["agent"]);
    await until("agent", () => agentRuns(site));
    expect(site.hook("srv2", 113).code).toBe(0);
    const guest = site.guest("srv2", 113);
    await until("seen", () => leaseUntil(site) > 0);
    const grace = leaseUntil(site);
    await until("first term over", () => uptime() > grace + 0.7);
    expect(alive(guest.pid)).toBe(true);
    site.claim("op", "sql-erp=7@srv1", "srv1", "backup-1");
    site.mode("srv1", "up");
    site.mode("backup-1", "up");
    await until("guest off", () => guest.signalCode !== null);
  }, 60_000);
});
