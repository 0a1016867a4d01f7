/** What `coldspare check --live` reports: plain data. Sizes in GiB, times in Unix seconds, ages in seconds. */
import type { Finding } from "../plan";
import type { UnreadPart } from "./snapshot";

/** A backup of a guest as it lies on a storage. */
export interface BackupCopy {
  vmid: number;
  storage: string;
  /** The server whose own storage it is on; absent: a storage that several servers see. */
  server?: string;
  /** When it was begun. */
  at: number;
  /** It is unfinished, or its verification failed: no copy. */
  broken: boolean;
}

/** How a replication job last ran. */
export interface ReplicationState {
  id: string;
  /** 0: never. */
  lastSync: number;
  failCount: number;
  error?: string;
}

/** What copies there are: more than a snapshot has, read for this report alone (`operations/live-site/copies.ts`). */
export interface LiveCopies {
  backups: BackupCopy[];
  /** Storages whose backups were listed: `nas`, or `local@pve1` of a server's own. What is not here was not seen. */
  listed: string[];
  replication: ReplicationState[];
  unread: UnreadPart[];
}

/**
 * How a guest comes back after the loss of a server:
 * - `ha`: Proxmox VE's HA starts it elsewhere; nothing is lost
 * - `ha-replica`: HA starts it from its replica
 * - `shared`: its disks are still there; a person starts it elsewhere
 * - `replica`: its disks lie on another server since the last replication; a person starts it there
 * - `backup`: a restore
 * - `nothing`: nothing of it lies elsewhere
 * - `unknown`: what it is made of could not be read, and no backup was seen
 */
export type Fate = "ha" | "ha-replica" | "shared" | "replica" | "backup" | "nothing" | "unknown";

export interface GuestLoss {
  id: number;
  /** Its name, or `VM 100`. */
  title: string;
  /** Where it runs. Another server than the lost one: its storage dies with that. */
  server: string;
  fate: Fate;
  /** Nobody has to do anything. */
  byItself: boolean;
  /** It runs again without a restore: there are its disks, and memory for it. */
  comesBack: boolean;
  /** The server that takes it over; absent: none has what it needs. */
  on?: string;
  /** In words, for people. */
  how: string;
  /** 0: not read. */
  memoryGiB: number;
  cores: number;
  diskGiB: number;
  /** The newest backup that outlives the loss; without `at`: its job writes there, and what lies there was not read. */
  backup?: { storage: string; at?: number };
}

/** Votes that are left after a loss. */
export interface LiveQuorum {
  votes: number;
  expected: number;
  needed: number;
  quorate: boolean;
  /** Whether a third vote takes part could not be read: none is counted. */
  unsure: boolean;
}

/** A server that is left, with all that comes back on it. */
export interface Room {
  server: string;
  memoryGiB: number;
  memoryLimitGiB: number;
  cores: number;
  coreLimit: number;
  /** How many guests come here. */
  takes: number;
  fits: boolean;
}

/** What the loss of one server means now. */
export interface ServerLoss {
  server: string;
  /** False: it is lost already. */
  online: boolean;
  /** Every running guest that stops with it, the worst first. */
  guests: GuestLoss[];
  counts: { itself: number; person: number; noRoom: number; backup: number; nothing: number; unknown: number };
  /** Of those that do not come back: no backup was found, or no job makes one where backups were not read. */
  withoutBackup: number;
  quorum?: LiveQuorum;
  /** Storages that are gone with it: its own, and those that it lends to others. */
  storages: string[];
  /** The other servers, with what comes back without a restore. */
  room: Room[];
  /** Restores beside that: how many guests, and how much is missing for all of them. */
  restores: { guests: number; memoryShortGiB: number; storageShortGiB: number };
  /** Guests that are off, and templates, on it. */
  stopped: number;
  templates: number;
}

export interface LiveStorage {
  storage: string;
  /** Absent: a shared one. */
  server?: string;
  type: string;
  totalGiB: number;
  usedGiB: number;
  /** Sum of the sizes of all disks on it. */
  promisedGiB: number;
  active: boolean;
}

/** A finding about a running cluster; what concerns guests names them. */
export interface LiveFinding extends Finding {
  /** Ids of the guests that it is about. */
  guests: number[];
}

export interface LiveReport {
  /** Grows when a key changes its meaning or goes. */
  formatVersion: 1;
  cluster?: string;
  version: string;
  readAt: number;
  /** One line that can be repeated. */
  headline: string;
  /** No running guest is lost by the loss of any single server, and all that says so was read. */
  survives: boolean;
  /** No loss of a guest and no error. */
  ok: boolean;
  counts: { servers: number; off: number; running: number; stopped: number; templates: number };
  /** By name. */
  servers: ServerLoss[];
  storages: LiveStorage[];
  /** The most urgent first. */
  findings: LiveFinding[];
  unread: UnreadPart[];
  /** What `coldspare import` would add. */
  next: string[];
}
