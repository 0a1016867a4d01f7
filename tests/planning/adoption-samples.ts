/** Snapshots of clusters: one written by hand, and arbitrary ones for properties. */
import fc from "fast-check";
import type {
  BackupJobEntry,
  ClusterSnapshot,
  GuestSnapshot,
  NodeSnapshot,
  ReplicationEntry,
  StorageEntry,
} from "../../planning/adoption/snapshot";

const GIB = 1024 ** 3;

export function node(name: string, more: Partial<NodeSnapshot> = {}): NodeSnapshot {
  return {
    name,
    online: true,
    address: `192.168.10.${10 + Number(/\d+$/.exec(name)?.[0] ?? 0)}`,
    cores: 16,
    memory: 64 * GIB - 5_000_000,
    networks: [
      { iface: "eno1", type: "eth" },
      {
        iface: "vmbr0",
        type: "bridge",
        bridge_ports: "eno1",
        bridge_vlan_aware: true,
        cidr: `192.168.10.${10 + Number(/\d+$/.exec(name)?.[0] ?? 0)}/24`,
        gateway: "192.168.10.1",
      },
    ],
    storages: [
      { storage: "local", active: true, total: 100 * GIB, used: 10 * GIB },
      { storage: "tank", active: true, total: 1800 * GIB, used: 400 * GIB },
      { storage: "nas", active: true, total: 4000 * GIB, used: 1000 * GIB },
    ],
    ...more,
  };
}

/** A server that is off: nothing of it is known but its name. */
export function off(name: string): NodeSnapshot {
  return { name, online: false, networks: [], storages: [] };
}

export function storage(id: string, type: string, more: Partial<StorageEntry> = {}): StorageEntry {
  return { storage: id, type, content: ["images", "rootdir"], shared: false, disabled: false, options: {}, ...more };
}

export function machine(
  vmid: number,
  name: string,
  config: Record<string, string>,
  more: Partial<GuestSnapshot> = {},
): GuestSnapshot {
  return guest("qemu", vmid, name, { name, ...config }, more);
}

export function container(
  vmid: number,
  name: string,
  config: Record<string, string>,
  more: Partial<GuestSnapshot> = {},
): GuestSnapshot {
  return guest("lxc", vmid, name, { hostname: name, ...config }, more);
}

function guest(
  type: "qemu" | "lxc",
  vmid: number,
  name: string,
  config: Record<string, string>,
  more: Partial<GuestSnapshot>,
): GuestSnapshot {
  return {
    vmid,
    type,
    node: "pve1",
    name,
    status: "running",
    template: false,
    tags: [],
    config,
    pending: [],
    snapshots: [],
    firewall: { enabled: false, rules: 0 },
    ...more,
  };
}

export function replication(id: string, target: string, more: Partial<ReplicationEntry> = {}): ReplicationEntry {
  return { id, guest: Number(id.split("-")[0]), target, schedule: "*/15", disabled: false, ...more };
}

export function backupJob(id: string, more: Partial<BackupJobEntry> = {}): BackupJobEntry {
  return {
    id,
    enabled: true,
    schedule: "22:30",
    storage: "nas",
    all: false,
    exclude: [],
    mode: "snapshot",
    compress: "zstd",
    options: {},
    ...more,
  };
}

/** Two servers, a pool on each, a NAS. */
export function cluster(more: Partial<ClusterSnapshot> = {}): ClusterSnapshot {
  return {
    readAt: 1_790_000_000,
    version: "9.1.1",
    cluster: "office",
    quorate: true,
    nodes: [node("pve1"), node("pve2")],
    guests: [],
    storages: [
      storage("local", "dir", { content: ["iso", "vztmpl"], options: { path: "/var/lib/vz" } }),
      storage("tank", "zfspool", { options: { pool: "rpool/data" } }),
      storage("nas", "nfs", {
        content: ["backup", "images"],
        shared: true,
        options: { server: "192.168.10.5", export: "/volume1/pve" },
      }),
    ],
    replicationJobs: [],
    backupJobs: [],
    pools: [],
    ha: [],
    firewall: { enabled: false, rules: 0, groups: 0 },
    unread: [],
    ...more,
  };
}

/** What a machine needs at least. */
export const SMALL = { cores: "2", memory: "2048", ostype: "l26", scsi0: "tank:vm-100-disk-0,size=32G" };

