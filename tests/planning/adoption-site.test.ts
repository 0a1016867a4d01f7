import { importFile } from "../../planning/adoption/import-file";
import { interpretCluster } from "../../planning/adoption/interpret";
import type { BackupJobEntry, ClusterSnapshot, StorageEntry } from "../../planning/adoption/snapshot";
import { backupJob, byHand, cluster, container, machine, node, off, SMALL, storage } from "./adoption-samples";

const GIB = 1024 ** 3;
const interpreted = (more: Partial<ClusterSnapshot>) => interpretCluster(cluster(more));
const told = (more: Partial<ClusterSnapshot>, subject: string) =>
  interpreted(more)
    .left.filter((entry) => entry.subject === subject)
    .map(({ what }) => what)
    .join("\n");

describe("the site", () => {
  const { cluster: _cluster, ...alone } = cluster();
  test.each([
    ["the cluster's name", cluster(), undefined, { name: "office", cluster: "office", asFound: true }],
    ["a name of one's own", cluster(), "Main Office", { name: "main-office", cluster: "office", asFound: true }],
    ["the only server's name", { ...alone, nodes: [node("pve7")] }, undefined, { name: "pve7", asFound: true }],
    ["nothing that could be a name", { ...alone, cluster: "..." }, undefined, { name: "site", cluster: "cluster" }],
  ])("%s", (_what, snapshot, siteName, site) => {
    expect(interpretCluster(snapshot, siteName === undefined ? {} : { siteName }).site.site).toMatchObject(site);
  });
});

describe("servers", () => {
  test("sizes, address, bridges and VLANs as they are", () => {
    const pve1 = node("pve1", {
      networks: [
        { iface: "eno1", type: "eth" },
        { iface: "bond0", type: "bond" },
        { iface: "vmbr0", type: "bridge", bridge_ports: "bond0", cidr: "10.0.0.11/24", gateway: "10.0.0.1" },
        { iface: "vmbr1", type: "OVSBridge" },
        { iface: "vlan30", type: "vlan", "vlan-raw-device": "vmbr0", "vlan-id": 30, cidr: "10.30.0.11/24" },
        { iface: "bond0.40", type: "vlan" },
      ],
    });
    const { site, left } = interpreted({ nodes: [pve1] });
    expect(site.servers.pve1).toMatchObject({
      roles: ["hypervisor"],
      cores: 16,
      memoryGiB: 63.99,
      address: "192.168.10.11",
      bridges: {
        vmbr0: { ports: ["bond0"], vlanAware: false, address: "10.0.0.11/24", gateway: "10.0.0.1" },
        vmbr1: {},
      },
      vlans: {
        vlan30: { interface: "vmbr0", tag: 30, address: "10.30.0.11/24", managed: false },
        "bond0.40": { interface: "bond0", tag: 40, managed: false },
      },
    });
    expect(left).toContainEqual({
      subject: "network interfaces of pve1",
      what: expect.stringMatching(/^bond0 \(bond\): /),
    });
  });
  test("one that is off and of unknown size is left out", () => {
    const { site } = interpreted({ nodes: [node("pve1"), off("pve2")] });
    expect(Object.keys(site.servers)).toEqual(["pve1"]);
    expect(told({ nodes: [node("pve1"), off("pve2")] }, "server pve2")).toMatch(/it is off.*import again/);
  });
  test("one that is off and of known size is planned with", () => {
    const { site } = interpreted({ nodes: [node("pve1"), { ...off("pve2"), cores: 8, memory: 32 * GIB }] });
    expect(site.servers.pve2).toMatchObject({ cores: 8, memoryGiB: 32 });
  });
  test("a QDevice counts as a witness", () => {
    expect(interpreted({ qdevice: true }).site.servers.qdevice?.roles).toEqual(["witness"]);
    expect(interpreted({ qdevice: false }).site.servers.qdevice).toBeUndefined();
  });
});

