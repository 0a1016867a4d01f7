/** Rows of Proxmox VE's answers as the parts of a snapshot. Numbers and booleans come as texts, 0 and 1, or as they are. */
import type {
  BackupJobEntry,
  GuestSnapshot,
  NetworkEntry,
  NodeSnapshot,
  ReplicationEntry,
  StorageEntry,
} from "../../planning/adoption/snapshot";

/** A row as it came. */
export type Row = Readonly<Record<string, unknown>>;

export const isRow = (value: unknown): value is Row =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const text = (value: unknown): string | undefined =>
  value === undefined || value === null || value === "" ? undefined : String(value);
export const number = (value: unknown): number | undefined => {
  const found = value === undefined || value === null || value === "" ? Number.NaN : Number(value);
  return Number.isFinite(found) ? found : undefined;
};
export const flag = (value: unknown): boolean => value === true || Number(value) === 1;
export const words = (value: unknown): string[] =>
  String(value ?? "")
    .split(/[,;\s]+/)
    .filter((word) => word !== "");

/** Leaves out what is undefined. */
export function known<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

/** Every option that `keys` does not name, as text. */
function others(row: Row, keys: readonly string[]): Record<string, string> {
  const left = Object.entries(row).filter(([key, value]) => !keys.includes(key) && text(value) !== undefined);
  return Object.fromEntries(
    left.map(([key, value]) => [key, typeof value === "object" ? JSON.stringify(value) : String(value)]),
  );
}

/** Options that hold a secret are never kept. */
const SECRETS = ["password", "encryption-key", "master-pubkey", "keyring"];

export function storageEntry(row: Row): StorageEntry {
  const nodes = text(row.nodes);
  const own = ["storage", "type", "content", "nodes", "shared", "disable", "digest", ...SECRETS];
  const type = text(row.type) ?? "unknown";
  return {
    storage: String(row.storage),
    type,
    content: words(row.content).sort(),
    ...(nodes === undefined ? {} : { nodes: words(nodes).sort() }),
    shared: flag(row.shared) || ALWAYS_SHARED.has(type),
    disabled: flag(row.disable),
    // Whether there is a key is no secret, and decides whether copies can be read elsewhere.
    options: { ...others(row, own), ...(text(row["encryption-key"]) === undefined ? {} : { "encryption-key": "1" }) },
  };
}

/** Types that all servers see alike without saying so (pve-storage, 'plugindata' and 'shared'). */
const ALWAYS_SHARED = new Set([
  "nfs",
  "cifs",
  "pbs",
  "rbd",
  "cephfs",
  "iscsi",
  "iscsidirect",
  "glusterfs",
  "zfs",
  "esxi",
]);

export function networkEntry(row: Row): NetworkEntry {
  return known({
    iface: String(row.iface),
    type: text(row.type) ?? "unknown",
    cidr: text(row.cidr),
    cidr6: text(row.cidr6),
    gateway: text(row.gateway),
    gateway6: text(row.gateway6),
    bridge_ports: text(row.bridge_ports),
    bridge_vlan_aware: row.bridge_vlan_aware === undefined ? undefined : flag(row.bridge_vlan_aware),
    "vlan-raw-device": text(row["vlan-raw-device"]),
    "vlan-id": number(row["vlan-id"]),
    active: row.active === undefined ? undefined : flag(row.active),
    comments: text(row.comments)?.trim(),
  });
}

export function replicationEntry(row: Row): ReplicationEntry {
  const id = String(row.id);
  return known({
    id,
    guest: number(row.guest) ?? Number(id.split("-")[0]),
    source: text(row.source),
    target: String(row.target),
    schedule: text(row.schedule) ?? DEFAULT_SCHEDULE,
    rateMBps: number(row.rate),
    disabled: flag(row.disable),
    comment: text(row.comment),
    lastSync: number(row.last_sync),
    failCount: number(row.fail_count),
    error: text(row.error),
  });
}

/** Proxmox VE does not store it (pve-guest-common, 'schedule'). */
const DEFAULT_SCHEDULE = "*/15";

export function backupJobEntry(row: Row): BackupJobEntry {
  const vmids = text(row.vmid);
  const own = ["id", "enabled", "schedule", "starttime", "dow", "storage", "vmid", "all", "exclude", "pool", "node"];
  const more = ["mode", "compress", "prune-backups", "maxfiles", "type", "digest", "next-run"];
  return known({
    id: String(row.id),
    enabled: row.enabled === undefined || flag(row.enabled),
    schedule: text(row.schedule) ?? oldSchedule(row),
    storage: text(row.storage),
    vmids: vmids === undefined ? undefined : words(vmids).map(Number),
    all: flag(row.all),
    exclude: words(row.exclude).map(Number),
    pool: text(row.pool),
    node: text(row.node),
    mode: text(row.mode) ?? "snapshot",
    compress: text(row.compress),
    prune: pruneOf(row),
    options: others(row, [...own, ...more]),
  });
}

/** Jobs from before Proxmox VE 7.1 have days and a time. */
function oldSchedule({ dow, starttime }: Row): string {
  const days = words(dow);
  return [days.length === 0 || days.length === 7 ? undefined : days.join(","), text(starttime) ?? "00:00"]
    .filter((part) => part !== undefined)
    .join(" ");
}

/** `keep-daily=7,keep-last=3`, or the same as an object. */
function pruneOf(row: Row): Record<string, number> | undefined {
  const value = row["prune-backups"];
  const entries: [string, unknown][] =
    typeof value === "object" && value !== null
      ? Object.entries(value)
      : words(value).map((part): [string, unknown] => [part.split("=")[0] ?? "", part.split("=")[1]]);
  const counts = entries.flatMap(([key, count]) =>
    key.startsWith("keep-") ? [[key, number(count) ?? 0] as const] : [],
  );
  if (counts.length > 0) return Object.fromEntries(counts);
  const maxfiles = number(row.maxfiles);
  return maxfiles === undefined ? undefined : { "keep-last": maxfiles };
}

/** What `/cluster/resources` says of a guest, before its configuration is read. */
export function guestEntry(row: Row): GuestSnapshot {
  return {
    ...known({
      vmid: Number(row.vmid),
      type: row.type === "lxc" ? ("lxc" as const) : ("qemu" as const),
      node: String(row.node),
      name: text(row.name),
      status: text(row.status) ?? "unknown",
      template: flag(row.template),
      lock: text(row.lock),
      tags: words(row.tags),
      pool: text(row.pool),
    }),
    pending: [],
    snapshots: [],
    firewall: { enabled: false, rules: 0 },
  };
}

/** What `/cluster/resources` and `/cluster/status` say of a server. */
export function nodeEntry(row: Row, address: string | undefined, storages: readonly Row[]): NodeSnapshot {
  const name = String(row.node);
  return {
    ...known({
      name,
      online: row.status === "online",
      address,
      cores: number(row.maxcpu) || undefined,
      memory: number(row.maxmem) || undefined,
      cpuUsed: number(row.cpu),
      memoryUsed: number(row.mem),
    }),
    networks: [],
    storages: storages
      .filter((storage) => storage.node === name)
      .map((storage) => ({
        storage: String(storage.storage),
        active: storage.status === "available",
        total: number(storage.maxdisk) ?? 0,
        used: number(storage.disk) ?? 0,
      })),
  };
}
