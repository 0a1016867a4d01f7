/**
 * A running Proxmox VE cluster (or a server that is in none) as it was read: plain data, in Proxmox VE's own words. Read by
 * `operations/live-site`, and turned into a specification by `interpretCluster`.
 */

/** What a read of a cluster gave. Sizes are bytes, times are Unix seconds. */
export interface ClusterSnapshot {
  /** When the reading ended. */
  readAt: number;
  /** Version of the server that answered, for example `9.1.1`. */
  version: string;
  /** Name of the cluster; absent: one server that is in none. */
  cluster?: string;
  quorate: boolean;
  /** A third vote (QDevice) takes part; absent where it could not be read. */
  qdevice?: boolean;
  nodes: NodeSnapshot[];
  guests: GuestSnapshot[];
  /** Entries of the storage configuration, as `GET /storage` lists them. */
  storages: StorageEntry[];
  replicationJobs: ReplicationEntry[];
  backupJobs: BackupJobEntry[];
  pools: { poolid: string; comment?: string }[];
  ha: HaEntry[];
  firewall: {
    /** The cluster's switch: without it no rule counts. */
    enabled: boolean;
    rules: number;
    /** Security groups, aliases and IP sets, together. */
    groups: number;
  };
  /** What the token may not see, or what no server could answer for: told to the reader, never taken for 'there is none'. */
  unread: UnreadPart[];
}

export interface UnreadPart {
  /** What was asked for, for example `the firewall` or `the networks of pve3`. */
  what: string;
  /** Why, as it was said; with the privilege that is missing where that is the reason. */
  why: string;
}

export interface NodeSnapshot {
  name: string;
  online: boolean;
  /** Its address in the cluster, as `/cluster/status` says. */
  address?: string;
  /** Logical cores; absent of a server that is off. */
  cores?: number;
  memory?: number;
  /** Share of the cores in use (0 to 1), and bytes in use, at the moment. */
  cpuUsed?: number;
  memoryUsed?: number;
  networks: NetworkEntry[];
  /** Its storages with their sizes. */
  storages: NodeStorage[];
}

/** One row of `/nodes/<node>/network`, as it is. */
export interface NetworkEntry {
  iface: string;
  type: string;
  cidr?: string;
  cidr6?: string;
  gateway?: string;
  gateway6?: string;
  bridge_ports?: string;
  bridge_vlan_aware?: boolean;
  /** Carrier and tag of a VLAN interface. */
  "vlan-raw-device"?: string;
  "vlan-id"?: number;
  active?: boolean;
  comments?: string;
}

export interface NodeStorage {
  storage: string;
  active: boolean;
  /** Bytes; 0 where the server cannot tell. */
  total: number;
  used: number;
}

/** A row of `GET /storage`: keys are Proxmox VE's own, values its texts. Passwords are not in it. */
export interface StorageEntry {
  storage: string;
  type: string;
  content: string[];
  /** Servers that it is restricted to; absent: all. */
  nodes?: string[];
  shared: boolean;
  disabled: boolean;
  /** All other options, for example `pool`, `path`, `server`, `export`, `datastore`. */
  options: Record<string, string>;
}

export interface GuestSnapshot {
  vmid: number;
  type: "qemu" | "lxc";
  node: string;
  /** Its own name; absent where nobody gave it one (Proxmox VE then shows `VM 100` or `CT100`). */
  name?: string;
  /** `running`, `stopped`, `unknown` … */
  status: string;
  template: boolean;
  lock?: string;
  tags: string[];
  pool?: string;
  /**
   * Its configuration as Proxmox VE has it (values as texts; no pending changes, no snapshots); absent when it could not be read.
   * Lines that LXC reads itself stand under their own keys (`lxc.mount.entry`), several of one key on lines of their own.
   */
  config?: Record<string, string>;
  /** Changes that wait for its next start: keys of them. */
  pending: string[];
  /** Names of its snapshots, sorted. */
  snapshots: string[];
  /** Asked for only where it counts: the cluster's switch is on and one of the guest's cards has its flag. */
  firewall: { enabled: boolean; rules: number };
  /** Why the configuration could not be read. */
  unreadable?: string;
}

export interface ReplicationEntry {
  /** `<vmid>-<number>`. */
  id: string;
  guest: number;
  source?: string;
  target: string;
  schedule: string;
  rateMBps?: number;
  disabled: boolean;
  comment?: string;
  /** State of its last run, where it was asked for (`operations/live-site/copies.ts`). */
  lastSync?: number;
  failCount?: number;
  error?: string;
}

/** A row of `/cluster/backup`: a vzdump job. */
export interface BackupJobEntry {
  id: string;
  enabled: boolean;
  schedule: string;
  storage?: string;
  /** Guests that it names; absent with `all` or `pool`. */
  vmids?: number[];
  all: boolean;
  exclude: number[];
  pool?: string;
  node?: string;
  mode: string;
  compress?: string;
  /** `keep-daily` and the like; absent: those of the storage. */
  prune?: Record<string, number>;
  /** All other options, as texts. */
  options: Record<string, string>;
}

export interface HaEntry {
  /** `vm:100` or `ct:101`. */
  sid: string;
  state?: string;
}