describe("storages", () => {
  test("local ones on each server, shared ones once", () => {
    const { site } = interpreted({});
    expect(site.servers.pve2?.storages).toEqual({
      local: { type: "dir", sizeGiB: 100, content: ["iso", "vztmpl"], path: "/var/lib/vz" },
      tank: { type: "zfspool", sizeGiB: 1800, content: ["images", "rootdir"], pool: "rpool/data" },
    });
    expect(site.storages).toEqual({
      nas: {
        type: "nfs",
        server: "192.168.10.5",
        export: "/volume1/pve",
        sizeGiB: 4000,
        content: ["images", "backup"],
        managed: false,
      },
    });
  });
  const one = (entry: StorageEntry, active = true, total = 500 * GIB) =>
    interpreted({
      storages: [entry],
      nodes: [node("pve1", { storages: [{ storage: entry.storage, active, total, used: 0 }] }), node("pve2")],
    });
  test.each([
    ["lvmthin", { vgname: "pve", thinpool: "data" }, { pool: "pve/data" }],
    ["lvm", { vgname: "pve" }, { pool: "pve" }],
    ["btrfs", { path: "/mnt/b" }, { path: "/mnt/b" }],
  ])("a local %s", (type, options, said) => {
    const { site } = one(storage("fast", type, { options }));
    expect(site.servers.pve1?.storages?.fast).toEqual({ type, sizeGiB: 500, content: ["images", "rootdir"], ...said });
    expect(site.servers.pve2?.storages).toBeUndefined();
  });
  test.each([
    ["rbd", storage("ceph", "rbd", { options: { pool: "vms" } }), { type: "rbd" }],
    ["a directory", storage("gfs", "dir", { shared: true, options: { path: "/gfs" } }), { type: "dir" }],
    ["a plugin's", storage("san", "purestorage", { shared: true }), { type: "other" }],
    ["by one server", storage("x", "nfs", { options: { server: "192.168.10.11", export: "/x" } }), { server: "pve1" }],
    ["for some", storage("x", "rbd", { nodes: ["pve1", "gone"] }), { mountedBy: ["pve1"] }],
  ])("shared: %s", (_what, entry, said) => {
    expect(one(entry).site.storages?.[entry.storage]).toMatchObject({ ...said, sizeGiB: 500, managed: false });
  });
  test.each([
    ["disabled", storage("x", "dir", { disabled: true }), true, /is disabled/],
    ["of no known content", storage("x", "dir", { content: ["none"] }), true, /takes none/],
    ["of an unknown local type", storage("x", "esxi", { content: ["import"] }), true, /local storages of type esxi/],
    ["not active", storage("x", "zfspool"), false, /no server that answered has it active/],
    ["a share from nowhere", storage("x", "cifs"), true, /exported from could not be read/],
  ])("%s: told", (_what, entry, active, what) => {
    const { site, left } = one(entry, active);
    expect(site.storages ?? site.servers.pve1?.storages).toBeUndefined();
    expect(left).toContainEqual({ subject: "storage x", what: expect.stringMatching(what) });
  });
  test("a Proxmox Backup Server is a target", () => {
    const entry = storage("PBS-Main", "pbs", {
      content: ["backup"],
      options: { server: "192.168.10.12", datastore: "main", namespace: "office", username: "pve@pbs", port: "8008" },
    });
    const { site } = one(entry);
    expect(site.targets).toEqual({
      "pbs-main": {
        kind: "pbs",
        on: "pve2",
        port: 8008,
        datastore: "main",
        namespace: "office",
        sizeGiB: 500,
        username: "pve@pbs",
        managed: false,
        storage: "PBS-Main",
      },
    });
    expect(site.servers.pve2?.roles).toEqual(["hypervisor", "backup-server"]);
  });
  test("one whose datastore cannot be said is told", () => {
    const { site, left } = one(storage("pbs", "pbs", { options: { server: "a", datastore: "x" } }));
    expect(site.targets).toBeUndefined();
    expect(left).toContainEqual({ subject: "storage pbs", what: expect.stringMatching(/^datastore must be/) });
  });
});

