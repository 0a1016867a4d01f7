import { painter } from "../../cli/table";
import { statusText } from "../../cli/text-status";
import { readLive } from "../../operations/live";
import { siteStatus } from "../../operations/status";
import { claimAt, NOBODY } from "../../operations/voters";
import { FakeSite, SYNCED } from "./fake-site";

async function statusOf(site: FakeSite) {
  return siteStatus(await readLive(site.operator()), site.manifest);
}

describe("status", () => {
  let site: FakeSite;
  beforeEach(() => {
    site = new FakeSite((manifest) => ({ ...manifest, drills: {} }));
  });
  afterEach(() => site.remove());

  test("a site at home: every guest ready, with the age of its copy against the promise", async () => {
    const { guests, servers, ok } = await statusOf(site);
    expect(Object.values(guests).map(({ name, state }) => `${name} ${state}`)).toEqual([
      "dc-1 ready",
      "docker-1 ready",
      "files-1 ready",
      "remote-app ready",
      "sql-erp ready",
    ]);
    expect(guests["sql-erp"]!.recoveryPoint).toEqual({
      at: new Date(SYNCED * 1000).toISOString(),
      ageSeconds: 300,
      promisedSeconds: site.manifest.guests["sql-erp"]!.recoveryPointSeconds,
      kept: true,
    });
    expect(servers.srv1).toMatchObject({ state: "up", quorate: true, running: 2, problems: [] });
    expect(ok).toBe(true);
  });

  test("a copy older than promised is stale, and says both figures", async () => {
    site.time += 7200_000;
    const { guests, ok } = await statusOf(site);
    expect(guests["sql-erp"]!.state).toBe("stale");
    expect(guests["sql-erp"]!.problems.join()).toMatch(/its copy is 2 h 5 min old, promised are/);
    expect(ok).toBe(false);
  });

  test("a dead server is down, and its guests are still known by their voters", async () => {
    site.kill("srv2");
    const { servers, guests } = await statusOf(site);
    expect(servers.srv2).toMatchObject({ state: "down", seenByOthers: false });
    expect(guests["sql-erp"]).toMatchObject({
      activeServer: "srv2",
      activeSide: "primary",
      runsOn: [],
      runsUnseen: ["srv2"],
    });
    // From the snapshots on the spare: the server that knows of the last run is dead.
    expect(guests["sql-erp"]!.recoveryPoint?.ageSeconds).toBe(300);
    expect(statusText(await statusOf(site), 100, painter(false))).toMatch(/srv2 +down/);
  });

  test("a block that was left behind, a side that runs where it may not, and two that run", async () => {
    const operator = site.operator();
    const erp = site.manifest.guests["sql-erp"]!;
    const by = "failback-sql-erp-20261122T030000Z-12ab+ben@desk";
    await claimAt(operator, [erp], { "sql-erp": { epoch: 9, server: NOBODY } }, by);
    await claimAt(operator, [site.manifest.guests["docker-1"]!], { "docker-1": { epoch: 9, server: "srv1" } }, by);
    site.guests.get(9112)!.running = true;
    const { guests } = await statusOf(site);
    expect(guests["sql-erp"]).toMatchObject({ state: "failing-back", activeSide: "none" });
    expect(guests["docker-1"]!.problems.join()).toMatch(/runs on srv2, while its voters say srv1/);
    expect(guests["remote-app"]).toMatchObject({ state: "unknown" });
    expect(guests["remote-app"]!.problems.join()).toMatch(/runs on srv2 and srv1 at once/);
  });

  test("after a failover: failed over, and diverged once the old side is back", async () => {
    const operator = site.operator();
    const erp = site.manifest.guests["sql-erp"]!;
    await claimAt(operator, [erp], { "sql-erp": { epoch: 9, server: "srv1" } }, "x");
    Object.assign(site.guests.get(113)!, { server: "srv1", running: true });
    Object.assign(site.jobs.get("113-0")!, { disable: true });
    expect((await statusOf(site)).guests["sql-erp"]!.state).toBe("diverged");
    site.kill("srv2");
    expect((await statusOf(site)).guests["sql-erp"]!.state).toBe("failed-over");
  });

  test("a drill that failed or is overdue is a problem", async () => {
    site = new FakeSite((manifest) => ({
      ...manifest,
      drills: { monthly: { guests: ["sql-erp"], maximumAgeSeconds: 86_400 } },
    }));
    expect((await statusOf(site)).guests["sql-erp"]!.problems).toEqual(["no drill was ever made"]);
    site.drills.push({ guest: "sql-erp", at: "2026-11-20T03:00:00Z", ok: true, recoveryTimeSeconds: 95 });
    const { lastDrill, problems } = (await statusOf(site)).guests["sql-erp"]!;
    expect(lastDrill).toMatchObject({ ok: true, overdue: true, recoveryTimeSeconds: 95 });
    expect(problems).toEqual(["its last drill is 2 d ago, allowed are 1 d"]);
  });

  test("a guest that is off where it belongs is a problem, unless that is meant or it is being moved", async () => {
    const off = site.guests.get(113)!;
    off.running = false;
    const now = await statusOf(site);
    expect(now.ok).toBe(false);
    expect(now.guests["sql-erp"]!.problems).toEqual(["does not run on srv2: start it there, or look why it stopped"]);
    expect(statusText(now, 100, painter(false))).not.toMatch(/all is well/);
    off.config.lock = "backup";
    expect((await statusOf(site)).guests["sql-erp"]!.problems).toEqual([
      "does not run on srv2, where it is locked (backup)",
    ]);
    off.config.lock = "migrate";
    expect((await statusOf(site)).guests["sql-erp"]!.problems).toEqual([]);
    delete off.config.lock;
    for (const votes of site.votes.values()) votes.get("sql-erp")!.since = new Date(site.time - 60_000).toISOString();
    expect((await statusOf(site)).guests["sql-erp"]!.problems).toEqual([]);
    for (const votes of site.votes.values()) delete votes.get("sql-erp")!.since;
    site.manifest.guests["sql-erp"]!.boot.atHostBoot = false;
    expect(await statusOf(site)).toMatchObject({ ok: true, guests: { "sql-erp": { problems: [] } } });
  });

  test("a guest whose server does not answer is not said to be off", async () => {
    site.kill("srv2");
    expect((await statusOf(site)).guests["sql-erp"]!.problems.join()).not.toMatch(/does not run/);
  });

  test.each(["docker-1", "remote-app"])("%s was given to the spare and never brought up", async (name) => {
    const operator = site.operator();
    const guest = site.manifest.guests[name]!;
    site.guests.get(guest.vmid)!.running = false;
    await claimAt(operator, [guest], { [name]: { epoch: 9, server: "srv1" } }, "failover-srv2-20261122T020000Z-1+me");
    const { guests } = await statusOf(site);
    expect(guests[name]).toMatchObject({ state: "failed-over", activeServer: "srv1", runsOn: [] });
    expect(guests[name]!.problems).toEqual([
      "was given to srv1 and never brought up: run the failover again (`coldspare failover srv2`)",
    ]);
  });

  test("replication that a switch back has left off: diverged, and the command that goes on is named", async () => {
    Object.assign(site.jobs.get("113-0")!, { disable: true });
    const { guests, ok } = await statusOf(site);
    expect(guests["sql-erp"]).toMatchObject({ state: "diverged", activeSide: "primary" });
    expect(guests["sql-erp"]!.problems.join()).toMatch(
      /replication 113-0 is disabled, and what is on srv1 may be its own: `coldspare failback sql-erp` offers/,
    );
    expect(ok).toBe(false);
    site.kill("srv1");
    expect((await statusOf(site)).guests["sql-erp"]!.problems.join()).toMatch(
      /replication 113-0 is disabled: once srv1 is back, `coldspare failback sql-erp` switches it on again/,
    );
  });

  test("replication that a drill has paused is no old side of anybody", async () => {
    Object.assign(site.jobs.get("113-0")!, { disable: true });
    site.pausedJobs.push("113-0");
    const { "sql-erp": erp } = (await statusOf(site)).guests;
    expect(erp).toMatchObject({ state: "ready" });
    expect(erp!.problems.join()).toMatch(/a drill on srv1 has paused it/);
  });
});
