/** A site of our own whose state is lost comes back without a word to its guests: the real engine and provider, the lab. */
import type { SiteSpecInput } from "../../planning";
import { adoptInto, asItIs, killing, loseState, uptimes } from "./adopt-stack";
import { SiteLab, smbSite } from "./site-lab";
import { changed, fine } from "./small-site";

jest.setTimeout(300_000);

let site: SiteLab;
let spec: SiteSpecInput;

beforeAll(async () => {
  spec = smbSite();
  site = await SiteLab.start(spec);
  fine(await site.stack.up());
});
afterAll(() => site?.end());

const calls = () => site.control<{ changing: number; calls: Record<string, number> }>("GET", "/calls");
const resetCalls = () => site.control("POST", "/calls/reset");
const changing = async () =>
  Object.fromEntries(Object.entries((await calls()).calls).filter(([call]) => !call.startsWith("GET ")));

it("shows what it would take over, and writes nothing", async () => {
  await loseState(site.stack);
  await resetCalls();
  const { outcome, plan } = await adoptInto(site.stack, { agree: false });
  expect(outcome).toBe("declined");
  expect(plan.imports.map(({ name, id }) => `${name} ${id}`).sort()).toEqual([
    "dc-1-vm srv1/110",
    "docker-1-vm srv2/114",
    "files-1-vm srv1/111",
    "remote-app-vm srv2/112",
    "smb-backup-nightly smb-nightly",
    "smb-storage-backup-nfs backup-nfs",
    "sql-erp-vm srv2/113",
    "srv1-dns srv1",
    "srv1-time srv1",
    "srv2-dns srv2",
    "srv2-time srv2",
  ]);
  expect((await site.stack.state()).resources).toEqual([]);
  expect(await changing()).toEqual({});
});

it("refuses while the site file says something else, and names it", async () => {
  const other = structuredClone(spec);
  Object.assign(other.guests!["dc-1"]!, { memoryGiB: 5, agent: true });
  site.writeSite(other);
  await resetCalls();
  const { outcome, refusals } = await adoptInto(site.stack);
  site.writeSite(spec);
  expect(outcome).toBe("refused");
  expect(refusals.map(({ code, subject }) => `${code} ${subject}`)).toEqual(["OPERATION-ADOPT-CHANGES dc-1-vm"]);
  expect(refusals[0]?.message).toContain("memory.dedicated: 4096 there, 5120 in the site file");
  expect(refusals[0]?.message).toContain("agent: ");
  expect((await site.stack.state()).resources).toEqual([]);
  expect(await changing()).toEqual({});
});

it("refuses a replication job with another schedule, which a preview of resources does not show", async () => {
  const other = structuredClone(spec);
  const guest = other.guests!["dc-1"]!;
  if (guest.coldReplica) guest.coldReplica.schedule = "*/10";
  site.writeSite(other);
  const { outcome, refusals } = await adoptInto(site.stack);
  site.writeSite(spec);
  expect(outcome).toBe("refused");
  expect(refusals[0]?.message).toContain("110-0 runs at '*/15', the site file says '*/10'");
});

it("takes over without a call that changes a guest, and the next updates have nothing to do", async () => {
  const before = await asItIs(site.pve);
  const running = await uptimes(site.pve);
  await resetCalls();
  const { outcome, refusals, plan } = await adoptInto(site.stack);
  expect(refusals).toEqual([]);
  expect(outcome).toBe("done");
  expect(plan.imports).toHaveLength(11);
  // A download of a file that is there leaves it as it is; the provider cannot import files.
  expect(await changing()).toEqual({ "POST /nodes/{node}/storage/{storage}/download-url": 2 });
  await resetCalls();
  expect(changed(fine(await site.stack.up()))).toEqual([]);
  expect(changed(fine(await site.stack.up("--refresh")))).toEqual([]);
  expect(await changing()).toEqual({});
  expect(await asItIs(site.pve)).toEqual(before);
  const later = await uptimes(site.pve);
  for (const [vmid, uptime] of running) expect(later.get(vmid)).toBeGreaterThanOrEqual(uptime);
});

it("has nothing to do when it is run again", async () => {
  await resetCalls();
  const { outcome, backup } = await adoptInto(site.stack);
  expect(outcome).toBe("nothing");
  expect(backup).toBeUndefined();
  expect(await changing()).toEqual({});
});

it("changes afterwards what the site file changes, and that alone", async () => {
  const other = structuredClone(spec);
  other.guests!["files-1"]!.cores = 3;
  site.writeSite(other);
  const before = (await asItIs(site.pve))["qemu/111"] as { config: Record<string, unknown> };
  expect(changed(fine(await site.stack.up()))).toEqual(["update files-1-vm"]);
  const after = (await asItIs(site.pve))["qemu/111"] as { config: Record<string, unknown> };
  expect({ ...after.config, digest: "" }).toEqual({ ...before.config, cores: 3, digest: "" });
  expect(changed(fine(await site.stack.up("--refresh")))).toEqual([]);
});

it("goes on where a run was killed: while it imports, and while it completes the state", async () => {
  await loseState(site.stack);
  const before = await asItIs(site.pve);
  await resetCalls();
  const reads = async () =>
    Object.entries((await calls()).calls).find(([call]) => call.includes("status/current"))?.[1] ?? 0;
  let looked = Number.POSITIVE_INFINITY;
  const whileImporting = killing("up", async () => {
    if (looked === Number.POSITIVE_INFINITY) looked = await reads();
    return (await reads()) > looked;
  });
  expect((await adoptInto(site.stack, { engine: whileImporting })).outcome).toBe("failed");
  await site.stack.pulumi(["cancel", "--yes"], undefined, true);
  const whileCompleting = killing("stack import", async () => true);
  expect((await adoptInto(site.stack, { engine: whileCompleting })).outcome).toBe("failed");
  await site.stack.pulumi(["cancel", "--yes"], undefined, true);
  const { outcome, refusals } = await adoptInto(site.stack);
  expect(refusals).toEqual([]);
  expect(outcome).toBe("done");
  expect(changed(fine(await site.stack.up()))).toEqual([]);
  expect(Object.keys(await changing()).filter((call) => !call.endsWith("download-url"))).toEqual([]);
  expect(await asItIs(site.pve)).toEqual(before);
});
