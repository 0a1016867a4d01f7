/**
 * The parts of a specification that say where copies lie and how they are made: targets and policies. Sizes are GiB (2^30
 * bytes) unless a key says TB (10^12 bytes, as disks are sold). Secrets appear by name only.
 */
import { z } from "zod";
import { duration, gib, name, secretName, serverName, storageId } from "../schema-basics";

const calendarEvent = z.string().min(1);
const path = z.string().regex(/^\/[^\0\n]*$/, "must be an absolute path");
const argv = z.array(z.string().min(1)).min(1);
const port = z.int().min(1).max(65_535);
const host = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$/, "must be a host name or an address");
const rate = z.number().gt(0).describe("Bandwidth limit in MB/s (10^6 bytes). Default: none");
const hostKeys = z
  .array(z.string().min(1))
  .default([])
  .describe("Public SSH host keys, `ssh-ed25519 AAAA…`; for a host that is no server of this site");

/** How many copies stay. A number counts periods that have a copy; how the rules work together depends on the target. */
export const keep = z.strictObject({
  last: z.int().nonnegative().optional(),
  hourly: z.int().nonnegative().optional(),
  daily: z.int().nonnegative().optional(),
  weekly: z.int().nonnegative().optional(),
  monthly: z.int().nonnegative().optional(),
  yearly: z.int().nonnegative().optional(),
});

export const diskLayout = z.strictObject({
  layout: z.enum(["single", "stripe", "mirror", "raidz1", "raidz2", "raidz3", "raid5", "raid6", "raid10"]),
  count: z.int().min(1).describe("Disks, spares not counted"),
  sizeTB: z.number().positive().describe("Size of one disk as it is sold: TB, 10^12 bytes"),
});

const targetCommon = {
  description: z.string().optional(),
  location: z
    .string()
    .optional()
    .describe("Room or data centre where it lies. Default: the location of its server; unknown for a host elsewhere"),
  sizeGiB: gib.optional().describe("Usable size. Either this or `disks`"),
  disks: diskLayout.optional().describe("The disks it is made of: what is usable of them is computed, step by step"),
  fillLimit: z.number().gt(0).max(1).default(0.85).describe("Share that may be filled"),
  quotaGiB: gib.optional().describe("What may be used of it, where somebody else sets a limit"),
  storedCopies: z
    .int()
    .min(1)
    .default(1)
    .describe("Copies that the storage below keeps of each byte: 3 means that 40 GiB bought is 120 GiB allocated"),
  linkMbps: z.number().positive().optional().describe("The way to it in Mbit/s. Default: policies.linkMbps"),
  media: z
    .string()
    .optional()
    .describe(
      "Kind of medium, for the rule of two kinds of media: disk, object-storage, tape … Default: what the kind is",
    ),
};

export const pbsTarget = z.strictObject({
  kind: z.literal("pbs"),
  ...targetCommon,
  on: serverName.optional().describe("The server of this site that runs Proxmox Backup Server; or `host`"),
  host: host.optional().describe("Host name of one that is no server of this site"),
  port: port.default(8007),
  datastore: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{2,31}$/, "must be the name of a datastore: 3-32 characters"),
  path: path.optional().describe("Folder of the datastore, which is then made. Absent: it is there already"),
  namespace: z
    .string()
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*){0,6}$/,
      "must be a namespace of at most 7 levels",
    )
    .optional()
    .describe("Namespace for this site's backups. Default: the root of the datastore"),
  fingerprint: z
    .string()
    .regex(/^([0-9a-fA-F]{2}:){31}[0-9a-fA-F]{2}$/, "must be a SHA-256 fingerprint: 32 pairs with colons")
    .optional(),
  managed: z
    .boolean()
    .default(true)
    .describe("true: `pulumi up` makes datastore, namespace, jobs, user and token on the backup server"),
  username: z.string().default("coldspare@pbs").describe("User of the hypervisors; the program makes a token for it"),
  tokenSecret: secretName
    .optional()
    .describe(
      "`user!token:secret` of a server that is not managed. Without it, and with `storage`: the hypervisors have the entry already",
    ),
  encryption: z
    .enum(["none", "client"])
    .default("none")
    .describe("client: the hypervisors encrypt before they send; the key stays with them, keep a copy of it elsewhere"),
  gcSchedule: calendarEvent.default("daily"),
  pruneSchedule: calendarEvent.default("daily"),
  verify: z
    .strictObject({
      schedule: calendarEvent.default("weekly"),
      reverifyAfterDays: z.int().min(1).default(30),
    })
    .prefault({})
    .describe("Every chunk is read again and its checksum compared"),
  removableDevice: z.string().optional().describe("UUID of the file system of a removable datastore"),
  syncFrom: z
    .strictObject({
      target: name.describe("The `pbs` target whose backups are fetched"),
      schedule: calendarEvent,
      rateMBps: rate.optional(),
      removeVanished: z
        .boolean()
        .default(false)
        .describe("true: what is removed there is removed here, too; then this copy survives no mistake made there"),
      transferLast: z.int().min(1).optional().describe("Only the newest so many of each guest"),
    })
    .optional()
    .describe("This datastore is a copy of another one, fetched by a sync job"),
  storage: storageId.optional().describe("Id of the storage entry on the hypervisors. Default: the target's name"),
});

