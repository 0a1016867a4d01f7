/**
 * The site specification: one plain, serialisable object. Everything the plan is computed from stands here;
 * secrets appear by name only. Sizes are GiB (2^30 bytes), times are seconds unless a key says otherwise.
 */
import { z } from "zod";
import { backupPolicy, mail, target } from "./backup/schema";
import { duration, gib, name, secretName, serverName, storageId } from "./schema-basics";
import { drill, group, guestCommand, lease, power, probe, reIpRule } from "./schema-recovery";
import { state } from "./schema-state";

/** Proxmox VE starts no guest with less than 16 MiB. */
const guestMemory = z.number().min(16 / 1024);
/** Up to three levels, as Proxmox VE names pools (pve-access-control, 'verify_poolname'). */
const poolName = z
  .string()
  .regex(
    /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+){0,2}$/,
    "must be a Proxmox pool: letters, digits, dots, dashes and underscores",
  );
/** Proxmox VE accepts guest ids from 100 to 999999999 (pve-guest-common, 'pve-vmid'). */
const guestId = z.int().min(100).max(999_999_999);

export const duty = z.enum(["confidentiality", "integrity", "availability"]);
export const serverRole = z.enum([
  "hypervisor",
  "backup-server",
  "witness",
  "swarm-node",
  "monitoring",
  "mesh-gateway",
]);
export const replicaMethod = z.enum(["storage-replication", "zfs-sync", "restore"]);
export const fencing = z.enum(["confirm", "power", "lease"]);
export const side = z.enum(["primary", "spare"]);

const content = z.enum(["images", "rootdir", "iso", "vztmpl", "backup", "snippets", "import"]);

export const localStorage = z.strictObject({
  type: z
    .enum(["zfspool", "dir", "lvmthin", "lvm", "btrfs"])
    .describe("Storage type as Proxmox VE names it. `pulumi up` makes zfspool, dir and lvmthin; others must be there"),
  sizeGiB: gib.describe("Usable size, net of parity and mirrors"),
  content: z.array(content).min(1).describe("What may lie here, as Proxmox VE names it"),
  pool: z
    .string()
    .optional()
    .describe("ZFS pool or LVM volume group and thin pool (vg/thinpool). Default: the storage id"),
  path: z.string().optional().describe("Directory of a 'dir' storage"),
  fillLimit: z.number().gt(0).max(1).default(0.85).describe("Share that may be filled; ZFS slows down above 80-85 %"),
  managed: z.boolean().default(false).describe("true: `pulumi up` makes the storage entry; false: it is there already"),
});

export const bridge = z.strictObject({
  ports: z.array(z.string()).default([]).describe("Physical ports, for example eno1"),
  vlanAware: z.boolean().default(true),
  address: z.string().optional().describe("IPv4 address of the server on this bridge, with prefix length"),
  address6: z.string().optional(),
  gateway: z.string().optional(),
  managed: z.boolean().default(false).describe("true: `pulumi up` makes the bridge; false: the installer made it"),
});

export const vlanInterface = z.strictObject({
  interface: z.string().default("vmbr0").describe("Bridge or physical port that carries it"),
  tag: z.int().min(1).max(4094),
  address: z.string().optional().describe("IPv4 address of the server in this VLAN, with prefix length"),
  address6: z.string().optional(),
  gateway: z.string().optional(),
  managed: z.boolean().default(true).describe("true: `pulumi up` makes it; false: it is there already"),
});