describe("networks", () => {
  const web = (id: number, card: string, ipconfig0 = "ip=dhcp") =>
    machine(id, `web${id}`, { ...SMALL, net0: `virtio=BC:24:11:00:00:01,bridge=${card}`, ipconfig0 });
  test("one for each bridge and VLAN, with what the servers have there", () => {
    const pve = node("pve1", {
      networks: [
        { iface: "vmbr0", type: "bridge", bridge_ports: "bond0", cidr: "10.0.0.11/24", gateway: "10.0.0.1" },
        { iface: "vmbr1", type: "bridge" },
        { iface: "bond0.20", type: "vlan", cidr: "10.20.0.11/16" },
      ],
    });
    const guests = [web(100, "vmbr0"), web(101, "vmbr0,tag=20"), web(102, "vmbr1,tag=30"), web(103, "vmbr0,tag=30")];
    expect(interpreted({ nodes: [pve], guests }).site.networks).toEqual({
      vmbr0: { bridge: "vmbr0", subnet: "10.0.0.0/24", gateway: "10.0.0.1" },
      vlan20: { bridge: "vmbr0", vlan: 20, subnet: "10.20.0.0/16" },
      "vmbr0-vlan30": { bridge: "vmbr0", vlan: 30 },
      "vmbr1-vlan30": { bridge: "vmbr1", vlan: 30 },
    });
  });
  test("what all guests agree on, where the servers have nothing", () => {
    const guests = [
      web(100, "vmbr0,tag=20", "ip=10.20.0.5/24,gw=10.20.0.1"),
      web(101, "vmbr0,tag=20", "ip=10.20.0.6/24,gw=10.20.0.1"),
      web(102, "vmbr0,tag=20"),
    ];
    const { site } = interpreted({ guests });
    expect(site.networks).toEqual({
      vlan20: { bridge: "vmbr0", vlan: 20, subnet: "10.20.0.0/24", gateway: "10.20.0.1" },
    });
    expect(site.guests?.web100?.networks?.[0]?.address).toBe("10.20.0.5");
  });
  test("where they disagree it is left open, and the addresses are told", () => {
    const guests = [web(100, "vmbr0,tag=20", "ip=10.20.0.5/24"), web(101, "vmbr0,tag=20", "ip=10.20.0.6/16")];
    const { site, guests: all, left } = interpreted({ guests });
    expect(site.networks).toEqual({ vlan20: { bridge: "vmbr0", vlan: 20 } });
    expect(left).toContainEqual({ subject: "network vlan20", what: expect.stringContaining("10.20.0.0/16") });
    expect(all[0]?.left.join()).toContain("10.20.0.5/24");
  });
  test("a bridge that no server configures is one of SDN", () => {
    const { site, left } = interpreted({ guests: [web(100, "vnet7")] });
    expect(site.servers.pve2?.bridges).toHaveProperty("vnet7");
    expect(left).toContainEqual({ subject: "bridge vnet7", what: expect.stringContaining("SDN") });
  });
});