const oneOf = <T>(...values: T[]) => fc.constantFrom(...values);
const text = fc.string({ maxLength: 20 });
const odd = fc.oneof(
  text,
  oneOf("", "0", "-1", "x".repeat(70), "Ü ber.Näme", "__proto__", "constructor", "pve1", "a=b,c=d"),
);
const size = oneOf("size=32G", "size=4300M", "size=528K", "size=0", "size=1T", "", "size=abc");
const drive = fc.oneof(
  fc.tuple(oneOf("tank", "local", "nas", "gone", "pbs"), size).map(([id, of]) => `${id}:vm-100-disk-1,${of}`),
  oneOf(
    "none,media=cdrom",
    "/dev/disk/by-id/ata-x,size=1T",
    "tank:vm-100-cloudinit,media=cdrom",
    "local:iso/x.iso,media=cdrom",
    "tank:vm-1-disk-2,size=8G,backup=0,replicate=0,cache=writeback,ssd=1,discard=on",
  ),
  odd,
);
const point = fc.oneof(
  fc.tuple(oneOf("tank", "gone"), size).map(([id, of]) => `${id}:subvol-1-disk-1,mp=/srv/data,${of}`),
  oneOf("/srv/host,mp=/mnt", "tank:subvol-1-disk-1,mp=/var/lib/x,size=4G,backup=1"),
  odd,
);
const card = fc.oneof(
  fc
    .tuple(oneOf("virtio", "e1000", "vmxnet3"), oneOf("vmbr0", "vmbr1", "vnet0"), oneOf("", ",tag=20", ",tag=4095"))
    .map(([model, bridge, tag]) => `${model}=BC:24:11:00:00:01,bridge=${bridge},firewall=1${tag}`),
  oneOf(
    "virtio=BC:24:11:00:00:02",
    "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:03,ip=192.168.10.9/24,gw=192.168.10.1,type=veth",
    "name=eth0,bridge=vmbr1,tag=7,hwaddr=BC:24:11:00:00:04,ip=10.0.0.9/16,gw=10.1.0.1,ip6=auto",
    "name=eth0,bridge=vmbr1,tag=7,ip=dhcp,ip6=fd00::9/64,gw6=fd00::1",
    "virtio=BC:24:11:00:00:05,bridge=vmbr0,trunks=5;6",
  ),
  odd,
);
const number = fc.oneof(
  fc.nat(70).map(String),
  oneOf("1024", "0", "-3", "abc", "current=2048", "99999999999999999999"),
);

const numbered = (prefix: string, most: number, value: fc.Arbitrary<string>) =>
  fc.tuple(fc.nat(most), value).map(([index, one]): [string, string] => [`${prefix}${index}`, one]);
const settings = (key: string, value: fc.Arbitrary<string>) => value.map((one): [string, string] => [key, one]);

const setting = fc.oneof(
  numbered("scsi", 31, drive),
  numbered("virtio", 16, drive),
  numbered("ide", 4, drive),
  numbered("mp", 4, point),
  numbered("net", 4, card),
  numbered("unused", 2, drive),
  numbered("hostpci", 2, odd),
  settings("rootfs", point),
  settings("efidisk0", drive),
  settings("cores", number),
  settings("sockets", number),
  settings("vcpus", number),
  settings("memory", number),
  settings("balloon", number),
  settings("swap", number),
  settings("cpu", oneOf("host", "x86-64-v2-AES,flags=+aes", "")),
  settings("ostype", oneOf("l26", "win11", "debian", "gentoo", "")),
  settings("startup", oneOf("order=1,up=30,down=60", "order=0", "7", "up=x")),
  settings("onboot", oneOf("0", "1")),
  settings("features", oneOf("nesting=1,keyctl=1", "mount=nfs")),
  settings("ipconfig0", oneOf("ip=192.168.10.9/24,gw=192.168.10.1", "ip=dhcp", "ip=10.0.0.1/8")),
  settings("cipassword", oneOf("**********")),
  settings("hookscript", oneOf("local:snippets/x.pl")),
  settings("description", odd),
  settings("args", odd),
);

const config = fc.tuple(fc.boolean(), fc.array(setting, { maxLength: 14 })).map(
  ([usual, entries]): Record<string, string> => ({
    ...(usual ? { name: "web", ...SMALL } : {}),
    ...Object.fromEntries(entries),
  }),
);

const servers = oneOf("pve1", "pve2", "pve3", "PVE-4", "gone");

