/** What is so on the servers of a site at one moment. Plain data; times are ISO texts, sizes GiB. */
import type { DrillResult } from "../providers/drill-results";
import type { VoterReadings, VoterRecord } from "./voters";

export interface LiveSite {
  /** Time on the servers, or of this machine when none says. */
  at: string;
  servers: Record<string, LiveServer>;
  guests: Record<string, LiveGuest>;
  readings: VoterReadings;
  /** Whether every hypervisor that answers has told its replication jobs: without that a guest has perhaps one that is not seen. */
  jobsKnown: boolean;
  /** Every guest id that is taken, on any server that answers. */
  takenIds: number[];
}

/** `none`: the manifest knows no way; `refused`: it is there, but does not let us in or does not answer as it should. */
export type Reach = "up" | "down" | "refused" | "none";

export interface LiveServer {
  name: string;
  hypervisor: boolean;
  api: Reach;
  /** Why it is not `up`, and what to do. */
  apiProblem?: string;
  ssh: Reach;
  sshProblem?: string;
  /** What the other hypervisors of its cluster say of it; absent without one that answers. */
  online?: boolean;
  /** Whether it is in a quorate part of its cluster, as it sees it itself; absent without a cluster. */
  quorate?: boolean;
  /** The program on it and its manifest; absent when it does not answer or is not installed. */
  node?: NodeAnswer;
  /** Guests that run there, also those that the site does not know. */
  running: RunningGuest[];
  /** GiB that they take, with the overhead of each. */
  usedGiB: number;
}

/** What `coldspare-node serve ping` says, and the history of manifests there. */
export interface NodeAnswer {
  self: string;
  boot: string;
  uptimeSeconds: number;
  generation: number;
  hash: string;
  /** Hashes that the server had before, oldest first. */
  history: { generation: number; hash: string }[];
  version: string;
}

export interface RunningGuest {
  vmid: number;
  kind: "qemu" | "lxc";
  name: string;
  memoryGiB: number;
  cores: number;
  /** Name in the manifest. */
  guest?: string;
}

/** A place where a guest can be: one of its ids on one of its servers. */
export interface Seat {
  server: string;
  vmid: number;
  /** Its configuration is there. `undefined`: nobody can say. */
  config: boolean | undefined;
  /** `undefined`: nobody can say, as the server does not answer. */
  running: boolean | undefined;
  lock?: string;
  tags: string[];
  name?: string;
}

export interface LiveGuest {
  name: string;
  /** What a majority of its voters holds. */
  record?: VoterRecord;
  seats: Seat[];
  /** Where it runs, as far as can be seen. */
  runningOn: Seat[];
  /** `nobody`: a switch is under way (or was left in the middle). */
  activeSide: "primary" | "spare" | "nobody" | "unknown";
  activeServer?: string;
  job?: LiveJob;
  /** With `restore`: what is under the standby ids. */
  standbys: LiveStandby[];
  /** With `zfs-sync`: what each server that answers over SSH has of it. */
  zfs?: Record<string, LiveZfsSide>;
  /** The moment whose data the spare side has. */
  recoveryPoint?: string;
  /** A refresh of the spare is under way. */
  refreshing: boolean;
  /** The side that is not active has data of its own, or may have, that nobody has looked at yet. */
  diverged: boolean;
  drill?: DrillResult;
}

export interface LiveJob {
  id: string;
  source?: string;
  target: string;
  disabled: boolean;
  /** A drill has switched it off while it copies, and switches it on again. */
  pausedByDrill?: true;
  running: boolean;
  failCount: number;
  error?: string;
  /** Of the last good run. */
  lastSync?: string;
  removing: boolean;
  schedule?: string;
}

export interface LiveStandby {
  vmid: number;
  server: string;
  name: string;
  running: boolean;
  lock?: string;
  /** Made by us from a backup of this guest. */
  ours: boolean;
  /** Time of the backup; absent while the restore was not checked. */
  recoveryPoint?: string;
  volid?: string;
  /** May be started: ours, checked, whole and not locked. */
  good: boolean;
  tags: string[];
}

/** One server's part of a replica by `zfs-sync`. */
export interface LiveZfsSide {
  /** Complete recovery points there, newest first; `common`: the other server has it, too. */
  points: { id: string; at: string; common: boolean }[];
  /** How the last run there ended: `ok`, `failed`, `running` or `never`; absent when the program does not say. */
  sync?: { state: string; at?: string; error?: string };
}

/** Tag of an old side that must not run: it has data of its own, or may have. */
export const DIVERGED_TAG = "coldspare-diverged";

/** Tag of the standby that a failover has started: whoever looks at the interface, and the way back, know it by that. */
export const ACTIVE_TAG = "coldspare-active";
