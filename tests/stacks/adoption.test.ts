/** By which id what exists is imported, and what is refused before anything is registered. */
import { planSite } from "../../planning";
import { adopting, adoptionMode, importId, refuseOtherReplication } from "../../stacks/adoption";
import { existingOf } from "../../stacks/existing";

const cluster = existingOf([
  {
    guests: [
      { vmid: 110, node: "srv2", type: "qemu", status: "running" },
      { vmid: 120, node: "srv1", type: "lxc", status: "running" },
    ],
    storages: ["backup-nfs", "tank"],
    networks: ["srv1:vmbr0", "srv1:vmbr0.20"],
    jobs: ["smb-nightly"],
    pools: ["web"],
    replication: [{ id: "110-0", guest: 110, jobnum: 0, source: "srv2", target: "srv1", schedule: "*/5", rate: "10" }],
  },
]);
const alone = existingOf(
  ["srv1", "srv2"].map((server) => ({
    server,
    guests: [{ vmid: 110, node: server, type: "qemu", status: "stopped" }],
    storages: server === "srv1" ? ["tank"] : [],
    networks: [],
    jobs: [],
    pools: [],
    replication: [],
  })),
);
const VM = "proxmoxve:index/vmLegacy:VmLegacy";

it.each<[string, Record<string, unknown>, string | undefined]>([
  [VM, { vmId: 110, nodeName: "srv1" }, "srv2/110"],
  [VM, { vmId: 120, nodeName: "srv1" }, undefined],
  ["proxmoxve:index/containerLegacy:ContainerLegacy", { vmId: 120, nodeName: "srv1" }, "srv1/120"],
  ["proxmoxve:storage/nfs:Nfs", { resourceId: "backup-nfs", nodes: ["srv1", "srv2"] }, "backup-nfs"],
  ["proxmoxve:storage/pbs:Pbs", { resourceId: "office" }, undefined],
  ["proxmoxve:backup/job:Job", { resourceId: "smb-nightly" }, "smb-nightly"],
  ["proxmoxve:index/poolLegacy:PoolLegacy", { poolId: "web" }, "web"],
  ["proxmoxve:network/linux/bridge:Bridge", { nodeName: "srv1", name: "vmbr0" }, "srv1:vmbr0"],
  ["proxmoxve:network/linux/vlan:Vlan", { nodeName: "srv2", name: "vmbr0.20" }, undefined],
  ["proxmoxve:index/dnsLegacy:DnsLegacy", { nodeName: "srv1" }, "srv1"],
  ["proxmoxve:index/timeLegacy:TimeLegacy", { nodeName: "srv1" }, "srv1"],
  ["proxmoxve:download/file:File", { nodeName: "srv1", fileName: "a.qcow2" }, undefined],
  ["pulumi-nodejs:dynamic/coldspare:ReplicationPair", { vmid: 110 }, undefined],
])("%s %j is imported by %s", (type, inputs, id) => {
  expect(importId(type, inputs, cluster)).toBe(id);
});

it("takes of a guest that is on both servers the wanted one, and a storage of its own server only", () => {
  expect(importId(VM, { vmId: 110, nodeName: "srv2" }, alone)).toBe("srv2/110");
  expect(importId("proxmoxve:storage/zfspool:Zfspool", { resourceId: "tank", nodes: ["srv1"] }, alone)).toBe("tank");
  expect(importId("proxmoxve:storage/zfspool:Zfspool", { resourceId: "tank", nodes: ["srv2"] }, alone)).toBeUndefined();
});

it("ignores beside what the component ignores what stands in the state alone, but not while it is only looked", () => {
  const resource = { type: VM, name: "db-vm", props: { vmId: 110, nodeName: "srv2" }, resource: undefined as never };
  const opts = { ignoreChanges: ["hookScriptFileId"], protect: true };
  expect(adopting(cluster, "look")({ ...resource, opts })?.opts).toEqual({ ...opts, import: "srv2/110" });
  const taken = adopting(cluster, "take")({ ...resource, opts })?.opts as { ignoreChanges: string[] };
  expect(taken.ignoreChanges).toEqual(expect.arrayContaining(["hookScriptFileId", "migrate", "agent", "watchdog"]));
  const again = adopting(cluster, "take", new Set(["db-vm"]))({ ...resource, opts })?.opts;
  expect(again).toEqual({ ...opts, ignoreChanges: taken.ignoreChanges });
  expect(adopting(cluster, "take")({ ...resource, props: { vmId: 999 }, opts })).toBeUndefined();
});

it.each([
  [undefined, undefined],
  ["", undefined],
  ["false", undefined],
  ["look", "look"],
  ["take", "take"],
  ["true", "take"],
] as const)("COLDSPARE_ADOPT=%s is the mode %s", (word, mode) => {
  expect(adoptionMode(word === undefined ? {} : { COLDSPARE_ADOPT: word })).toBe(mode);
});

it("refuses a mode that it does not know", () => {
  expect(() => adoptionMode({ COLDSPARE_ADOPT: "yes" })).toThrow("write look or take");
});

describe("a replication job that exists", () => {
  const storage = { type: "zfspool" as const, sizeGiB: 500, content: ["images" as const] };
  const server = { roles: ["hypervisor" as const], cores: 8, memoryGiB: 32, storages: { tank: storage } };
  const plan = (schedule: string, rateMBps?: number) =>
    planSite({
      site: { name: "smb", cluster: "smb" },
      servers: { srv1: server, srv2: server },
      guests: {
        db: {
          kind: "vm",
          os: "linux",
          id: 110,
          on: "srv1",
          cores: 1,
          memoryGiB: 1,
          disks: [{ sizeGiB: 10, storage: "tank" }],
          coldReplica: { on: "srv2", method: "storage-replication", schedule, ...(rateMBps ? { rateMBps } : {}) },
        },
      },
    });

  it("is taken as it is, in whichever direction it runs", () => {
    expect(() => refuseOtherReplication(plan("*/5", 10), cluster)).not.toThrow();
    expect(() => refuseOtherReplication(plan("*/15"), alone)).not.toThrow();
  });

  it("is refused with everything that differs", () => {
    expect(() => refuseOtherReplication(plan("*/15"), cluster)).toThrow(
      /guests\.db\.coldReplica\.schedule: 110-0 runs at '\*\/5', the site file says '\*\/15'\n.*rateMBps: 110-0 has 10, the site file says none/,
    );
  });
});
