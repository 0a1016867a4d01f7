/** Datastores of a backup server and what is done to them, as Pulumi resources. */
import type * as pulumi from "@pulumi/pulumi";
import { HandlerResource } from "../dynamic";
import type { PbsNotify, PbsTuning } from "./datastore";

/** What the resources of a backup server have in common. */
export interface PbsArgs {
  /** Name of the backup server in `coldspare:pbs`. A change replaces the resource. */
  server: string;
}

/** The same for what may exist already. */
export interface PbsSectionArgs extends PbsArgs {
  /** Bring what exists with other settings to these. Default: false, which is an error then; what matches is taken over either way. */
  adopt?: boolean;
  /** A line for people. Default: left as it is. */
  comment?: string;
}

/** Arguments of {@link PbsDatastore}. */
export interface PbsDatastoreArgs extends PbsSectionArgs {
  /** 3 to 32 characters. A change replaces the resource. */
  name: string;
  /** Absolute path of the folder; with `backingDevice` the path on the medium. A change replaces the entry; the backups stay where they are. */
  path: string;
  /** UUID of the file system of a removable datastore. */
  backingDevice?: string;
  /** The folder holds a datastore already, whose backups are kept. Default: false: such a folder is refused. */
  reuse?: boolean;
  /** Calendar event of garbage collection: what no backup uses any more is freed. Default: never. */
  gcSchedule?: string;
  /** Collect garbage before a removable datastore is unmounted. Default: false. */
  gcOnUnmount?: boolean;
  /** Read every backup again as soon as it is written. Default: false. */
  verifyNew?: boolean;
  /** Who tells of failures. Default: left as it is. */
  notificationMode?: "notification-system" | "legacy-sendmail";
  /** The user that mail goes to, with `legacy-sendmail`. Default: left as it is. */
  notifyUser?: string;
  notify?: PbsNotify;
  /** Default: left as it is. */
  tuning?: PbsTuning;
}

/**
 * A datastore of Proxmox Backup Server.
 *
 * ```ts
 * new PbsDatastore("office-datastore", {
 *   server: "office", name: "main", path: "/srv/backup", gcSchedule: "daily", verifyNew: true,
 * }, { parent, protect: true });
 * ```
 *
 * A datastore that is there with these settings is taken over untouched. Deletion takes it out of the configuration and keeps
 * every backup in its folder, and the jobs that others made for it; `reuse: true` brings it back.
 */
export class PbsDatastore extends HandlerResource {
  declare readonly name: pulumi.Output<string>;
  declare readonly path: pulumi.Output<string>;

  constructor(name: string, args: PbsDatastoreArgs, opts?: pulumi.CustomResourceOptions) {
    super("PbsDatastore", "pbs/datastore-handler", name, { ...args }, opts);
  }
}

/** Arguments of {@link PbsNamespace}. A change of any replaces the resource. */
export interface PbsNamespaceArgs extends PbsArgs {
  /** The datastore. */
  store: pulumi.Input<string>;
  /** Up to seven names with '/' between. What is missing above it is made, too. */
  ns: string;
}

/**
 * A namespace in a datastore: a folder with owners and rights of its own.
 *
 * A group of backups belongs to the one user or token that made it. Two clusters with two tokens therefore each need a
 * namespace; they share chunks all the same.
 *
 * ```ts
 * new PbsNamespace("office-namespace", { server: "office", store: datastore.name, ns: "office" }, { parent });
 * ```
 *
 * Deletion removes it only when it is empty; otherwise it stays, and a message says what is in it.
 */
export class PbsNamespace extends HandlerResource {
  declare readonly ns: pulumi.Output<string>;

  constructor(name: string, args: PbsNamespaceArgs, opts?: pulumi.CustomResourceOptions) {
    super("PbsNamespace", "pbs/namespace-handler", name, { ...args }, opts);
  }
}

/** What jobs over a datastore have in common. */
export interface PbsJobArgs extends PbsSectionArgs {
  /** Its id, 3 to 32 characters. A change replaces the job. */
  jobId: string;
  /** The datastore. A change replaces the job. */
  store: pulumi.Input<string>;
  /** Namespace. Default: the root. */
  ns?: pulumi.Input<string>;
  /** Levels of namespaces below it, 0 for none. Default: all. */
  maxDepth?: number;
}