const anyGuest: fc.Arbitrary<GuestSnapshot> = fc.record(
  {
    vmid: fc.oneof(fc.nat(120), fc.integer({ min: 100, max: 999_999_999 })),
    type: oneOf<"qemu" | "lxc">("qemu", "lxc"),
    node: servers,
    name: fc.oneof(oneOf("web", "WEB", "web.example.org", "web-101", "Datei Server", "...", ""), odd),
    status: oneOf("running", "stopped", "paused", "unknown"),
    template: fc.integer({ min: 0, max: 9 }).map((value) => value === 0),
    lock: oneOf("backup", "migrate"),
    tags: fc.array(oneOf("prod", "coldspare-spare", "a b"), { maxLength: 2 }),
    pool: oneOf("web", "db"),
    config,
    pending: fc.array(oneOf("cores", "memory", "net0", "scsi0", "name", "vga"), { maxLength: 2 }),
    snapshots: fc.array(odd, { maxLength: 2 }),
    firewall: fc.record({ enabled: fc.boolean(), rules: fc.nat(9) }),
    unreadable: odd,
  },
  { requiredKeys: ["vmid", "type", "node", "status", "template", "tags", "pending", "snapshots", "firewall"] },
);

const anyNode = (name: string): fc.Arbitrary<NodeSnapshot> =>
  fc
    .record({
      usual: fc.boolean(),
      online: fc.boolean(),
      cores: fc.option(fc.nat(64), { nil: undefined }),
      memory: fc.option(
        fc.oneof(
          fc.nat(),
          fc.nat(64).map((gib) => gib * GIB),
        ),
        { nil: undefined },
      ),
      address: fc.option(oneOf("192.168.10.11", "fd00::11", "not an address"), { nil: undefined }),
      cidr: oneOf("192.168.10.11/24", "10.9.0.1/16", "x"),
      vlan: oneOf("vlan20", "vmbr0.20", "eno1.30", "eno1.9999"),
      total: fc.oneof(fc.nat(), fc.constant(1800 * GIB)),
      active: fc.boolean(),
    })
    .map(({ usual, online, cores, memory, address, cidr, vlan, total, active }) => {
      if (usual) return node(name);
      return {
        name,
        online,
        ...(cores !== undefined && { cores }),
        ...(memory !== undefined && { memory }),
        ...(address !== undefined && { address }),
        networks: [
          { iface: "vmbr0", type: "bridge", bridge_ports: "eno1", cidr, gateway: "192.168.10.1" },
          { iface: "bond0", type: "bond" },
          { iface: vlan, type: "vlan", cidr: "10.20.0.2/24" },
        ],
        storages: ["local", "tank", "nas", "pbs"].map((id) => ({ storage: id, active, total, used: 0 })),
      };
    });

const anyStorage = (id: string): fc.Arbitrary<StorageEntry> =>
  fc.record({
    storage: fc.constant(id),
    type: oneOf("zfspool", "dir", "lvm", "btrfs", "nfs", "rbd", "esxi", "pbs", "iscsi", "brandnew"),
    content: fc.subarray(["images", "rootdir", "backup", "iso", "none", "import"]),
    shared: fc.boolean(),
    disabled: fc.boolean(),
    options: fc.constantFrom<Record<string, string>>(
      {},
      { server: "192.168.10.11", export: "/x" },
      { server: "backup.example.org", datastore: "main", namespace: "office", fingerprint: "aa" },
      { server: "192.168.10.9", datastore: "main", username: "root@pam", "encryption-key": "1" },
      { pool: "rpool/data" },
      { vgname: "pve", thinpool: "data" },
      { portal: "10.0.0.1", "prune-backups": "keep-all=1" },
    ),
  });

const anyJob: fc.Arbitrary<BackupJobEntry> = fc.record(
  {
    id: fc.oneof(oneOf("backup-1", "nightly"), odd),
    enabled: fc.boolean(),
    schedule: oneOf("22:30", "mon..fri 02:00", "never ever", ""),
    storage: oneOf("nas", "pbs", "local", "gone"),
    vmids: fc.array(fc.integer({ min: 100, max: 120 }), { maxLength: 3 }),
    all: fc.boolean(),
    exclude: fc.array(fc.integer({ min: 100, max: 120 }), { maxLength: 2 }),
    pool: oneOf("web", "db"),
    node: servers,
    mode: oneOf("snapshot", "stop", "other"),
    compress: oneOf("zstd", "0", "1", "xz"),
    prune: fc.dictionary(oneOf("keep-last", "keep-daily", "keep-all", "keep-x"), fc.nat(9)),
    options: fc.dictionary(
      oneOf("bwlimit", "fleecing", "comment"),
      oneOf("1024", "enabled=1,storage=tank", "Nightly", "0"),
    ),
  },
  { requiredKeys: ["id", "enabled", "schedule", "all", "exclude", "mode", "options"] },
);

