/** State of a simulated Proxmox Backup Server: plain values. What its datastores hold lies on disk, as with a real one. */

/** Values of one section of a configuration file, as strings. */
export type Section = Record<string, string>;

/** Kinds of jobs that have a section of their own. */
export type JobKind = "prune" | "verification" | "sync";

export interface PbsTask {
  upid: string;
  pid: number;
  pstart: number;
  /** Number of the task within its process; PBS has it in the UPID, PVE has not. */
  taskId: number;
  starttime: number;
  type: string;
  id: string;
  /** `user@realm` or `user@realm!token`. */
  auth: string;
  endtime?: number;
  exitstatus?: string;
  log: string[];
}

export interface PbsUser {
  values: Section;
  passwordHash?: string;
  tokens: Record<string, { values: Section; secretHash: string }>;
}

export interface PbsAcl {
  path: string;
  ugid: string;
  ugidType: "user" | "group";
  role: string;
  propagate: boolean;
}

/** What the last garbage collection of a datastore found, in PBS's own words. */
export interface GcStatus {
  upid: string;
  "index-file-count": number;
  "index-data-bytes": number;
  "disk-bytes": number;
  "disk-chunks": number;
  "removed-bytes": number;
  "removed-chunks": number;
  "pending-bytes": number;
  "pending-chunks": number;
  "removed-bad": number;
  "still-bad": number;
}

/** How a job ended last, and since when its schedule counts. */
export interface JobState {
  since: number;
  upid?: string;
  endtime?: number;
  state?: string;
}

export interface PbsState {
  up: boolean;
  bootedAt: number;
  nextPid: number;
  ticketKey: string;
  users: Record<string, PbsUser>;
  acl: PbsAcl[];
  datastores: Record<string, Section>;
  jobs: Record<JobKind, Record<string, Section>>;
  remotes: Record<string, Section>;
  /** By `prune:ID`, `gc:STORE` and so on. */
  jobStates: Record<string, JobState>;
  gc: Record<string, GcStatus>;
  tasks: PbsTask[];
  /** Removable datastores that are mounted. */
  mounted: string[];
  /** Bytes that the control interface put beside a datastore, to fill its disk. */
  filler: Record<string, number>;
}

export function emptyPbsState(now: number, ticketKey: string): PbsState {
  return {
    up: true,
    bootedAt: now,
    nextPid: 700,
    ticketKey,
    users: { "root@pam": { values: { enable: "1" }, tokens: {} } },
    acl: [],
    datastores: {},
    jobs: { prune: {}, verification: {}, sync: {} },
    remotes: {},
    jobStates: {},
    gc: {},
    tasks: [],
    mounted: [],
    filler: {},
  };
}
