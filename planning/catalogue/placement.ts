/** Findings about what runs and lies where. */
import type { CatalogueEntry } from "./types";

export const placementFindings = {
  "SERVER-UNKNOWN": {
    severity: "error",
    title: "A server does not exist",
    explanation: "Something is placed on a server that the section `servers` does not have.",
    example: "mail is to run on 'onee', which does not exist.",
    fix: "Correct the name, or add the server.",
  },
  "GUEST-NOT-ON-HYPERVISOR": {
    severity: "error",
    title: "A guest is placed on a server that is no hypervisor",
    explanation: "Only servers with the role `hypervisor` run guests.",
    example: "mail is to run on vault, which is no hypervisor (backup-server and witness).",
    fix: "Place it on a hypervisor, or add the role.",
  },
  "REPLICA-ON-PRIMARY": {
    severity: "error",
    title: "A replica on its own primary",
    explanation: "A copy on the same server is lost together with the guest.",
    example: "mail keeps its replica on one, its own primary: both are lost together.",
    fix: "Keep the replica on another hypervisor.",
  },
  "REPLICA-NOT-ON-HYPERVISOR": {
    severity: "error",
    title: "A replica on a server that cannot run it",
    explanation: "A spare has to start the guest: a backup server or a witness keeps copies, but runs none.",
    example: "mail keeps its replica on vault, which cannot run it: it is no hypervisor (backup-server and witness).",
    fix: "Keep the replica on a hypervisor; a copy on the backup server is a backup policy.",
  },
  "STORAGE-UNKNOWN": {
    severity: "error",
    title: "A storage does not exist on the primary",
    explanation: "A disk, an image or a backup names a storage that its server neither has nor mounts.",
    example: "Disk 0 of mail needs storage 'tnak' on one, which has none of that name.",
    fix: "Correct the storage id, or add the storage to the server.",
  },
  "STORAGE-MISSING-ON-SPARE": {
    severity: "error",
    title: "The spare's server lacks a storage",
    explanation: "A replica needs its storage on the spare's server, under the same id unless it is made by restore.",
    example: "Disk 0 of mail needs storage 'tank' on two, which has none of that name.",
    fix: "Add the storage to the spare's server, or choose one that both have.",
  },
  "STORAGE-DEFINITION-DIFFERS": {
    severity: "error",
    title: "One storage id, two definitions",
    explanation:
      "The nodes of a cluster share /etc/pve/storage.cfg: a storage id has one type, one pool or path, and one list of contents there.",
    example:
      "Storage tank has pool tank on one and pool rpool on two: in cluster office an id stands for one definition.",
    fix: "Use the same pool or path on every node, or another id.",
  },
  "STORAGE-SINGLE-POINT": {
    severity: "warning",
    title: "A guest stops with a server that only lends it storage",
    explanation: "Disks on an export are gone together with the server that exports them, and no copy lies elsewhere.",
    example: "mail has disks on far, which vault exports: when vault is lost, mail stops and nothing takes over.",
    fix: "Use a local storage, or a replica by restore on another storage.",
  },
  "STORAGE-CONTENT": {
    severity: "error",
    title: "A storage does not take this kind of content",
    explanation:
      "Proxmox VE refuses disks, root file systems, images and backups on storages whose content types leave them out.",
    example: "Disk 0 of mail needs content 'images' on storage tank of one, which takes rootdir only.",
    fix: "Add the content type to the storage, or choose another one.",
  },
  "BRIDGE-MISSING": {
    severity: "error",
    title: "The primary's server lacks a bridge",
    explanation:
      "Without the bridge of its network the guest does not start: the task fails with 'bridge does not exist'.",
    example: "mail needs bridge vmbr1 (network apps) on one, which has vmbr0.",
    fix: "Add the bridge to the server, or correct the network's bridge.",
  },
  "BRIDGE-MISSING-ON-SPARE": {
    severity: "error",
    title: "The spare's server lacks a bridge",
    explanation:
      "The guest would not start there on the day it is needed: the task fails with 'bridge does not exist'.",
    example: "The spare of mail needs bridge vmbr0 (network apps) on two, which has no bridge.",
    fix: "Add the same bridge to the spare's server.",
  },
  "IMAGE-UNKNOWN": {
    severity: "error",
    title: "An image does not exist",
    explanation: "A guest is made from an image that the section `images` does not have.",
    example: "mail is made from image 'debain', which does not exist.",
    fix: "Correct the name, or add the image.",
  },
  "CONTAINER-NO-IMAGE": {
    severity: "error",
    title: "A container without a template",
    explanation: "Proxmox VE makes a container's root file system from a template; without one nothing can be made.",
    example: "mail is a container and names no image to be made from.",
    fix: "Name an image of kind container-template.",
  },
  "IMAGE-KIND": {
    severity: "error",
    title: "An image of the wrong kind",
    explanation:
      "A machine's first disk is made from a disk image, or its first start installs from an ISO image; a container is made from a container template.",
    example: "mail is made from debian, which is of kind container-template and not disk-image or iso.",
    fix: "Name an image of the right kind.",
  },
  "IMAGE-ISO-LOCAL": {
    severity: "info",
    title: "An installation medium stays in the drive",
    explanation:
      "A CD image on a local storage ties a machine to its server: Proxmox VE refuses to migrate it ('local cdrom image').",
    example:
      "mail has the medium debian of local storage local in its drive: Proxmox VE does not migrate it, and so brings it home from no failover, until it is taken out.",
    fix: "Remove the guest's `image` once the system is installed: the next update empties the drive.",
  },
  "STORAGE-SERVER-UNKNOWN": {
    severity: "warning",
    title: "A shared storage comes from a server that looks mistyped",
    explanation:
      "A shared storage may come from any host. A name that is almost that of a server or device of the site is taken for a host outside: its bytes and the loss of that server are not planned.",
    example: "Storage backups comes from 'valut', which is no server or device of this site: did you mean vault?",
    fix: "Correct the name; write another host with its domain or address.",
  },
  "STORAGE-EXPORT-UNPLANNED": {
    severity: "warning",
    title: "An export without a pool behind it",
    explanation:
      "The server that exports it has no storage at that path: what lies on the export is counted on no disk of that server.",
    example:
      "Storage backups is /nope of vault, which has no storage there: its bytes are counted on no disk of vault.",
    fix: "Add the storage to the server, with the path that is exported or one above it.",
  },
  "STORAGE-NOT-BUILT": {
    severity: "error",
    title: "A CIFS storage without a user",
    explanation: "The storage entry of a CIFS share needs a user and a password, which a secret holds.",
    example: "Storage share is of type cifs and managed, and does not say who logs in to the share.",
    fix: "Name username and passwordSecret of the storage; or set managed to false if the entry is there.",
  },
  "SITE-NO-CLUSTER-NOT-BUILT": {
    severity: "error",
    title: "What this release makes in a cluster only",
    explanation:
      "Hypervisors without a cluster have an API each, and `pulumi up` speaks to each of them for its own guests and backup jobs. Shared storage entries, " +
      "pools and standbys by restore stand once for all servers of a cluster; without one they would have to be made on each.",
    example:
      "one and two are in no cluster, and wiki is refreshed by restore: this release looks for standbys through one server of a cluster.",
    fix: "Join them to one cluster and name it in site.cluster, or make that part by hand on each server.",
  },
  "SERVER-NO-ENDPOINT": {
    severity: "error",
    title: "A hypervisor of its own without an endpoint",
    explanation:
      "In a cluster any server answers for the others. A server in none is reached at its own API alone, which the stack has to know.",
    example: "two is in no cluster, and the stack does not know its API: no other server answers for it.",
    fix: "`pulumi config set --path 'coldspare:endpoints.<server>' https://<address>:8006`",
  },
  "REPLICATION-NEEDS-CLUSTER": {
    severity: "error",
    title: "Storage replication without a cluster",
    explanation: "Proxmox VE replicates between the nodes of one cluster only.",
    example: "mail is to be refreshed by storage-replication, but one and two are in no cluster.",
    fix: "Name the cluster in site.cluster, or use the method 'zfs-sync'.",
  },
  "REPLICATION-NEEDS-ZFS": {
    severity: "error",
    title: "Replication without ZFS on both sides",
    explanation:
      "Storage replication and zfs-sync send ZFS snapshots: both servers need a zfspool storage, with the same id.",
    example: "storage-replication of disk 0 of mail needs ZFS on both sides: storage tank is lvmthin on two.",
    fix: "Put the disk on a zfspool storage that both servers have, or use the method 'restore'.",
  },
  "REPLICA-ZFS-SYNC-CLUSTER": {
    severity: "error",
    title: "zfs-sync inside a cluster",
    explanation:
      "zfs-sync registers the guest under the same id on both servers, so that the spare only has to start it. In a cluster an id exists " +
      "once; there Proxmox VE's own replication sends the same snapshots.",
    example:
      "mail is to be refreshed by zfs-sync, which registers it under one id on one and on two: in cluster office an id exists once.",
    fix: "Use storage-replication inside a cluster; zfs-sync is for hypervisors without one.",
  },
  "REPLICA-ZFS-SYNC-CONTAINER": {
    severity: "error",
    title: "A container by zfs-sync",
    explanation:
      "The powered-off guest is registered on volumes that were received. Proxmox VE's API does that for machines; a container is made from a template or a backup only.",
    example:
      "mail is a container: Proxmox VE makes one from a template or a backup only, and registers none on volumes that are there.",
    fix: "Make it a virtual machine, or use storage-replication in a cluster.",
  },
  "REPLICA-ZFS-SYNC-POOL": {
    severity: "error",
    title: "A storage with another pool on the spare",
    explanation:
      "What zfs-sync receives has the name that it has on the other server, so that the way home is the same as the way there.",
    example:
      "Storage tank of disk 0 of mail is pool tank on one and rpool/data on two: zfs-sync sends a data set to one of the same name.",
    fix: "Give the storage the same pool on both servers.",
  },
  "RESTORE-NEEDS-BACKUP-STORAGE": {
    severity: "error",
    title: "A replica by restore without a backup storage",
    explanation: "The method restores the newest backup, and has to know from where.",
    example: "wiki is refreshed by restore, but from no storage.",
    fix: "Set coldReplica.backupStorage to a shared storage with content 'backup'.",
  },
  "RESTORE-BACKUP-STORAGE-UNSEEN": {
    severity: "error",
    title: "A backup storage that one of both servers cannot see",
    explanation:
      "A node cannot read another node's local storage: primary and spare must both mount the backup storage.",
    example: "wiki is restored from backups, which one does not mount.",
    fix: "Use a shared storage (NFS, CIFS) that both servers mount.",
  },
  "RESTORE-NOT-BACKED-UP": {
    severity: "error",
    title: "A replica by restore that nothing backs up",
    explanation: "No backup policy writes this guest to the storage that the replica is restored from.",
    example: "wiki is restored from backups, but no backup policy writes wiki there.",
    fix: "Add the guest to a backup policy on that storage.",
  },
  "REPLICA-SETTING-UNUSED": {
    severity: "warning",
    title: "A setting that the method does not use",
    explanation:
      "standbyIds, backupStorage and storage belong to the method 'restore', recoveryPoints to 'zfs-sync', rateMBps to the others than 'restore'.",
    example: "standbyIds of mail has no effect with the method storage-replication.",
    fix: "Remove the setting, or choose the method that uses it.",
  },
  "DISK-SHRINKS": {
    severity: "error",
    title: "A disk would become smaller",
    explanation: "Proxmox VE does not shrink disks, because what lies behind the new end would be cut off.",
    example: "Disk 0 of mail has 200 GiB and cannot be shrunk to 100 GiB.",
    fix: "Keep the size; or add a new disk of the smaller size, copy the data inside the guest, and remove the old one.",
  },
  "DISK-REMOVED": {
    severity: "warning",
    title: "A disk is taken away",
    explanation:
      "The volume stays as `unused0`, outside of the guest: no backup and no replica holds it any longer, and nobody removes it.",
    example:
      "Disk 1 of mail (50 GiB) is no longer in the specification: it becomes an unused volume, which no backup and no replica holds.",
    fix: "Copy what is needed first; remove the unused volume by hand when it may go.",
  },
  "DISK-REMAPPED": {
    severity: "error",
    title: "A disk that is not the last one is taken away",
    explanation:
      "A disk is its place in the list: scsi0, scsi1 … When one before the last goes, the next one takes its place, and the data of the last disk is taken away instead. With fewer disks than deployed, all others must keep their sizes.",
    example:
      "mail has disks of 100, 600 GiB, and is to have 600 GiB: a disk is its place in the list, so disk 0 would be the one of 100 GiB, and disk 1 would be taken away.",
    fix: "Take away the last disk only, in an update of its own, after copying what is needed.",
  },
  "DISK-NAME-DUPLICATE": {
    severity: "error",
    title: "Two disks of a container at one place",
    explanation:
      "A container's disks after the first are mounted at /srv/ and their name, `data1`, `data2` … without one.",
    example: "Disks 1 and 2 of mail are both mounted at /srv/shares: one would hide the other.",
    fix: "Give each disk a name of its own.",
  },
  "DISK-OVERFULL": {
    severity: "error",
    title: "More on a disk than it holds",
    explanation:
      "usedGiB says how much lies on the disk; it decides about the sizes of backups and the times of restores.",
    example: "Disk 0 of mail has 100 GiB and is to hold 120 GiB.",
    fix: "Enlarge the disk, or correct usedGiB.",
  },
  "HYPERVISOR-APPLICATIONS": {
    severity: "error",
    title: "A hypervisor carries applications of its own",
    explanation:
      "What runs on the hypervisor itself has no replica and no backup, and stops with every update of the host.",
    example: "one is a hypervisor and carries print server itself: a hypervisor carries no applications of its own.",
    fix: "Move the application into a guest.",
  },
  "GUEST-UNKNOWN": {
    severity: "error",
    title: "A guest does not exist",
    explanation: "A backup policy names a guest that the section `guests` does not have.",
    example: "Backup policy nightly names guest 'wikki', which does not exist.",
    fix: "Correct the name, or remove it.",
  },
  "SITE-PARTIAL": {
    severity: "warning",
    title: "A guest is planned without its site",
    explanation: "A component used alone checks itself only; nothing proves that the loss of a server is survived.",
    example: "this guest is planned without its site: nothing proves that the loss of a server is survived",
    fix: "Pass the plan of the whole site, or build the guest through `Site`.",
  },
  "SITE-UNREACHABLE": {
    severity: "warning",
    title: "A server could not be read",
    explanation:
      "Before anything is built, the plan is compared with the guests that exist: a disk that would shrink is refused then. What cannot be read cannot be compared.",
    example: "one does not answer: mail, wiki could not be compared with what is deployed there.",
    fix: "Bring the server back, or correct `coldspare:endpoints`.",
  },
  "GUEST-ID-TAKEN": {
    severity: "error",
    title: "A guest's id belongs to another guest of the cluster",
    explanation:
      "Before anything is built, each guest's id is looked for in the cluster. The provider takes a guest that has the id already for its own: it would change somebody else's guest, and destroy it with the site. A guest of the same name or with the tag `coldspare` counts as ours.",
    example: "guest id 101 is taken by 'old-files' (vm on two), which is not mail",
    fix: "Choose another id, or give the guest of that id the name `mail` if it is to be taken over.",
  },
  "CONTAINER-ELSEWHERE": {
    severity: "error",
    title: "A container is on another server than planned",
    explanation:
      "The provider does not move containers. Its spare would be refreshed onto the server where the container itself is, and both copies would be lost together.",
    example: "container mail is on two, and is to be on one: `pulumi up` does not move a container.",
    fix: "Move it with `pct migrate`, or plan it where it is.",
  },
} as const satisfies Record<string, CatalogueEntry>;