export const server = z.strictObject({
  model: z.string().optional(),
  roles: z.array(serverRole).min(1),
  cores: z.int().positive().describe("Logical cores (threads)"),
  memoryGiB: gib,
  hostReserve: z
    .strictObject({ cores: z.number().nonnegative().default(1), memoryGiB: z.number().nonnegative().default(4) })
    .prefault({})
    .describe(
      "Kept for the hypervisor itself, its ZFS cache included; never given to guests. Default: 1 core and 4 GiB, that is " +
        "the 2 GiB that Proxmox VE asks for and 2 GiB of cache. Its installer (since 8.1) lets the cache grow to 10 % of " +
        "the memory, at most 16 GiB: on ZFS, set 2 GiB more than that limit, or lower the limit (zfs_arc_max)",
    ),
  location: z.string().optional().describe("Room, rack or data centre: servers in one location burn together"),
  network: name.optional().describe("The network its own address is in"),
  address: z.string().optional().describe("Management IPv4 address, without prefix length"),
  address6: z.string().optional(),
  bridges: z.record(z.string(), bridge).default({}),
  vlans: z.record(z.string(), vlanInterface).default({}).describe("VLANs the server itself has an address in, by name"),
  storages: z.record(storageId, localStorage).default({}),
  settings: z
    .strictObject({
      dnsServers: z.array(z.string()).optional(),
      dnsDomain: z.string().optional(),
      timeZone: z.string().optional(),
    })
    .prefault({})
    .describe("Node settings that the provider can set; what is absent is left alone"),
  applications: z.array(z.string()).default([]).describe("Applications that run on the server itself, not in a guest"),
  power: power.optional(),
});

export const sharedStorage = z.strictObject({
  type: z
    .enum(["nfs", "cifs", "rbd", "cephfs", "iscsi", "iscsidirect", "lvm", "lvmthin", "zfs", "dir", "btrfs", "other"])
    .describe("Storage type as Proxmox VE names it. `pulumi up` makes nfs and cifs; others must be there"),
  server: z
    .string()
    .optional()
    .describe("Name of a physical server or device of this site that exports it, or a host name; nfs and cifs need it"),
  export: z.string().optional().describe("Exported path (nfs) or share (cifs), which these need"),
  username: z
    .string()
    .min(1)
    .optional()
    .describe("Who logs in to a cifs share; with it `pulumi up` makes the storage entry"),
  passwordSecret: secretName.optional().describe("Name of the secret with that user's password"),
  sizeGiB: gib,
  content: z.array(content).min(1),
  mountedBy: z.array(serverName).optional().describe("Servers that mount it. Default: every hypervisor"),
  fillLimit: z.number().gt(0).max(1).default(0.9),
  managed: z.boolean().default(true),
});

const range = z.strictObject({ from: z.string(), to: z.string(), purpose: z.string().optional() });

export const network = z.strictObject({
  vlan: z.int().min(1).max(4094).optional(),
  subnet: z.string().optional().describe("IPv4 prefix, for example 192.168.20.0/24"),
  subnet6: z.string().optional().describe("IPv6 prefix, for example fd00:20::/64"),
  gateway: z.string().optional(),
  gateway6: z.string().optional(),
  dnsServers: z.array(z.string()).default([]),
  bridge: z.string().default("vmbr0").describe("Bridge that carries it, the same on every hypervisor"),
  reserved: z.array(range).default([]).describe("Addresses that no guest may take"),
  dhcp: range.optional().describe("Range that a DHCP server hands out; no guest may take one by hand"),
  purpose: z.string().optional(),
});

export const image = z.strictObject({
  kind: z.enum(["disk-image", "iso", "container-template"]),
  url: z.string().describe("Where every hypervisor that may need it downloads it from"),
  fileName: z.string(),
  checksum: z
    .strictObject({ algorithm: z.enum(["sha256", "sha512"]), value: z.string().regex(/^[0-9a-f]+$/) })
    .optional(),
  sizeGiB: gib.default(1).describe("Size on the storage, for the storage plan"),
  storage: storageId.default("local").describe("Storage on each server that takes it"),
});

/** What a guest's disk or card is called on the hypervisor. */
const diskInterface = z
  .string()
  .regex(
    /^((scsi|virtio|sata|ide)\d+|rootfs|mp\d+)$/,
    "must be a disk as Proxmox VE names it: scsi0, virtio1, rootfs, mp0",
  );
