/** What commands and the programs on the servers need to know of copies; part of the site's manifest. No secrets. */
import type { KeepSpec, MailSpec, ResticBackendSpec } from "./schema";

export interface ManifestBackups {
  /** IANA name: schedules are meant in it. */
  timeZone: string;
  targets: Record<string, ManifestTarget>;
  policies: Record<string, ManifestPolicy>;
  rotations: Record<string, ManifestRotation>;
  mail?: MailSpec;
}

interface TargetCommon {
  /** Absent: unknown, as of a host elsewhere. */
  location?: string;
  limitGiB: number;
}

export type ManifestTarget = TargetCommon &
  (
    | {
        kind: "pbs";
        /** Server of the site, where it is one. */
        on?: string;
        /** Address or host name and port of its API. */
        host: string;
        port: number;
        datastore: string;
        namespace?: string;
        fingerprint?: string;
        /** Storage entry on the hypervisors. */
        storage: string;
        encrypted: boolean;
        /** The target that it is a copy of. */
        syncFrom?: string;
      }
    | { kind: "vzdump"; storage: string }
    | {
        kind: "zfs-receiver";
        on?: string;
        host: string;
        port: number;
        user: string;
        hostKeys: string[];
        dataset: string;
        direction: "push" | "pull";
        raw: boolean;
        rateMBps?: number;
        pruner: "coldspare" | "sanoid";
      }
    | {
        kind: "restic";
        /** Repository as restic's option -r takes it. */
        repository: string;
        backend: ResticBackendSpec;
        passwordSecret: string;
        appendOnly: boolean;
        pruneOn?: string;
        rateMBps?: number;
      }
    | { kind: "offline-medium"; on: string; copies: string; sizeGiB: number; mountPoint: string }
  );

export interface ManifestPolicy {
  target: string;
  schedule: string;
  keep: KeepSpec;
  /** Names of guests, sorted. */
  guests: string[];
  folders: { server: string; paths: string[]; exclude: string[] }[];
  volumes: { server: string; volume: string }[];
  datasets: { server: string; dataset: string; recursive: boolean; encrypted: boolean }[];
  hooks: { before: string[][]; after: string[][]; timeoutSeconds: number };
  bandwidthMBps?: number;
  immutableSeconds?: number;
  /** Calendar event at which every copy is read again. */
  reread?: string;
  testRestore?: { schedule: string; guests: string[]; on?: string };
  notify: "failure" | "always" | "never";
  /** Age of the newest copy at worst, as promised or else as planned. */
  recoveryPointSeconds: number;
}

export interface ManifestRotation {
  on: string;
  copies: string;
  /** Folder on that server in which the copies lie, where it is known: archives of vzdump. */
  source?: string;
  mountPoint: string;
  sets: { name: string; media: string[]; swap: string; offSite: boolean }[];
  startSeconds: number;
  graceSeconds: number;
  keep?: KeepSpec;
  schedule: string;
  carrier?: string;
  worstOfflineSeconds: number;
  worstOffSiteSeconds?: number;
}
