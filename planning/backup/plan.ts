/** What a plan says of copies. Plain data: sizes in GiB, times in seconds. */
import type { BackupPolicySpec, KeepSpec, TargetSpec } from "./schema";

/** One thing that a policy backs up. */
export interface SubjectPlan {
  /** Guest name, `folder:<server>:<first path>`, `volume:<server>:<name>` or `dataset:<server>:<data set>`. */
  subject: string;
  kind: "guest" | "folder" | "volume" | "dataset";
  /** The server that reads it: a guest's primary. */
  server: string;
  /** The guest whose data is dumped in this folder. */
  of?: string;
  /** Guest id, guests only. */
  vmid?: number;
  usedGiB: number;
  /** Size of the first full copy. */
  firstGiB: number;
  /** What each day adds, after compression and deduplication. */
  dailyGiB: number;
  /** Where these numbers come from, in words. */
  basis: string;
}

export interface PolicyPlan {
  name: string;
  spec: BackupPolicySpec;
  /** Name of its target; of a policy with `storage` alone that storage's id. */
  target: string;
  kind: TargetSpec["kind"];
  /** Storage entry on the hypervisors, where the target is one. */
  storage?: string;
  keep: KeepSpec;
  subjects: SubjectPlan[];
  /** Age of the newest copy at worst: the longest gap of the schedule and the time that a copy takes. */
  recoveryPointSeconds: number;
  promisedSeconds?: number;
  /** What its copies take together; only with a quota of its own. */
  forecast?: ForecastPlan;
  /** How long one run takes over the link, first and later. */
  firstRunSeconds: number;
  laterRunSeconds: number;
}

export interface ForecastPlan {
  /** Space used at the end of each of the next 12 months, the target empty at the beginning. */
  monthsGiB: number[];
  peakGiB: number;
  /** Days until the limit is reached; absent: not within 12 months. */
  fillsAfterDays?: number;
  /** The largest retention that fits, for the policy that takes the most room; absent when all fits as it is. */
  largestKeep?: { policy: string; keep: KeepSpec };
}

export interface TargetPlan {
  name: string;
  kind: TargetSpec["kind"];
  spec?: TargetSpec;
  /** The server of the site that it is on, and its address where it is elsewhere. */
  server?: string;
  host?: string;
  location?: string;
  sizeGiB: number;
  /** What may be filled: the smaller of fill limit and quota. */
  limitGiB: number;
  quotaGiB?: number;
  /** Bytes allocated below, where the storage keeps several copies of each byte. */
  allocatedGiB: number;
  /** How the usable size follows from the disks, a line each; empty where the size is given. */
  sizeSteps: string[];
  forecast: ForecastPlan;
  /** Seconds to restore everything on it over the link, and the subject that takes longest. */
  restoreAllSeconds: number;
  longestRestore?: { subject: string; seconds: number };
  fits: boolean;
}

/** One line of 3-2-1-1-0 for one subject. */
export interface CopiesPlan {
  subject: string;
  /** Production and every copy of it: where, on which kind of medium, whether off-line or immutable, whether verified. */
  copies: {
    where: string;
    location?: string;
    media: string;
    offline: boolean;
    immutable: boolean;
    verified: boolean;
  }[];
  /** 3 copies, 2 kinds of media, 1 elsewhere, 1 off-line or immutable, 0 errors (verified). */
  three: boolean;
  two: boolean;
  one: boolean;
  offlineOrImmutable: boolean;
  zero: boolean;
}

export interface RotationPlan {
  target: string;
  on: string;
  copies: string;
  sizeGiB: number;
  sets: { name: string; media: string[]; swap: string; offSite: boolean }[];
  timeZone: string;
  startSeconds: number;
  graceSeconds: number;
  mountPoint: string;
  /** Age of the newest off-line medium at worst, and of the newest off-site one: the loss of the whole site. */
  worstOfflineSeconds: number;
  worstOffSiteSeconds?: number;
}

export interface BackupsPlan {
  policies: Record<string, PolicyPlan>;
  targets: Record<string, TargetPlan>;
  copies: Record<string, CopiesPlan>;
  rotations: Record<string, RotationPlan>;
}