const cardInterface = z.string().regex(/^net\d+$/, "must be a network card as Proxmox VE names it: net0");

export const disk = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]*$/, "must be lower-case letters, digits and dashes")
    .optional()
    .describe("What it is for; shown in plans. A container mounts it at /srv/<name>, its first disk excepted"),
  sizeGiB: z
    .number()
    .positive()
    .describe("Whole GiB; of a guest that was taken over also a part of one, which then cannot grow from here"),
  interface: diskInterface
    .optional()
    .describe("Disk as Proxmox VE names it. Default: scsi0, scsi1 … in order; rootfs, mp0 … of a container"),
  storage: storageId.describe("Storage id, which the spare's server must have too"),
  usedGiB: z.number().nonnegative().optional().describe("What lies on it. Default: half of the size"),
  ssd: z.boolean().default(false),
  discard: z.boolean().default(true),
});

export const guestNetwork = z.strictObject({
  network: name,
  interface: cardInterface.optional().describe("Card as Proxmox VE names it. Default: net0, net1 … in order"),
  address: z.string().optional().describe("IPv4 address without prefix length. Default: dhcp"),
  address6: z.string().optional(),
  mac: z.string().optional().describe("Default: derived from the site's and the guest's name, the same on every side"),
  firewall: z.boolean().default(true),
});

export const coldReplica = z.strictObject({
  on: serverName.describe("The server that keeps the powered-off copy"),
  method: replicaMethod,
  schedule: z.string().describe("Proxmox VE calendar event, for example */15 or mon..fri 22:30"),
  rateMBps: z.number().min(1).optional().describe("Bandwidth limit in MB/s, at least 1. Default: none"),
  recoveryPoint: duration.optional().describe("Promised RPO. Default: what the plan computes"),
  recoveryTime: duration.optional().describe("Promised RTO. Default: what the plan computes"),
  standbyIds: z.tuple([guestId, guestId]).optional().describe("Guest ids of the two standby copies ('restore' only)"),
  backupStorage: storageId.optional().describe("Shared vzdump storage that 'restore' reads from"),
  storage: storageId.optional().describe("Storage on the spare for 'restore'. Default: that of each disk"),
  recoveryPoints: z
    .int()
    .min(2)
    .max(500)
    .optional()
    .describe("Points in time that 'zfs-sync' keeps on both servers. Default: 24"),
  networks: z
    .record(name, name)
    .default({})
    .describe("Network on the primary: network on the spare. Default: the same network on both"),
  reIp: z.array(reIpRule).default([]).describe("Addresses on the spare, where its subnet is another one"),
});

/** Parts of a guest that can be left as they are on the hypervisor. */
export const guestPart = z.enum(["disks", "networks", "cpu", "memory"]);

