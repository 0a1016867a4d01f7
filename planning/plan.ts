/** What a plan says. All of it is plain data: sizes in GiB, times in seconds. */
import type { BackupsPlan } from "./backup/plan";
import type { Duty, Fencing, GuestSpec, ReplicaMethod, ServerSpec, Side, SiteSpec } from "./schema";

/** What a plan-time check reports. `code` is stable and documented in docs/findings.md. */
export interface Finding {
  code: string;
  severity: "error" | "warning" | "info";
  /** Path in the specification, for example guests.sql-erp.coldReplica.on. */
  subject: string;
  message: string;
  /** What to change, in words that can be acted on. */
  fix: string;
}

/** Memory and cores that guests take on a server, next to what it has for them. */
export interface Usage {
  memoryGiB: number;
  memoryLimitGiB: number;
  /** Virtual cores of the guests that run. */
  cores: number;
  /** Logical cores left to guests times the overcommit. */
  coreLimit: number;
  guests: string[];
  fits: boolean;
}

/** Demand on one storage pool, by what it is for. */
export interface StorageUsage {
  storage: string;
  /** The server, or 'shared'. */
  server: string;
  sizeGiB: number;
  limitGiB: number;
  primaryGiB: number;
  replicaGiB: number;
  backupGiB: number;
  imageGiB: number;
  totalGiB: number;
  fits: boolean;
  /** 'server/storage' of the local pool that holds the same bytes: this storage is an export of it. */
  backedBy?: string;
}

export interface ServerPlan {
  name: string;
  roles: ServerSpec["roles"];
  spec: ServerSpec;
  /** Guests whose primary is here, and guests whose spare is here. */
  primaries: string[];
  spares: string[];
  /** Guests that run here while nothing is lost; not those that are normally off. */
  active: string[];
  capacity: {
    before: Usage;
    /** By the name of the server that is lost; the lost server itself is left out. */
    afterLossOf: Record<string, Usage>;
  };
}

export interface GuestAddress {
  network: string;
  vlan?: number;
  bridge: string;
  mac: string;
  /** With prefix length; absent: dhcp. */
  address?: string;
  address6?: string;
  gateway?: string;
  gateway6?: string;
}

/** A card as it is on the spare, with the DNS servers there. */
export interface SpareAddress extends GuestAddress {
  dnsServers: string[];
}

/** A time with where it comes from, in words. */
export interface Estimate {
  seconds: number;
  promisedSeconds?: number;
  basis: string;
}

export interface ReplicaPlan {
  server: string;
  method: ReplicaMethod;
  schedule: string;
  rateMBps?: number;
  /** Only with 'restore'. */
  standbyIds?: [number, number];
  backupStorage?: string;
  storage?: string;
  recoveryPoint: Estimate;
  recoveryTime: Estimate;
}

export interface GuestPlan {
  name: string;
  kind: GuestSpec["kind"];
  spec: GuestSpec;
  id: number;
  /** Its name on the hypervisor. */
  hostname: string;
  duty?: Duty;
  primary: string;
  spare?: string;
  activeSide: Side;
  /** The server it runs on now, and the one that stands by now (the primary's after a failover). */
  activeServer: string;
  standbyServer?: string;
  /** Its network cards on the primary: net0, net1 … */
  addresses: GuestAddress[];
  /** The same cards on the spare, where any of them differs there. */
  spareAddresses?: SpareAddress[];
  replica?: ReplicaPlan;
  tags: string[];
  /** Notes (Markdown) for the hypervisor's interface: who is primary and who is spare. */
  notes: string;
}

/** What the loss of one server means. */
export interface LossPlan {
  server: string;
  survives: boolean;
  /** Guests that start elsewhere, in the order in which they start. */
  restarts: { guest: string; on: string; recoveryPointSeconds: number; recoveryTimeSeconds: number }[];
  /** Guests that stay off: no spare, or shed by priority. */
  lost: string[];
  /** Those of `lost` whose disks all lie on shared storages that are still there: no data is lost, but nobody starts them. */
  dataKept?: string[];
  shed: string[];
  /** Protections that lapse while it is away, in words. */
  lapses: string[];
  quorum?: QuorumPlan;
}

export interface QuorumPlan {
  votes: number;
  expected: number;
  needed: number;
  quorate: boolean;
}

export interface SitePlan {
  site: { name: string; cluster?: string; fencing: Fencing; domain?: string };
  spec: SiteSpec;
  findings: Finding[];
  /** No finding is an error. */
  ok: boolean;
  servers: Record<string, ServerPlan>;
  guests: Record<string, GuestPlan>;
  storages: StorageUsage[];
  /** What is copied where, how old the copies are at worst, and whether they fit. */
  backups: BackupsPlan;
  losses: Record<string, LossPlan>;
  /** Everything at the site is gone at once: what is left, and how old it is at worst. */
  siteLoss: {
    medium?: string;
    worstCaseLossSeconds?: number;
    /** Of the newest medium that is kept off site: the building is gone, and the shelf with it. */
    worstCaseOffSiteSeconds?: number;
    text: string;
  };
  devices: SiteSpec["devices"];
}

export interface PlanOptions {
  /** Active side by guest, as the stack's config records it. Default: 'primary'. */
  active?: Record<string, Side>;
  /** Deployed sizes, also of disks beyond the specification: GiB per guest and disk index, 0 where there is none. */
  deployedDisks?: Record<string, number[]>;
}