export const vzdumpTarget = z.strictObject({
  kind: z.literal("vzdump"),
  ...targetCommon,
  storage: storageId.describe("A storage with content `backup`: of the section storages (NFS, CIFS), or a directory"),
});

export const zfsTarget = z.strictObject({
  kind: z.literal("zfs-receiver"),
  ...targetCommon,
  on: serverName.optional().describe("The server of this site that receives; or `host`"),
  host: host.optional(),
  port: port.default(22),
  user: z.string().default("root"),
  hostKeys,
  dataset: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_.:-]*(\/[A-Za-z0-9_.:-]+)*$/, "must be a ZFS data set, for example tank/backup")
    .describe("Data set below which the copies lie"),
  direction: z
    .enum(["push", "pull"])
    .default("push")
    .describe(
      "pull: the receiver fetches, as a machine behind NAT with a dynamic address must; it needs a server in `on`",
    ),
  raw: z.boolean().default(false).describe("Encrypted data sets travel and lie encrypted; the receiver needs no key"),
  rateMBps: rate.optional(),
  pruner: z
    .enum(["coldspare", "sanoid"])
    .default("coldspare")
    .describe("Who removes old snapshots on the receiver; with sanoid its configuration is rendered"),
});

/** Where a restic repository lies. */
export const resticBackend = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("sftp"),
    on: serverName.optional().describe("A server of this site; or `host`"),
    host: host.optional(),
    port: port.default(22),
    user: z.string().default("root"),
    hostKeys,
    path,
  }),
  z.strictObject({
    type: z.literal("rest"),
    url: z.string().describe("rest-server, https://backup.example.org:8000/office"),
    username: z.string().optional(),
    userPasswordSecret: secretName.optional(),
    ca: z.string().optional().describe("PEM of the authority that signed its certificate"),
  }),
  z.strictObject({
    type: z.literal("s3"),
    endpoint: z.string().describe("https://s3.example.org"),
    bucket: z.string().min(1),
    prefix: z.string().default(""),
    region: z.string().optional(),
    accessKeySecret: secretName,
    secretKeySecret: secretName,
    ca: z.string().optional(),
  }),
  z.strictObject({ type: z.literal("local"), on: serverName, path }),
]);

export const resticTarget = z.strictObject({
  kind: z.literal("restic"),
  ...targetCommon,
  backend: resticBackend,
  passwordSecret: secretName.describe(
    "Name of the secret that encrypts the repository. Without it nothing is restored",
  ),
  appendOnly: z
    .boolean()
    .default(false)
    .describe(
      "Whoever takes a server cannot delete its copies: rest-server or S3 without the right to delete, never SFTP",
    ),
  pruneOn: serverName
    .optional()
    .describe("The server that prunes an append-only repository with credentials of its own. Default: nobody"),
  rateMBps: rate.optional(),
});

export const mediaSet = z.strictObject({
  name,
  media: z.array(name).min(1).describe("Labels of the disks, in the order of their turns"),
  swap: calendarEvent.describe("When the next disk of this set is attached, for example mon 09:00"),
  offSite: z.boolean().default(false).describe("Disks of this set are carried out of the building"),
});

export const offlineMediumTarget = z.strictObject({
  kind: z.literal("offline-medium"),
  description: z.string().optional(),
  on: serverName.describe("The server it is attached to while it is online"),
  copies: z.string().describe("The storage or target whose content it holds"),
  sizeGiB: gib.describe("Usable size of one medium"),
  rotation: z
    .array(mediaSet)
    .min(1)
    .describe("Sets of labelled media with a calendar each, for example weekly A and B, and a monthly one off site"),
  start: z.iso.date().optional().describe("Day of the first turn. Default: 2026-01-05, a Monday"),
  grace: duration.default("2d").describe("How long a swap may be late before it is a problem"),
  mountPoint: path.optional().describe("Where the medium is mounted. Default: /mnt/coldspare/<target>"),
  schedule: calendarEvent.optional().describe("When it is written. Default: after each swap and every day at 05:00"),
  keep: keep.optional().describe("Copies kept over all media together. Default: as many as fit"),
  carrier: z.string().optional().describe("Who carries the disks; named in the calendar file"),
});

export const target = z.discriminatedUnion("kind", [
  pbsTarget,
  vzdumpTarget,
  zfsTarget,
  resticTarget,
  offlineMediumTarget,
]);

/** What lies on it decides how far it shrinks and how much of it changes. */
export const dataKind = z.enum(["mixed", "system", "database", "files", "mail", "media"]);

const usedGiB = z.number().nonnegative().describe("What lies there, in GiB");

export const folderSource = z.strictObject({
  server: serverName.describe("A physical server of this site that has the folders"),
  paths: z.array(path).min(1),
  exclude: z.array(z.string().min(1)).default([]).describe("Patterns as restic takes them"),
  of: name.optional().describe("The guest whose data is dumped here: the folder is then a copy itself"),
  usedGiB,
  data: dataKind.optional(),
});