const distinct = <T, K>(items: fc.Arbitrary<T>, maxLength: number, selector: (item: T) => K) =>
  fc.uniqueArray(items, { maxLength, selector });

/** Any cluster, however odd. */
export const anyCluster: fc.Arbitrary<ClusterSnapshot> = fc
  .record({
    cluster: fc.option(oneOf("office", "Prod-Cluster.1", "a-cluster-name-of-more-than-fifteen"), { nil: undefined }),
    quorate: fc.boolean(),
    qdevice: fc.boolean(),
    nodes: fc.tuple(anyNode("pve1"), anyNode("pve2"), anyNode("pve3"), anyNode("PVE-4")),
    guests: distinct(anyGuest, 12, ({ vmid }) => vmid),
    storages: fc.tuple(anyStorage("local"), anyStorage("tank"), anyStorage("nas"), anyStorage("pbs")),
    usual: fc.boolean(),
    replicationJobs: distinct(
      fc.record({
        id: fc.tuple(fc.integer({ min: 100, max: 120 }), fc.nat(2)).map(([id, index]) => `${id}-${index}`),
        target: servers,
        schedule: oneOf("*/15", "whenever"),
        rateMBps: oneOf(0.5, 10),
        disabled: fc.boolean(),
      }),
      6,
      ({ id }) => id,
    ),
    backupJobs: distinct(anyJob, 4, ({ id }) => id),
    ha: fc.array(fc.record({ sid: oneOf("vm:100", "ct:101") }), { maxLength: 2 }),
  })
  .map(({ cluster: name, usual, storages, replicationJobs, ...rest }) => {
    const base = cluster();
    const { cluster: _named, ...unnamed } = base;
    return {
      ...unnamed,
      ...(name !== undefined && { cluster: name }),
      ...rest,
      ...(usual ? {} : { storages }),
      replicationJobs: replicationJobs.map((job) => ({ ...job, guest: Number(job.id.split("-")[0]) })),
      pools: [{ poolid: "web" }],
      unread: [{ what: "the firewall", why: "403 Permission check failed\n(/, Sys.Audit)" }],
    };
  });

/** A small site as people make them over the years. */
export function byHand(): ClusterSnapshot {
  return cluster({
    nodes: [node("pve1"), node("pve2"), off("pve3")],
    guests: [
      machine(
        100,
        "DC01.example.org",
        {
          ...SMALL,
          sockets: "2",
          memory: "8192",
          balloon: "4096",
          ostype: "win11",
          bios: "ovmf",
          efidisk0: "tank:vm-100-disk-1,size=4M",
          tpmstate0: "tank:vm-100-disk-2,size=4M,version=v2.0",
          agent: "1,fstrim_cloned_disks=1",
          onboot: "1",
          startup: "order=1,up=60",
          cpu: "host",
          net0: "e1000=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
          ide2: "local:iso/virtio-win.iso,media=cdrom,size=700M",
        },
        { tags: ["prod"], snapshots: ["before-update"] },
      ),
      machine(101, "Web", { ...SMALL, net0: "virtio=BC:24:11:00:00:02,bridge=vmbr0,tag=20" }),
      machine(102, "web", {
        ...SMALL,
        scsi1: "/dev/disk/by-id/ata-WDC_1,size=3726G",
        net0: "virtio=BC:24:11:00:00:03,bridge=vmbr0,tag=20",
        hostpci0: "0000:01:00",
      }),
      container(110, "dns", {
        memory: "512",
        cores: "1",
        ostype: "debian",
        unprivileged: "1",
        features: "nesting=1",
        onboot: "1",
        rootfs: "tank:subvol-110-disk-0,size=8G",
        mp0: "tank:subvol-110-disk-1,mp=/srv/zones,backup=1,size=2G",
        net0: "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:04,ip=192.168.10.53/24,gw=192.168.10.1,type=veth",
      }),
      machine(9000, "debian-template", SMALL, { template: true, status: "stopped" }),
      machine(120, "old", SMALL, { node: "pve3", status: "unknown" }),
    ],
    replicationJobs: [replication("100-0", "pve2", { rateMBps: 50 }), replication("100-1", "pve3", { disabled: true })],
    backupJobs: [
      backupJob("backup-4a1c", { all: true, exclude: [102], prune: { "keep-daily": 7, "keep-weekly": 4 } }),
      backupJob("backup-9f33", { enabled: false, vmids: [102] }),
    ],
    pools: [{ poolid: "office" }],
    ha: [{ sid: "ct:110", state: "started" }],
    firewall: { enabled: true, rules: 3, groups: 1 },
  });
}
