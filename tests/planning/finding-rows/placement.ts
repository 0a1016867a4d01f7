/** Findings about what runs and lies where, and which change of a clean site brings them, word for word. */
import type { Row } from "./row";

export const placementRows: Row[] = [
  {
    code: "DISK-OVERFULL",
    set: ["guests.mail.disks[0].usedGiB=120"],
    subject: "guests.mail.disks[0].usedGiB",
    message: "Disk 0 of mail has 100 GiB and is to hold 120 GiB.",
  },
  {
    code: "SERVER-UNKNOWN",
    set: ["guests.mail.on=onee"],
    subject: "guests.mail.on",
    message: "mail is to run on 'onee', which does not exist.",
  },
  {
    code: "SERVER-UNKNOWN",
    set: ["guests.mail.coldReplica.on=three"],
    subject: "guests.mail.coldReplica.on",
    message: "mail is to keep its replica on 'three', which does not exist.",
  },
  {
    code: "SERVER-UNKNOWN",
    set: ['storages.backups.mountedBy=["one", "two", "tow"]'],
    subject: "storages.backups.mountedBy",
    message: "Storage backups is mounted by 'tow', which does not exist.",
  },
  {
    code: "SERVER-UNKNOWN",
    set: ["targets.shelf.on=cellar"],
    subject: "targets.shelf.on",
    message: "Off-line medium shelf is attached to 'cellar', which does not exist.",
  },
  {
    code: "GUEST-NOT-ON-HYPERVISOR",
    set: ["guests.mail.on=vault"],
    subject: "guests.mail.on",
    message: "mail is to run on vault, which is no hypervisor (backup-server and witness).",
  },
  {
    code: "REPLICA-ON-PRIMARY",
    set: ["guests.mail.coldReplica.on=one"],
    subject: "guests.mail.coldReplica.on",
    message: "mail keeps its replica on one, its own primary: both are lost together.",
  },
  {
    code: "REPLICA-NOT-ON-HYPERVISOR",
    set: ["guests.mail.coldReplica.on=vault"],
    subject: "guests.mail.coldReplica.on",
    message: "mail keeps its replica on vault, which cannot run it: it is no hypervisor (backup-server and witness).",
  },
  {
    code: "STORAGE-UNKNOWN",
    set: ["guests.mail.disks[0].storage=tnak"],
    subject: "guests.mail.disks[0].storage",
    message: "Disk 0 of mail needs storage 'tnak' on one, which has none of that name.",
  },
  {
    code: "STORAGE-UNKNOWN",
    set: ["backups.nightly.storage=dumps"],
    subject: "backups.nightly.storage",
    message: "Backup policy nightly needs storage 'dumps' on one, which has none of that name.",
  },
  {
    code: "STORAGE-UNKNOWN",
    set: ["guests.wiki.coldReplica.backupStorage=backup"],
    subject: "guests.wiki.coldReplica.backupStorage",
    message: "wiki is restored from storage 'backup', which does not exist.",
  },
  {
    code: "STORAGE-UNKNOWN",
    set: ["targets.shelf.copies=backup"],
    subject: "targets.shelf.copies",
    message: "Off-line medium shelf copies storage 'backup', which does not exist.",
  },
  {
    code: "STORAGE-UNKNOWN",
    set: ["images.debian.storage=images"],
    subject: "images.debian.storage",
    message: "Image debian needs storage 'images' on one, which has none of that name.",
  },
  {
    code: "STORAGE-MISSING-ON-SPARE",
    set: ["servers.two.storages.tank=null", "guests.wiki=null"],
    subject: "guests.mail.disks[0].storage",
    message: "Disk 0 of mail needs storage 'tank' on two, which has none of that name.",
  },
  {
    code: "STORAGE-MISSING-ON-SPARE",
    set: ["guests.wiki.coldReplica.storage=big"],
    subject: "guests.wiki.coldReplica.storage",
    message: "Disk 0 of wiki needs storage 'big' on one, which has none of that name.",
  },
  {
    code: "STORAGE-DEFINITION-DIFFERS",
    set: ["servers.two.storages.tank.pool=rpool"],
    subject: "servers.two.storages.tank",
    message:
      "Storage tank has pool tank on one and pool rpool on two: in cluster office an id stands for one definition.",
  },
  {
    code: "STORAGE-DEFINITION-DIFFERS",
    set: ["servers.two.storages.tank.type=lvmthin"],
    subject: "servers.two.storages.tank",
    message:
      "Storage tank has type zfspool on one and type lvmthin on two: in cluster office an id stands for one definition.",
  },
  {
    code: "STORAGE-DEFINITION-DIFFERS",
    set: ['servers.one.storages.backups={"type":"dir","path":"/b","sizeGiB":10,"content":["backup"]}'],
    subject: "servers.one.storages.backups",
    message:
      "Storage backups of one has the id of a shared storage: in cluster office an id stands for one definition.",
  },
  {
    code: "STORAGE-SINGLE-POINT",
    set: [
      'storages.far={"type":"nfs","server":"vault","export":"/srv/far","sizeGiB":500,"content":["images"]}',
      "guests.mail.disks[0].storage=far",
      "guests.mail.coldReplica.method=restore",
      "guests.mail.coldReplica.backupStorage=backups",
    ],
    subject: "guests.mail.disks",
    message: "mail has disks on far, which vault exports: when vault is lost, mail stops and nothing takes over.",
  },
  {
    code: "STORAGE-CONTENT",
    set: ['servers.one.storages.tank.content=["rootdir"]'],
    subject: "guests.mail.disks[0].storage",
    message: "Disk 0 of mail needs content 'images' on storage tank of one, which takes rootdir only.",
  },
  {
    code: "STORAGE-CONTENT",
    set: ['servers.two.storages.local.content=["iso"]'],
    subject: "images.debian.storage",
    message: "Image debian needs content 'import' on storage local of two, which takes iso only.",
  },
  {
    code: "STORAGE-CONTENT",
    set: ['storages.backups.content=["iso"]'],
    subject: "backups.nightly.storage",
    message: "Backup policy nightly needs content 'backup' on storage backups of one, which takes iso only.",
  },
  {
    code: "BRIDGE-MISSING",
    set: ["networks.apps.bridge=vmbr1"],
    subject: "guests.mail.networks[0]",
    message: "mail needs bridge vmbr1 (network apps) on one, which has vmbr0.",
  },
  {
    code: "BRIDGE-MISSING-ON-SPARE",
    set: ["servers.two.bridges={}"],
    subject: "guests.mail.networks[0]",
    message: "The spare of mail needs bridge vmbr0 (network apps) on two, which has no bridge.",
  },
  {
    code: "IMAGE-UNKNOWN",
    set: ["guests.mail.image=debain"],
    subject: "guests.mail.image",
    message: "mail is made from image 'debain', which does not exist.",
  },
  {
    code: "CONTAINER-NO-IMAGE",
    set: ["guests.mail.kind=container", "guests.mail.os=debian", "guests.mail.image=null"],
    subject: "guests.mail.image",
    message: "mail is a container and names no image to be made from.",
  },
  {
    code: "STORAGE-NOT-BUILT",
    set: ['storages.share={"type":"cifs","server":"vault","export":"share","sizeGiB":10,"content":["iso"]}'],
    subject: "storages.share.managed",
    message: "Storage share is of type cifs and managed, and does not say who logs in to the share.",
  },
  {
    code: "SITE-NO-CLUSTER-NOT-BUILT",
    set: ["site.cluster=null"],
    subject: "guests.wiki.coldReplica.method",
    message:
      "one and two are in no cluster, and wiki is refreshed by restore: this release looks for standbys through one server of a cluster.",
  },
  {
    code: "SITE-NO-CLUSTER-NOT-BUILT",
    set: ["site.cluster=null"],
    subject: "storages.backups.managed",
    message:
      "one and two are in no cluster, and the entry of storage backups is to be made: this release makes shared storages in a cluster only.",
  },
  {
    code: "SITE-NO-CLUSTER-NOT-BUILT",
    set: ["site.cluster=null", "guests.mail.pool=office"],
    subject: "guests.mail.pool",
    message:
      "one and two are in no cluster, and mail is to be in pool office: this release makes pools in a cluster only.",
  },
  {
    code: "IMAGE-KIND",
    set: ["images.debian.kind=container-template"],
    subject: "guests.mail.image",
    message: "mail is made from debian, which is of kind container-template and not disk-image or iso.",
  },
  {
    code: "IMAGE-KIND",
    set: ["guests.mail.kind=container", "guests.mail.os=debian", "images.debian.kind=iso"],
    subject: "guests.mail.image",
    message: "mail is made from debian, which is of kind iso and not container-template.",
  },
  {
    code: "IMAGE-ISO-LOCAL",
    set: ["images.debian.kind=iso"],
    subject: "guests.mail.image",
    message:
      "mail has the medium debian of local storage local in its drive: Proxmox VE does not migrate it, and so brings it home from no failover, until it is taken out.",
  },
  {
    code: "STORAGE-CONTENT",
    set: ["images.debian.kind=iso"],
    subject: "images.debian.storage",
    message: "Image debian needs content 'iso' on storage local of one, which takes import, vztmpl and snippets only.",
  },
  {
    code: "STORAGE-SERVER-UNKNOWN",
    set: ["storages.backups.server=valut"],
    subject: "storages.backups.server",
    message: "Storage backups comes from 'valut', which is no server or device of this site: did you mean vault?",
  },
  {
    code: "STORAGE-SERVER-UNKNOWN",
    set: ["storages.backups.server=gatewey"],
    subject: "storages.backups.server",
    message: "Storage backups comes from 'gatewey', which is no server or device of this site: did you mean gateway?",
  },
  {
    code: "STORAGE-EXPORT-UNPLANNED",
    set: ["storages.backups.export=/nope"],
    subject: "storages.backups.export",
    message:
      "Storage backups is /nope of vault, which has no storage there: its bytes are counted on no disk of vault.",
  },
  {
    code: "DISK-NAME-DUPLICATE",
    set: [
      "guests.mail.kind=container",
      "guests.mail.os=debian",
      'guests.mail.disks=[{"sizeGiB":8,"storage":"tank"},{"name":"shares","sizeGiB":8,"storage":"tank"},{"name":"shares","sizeGiB":8,"storage":"tank"}]',
    ],
    subject: "guests.mail.disks[2].name",
    message: "Disks 1 and 2 of mail are both mounted at /srv/shares: one would hide the other.",
  },
  {
    code: "DISK-NAME-DUPLICATE",
    set: [
      "guests.mail.kind=container",
      "guests.mail.os=debian",
      'guests.mail.disks=[{"sizeGiB":8,"storage":"tank"},{"sizeGiB":8,"storage":"tank"},{"name":"data1","sizeGiB":8,"storage":"tank"}]',
    ],
    subject: "guests.mail.disks[2].name",
    message: "Disks 1 and 2 of mail are both mounted at /srv/data1: one would hide the other.",
  },
  {
    code: "REPLICATION-NEEDS-CLUSTER",
    set: ["site.cluster=null"],
    subject: "guests.mail.coldReplica.method",
    message: "mail is to be refreshed by storage-replication, but one and two are in no cluster.",
  },
  {
    code: "REPLICATION-NEEDS-ZFS",
    set: ["servers.two.storages.tank.type=lvmthin"],
    subject: "guests.mail.disks[0].storage",
    message: "storage-replication of disk 0 of mail needs ZFS on both sides: storage tank is lvmthin on two.",
  },
  {
    code: "REPLICA-ZFS-SYNC-CLUSTER",
    set: ["guests.mail.coldReplica.method=zfs-sync"],
    subject: "guests.mail.coldReplica.method",
    message:
      "mail is to be refreshed by zfs-sync, which registers it under one id on one and on two: in cluster office an id exists once.",
  },
  {
    code: "REPLICA-ZFS-SYNC-CONTAINER",
    set: ["guests.mail.coldReplica.method=zfs-sync", "guests.mail.kind=container", "guests.mail.os=debian"],
    subject: "guests.mail.coldReplica.method",
    message:
      "mail is a container: Proxmox VE makes one from a template or a backup only, and registers none on volumes that are there.",
  },
  {
    code: "REPLICA-ZFS-SYNC-POOL",
    set: ["guests.mail.coldReplica.method=zfs-sync", "servers.two.storages.tank.pool=rpool/data"],
    subject: "guests.mail.disks[0].storage",
    message:
      "Storage tank of disk 0 of mail is pool tank on one and rpool/data on two: zfs-sync sends a data set to one of the same name.",
  },
  {
    code: "RESTORE-NEEDS-BACKUP-STORAGE",
    set: ["guests.wiki.coldReplica.backupStorage=null"],
    subject: "guests.wiki.coldReplica.backupStorage",
    message: "wiki is refreshed by restore, but from no storage.",
  },
  {
    code: "RESTORE-BACKUP-STORAGE-UNSEEN",
    set: ['storages.backups.mountedBy=["two"]'],
    subject: "guests.wiki.coldReplica.backupStorage",
    message: "wiki is restored from backups, which one does not mount.",
  },
  {
    code: "RESTORE-BACKUP-STORAGE-UNSEEN",
    set: ["guests.wiki.coldReplica.backupStorage=dumps"],
    subject: "guests.wiki.coldReplica.backupStorage",
    message: "wiki is restored from dumps, a local storage: one cannot read what lies on another server.",
  },
  {
    code: "RESTORE-NOT-BACKED-UP",
    set: ['backups.nightly.guests=["mail"]'],
    subject: "guests.wiki.coldReplica.backupStorage",
    message: "wiki is restored from backups, but no backup policy writes wiki there.",
  },
  {
    code: "REPLICA-SETTING-UNUSED",
    set: ["guests.mail.coldReplica.standbyIds=[9001, 9002]"],
    subject: "guests.mail.coldReplica.standbyIds",
    message: "standbyIds of mail has no effect with the method storage-replication.",
  },
  {
    code: "REPLICA-SETTING-UNUSED",
    set: ["guests.wiki.coldReplica.rateMBps=50"],
    subject: "guests.wiki.coldReplica.rateMBps",
    message: "rateMBps of wiki has no effect with the method restore.",
  },
  {
    code: "DISK-SHRINKS",
    set: [],
    options: { deployedDisks: { mail: [200] } },
    subject: "guests.mail.disks[0].sizeGiB",
    message: "Disk 0 of mail has 200 GiB and cannot be shrunk to 100 GiB.",
  },
  {
    code: "DISK-REMOVED",
    set: [],
    options: { deployedDisks: { mail: [100, 50] } },
    subject: "guests.mail.disks",
    message:
      "Disk 1 of mail (50 GiB) is no longer in the specification: it becomes an unused volume, which no backup and no replica holds.",
  },
  {
    code: "DISK-REMAPPED",
    set: ["guests.mail.disks[0].sizeGiB=600"],
    options: { deployedDisks: { mail: [100, 600] } },
    subject: "guests.mail.disks",
    message:
      "mail has disks of 100, 600 GiB, and is to have 600 GiB: a disk is its place in the list, so disk 0 would be the one of 100 GiB, and disk 1 would be taken away.",
  },
  {
    code: "DISK-REMAPPED",
    set: [],
    options: { deployedDisks: { mail: [600, 100] } },
    subject: "guests.mail.disks",
    message:
      "mail has disks of 600, 100 GiB, and is to have 100 GiB: a disk is its place in the list, so disk 0 would be the one of 600 GiB, and disk 1 would be taken away.",
  },
  {
    code: "HYPERVISOR-APPLICATIONS",
    set: ['servers.one.applications=["print server"]'],
    subject: "servers.one.applications",
    message: "one is a hypervisor and carries print server itself: a hypervisor carries no applications of its own.",
  },
  {
    code: "GUEST-UNKNOWN",
    set: ['backups.nightly.guests=["mail", "wiki", "wikki"]'],
    subject: "backups.nightly.guests",
    message: "Backup policy nightly names guest 'wikki', which does not exist.",
  },
];