const guestCommon = {
  hostname: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Its name on the hypervisor, where that is not its name here (capitals, dots, a name that two guests have)",
    ),
  adopted: z
    .boolean()
    .default(false)
    .describe(
      "It was there before: settings that have no word here stay as they are on the hypervisor. false: coldspare's own " +
        "settings; a preview shows what that would change",
    ),
  keep: z
    .array(guestPart)
    .default([])
    .describe("Parts of an adopted guest that this specification cannot say in full: never changed from here"),
  started: z
    .boolean()
    .default(true)
    .describe("false: it is normally off. It counts on storages, and nowhere else: no server starts it after a loss"),
  description: z.string().optional(),
  duty: duty.optional().describe("The protection goal it serves: a label for groups, pictures and reports"),
  services: z.array(z.string()).default([]),
  role: z.enum(["domain-controller", "database", "swarm-manager", "swarm-worker"]).optional(),
  id: guestId.optional().describe("Guest id. Default: derived from site and guest name, never from order"),
  on: serverName.describe("Primary: the server it normally runs on"),
  cores: z.int().positive().describe("Virtual cores, those of all sockets together"),
  memoryGiB: guestMemory,
  disks: z.array(disk).min(1).describe("scsi0, scsi1 … of a machine; root file system and mount points of a container"),
  networks: z.array(guestNetwork).max(32).default([]),
  boot: z
    .strictObject({
      order: z.int().min(1).default(50).describe("Smaller starts first"),
      delaySeconds: z.int().nonnegative().default(0).describe("Wait after its start before the next one starts"),
      seconds: z.int().positive().default(60).describe("From power-on until the service answers"),
      atHostBoot: z.boolean().default(true).describe("Start with the server (onboot)"),
    })
    .prefault({}),
  priority: z.int().min(0).max(100).default(50).describe("Greater is more important; decides what is shed first"),
  sheddable: z.boolean().default(false).describe("May stay off when a loss leaves too little room"),
  tags: z.array(z.string().regex(/^[a-z0-9_][a-z0-9_\-+.]*$/)).default([]),
  pool: poolName.optional(),
  protection: z.boolean().default(false).describe("Proxmox VE's own protection against removal"),
  changeGiBPerHour: z
    .number()
    .nonnegative()
    .optional()
    .describe("Rate of change. Default: 1 % of the used size per hour"),
  image: z
    .string()
    .optional()
    .describe("Name of an image: the first disk is made from it, or of kind iso the first start installs from it"),
  agent: z.boolean().default(false).describe("The image has the QEMU guest agent"),
  coldReplica: coldReplica.optional(),
  probes: z.array(probe).default([]).describe("How a drill and a switch see that its service answers"),
  commands: z.array(guestCommand).default([]).describe("Commands before and after a switch of this guest"),
};

export const virtualMachine = z.strictObject({
  kind: z.literal("vm"),
  ...guestCommon,
  disks: guestCommon.disks.max(31).describe("scsi0 to scsi30"),
  os: z.enum(["linux", "windows-11", "windows-10", "other"]).describe("windows-11 stands for Server 2022 and 2025 too"),
  bios: z.enum(["seabios", "ovmf"]).default("seabios"),
  tpm: z.boolean().default(false),
  sockets: z.int().min(1).max(4).default(1).describe("Virtual sockets that the cores are spread over"),
  cpuType: z.string().default("x86-64-v2-AES").describe("The same on both sides, or a live migration fails"),
  hotplug: z
    .strictObject({ maximumCores: z.int().positive().describe("Cores that it may grow to without a restart") })
    .optional()
    .describe("Memory and cores grow while the machine runs; its system must know how. Absent: from the next start"),
  cloudInit: z
    .strictObject({
      user: z.string().optional(),
      sshKeys: z.array(z.string()).default([]),
      passwordSecret: z
        .string()
        .optional()
        .describe("Name of the secret that holds the password; no setting of the stack"),
    })
    .optional(),
});

export const container = z.strictObject({
  kind: z.literal("container"),
  ...guestCommon,
  disks: guestCommon.disks.max(257).describe("The root file system, and the mount points mp0 to mp255"),
  os: z.enum(["debian", "ubuntu", "alpine", "centos", "fedora", "archlinux", "unmanaged"]),
  unprivileged: z.boolean().default(true),
  nesting: z.boolean().default(false),
  swapGiB: z.number().nonnegative().default(0.5),
});

export const guest = z.discriminatedUnion("kind", [virtualMachine, container]);

export const device = z.strictObject({
  kind: z.enum(["router", "switch", "access-point", "internet", "ups", "printer", "other"]),
  description: z.string().optional(),
  duty: duty.optional(),
  roles: z.array(z.string()).default([]).describe("For example dhcp, dns, nat, vpn, vlan, wifi-controller, failover"),
  network: name.optional(),
  address: z.string().optional(),
  address6: z.string().optional(),
});

