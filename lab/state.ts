import type { PbsState } from "./pbs/types";
import type { StorageSecret } from "./pbs-storage";

/** The lab's state: plain values only, so that it can be written to a file and read back. */

/** A guest's configuration as its file holds it: every value a string. */
export type GuestConfig = Record<string, string>;

export interface GuestSnapshot {
  config: GuestConfig;
  snaptime: number;
  description?: string;
  parent?: string;
}

export type GuestType = "qemu" | "lxc";

export interface Guest {
  vmid: number;
  type: GuestType;
  node: string;
  config: GuestConfig;
  snapshots: Record<string, GuestSnapshot>;
  /** Present while the guest runs; `config` is what it was started with. */
  running?: { pid: number; startedAt: number; config: GuestConfig; paused?: boolean; realStart?: number };
  /** What pvestatd last published; `/cluster/resources` answers from it. */
  published?: Record<string, string | number>;
  /** Virtual seconds until the guest's agent answers. */
  bootSeconds?: number;
}

/** A volume: a disk, an image, a template, a backup. Its bytes are a file below the lab's folder. */
export interface Volume {
  /** The place that holds it, whatever storage ids point there. */
  backing: string;
  /** The part of the volume id after the colon. */
  name: string;
  content: string;
  format: string;
  size: number;
  used: number;
  vmid?: number;
  ctime: number;
  notes?: string;
  protected?: boolean;
  parent?: string;
  /** Size of the disk inside an image file, in bytes. */
  virtualSize?: number;
  snapshots: string[];
}

/** Values of `/etc/pve/storage.cfg`, as strings. */
export type StorageEntry = Record<string, string> & { storage: string; type: string; content: string };

export interface Task {
  upid: string;
  node: string;
  pid: number;
  pstart: number;
  starttime: number;
  type: string;
  id: string;
  user: string;
  tokenid?: string;
  endtime?: number;
  exitstatus?: string;
  log: string[];
}

export interface ReplicationJob {
  id: string;
  guest: number;
  jobnum: number;
  type: string;
  target: string;
  source: string;
  schedule?: string;
  comment?: string;
  disable?: string;
  rate?: string;
  remove_job?: string;
}

export interface ReplicationState {
  last_sync: number;
  last_try: number;
  next_sync: number;
  fail_count: number;
  duration?: number;
  error?: string;
  /** Set by schedule_now: the next run of the scheduler takes the job. */
  due?: boolean;
  running?: boolean;
  log: string[];
  /** Storage ids that volumes were copied to. */
  storages: string[];
}

export interface User {
  userid: string;
  values: Record<string, string>;
  tokens: Record<string, { values: Record<string, string>; secretHash: string }>;
  passwordHash?: string;
}

export interface Acl {
  path: string;
  type: "user" | "token" | "group";
  ugid: string;
  roleid: string;
  propagate: boolean;
}

export type FirewallRule = Record<string, string>;

/** Firewall settings of the cluster, a node or a guest. */
export interface FirewallScope {
  options: Record<string, string>;
  rules: FirewallRule[];
  aliases: Record<string, Record<string, string>>;
  ipset: Record<string, { comment?: string; entries: Record<string, Record<string, string>> }>;
}

export interface NodeState {
  name: string;
  up: boolean;
  bootedAt: number;
  nextPid: number;
  interfaces: Record<string, Record<string, string>>;
  /** Interfaces written but not applied. */
  pendingInterfaces?: Record<string, Record<string, string>>;
  dns: Record<string, string>;
  hosts: string;
  timezone: string;
  options: Record<string, string>;
  /** Votes that count as expected on this node after `pvecm expected`. */
  expectedVotes?: number;
}

/** A guest process whose configuration is on another node: it runs on, and nobody manages it. */
export interface Stray {
  vmid: number;
  node: string;
  pid: number;
  running?: NonNullable<Guest["running"]>;
}

/** What lies below `/etc/pve`, of which every node has its own copy; the state of replication lies beside it on each node. */
export const CLUSTER_FILES = [
  "guests",
  "storages",
  "pools",
  "replication",
  "replicationState",
  "backupJobs",
  "options",
  "haResources",
  "haRules",
  "firewall",
  "firewallGroups",
  "sdn",
] as const;

export type ClusterFiles = Pick<DomainState, (typeof CLUSTER_FILES)[number]>;

/** The copy that a node has while it is down or cut off. */
export interface NodeView {
  version: number;
  digest: string;
  files: ClusterFiles;
}

export interface DomainState {
  /** Name of the cluster; absent for a host of its own. */
  cluster?: string;
  nodes: Record<string, NodeState>;
  guests: Record<string, Guest>;
  volumes: Volume[];
  storages: Record<string, StorageEntry>;
  /** What lies in `/etc/pve/priv/storage`, by storage. */
  storageSecrets?: Record<string, StorageSecret>;
  tasks: Task[];
  pools: Record<string, { comment?: string; guests: number[]; storages: string[] }>;
  replication: Record<string, ReplicationJob>;
  replicationState: Record<string, ReplicationState>;
  backupJobs: Record<string, Record<string, string>>;
  backupLastRun: Record<string, number>;
  users: Record<string, User>;
  groups: Record<string, { comment?: string }>;
  roles: Record<string, string[]>;
  acl: Acl[];
  options: Record<string, string>;
  haResources: Record<string, Record<string, string>>;
  haRules: Record<string, Record<string, string>>;
  firewall: Record<string, FirewallScope>;
  firewallGroups: Record<string, { comment?: string; rules: FirewallRule[] }>;
  sdn: Record<string, Record<string, Record<string, string>>>;
  strays: Stray[];
  /** How often the cluster files were changed, and what they were when that was counted last. */
  copy: { version: number; digest: string };
  /** Nodes that share the cluster files of this state. Absent: all. */
  members?: string[];
  views: Record<string, NodeView>;
  /** Extra bytes that the control interface put on a backing, to fill it. */
  filler: Record<string, number>;
  log: { time: number; node: string; user: string; tag: string; msg: string; pri: number }[];
}

export interface LabState {
  version: 1;
  clock: number;
  witnesses: Record<string, boolean>;
  /** Machines that do not see each other, and `operator` for the clients of the APIs. */
  splits?: { a: string[]; b: string[] }[];
  /** Machines that hang: everything is there and nothing answers. */
  frozen?: string[];
  /** Addresses of guests by id, as the control interface was told. */
  guestAddresses?: Record<string, string>;
  /** Real seconds that a host takes to boot, beside what its making takes. */
  hostBootSeconds?: Record<string, number>;
  /** Real hosts that are to be up while they are being started. */
  starting?: string[];
  domains: DomainState[];
  /** Proxmox Backup Servers by name. */
  backupServers?: Record<string, PbsState>;
  /** Which backup server each removable disk is in, by the UUID of its file system. */
  media?: Record<string, string>;
  ticketKey: string;
}

/** An empty cluster or host. */
export function emptyDomain(cluster?: string): DomainState {
  return {
    ...(cluster ? { cluster } : {}),
    nodes: {},
    guests: {},
    volumes: [],
    storages: {},
    tasks: [],
    pools: {},
    replication: {},
    replicationState: {},
    backupJobs: {},
    backupLastRun: {},
    users: {},
    groups: {},
    roles: {},
    acl: [],
    options: {},
    haResources: {},
    haRules: {},
    firewall: {},
    firewallGroups: {},
    sdn: {},
    strays: [],
    copy: { version: 0, digest: "" },
    views: {},
    filler: {},
    log: [],
  };
}
