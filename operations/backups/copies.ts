/** What is known of a site's copies at one moment. Plain data; times are ISO texts in UTC, sizes bytes unless a key says GiB. */
import type { ManifestTarget } from "../../planning/backup/manifest";

/** `medium`: it lies on a rotated medium, which has to be attached before it can be restored. */
export type PointKind = "pbs" | "vzdump" | "restic" | "zfs" | "medium";

/** One copy that can be restored. */
export interface Point {
  /** As its keeper calls it: a volume id of Proxmox VE, a snapshot of restic, a snapshot of ZFS. */
  id: string;
  /** Name of a guest, `folder:<server>:<path>`, `volume:<server>:<name>` or `dataset:<server>:<data set>`. */
  subject: string;
  /** Policies that it can be of: several may write guests to one storage. */
  policies: string[];
  target: string;
  kind: PointKind;
  /** The moment whose data it holds. */
  at: string;
  bytes?: number;
  /** `none`: it was never read again. */
  verified: "ok" | "failed" | "none";
  verifiedAt?: string;
  /** Nobody removes it by a schedule. */
  protected?: boolean;
  encrypted?: boolean;
  notes?: string;
  /** Label of the medium that it lies on. */
  medium?: string;
  /** The job on the server that made it. */
  job?: string;
  /** Servers from which it is restored. Empty: nobody sees it at present. */
  servers: string[];
  /** Of the guest that was backed up: a standby that was active has another id than its guest. */
  vmid?: number;
  guestKind?: "qemu" | "lxc";
}

/** How the last run of a job on a server ended. */
export interface JobState {
  name: string;
  server: string;
  kind: "restic" | "media" | "zfs" | "vzdump";
  policy?: string;
  target?: string;
  state: "ok" | "failed" | "running" | "never";
  /** End of the last run. */
  at?: string;
  began?: string;
  bytes?: number;
  /** Newest good point that it made. */
  newest?: string;
  error?: string;
}

/** What is attached for a rotation, by the word of its server. */
export interface MediumState {
  target: string;
  server: string;
  /** Label; `foreign`: a file system without a label of this site; absent: nothing is attached. */
  attached?: string;
  expected?: string;
  set?: string;
  /** When the next swap is due, and what is to be attached then. */
  until?: string;
  next?: string;
  attachedAt?: string;
  written?: string;
  freeBytes?: number;
  sizeBytes?: number;
  /** Where the calendar that the server has ends: `pulumi up` renews it. */
  listEnds?: string;
  error?: string;
}

/** How full a target is, as a server sees it. */
export interface TargetFill {
  target: string;
  server: string;
  usedGiB: number;
  totalGiB: number;
  /** What may be filled, as planned. */
  limitGiB: number;
}

/** Something that could not be asked: what it would have told is missing, and nothing is concluded from that. */
export interface Unasked {
  /** Targets of which copies may be missing. */
  targets: string[];
  server: string;
  reason: string;
}

export interface Copies {
  at: string;
  points: Point[];
  jobs: JobState[];
  media: MediumState[];
  fills: TargetFill[];
  unasked: Unasked[];
  /** Copies on the site's storages of guests that the site does not know. */
  foreign: number;
}

/** Whether one would restore it without a second thought: it was not found to be broken. */
export function isGood({ verified }: Point): boolean {
  return verified !== "failed";
}

/** Newest first; of two of the same moment what is on line, then what was verified, then by name, so that the order is always the same. */
export function newestFirst(a: Point, b: Point): number {
  const rank = ({ kind, verified }: Point) =>
    (kind === "medium" ? 3 : 0) + (verified === "ok" ? 0 : verified === "none" ? 1 : 2);
  return (
    Date.parse(b.at) - Date.parse(a.at) ||
    rank(a) - rank(b) ||
    (a.target < b.target ? -1 : a.target > b.target ? 1 : 0) ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  );
}

/** Id of the storage entry on the hypervisors; undefined for a target that is none of Proxmox VE's. */
export function storageOfTarget(target: ManifestTarget): string | undefined {
  return target.kind === "pbs" || target.kind === "vzdump" ? target.storage : undefined;
}

/** Epoch seconds as the text that every answer uses. */
export function isoOf(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString().replace(".000Z", "Z");
}
