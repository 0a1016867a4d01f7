/**
 * The SMB site's whole life with the real engine and the real bridged provider against the lab, step by step in one
 * stack: each test goes on where the one before it ended.
 */
import type { SiteReport, SiteSpecInput } from "../../planning";
import type { EngineRun, StateResource } from "./engine";
import { SiteLab, smbSite } from "./site-lab";

jest.setTimeout(300_000);

interface GuestResource {
  vmid: number;
  name: string;
  node: string;
  status: string;
  tags?: string;
}

let site: SiteLab;
let spec: SiteSpecInput;

beforeAll(async () => {
  spec = smbSite();
  site = await SiteLab.start(spec, {}, "planned");
});

afterAll(() => site?.end());

const guests = () => site.pve.get<GuestResource[]>("/cluster/resources", { type: "vm" });
const config = (node: string, vmid: number) =>
  site.pve.get<Record<string, string | number>>(`/nodes/${node}/qemu/${vmid}/config`);
const uptime = async (node: string, vmid: number) =>
  (await site.pve.get<{ uptime: number }>(`/nodes/${node}/qemu/${vmid}/status/current`)).uptime;
const replicationJobs = () => site.pve.get<{ id: string; source: string; target: string }[]>("/cluster/replication");

/** Waits until the cluster's own list shows a guest as running: it lags a few seconds behind, as the real one does. */
async function runs(vmid: number, node: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = (await guests()).find((guest) => guest.vmid === vmid);
    if (found?.node === node && found.status === "running") return;
    if (Date.now() > deadline) throw new Error(`guest ${vmid} does not run on ${node}: ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Calls that changed something at the hypervisors since the last reset. */
const changingCalls = async () => (await site.control<{ changing: number }>("GET", "/calls")).changing;
const resetCalls = () => site.control("POST", "/calls/reset");

function guest(name: string): NonNullable<SiteSpecInput["guests"]>[string] {
  const found = spec.guests?.[name];
  if (!found) throw new Error(`the layout has no guest ${name}`);
  return found;
}

function fine(run: EngineRun): EngineRun {
  if (run.code !== 0) throw new Error(run.log);
  return run;
}

/** What changed, with the kinds of change: a step must do this and nothing else. */
const changed = (run: EngineRun) => run.steps.map((step) => step.replace(/urn:.*::/, "")).sort();

it("previews the whole site without a call that changes anything", async () => {
  await resetCalls();
  const run = fine(await site.stack.preview());
  expect(run.changes.create).toBeGreaterThanOrEqual(28);
  expect(await changingCalls()).toBe(0);
});

it("brings the site up: guests run on their primaries, replicas lie on their spares", async () => {
  const run = fine(await site.stack.up());
  expect(Object.keys(run.changes)).toEqual(["create"]);
  const resources = await guests();
  const where = Object.fromEntries(resources.map(({ name, node, status }) => [name, `${status} on ${node}`]));
  expect(where).toEqual({
    "dc-1": "running on srv1",
    "files-1": "running on srv1",
    "remote-app": "running on srv2",
    "sql-erp": "running on srv2",
    "docker-1": "running on srv2",
    "remote-app-spare": "stopped on srv1",
  });
  const jobs = (await replicationJobs()).map(({ id, source, target }) => `${id} ${source} to ${target}`).sort();
  expect(jobs).toEqual(["110-0 srv1 to srv2", "111-0 srv1 to srv2", "113-0 srv2 to srv1", "114-0 srv2 to srv1"]);
});

it("marks both sides with tags and notes", async () => {
  const primary = await config("srv2", 112);
  expect(String(primary.tags).split(";")).toEqual(["availability", "coldspare", "coldspare-primary", "windows"]);
  expect(primary.description).toContain("- Active: primary (srv2)");
  const standby = await config("srv1", 9112);
  expect(String(standby.tags).split(";")).toEqual(["availability", "coldspare", "coldspare-spare", "windows"]);
  expect(standby.description).toContain("Powered-off spare of remote-app (primary: srv2).");
  expect(standby.onboot).toBe(0);
});

it("exports who runs where, and what each loss means", async () => {
  const report = await site.stack.outputs<SiteReport>();
  expect(report.guests["sql-erp"]).toMatchObject({
    id: 113,
    primary: "srv2",
    spare: "srv1",
    activeSide: "primary",
    activeServer: "srv2",
    method: "storage-replication",
    recoveryPoint: { promisedSeconds: 600 },
  });
  expect(report.losses.srv1?.survives).toBe(true);
  expect(report.losses.srv2?.survives).toBe(true);
  expect(report.servers.srv1?.capacity.afterLossOf.srv2?.fits).toBe(true);
  // A week between two swaps, a day between two backups, and the hours that a backup takes.
  expect(report.siteLoss.worstCaseLossSeconds).toBeGreaterThan(7 * 86_400);
  expect(report.siteLoss.worstCaseLossSeconds).toBeLessThan(7.5 * 86_400);
  expect(report.findings.filter(({ severity }) => severity === "error")).toEqual([]);
});

it("changes nothing when it is run again, and nothing with --refresh", async () => {
  await resetCalls();
  const again = fine(await site.stack.up());
  expect(changed(again)).toEqual([]);
  const refreshed = fine(await site.stack.up("--refresh"));
  expect(refreshed.changes).toEqual({ same: expect.any(Number) });
  expect(await changingCalls()).toBe(0);
});

it("keeps no secret in clear: not in the state, not in the outputs, not in what was printed", async () => {
  const { text, resources } = await site.stack.state();
  const outputs = JSON.stringify(await site.stack.outputs());
  const { token } = site;
  const shown = await site.stack.pulumi(["stack", "export", "--show-secrets"]);
  const password = passwordOf(JSON.parse(shown.log).deployment.resources);
  expect(password).toHaveLength(24);
  for (const secret of [token, token.split("=")[1] ?? token, site.lab.tokens.rootPassword, password]) {
    expect(text).not.toContain(secret);
    expect(outputs).not.toContain(secret);
    expect(site.stack.printed()).not.toContain(secret);
  }
  expect(resources.length).toBeGreaterThan(20);
});

it("adds at most 2.5 KB to the state for each dynamic resource", async () => {
  const { resources } = await site.stack.state();
  const dynamic = resources.filter(({ type }) => type.startsWith("pulumi-nodejs:dynamic/coldspare:"));
  expect(dynamic).toHaveLength(5);
  const bytes = Object.fromEntries(
    dynamic.map((resource) => [resource.urn.split("::").pop(), Buffer.byteLength(JSON.stringify(resource))]),
  );
  console.info("bytes of state for each dynamic resource", bytes);
  for (const size of Object.values(bytes)) expect(size).toBeLessThanOrEqual(2560);
});

it("grows memory and cores in place: no restart, they count from the next one", async () => {
  guest("files-1").memoryGiB = 5;
  guest("files-1").cores = 3;
  site.writeSite(spec);
  const before = await uptime("srv1", 111);
  const run = fine(await site.stack.up());
  expect(changed(run)).toEqual(["update files-1-vm"]);
  expect(await config("srv1", 111)).toMatchObject({ memory: "5120", cores: 3 });
  expect(await uptime("srv1", 111)).toBeGreaterThanOrEqual(before);
});

it("grows a disk while the guest runs", async () => {
  const disk = guest("files-1").disks[1];
  if (disk) disk.sizeGiB = 640;
  site.writeSite(spec);
  const before = await uptime("srv1", 111);
  const run = fine(await site.stack.up());
  expect(changed(run)).toEqual(["update files-1-vm"]);
  expect((await config("srv1", 111)).scsi1).toContain("size=640G");
  expect(await uptime("srv1", 111)).toBeGreaterThanOrEqual(before);
  expect(changed(fine(await site.stack.up("--refresh")))).toEqual([]);
});

it("grows cores, memory and a disk at once in a machine with hotplug, while it runs", async () => {
  // Both larger would be more than one server carries when the other is lost.
  const { memoryGiB, cores } = smbSite().guests?.["files-1"] ?? {};
  Object.assign(guest("files-1"), { memoryGiB, cores });
  const docker = guest("docker-1");
  docker.cores = 3;
  docker.memoryGiB = 5;
  if (docker.disks[1]) docker.disks[1].sizeGiB = 110;
  site.writeSite(spec);
  const before = await uptime("srv2", 114);
  const run = fine(await site.stack.up());
  expect(changed(run).sort()).toEqual(["update docker-1-vm", "update files-1-vm"]);
  expect(await config("srv2", 114)).toMatchObject({ cores: 4, vcpus: 3, memory: "5120", numa: 1 });
  expect((await config("srv2", 114)).scsi1).toContain("size=110G");
  expect(await uptime("srv2", 114)).toBeGreaterThanOrEqual(before);
});

it("refuses a disk that shrinks at preview, with the way out, before anything is touched", async () => {
  const smaller = structuredClone(spec);
  const disk = smaller.guests?.["files-1"]?.disks[1];
  if (disk) disk.sizeGiB = 500;
  site.writeSite(smaller);
  await resetCalls();
  const run = await site.stack.preview();
  site.writeSite(spec);
  expect(run.code).not.toBe(0);
  expect(run.log).toMatch(/DISK-SHRINKS guests\.files-1\.disks\[1\]\.sizeGiB: .*640 GiB.*500 GiB/);
  expect(run.log).toMatch(/fix: Keep 640 GiB\. To get smaller: add a disk of 500 GiB/);
  expect(await changingCalls()).toBe(0);
});

it("refuses the site that is too large, with every finding at once", async () => {
  site.stack.writeConfig(site.config({ "coldspare:siteFile": undefined, "coldspare:layout": "smb-site-too-large" }));
  await resetCalls();
  const run = await site.stack.preview();
  site.stack.writeConfig(site.config());
  expect(run.code).not.toBe(0);
  expect(run.log).toMatch(/Site smb cannot be built as it is specified/);
  for (const code of ["CAPACITY-MEMORY", "CAPACITY-GUEST-CORES", "STORAGE-FULL"]) expect(run.log).toContain(code);
  expect(run.steps.filter((step) => !step.includes("pulumi:pulumi:Stack"))).toEqual([]);
  expect(await changingCalls()).toBe(0);
});

it("mends drift that was made behind its back", async () => {
  await site.pve.put("/nodes/srv1/qemu/110/config", { cores: 1, tags: "somebody-was-here" });
  await site.pve.put("/nodes/srv1/qemu/9112/config", { onboot: 1 });
  const run = fine(await site.stack.up("--refresh"));
  expect(changed(run).filter((step) => step.startsWith("update"))).toEqual([
    "update dc-1-vm",
    "update remote-app-standby",
  ]);
  expect(await config("srv1", 110)).toMatchObject({
    cores: 2,
    tags: "coldspare;coldspare-primary;confidentiality;windows",
  });
  expect((await config("srv1", 9112)).onboot).toBe(0);
});

it("refreshes the restored standby into the other id, and keeps the last good one", async () => {
  await site.pve.task(
    "srv2",
    "POST",
    "/nodes/srv2/vzdump",
    { vmid: 112, storage: "backup-nfs", mode: "snapshot", compress: "zstd" },
    { doing: "back up guest 112" },
  );
  site.stack.writeConfig(site.config({ "coldspare:refreshToken": "second" }));
  const run = fine(await site.stack.up());
  expect(changed(run)).toEqual(["update remote-app-standby"]);
  const standbys = (await guests()).filter(({ name }) => name === "remote-app-spare");
  expect(standbys.map(({ vmid, status, node }) => `${vmid} ${status} ${node}`).sort()).toEqual([
    "9112 stopped srv1",
    "9212 stopped srv1",
  ]);
  const { resources } = await site.stack.state();
  expect(resources.find(({ urn }) => urn.endsWith("::remote-app-standby"))?.outputs).toMatchObject({ standbyId: 9212 });
  expect(changed(fine(await site.stack.up("--refresh")))).toEqual([]);
});

it("goes on after a spare was activated by hand: nothing is deleted or replaced", async () => {
  await site.control("POST", "/nodes/srv2/kill");
  // By hand, as long as no command does it: the job is disabled, the configuration moved, the guest started.
  await site.pve.put("/cluster/replication/113-0", { disable: true });
  await site.control("POST", "/config-move", { vmid: 113, from: "srv2", to: "srv1" });
  await site.pve.task("srv1", "POST", "/nodes/srv1/qemu/113/status/start", {}, { doing: "start guest 113" });
  await runs(113, "srv1");

  const active = { "sql-erp": "spare" };
  site.stack.writeConfig(site.config({ "coldspare:active": active, "coldspare:refreshToken": "second" }));
  const whileDead = await site.stack.preview();
  expect(whileDead.steps.filter((step) => /delete|replace/.test(step))).toEqual([]);

  await site.control("POST", "/nodes/srv2/revive");
  await resetCalls();
  const after = fine(await site.stack.up("--refresh"));
  expect(after.steps.filter((step) => /delete|replace/.test(step))).toEqual([]);
  const { calls } = await site.control<{ calls: Record<string, number> }>("GET", "/calls");
  expect(Object.keys(calls).filter((call) => call.startsWith("DELETE"))).toEqual([]);
  await runs(113, "srv1");
  expect((await replicationJobs()).find(({ id }) => id === "113-0")).toMatchObject({ source: "srv1", target: "srv2" });
  const report = await site.stack.outputs<SiteReport>();
  expect(report.guests["sql-erp"]).toMatchObject({ activeSide: "spare", activeServer: "srv1" });
  expect(changed(fine(await site.stack.up()))).toEqual([]);
});

it("moves no guest because of a record: a config that was reverted is refused, with what to type", async () => {
  site.stack.writeConfig(site.config({ "coldspare:refreshToken": "second" }));
  await resetCalls();
  const run = await site.stack.preview();
  expect(run.code).not.toBe(0);
  expect(run.log).toMatch(/ACTIVE-MISMATCH guests\.sql-erp: sql-erp is active on its spare \(srv1\)/);
  expect(run.log).toContain("pulumi config set --path 'coldspare:active.sql-erp' spare");
  expect(await changingCalls()).toBe(0);
});

it("records that the guest is home again: an update in place, and every URN is what it was", async () => {
  const urns = async () => (await site.stack.state()).resources.map(({ urn }: StateResource) => urn).sort();
  const before = await urns();
  await site.pve.task(
    "srv1",
    "POST",
    "/nodes/srv1/qemu/113/migrate",
    { target: "srv2", online: true, "with-local-disks": true },
    { doing: "migrate guest 113" },
  );
  // Without a refresh the provider would look for the guest where it last was.
  const run = fine(await site.stack.up("--refresh"));
  expect(run.steps.filter((step) => /delete|replace/.test(step))).toEqual([]);
  expect(changed(run)).toContain("update sql-erp-vm");
  expect((await guests()).find(({ vmid }) => vmid === 113)?.node).toBe("srv2");
  expect(await urns()).toEqual(before);
});

it("destroys what it made, and nothing else", async () => {
  await site.pve.task(
    "srv1",
    "POST",
    "/nodes/srv1/qemu",
    { vmid: 900, name: "somebody-elses", memory: 128 },
    { doing: "create guest 900" },
  );
  fine(await site.stack.destroy());
  expect((await guests()).map(({ vmid }) => vmid)).toEqual([900]);
  expect(await replicationJobs()).toEqual([]);
  const jobs = await site.pve.get<unknown[]>("/cluster/backup");
  expect(jobs).toEqual([]);
});

/** The generated password of the Docker host, as only `--show-secrets` shows it. */
function passwordOf(resources: StateResource[]): string {
  const generated = resources.find(({ type }) => type === "random:index/randomPassword:RandomPassword");
  const result = generated?.outputs?.result;
  const plain = typeof result === "object" && result !== null ? Reflect.get(result, "plaintext") : result;
  return typeof plain === "string" && plain.startsWith('"') ? (JSON.parse(plain) as string) : String(plain);
}
