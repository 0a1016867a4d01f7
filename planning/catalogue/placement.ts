/** Findings about what runs and lies where. */
import type { CatalogueEntry } from "./types";

export const placementFindings = {
  "SERVER-UNKNOWN": {
    severity: "error",
    title: "A server does not exist",
    explanation: "Something is placed on a server that the section `servers` does not have.",
    example: "",
    fix: "Correct the name, or add the server.",
  },
  "GUEST-NOT-ON-HYPERVISOR": {
    severity: "error",
    title: "A guest is placed on a server that is no hypervisor",
    explanation: "Only servers with the role `hypervisor` run guests.",
    example: "",
    fix: "Place it on a hypervisor, or add the role.",
  },
  "REPLICA-ON-PRIMARY": {
    severity: "error",
    title: "A replica on its own primary",
    explanation: "A copy on the same server is lost together with the guest.",
    example: "",
    fix: "Keep the replica on another hypervisor.",
  },
  "REPLICA-NOT-ON-HYPERVISOR": {
    severity: "error",
    title: "A replica on a server that cannot run it",
    explanation: "A spare has to start the guest: a backup server or a witness keeps copies, but runs none.",
    example: "",
    fix: "Keep the replica on a hypervisor; a copy on the backup server is a backup policy.",
  },
  "STORAGE-UNKNOWN": {
    severity: "error",
    title: "A storage does not exist on the primary",
    explanation: "A disk, an image or a backup names a storage that its server neither has nor mounts.",
    example: "",
    fix: "Correct the storage id, or add the storage to the server.",
  },
  "STORAGE-MISSING-ON-SPARE": {
    severity: "error",
    title: "The spare's server lacks a storage",
    explanation: "A replica needs its storage on the spare's server, under the same id unless it is made by restore.",
    example: "",
    fix: "Add the storage to the spare's server, or choose one that both have.",
  },
  "STORAGE-CONTENT": {
    severity: "error",
    title: "A storage does not take this kind of content",
    explanation:
      "Proxmox VE refuses disks, root file systems, images and backups on storages whose content types leave them out.",
    example: "",
    fix: "Add the content type to the storage, or choose another one.",
  },
  "BRIDGE-MISSING": {
    severity: "error",
    title: "The primary's server lacks a bridge",
    explanation:
      "Without the bridge of its network the guest does not start: the task fails with 'bridge does not exist'.",
    example: "",
    fix: "Add the bridge to the server, or correct the network's bridge.",
  },
  "BRIDGE-MISSING-ON-SPARE": {
    severity: "error",
    title: "The spare's server lacks a bridge",
    explanation:
      "The guest would not start there on the day it is needed: the task fails with 'bridge does not exist'.",
    example: "",
    fix: "Add the same bridge to the spare's server.",
  },
  "IMAGE-UNKNOWN": {
    severity: "error",
    title: "An image does not exist",
    explanation: "A guest is made from an image that the section `images` does not have.",
    example: "",
    fix: "Correct the name, or add the image.",
  },
  "IMAGE-KIND": {
    severity: "error",
    title: "An image of the wrong kind",
    explanation: "A machine's first disk is made from a disk image, a container from a container template.",
    example: "",
    fix: "Name an image of the right kind.",
  },
  "REPLICATION-NEEDS-CLUSTER": {
    severity: "error",
    title: "Storage replication without a cluster",
    explanation: "Proxmox VE replicates between the nodes of one cluster only.",
    example: "",
    fix: "Name the cluster in site.cluster, or use the method 'restore'.",
  },
  "REPLICATION-NEEDS-ZFS": {
    severity: "error",
    title: "Replication without ZFS on both sides",
    explanation:
      "Storage replication and zfs-sync send ZFS snapshots: both servers need a zfspool storage, with the same id.",
    example: "",
    fix: "Put the disk on a zfspool storage that both servers have, or use the method 'restore'.",
  },
  "REPLICA-ZFS-SYNC-NOT-BUILT": {
    severity: "warning",
    title: "zfs-sync is planned, but not built yet",
    explanation: "The plan counts with it; `pulumi up` refuses such a guest in this release.",
    example: "",
    fix: "Use storage-replication inside a cluster, or restore.",
  },
  "RESTORE-NEEDS-BACKUP-STORAGE": {
    severity: "error",
    title: "A replica by restore without a backup storage",
    explanation: "The method restores the newest backup, and has to know from where.",
    example: "",
    fix: "Set coldReplica.backupStorage to a shared storage with content 'backup'.",
  },
  "RESTORE-BACKUP-STORAGE-UNSEEN": {
    severity: "error",
    title: "A backup storage that one of both servers cannot see",
    explanation:
      "A node cannot read another node's local storage: primary and spare must both mount the backup storage.",
    example: "",
    fix: "Use a shared storage (NFS, CIFS) that both servers mount.",
  },
  "RESTORE-NOT-BACKED-UP": {
    severity: "error",
    title: "A replica by restore that nothing backs up",
    explanation: "No backup policy writes this guest to the storage that the replica is restored from.",
    example: "",
    fix: "Add the guest to a backup policy on that storage.",
  },
  "REPLICA-SETTING-UNUSED": {
    severity: "warning",
    title: "A setting that the method does not use",
    explanation: "standbyIds, backupStorage and storage belong to the method 'restore', rateMBps to the others.",
    example: "",
    fix: "Remove the setting, or choose the method that uses it.",
  },
  "DISK-SHRINKS": {
    severity: "error",
    title: "A disk would become smaller",
    explanation: "Proxmox VE does not shrink disks, because what lies behind the new end would be cut off.",
    example: "",
    fix: "Keep the size; or add a new disk of the smaller size, copy the data inside the guest, and remove the old one.",
  },
  "HYPERVISOR-APPLICATIONS": {
    severity: "error",
    title: "A hypervisor carries applications of its own",
    explanation:
      "What runs on the hypervisor itself has no replica and no backup, and stops with every update of the host.",
    example: "",
    fix: "Move the application into a guest.",
  },
  "GUEST-UNKNOWN": {
    severity: "error",
    title: "A guest does not exist",
    explanation: "A backup policy names a guest that the section `guests` does not have.",
    example: "",
    fix: "Correct the name, or remove it.",
  },
  "SITE-PARTIAL": {
    severity: "warning",
    title: "A guest is planned without its site",
    explanation: "A component used alone checks itself only; nothing proves that the loss of a server is survived.",
    example: "",
    fix: "Pass the plan of the whole site, or build the guest through `Site`.",
  },
} as const satisfies Record<string, CatalogueEntry>;