/** Arguments of {@link PbsPruneJob}. At least one period must be kept; a number counts periods that have a backup. */
export interface PbsPruneJobArgs extends PbsJobArgs {
  /** Calendar event, for instance `daily` or `mon..fri 03:00`. */
  schedule: string;
  keepLast?: number;
  keepHourly?: number;
  keepDaily?: number;
  keepWeekly?: number;
  keepMonthly?: number;
  keepYearly?: number;
  /** Default: left as it is, so that a job which somebody switched off stays off. */
  disable?: boolean;
}

/**
 * A job that removes backups which retention does not keep. Protected ones stay. Space is freed by garbage collection.
 *
 * ```ts
 * new PbsPruneJob("office-prune", { server: "office", jobId: "office-prune", store: "main", schedule: "daily", keepDaily: 14, keepMonthly: 12 });
 * ```
 */
export class PbsPruneJob extends HandlerResource {
  constructor(name: string, args: PbsPruneJobArgs, opts?: pulumi.CustomResourceOptions) {
    super("PbsPruneJob", "pbs/prune-job-handler", name, { ...args }, opts);
  }
}

/** Arguments of {@link PbsVerifyJob}. */
export interface PbsVerifyJobArgs extends PbsJobArgs {
  /** Calendar event. Default: by hand only. */
  schedule?: string;
  /** Pass over what is verified and not outdated. Default: true. */
  ignoreVerified?: boolean;
  /** Days after which a verification is outdated. Default: never. */
  outdatedAfter?: number;
}

/**
 * A job that reads backups again and compares their checksums.
 *
 * ```ts
 * new PbsVerifyJob("office-verify", { server: "office", jobId: "office-verify", store: "main", schedule: "weekly", outdatedAfter: 30 });
 * ```
 */
export class PbsVerifyJob extends HandlerResource {
  constructor(name: string, args: PbsVerifyJobArgs, opts?: pulumi.CustomResourceOptions) {
    super("PbsVerifyJob", "pbs/verify-job-handler", name, { ...args }, opts);
  }
}

/** Arguments of {@link PbsSyncJob}. */
export interface PbsSyncJobArgs extends PbsJobArgs {
  /** The other server, by the name of its `PbsRemote`. Default: another datastore of this one. */
  remote?: pulumi.Input<string>;
  /** The datastore there. */
  remoteStore: pulumi.Input<string>;
  /** The namespace there. Default: the root. */
  remoteNs?: pulumi.Input<string>;
  /** pull: this server fetches. A change replaces the job. Default: pull. */
  direction?: "pull" | "push";
  /** Calendar event. Default: by hand only. */
  schedule?: string;
  /** Bandwidth limit per second with a unit, `20MB`. Default: none. */
  rateIn?: string;
  rateOut?: string;
  /** Remove here what was removed there: then this copy survives no mistake made there. Default: false. */
  removeVanished?: boolean;
  /** Only the newest so many of each group. Default: all. */
  transferLast?: number;
  /** The user or token that the copies belong to. Default: whoever makes the job. */
  owner?: pulumi.Input<string>;
  /** Fetch again what a verification found damaged here. Default: false. */
  resyncCorrupt?: boolean;
  encryptedOnly?: boolean;
  verifiedOnly?: boolean;
  /** Run when a removable datastore is mounted, and unmount it afterwards. Default: false. */
  runOnMount?: boolean;
  unmountOnDone?: boolean;
  /** `type:vm`, `group:vm/110`, `exclude:regex:…`. Default: all groups. */
  groupFilter?: string[];
}

/**
 * A job that copies backups from one datastore to another, on the same or another server.
 *
 * ```ts
 * new PbsSyncJob("attic-sync", {
 *   server: "attic", jobId: "attic-from-office", store: "attic", remote: "office", remoteStore: "main", remoteNs: "office",
 *   schedule: "02:30", rateIn: "20MB", resyncCorrupt: true,
 * });
 * ```
 */
export class PbsSyncJob extends HandlerResource {
  constructor(name: string, args: PbsSyncJobArgs, opts?: pulumi.CustomResourceOptions) {
    super("PbsSyncJob", "pbs/sync-job-handler", name, { ...args }, opts);
  }
}
