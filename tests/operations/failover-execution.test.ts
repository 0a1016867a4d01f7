/** What a failover does beyond the plain case: an older point, room that is made, an address in another subnet, commands. */
import { failoverSteps } from "../../operations/failover";
import { failoverFacts } from "../../operations/failover-facts";
import { readLive } from "../../operations/live";
import { type FailoverRequest, planFailover } from "../../operations/plan-failover";
import { begin, runOperation } from "../../operations/run-operation";
import type { ManifestCommand, SiteManifest } from "../../planning/manifest";
import { FakeSite } from "./fake-site";

const request: FailoverRequest = {
  server: "srv2",
  guests: [],
  planned: false,
  acceptStale: false,
  confirmOff: "srv2",
  forceFence: false,
};

let site: FakeSite;
afterEach(() => site.remove());

async function failover(change: Partial<FailoverRequest> = {}) {
  const operator = site.operator();
  const asked = { ...request, ...change };
  const live = await readLive(operator);
  const { plan, refusals } = planFailover(site.manifest, live, await failoverFacts(operator, live, asked, []), asked);
  expect(refusals).toEqual([]);
  const begun = await begin(operator, "failover", "srv2", plan);
  const steps = failoverSteps(operator, begun.operation, plan, { wait: false, record: false });
  await runOperation(operator, begun, steps);
  return { plan, steps: steps.map(({ id }) => id) };
}

test("--to-point: the chosen backup is restored into the standby whose turn it is, and that one is started", async () => {
  site = new FakeSite();
  site.kill("srv2");
  const volid = "backup-nfs:backup/old.vma.zst";
  site.backups.push({ vmid: 112, volid, ctime: Date.parse("2026-11-10T03:00:00Z") / 1000 });
  const newest = { ...site.guests.get(9112)!.config };
  await failover({ guests: ["remote-app"], toPoint: "2026-11-12T00:00:00Z" });
  expect(site.running()).toEqual(["110 on srv1", "111 on srv1", "9212 on srv1"]);
  expect(site.guests.get(9212)!.config.description).toContain(`2026-11-10T03:00:00Z from ${volid}`);
  // The newest good copy is still what it was.
  expect(site.guests.get(9112)).toMatchObject({ running: false, config: newest });
  expect(site.twice).toEqual([]);
});

test("room is made: what may be shed on the spare is shut down before the first start, and nothing else", async () => {
  site = new FakeSite((manifest: SiteManifest) => {
    const { guests, servers } = manifest;
    const needed = ["dc-1", "sql-erp", "remote-app", "docker-1"].map((name) => guests[name]!.memoryGiB);
    servers.srv1!.memoryLimitGiB = needed.reduce((sum, each) => sum + each, 0) + 4;
    Object.assign(guests["files-1"]!, { sheddable: true, priority: 0 });
    return { ...manifest, allowShedding: true };
  });
  site.kill("srv2");
  const { plan, steps } = await failover();
  expect(plan.stops.map(({ guest }) => guest)).toEqual(["files-1"]);
  expect(plan.left).toEqual([]);
  expect(site.running()).not.toContain("111 on srv1");
  expect(site.running()).toHaveLength(4);
  expect(steps.indexOf("shed-files-1")).toBeGreaterThan(steps.indexOf("assign"));
  const started = site.changes.findIndex((what) => /status\/start/.test(what));
  expect(site.changes.findIndex((what) => /111\/status\/shutdown/.test(what))).toBeLessThan(started);
});

test("a machine with cloud-init starts with the address, bridge and DNS of the spare's subnet", async () => {
  site = new FakeSite((manifest: SiteManifest) => {
    const guest = manifest.guests["sql-erp"]!;
    guest.cloudInit = true;
    guest.spareNetworks = guest.networks.map(({ vlan: _, ...card }) => ({
      ...card,
      bridge: "vmbr7",
      address: "10.9.0.13/24",
      gateway: "10.9.0.1",
      dnsServers: ["10.9.0.2"],
    }));
    return manifest;
  });
  site.kill("srv2");
  const atStart: Record<string, string>[] = [];
  site.onChange = (what) => {
    if (/113\/status\/start/.test(what)) atStart.push({ ...site.guests.get(113)!.config });
  };
  await failover({ guests: ["sql-erp"] });
  expect(atStart).toHaveLength(1);
  expect(atStart[0]).toMatchObject({
    net0: "virtio=BC:24:11:00:00:01,bridge=vmbr7",
    ipconfig0: "ip=10.9.0.13/24,gw=10.9.0.1",
    nameserver: "10.9.0.2",
  });
  expect(site.running()).toContain("113 on srv1");
});

test("a domain controller among several gets a fresh generation id before its start, others keep theirs", async () => {
  site = new FakeSite((manifest: SiteManifest) => {
    manifest.guests["sql-erp"]!.role = "domain-controller";
    return manifest;
  });
  site.privileges.push("VM.Config.HWType");
  site.kill("srv2");
  const ids: (string | undefined)[] = [];
  site.onChange = (what) => {
    if (/113\/status\/start/.test(what)) ids.push(site.guests.get(113)!.config.vmgenid);
  };
  await failover({ freshGeneration: true });
  expect(ids).toEqual(["1"]);
  expect(site.guests.get(9112)!.config.vmgenid).toBeUndefined();
});

describe("commands", () => {
  const command = (change: Partial<ManifestCommand>): ManifestCommand => ({
    when: "before-start",
    on: "operator",
    run: ["/bin/true"],
    timeoutSeconds: 5,
    required: true,
    ...change,
  });
  const withCommands = (...commands: ManifestCommand[]) =>
    new FakeSite((manifest) => {
      manifest.guests["sql-erp"]!.commands = commands;
      return manifest;
    });

  test("one that must succeed and does not leaves the guest off, and the same command goes on with it", async () => {
    site = withCommands(command({ run: ["/bin/false"] }));
    site.kill("srv2");
    await expect(failover({ guests: ["sql-erp"] })).rejects.toThrow(/`\/bin\/false` on operator, which must succeed/);
    expect(site.running()).toEqual(["110 on srv1", "111 on srv1"]);
  });

  test("those of the dead server keep nothing from its start", async () => {
    site = withCommands(command({ on: "primary" }), command({ when: "before-stop", run: ["/bin/false"] }));
    site.kill("srv2");
    const { steps } = await failover({ guests: ["sql-erp"] });
    expect(steps).toContain("before-start-sql-erp");
    expect(steps).not.toContain("before-stop-sql-erp");
    expect(site.running()).toContain("113 on srv1");
    expect(site.said.some(({ text }) => /left out: srv2 is the server that is gone/.test(text))).toBe(true);
  });
});