export const volumeSource = z.strictObject({
  server: serverName.describe("The server, or the guest, whose Docker Engine has the volume"),
  volume: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "must be the name of a volume"),
  usedGiB,
  data: dataKind.optional(),
});

export const datasetSource = z.strictObject({
  server: serverName,
  dataset: z.string().regex(/^[A-Za-z][A-Za-z0-9_.:-]*(\/[A-Za-z0-9_.:-]+)*$/, "must be a ZFS data set"),
  recursive: z.boolean().default(false),
  encrypted: z.boolean().default(false),
  usedGiB,
  data: dataKind.optional(),
});

export const backupPolicy = z.strictObject({
  description: z.string().optional(),
  target: name.optional().describe("Name of a target; or `storage`"),
  storage: storageId.optional().describe("Short for a `vzdump` target on this storage"),
  schedule: calendarEvent.describe("Proxmox VE calendar event, for example 22:30 or mon..fri 22:30"),
  guests: z
    .union([
      z.literal("all"),
      z.array(name),
      z.strictObject({ pool: z.string().min(1) }),
      z.strictObject({ tag: z.string().min(1) }),
    ])
    .optional()
    .describe("Default: all, or none in a policy of folders, volumes or data sets"),
  folders: z.array(folderSource).default([]).describe("Folders of physical servers; `restic` targets"),
  volumes: z.array(volumeSource).default([]).describe("Volumes of Docker Engines; `restic` targets"),
  datasets: z.array(datasetSource).default([]).describe("ZFS data sets; `zfs-receiver` targets"),
  managed: z
    .boolean()
    .default(true)
    .describe("false: the backup job is there already; it counts in the plan, and `pulumi up` makes none"),
  mode: z.enum(["snapshot", "suspend", "stop"]).default("snapshot"),
  bandwidthMBps: rate.optional(),
  compression: z.enum(["zstd", "gzip", "lzo", "none"]).default("zstd"),
  fleecing: z
    .strictObject({ storage: storageId })
    .optional()
    .describe(
      "A local storage that takes what a machine overwrites during its backup, so that a slow target slows no guest",
    ),
  hooks: z
    .strictObject({
      before: z.array(argv).default([]),
      after: z.array(argv).default([]).describe("Also run when the backup failed"),
      timeoutSeconds: z.int().positive().default(600),
    })
    .prefault({})
    .describe("Commands on the server around each run, for example a dump of a database"),
  keep: keep.default({ last: 3 }),
  immutableFor: duration
    .optional()
    .describe("Nobody can remove a copy for so long, not even with the server's credentials"),
  verify: z
    .strictObject({
      reread: calendarEvent.optional().describe("Every copy is read again and its checksums compared"),
      testRestore: z
        .strictObject({
          schedule: calendarEvent,
          guests: z.array(name).optional().describe("Default: all of the policy, one after another"),
          on: serverName
            .optional()
            .describe("Server that boots the copy in isolation. Default: the spare, or the primary"),
        })
        .optional(),
    })
    .prefault({}),
  notify: z.enum(["failure", "always", "never"]).default("failure").describe("When a mail is sent; see policies.mail"),
  data: dataKind.default("mixed"),
  compressionRatio: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe("Measured size of a full backup over the used size. Default: that of `data`"),
  dailyChange: z
    .number()
    .nonnegative()
    .max(1)
    .optional()
    .describe("Measured share of the used size that changes in a day. Default: that of `data`"),
  quotaGiB: gib.optional().describe("What the copies of this policy may take together"),
  recoveryPoint: duration.optional().describe("Promised age of the newest copy at worst"),
  systemsReproducible: z
    .boolean()
    .default(false)
    .describe(
      "Only data is backed up, as the systems are built anew by a program: no finding for systems without backup",
    ),
});

export const mail = z.strictObject({
  server: host,
  port: port.default(25),
  tls: z.enum(["none", "starttls"]).default("starttls"),
  from: z.string().min(3),
  to: z.array(z.string().min(3)).min(1),
});

export type KeepSpec = z.output<typeof keep>;
export type DiskLayoutSpec = z.output<typeof diskLayout>;
export type TargetSpec = z.output<typeof target>;
export type PbsTargetSpec = z.output<typeof pbsTarget>;
export type VzdumpTargetSpec = z.output<typeof vzdumpTarget>;
export type ZfsTargetSpec = z.output<typeof zfsTarget>;
export type ResticTargetSpec = z.output<typeof resticTarget>;
export type ResticBackendSpec = z.output<typeof resticBackend>;
export type OfflineMediumSpec = z.output<typeof offlineMediumTarget>;
export type MediaSetSpec = z.output<typeof mediaSet>;
export type BackupPolicySpec = z.output<typeof backupPolicy>;
export type FolderSourceSpec = z.output<typeof folderSource>;
export type VolumeSourceSpec = z.output<typeof volumeSource>;
export type DatasetSourceSpec = z.output<typeof datasetSource>;
export type DataKind = z.output<typeof dataKind>;
export type MailSpec = z.output<typeof mail>;