export const policies = z.strictObject({
  coreOvercommit: z.number().positive().default(3).describe("Virtual cores per logical core that is left to guests"),
  memoryOverheadGiB: z
    .number()
    .nonnegative()
    .default(0.15)
    .describe("What a running guest costs beyond its own memory"),
  allowShedding: z.boolean().default(false).describe("After a loss, sheddable guests may stay off by priority"),
  linkMbps: z.number().positive().default(1000).describe("Network between the servers, in Mbit/s"),
  restoreMBps: z.number().positive().default(80).describe("Restore from the backup storage, in MB/s"),
  mail: mail.optional().describe("Whom the servers tell when a copy fails"),
  confirmSeconds: z.int().nonnegative().default(300).describe("From the loss until a person has confirmed and started"),
});

export const siteSpec = z.strictObject({
  site: z.strictObject({
    name,
    description: z.string().optional(),
    domain: z.string().optional(),
    timeZone: z.string().default("UTC").describe("IANA name, for example Europe/Berlin: schedules are meant in it"),
    cluster: name
      .max(15)
      .optional()
      .describe("Name of the Proxmox VE cluster all hypervisors form. Absent: independent hosts"),
    asFound: z
      .boolean()
      .default(false)
      .describe(
        "The site was imported as it is: what the plan finds wrong with it is told as warnings, so that a first update is " +
          "possible. Remove it once they are settled",
      ),
    fencing: fencing
      .default("confirm")
      .describe(
        "What settles that the lost server is off before a spare starts: confirm (a person), power (its power is switched " +
          "off), lease (it stops its guests itself when it can reach no majority)",
      ),
    lease: lease.prefault({}).describe("Times of `fencing: lease`"),
  }),
  servers: z.record(serverName, server),
  storages: z.record(storageId, sharedStorage).default({}),
  networks: z.record(name, network).default({}),
  images: z.record(name, image).default({}),
  guests: z.record(name, guest).default({}),
  backups: z.record(name, backupPolicy).default({}),
  targets: z.record(name, target).default({}),
  devices: z.record(name, device).default({}),
  groups: z.record(name, group).default({}).describe("Application groups; a guest is in one at most"),
  drills: z.record(name, drill).default({}),
  policies: policies.prefault({}),
  state: state
    .optional()
    .describe("Where the state, the key to its secrets and copies of this file are kept: not on the site itself"),
});

/** A specification as people write it: defaults may be left out. */
export type SiteSpecInput = z.input<typeof siteSpec>;
/** A specification with every default filled in. */
export type SiteSpec = z.output<typeof siteSpec>;
export type ServerSpec = z.output<typeof server>;
export type LocalStorageSpec = z.output<typeof localStorage>;
export type SharedStorageSpec = z.output<typeof sharedStorage>;
export type NetworkSpec = z.output<typeof network>;
export type NetworkSpecInput = z.input<typeof network>;
export type ImageSpec = z.output<typeof image>;
export type GuestSpec = z.output<typeof guest>;
export type GuestSpecInput = z.input<typeof guest>;
export type VirtualMachineSpec = z.output<typeof virtualMachine>;
export type VirtualMachineSpecInput = z.input<typeof virtualMachine>;
export type ContainerSpec = z.output<typeof container>;
export type ContainerSpecInput = z.input<typeof container>;
export type GuestPart = z.output<typeof guestPart>;
export type DiskSpec = z.output<typeof disk>;
export type ColdReplicaSpec = z.output<typeof coldReplica>;
export type { BackupPolicySpec } from "./backup/schema";
export type { StateSpec } from "./schema-state";
export type DeviceSpec = z.output<typeof device>;
export type Duty = z.output<typeof duty>;
export type Side = z.output<typeof side>;
export type ReplicaMethod = z.output<typeof replicaMethod>;
export type Fencing = z.output<typeof fencing>;

/** The specification's JSON Schema (draft 2020-12), for editors: `# yaml-language-server: $schema=...`. */
export function siteJsonSchema(): Record<string, unknown> {
  return {
    $id: "https://coldspare.dev/site.schema.json",
    title: "coldspare site specification",
    ...z.toJSONSchema(siteSpec, { io: "input" }),
  };
}
