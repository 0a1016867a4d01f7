/** Entries of the backup server's configuration about datastores: what is in them, and how each setting travels. */
import type { InputFailure } from "../serve";
import { checkId } from "./names";
import type { Section, SectionInputs } from "./section";

/** How a datastore writes and cleans. */
export interface PbsTuning {
  /** Order in which chunks are read. Default: inode, which suits spinning disks. */
  chunkOrder?: "none" | "inode";
  /** What is forced onto the disk at the end of a backup. Default: filesystem. */
  syncLevel?: "none" | "file" | "filesystem";
  /** Garbage collection checks first that the file system keeps access times. Default: true. */
  gcAtimeSafetyCheck?: boolean;
  /** Minutes that a chunk nobody uses stays. Default: 1445, a day and five minutes. */
  gcAtimeCutoff?: number;
}

/** When the server sends mail of its own, where `notificationMode` is `legacy-sendmail`. */
export interface PbsNotify {
  gc?: "always" | "error" | "never";
  prune?: "always" | "error" | "never";
  sync?: "always" | "error" | "never";
  verify?: "always" | "error" | "never";
}

/** Inputs of a datastore; see `PbsDatastore`. */
export interface PbsDatastoreInputs extends SectionInputs {
  name: string;
  path: string;
  backingDevice?: string;
  reuse?: boolean;
  gcSchedule?: string;
  gcOnUnmount?: boolean;
  verifyNew?: boolean;
  notificationMode?: "notification-system" | "legacy-sendmail";
  notifyUser?: string;
  notify?: PbsNotify;
  tuning?: PbsTuning;
  comment?: string;
}

export const DATASTORE: Section<PbsDatastoreInputs> = {
  noun: "datastore",
  path: "/config/datastore",
  key: "name",
  keyWire: "name",
  byTask: true,
  // Never destroy-data: what is backed up outlives its entry. Jobs that others made for it stay, too.
  removal: { "keep-job-configs": true },
  removeCommand: "proxmox-backup-manager datastore remove",
  properties: {
    path: { wire: "path", kind: "text", fixed: true },
    backingDevice: { wire: "backing-device", kind: "text", fixed: true },
    reuse: { wire: "reuse-datastore", kind: "flag", once: true },
    gcSchedule: { wire: "gc-schedule", kind: "text", schedule: true },
    gcOnUnmount: { wire: "gc-on-unmount", kind: "flag", initial: false },
    verifyNew: { wire: "verify-new", kind: "flag", initial: false },
    notificationMode: { wire: "notification-mode", kind: "text", loose: true },
    notifyUser: { wire: "notify-user", kind: "text", loose: true },
    notify: { wire: "notify", kind: "options", loose: true },
    tuning: { wire: "tuning", kind: "options", loose: true },
    comment: { wire: "comment", kind: "text", loose: true },
  },
  check: ({ name, path, backingDevice }) => [...checkId("name", name), ...checkPath(path, backingDevice)],
};

/** On a removable medium the path counts from the medium's root, otherwise from the server's. */
function checkPath(path: string | undefined, backingDevice: string | undefined): InputFailure[] {
  if (path === undefined) return [];
  if (backingDevice === undefined && !path.startsWith("/")) {
    return [{ property: "path", reason: `'${path}' is no absolute path; write for instance /srv/backup` }];
  }
  if (backingDevice !== undefined && !/^[0-9A-Fa-f-]{9,36}$/.test(backingDevice)) {
    const reason = `'${backingDevice}' is no UUID of a file system; \`proxmox-backup-manager disk list --include-partitions\` or \`blkid\` shows it`;
    return [{ property: "backingDevice", reason }];
  }
  return [];
}