describe("backup jobs", () => {
  const guests = [
    machine(100, "a", SMALL, { pool: "office" }),
    machine(101, "b", SMALL, { node: "pve2" }),
    container(102, "c", { rootfs: "tank:x,size=8G", cores: "1" }, { pool: "office" }),
    machine(900, "template", SMALL, { template: true }),
  ];
  const policy = (job: Partial<BackupJobEntry>) =>
    interpreted({ guests, backupJobs: [backupJob("b1", job)] }).site.backups?.b1;
  test.each<[string, Partial<BackupJobEntry>, unknown]>([
    ["all", { all: true }, "all"],
    ["all but some", { all: true, exclude: [101] }, ["a", "c"]],
    ["all of a server", { all: true, node: "pve1" }, ["a", "c"]],
    ["a list", { vmids: [100, 900] }, ["a"]],
    ["a pool", { pool: "office" }, ["a", "c"]],
  ])("of %s", (_what, job, names) => {
    expect(policy(job)).toEqual({ storage: "nas", schedule: "22:30", guests: names, keep: {}, managed: false });
  });
  test.each<[string, Partial<BackupJobEntry>, object]>([
    ["rules of its own", { prune: { "keep-last": 3, "keep-monthly": 6 } }, { keep: { last: 3, monthly: 6 } }],
    ["everything", { prune: { "keep-all": 1 } }, { keep: {} }],
    ["a mode", { mode: "stop" }, { mode: "stop" }],
    ["no compression", { compress: "0" }, { compression: "none" }],
    ["a limit in KiB/s", { options: { bwlimit: "100000" } }, { bandwidthMBps: 102.4 }],
    ["fleecing", { options: { fleecing: "enabled=1,storage=tank" } }, { fleecing: { storage: "tank" } }],
  ])("with %s", (_what, job, said) => {
    expect(policy({ all: true, ...job })).toMatchObject(said);
  });
  test("the storage's rules, where the job has none", () => {
    const nas = cluster().storages.map((entry) =>
      entry.storage === "nas"
        ? { ...entry, options: { ...entry.options, "prune-backups": "keep-daily=7,keep-last=2" } }
        : entry,
    );
    const { site } = interpreted({ guests, storages: nas, backupJobs: [backupJob("b1", { all: true })] });
    expect(site.backups?.b1?.keep).toEqual({ last: 2, daily: 7 });
  });
  test("called by its comment", () => {
    const { site } = interpreted({
      guests,
      backupJobs: [backupJob("backup-4f", { all: true, options: { comment: "Every night" } })],
    });
    expect(Object.keys(site.backups ?? {})).toEqual(["every-night"]);
  });
  test.each<[string, Partial<BackupJobEntry>, RegExp]>([
    ["disabled", { enabled: false }, /it is disabled/],
    ["a schedule nobody can read", { schedule: "soon" }, /'soon' cannot be read/],
    ["a storage that is not there", { storage: "gone" }, /storage gone, which is not/],
    ["a storage without backups", { storage: "tank" }, /takes no backups/],
    ["nobody", { vmids: [900] }, /copies no guest/],
    ["an unknown mode", { mode: "odd" }, /mode cannot be said/],
  ])("%s: told", (_what, job, what) => {
    const found = interpreted({
      guests,
      backupJobs: [backupJob("b1", { all: true, ...job, ...(job.vmids && { all: false }) })],
    });
    expect(found.site.backups).toBeUndefined();
    expect(found.left.map((entry) => `${entry.subject}: ${entry.what}`).join("\n")).toMatch(what);
  });
});

test("what could not be read is never taken for nothing", () => {
  const unread = [{ what: "the firewall", why: "403 (/, Sys.Audit)" }];
  expect(told({ unread }, "the firewall")).toBe("not read: 403 (/, Sys.Audit)");
});

test("the import file has every guest that was taken over", () => {
  const provider = { version: "8.6.0", pluginDownloadUrl: "github://example" };
  const { resources } = importFile(interpretCluster(byHand()), provider);
  expect(resources).toEqual([
    { type: "proxmoxve:index/vmLegacy:VmLegacy", name: "dc01-example-org", id: "pve1/100", ...provider },
    { type: "proxmoxve:index/vmLegacy:VmLegacy", name: "web-101", id: "pve1/101", ...provider },
    { type: "proxmoxve:index/vmLegacy:VmLegacy", name: "web-102", id: "pve1/102", ...provider },
    { type: "proxmoxve:index/containerLegacy:ContainerLegacy", name: "dns", id: "pve1/110", ...provider },
  ]);
});
