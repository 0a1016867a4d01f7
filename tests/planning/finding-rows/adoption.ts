/** Findings about what was there before, and which change of a clean site brings them, word for word. */
import type { Row } from "./row";

const RBD = '{"type":"rbd","sizeGiB":5000,"content":["images"],"managed":false}';
const NFS = '{"type":"nfs","server":"vault","export":"/srv/dumps","sizeGiB":5000,"content":["images"]}';

export const adoptionRows: Row[] = [
  {
    code: "SITE-AS-FOUND",
    set: ["site.asFound=true", "servers.one.memoryGiB=8", "servers.one.storages.tank.sizeGiB=100"],
    subject: "site.asFound",
    message: "The site is planned as it was found: 3 errors are told as warnings (CAPACITY-MEMORY and STORAGE-FULL).",
  },
  {
    code: "SITE-AS-FOUND",
    set: ["site.asFound=true", "servers.one.storages.tank.sizeGiB=100"],
    subject: "site.asFound",
    message: "The site is planned as it was found: 1 error is told as a warning (STORAGE-FULL).",
  },
  {
    code: "SITE-AS-FOUND",
    set: ["site.asFound=true"],
    subject: "site.asFound",
    message: "The site is planned as it was found, and nothing is wrong with it that would have to be an error.",
  },
  {
    code: "SERVER-NAMES-ALIKE",
    set: ['servers.One={"roles":["witness"],"cores":1,"memoryGiB":1}'],
    subject: "servers.one",
    message: "The servers One and one differ in capital letters alone: to the network they are one name.",
  },
  {
    code: "GUEST-NOT-ADOPTED",
    set: ['guests.mail.keep=["disks"]'],
    subject: "guests.mail.keep",
    message: "mail keeps its disks as they are, and is not adopted: there is nothing yet that could be kept.",
  },
  {
    code: "GUEST-NOT-ADOPTED",
    set: ["guests.mail.disks[0].sizeGiB=100.5"],
    subject: "guests.mail.disks[0].sizeGiB",
    message: "Disk 0 of mail is to have 100.5 GiB: a disk that coldspare makes has whole GiB.",
  },
  {
    code: "GUEST-NOT-ADOPTED",
    set: ["guests.mail.disks[0].interface=virtio0"],
    subject: "guests.mail.disks[0].interface",
    message: "Disk 0 of mail is to be virtio0: disks that coldspare makes are scsi disks.",
  },
  {
    code: "GUEST-SOCKETS",
    set: ["guests.mail.sockets=3"],
    subject: "guests.mail.sockets",
    message: "mail has 2 cores on 3 sockets: each socket has the same number of them.",
  },
  {
    code: "INTERFACE-IMPOSSIBLE",
    set: ["guests.mail.disks[0].interface=mp0"],
    subject: "guests.mail.disks[0].interface",
    message: "Disk 0 of mail is to be mp0, which a machine does not have.",
  },
  {
    code: "INTERFACE-IMPOSSIBLE",
    set: ["guests.mail.adopted=true", "guests.mail.disks[0].interface=ide4"],
    subject: "guests.mail.disks[0].interface",
    message: "Disk 0 of mail is to be ide4, which a machine does not have.",
  },
  {
    code: "INTERFACE-IMPOSSIBLE",
    set: ["guests.mail.networks[0].interface=net32"],
    subject: "guests.mail.networks[0].interface",
    message: "Card 0 of mail is to be net32, which no guest has.",
  },
  {
    code: "INTERFACE-DUPLICATE",
    set: ['guests.mail.disks=[{"sizeGiB":8,"storage":"tank","interface":"scsi1"},{"sizeGiB":8,"storage":"tank"}]'],
    subject: "guests.mail.disks[1].interface",
    message: "Disks 0 and 1 of mail are both scsi1.",
  },
  {
    code: "INTERFACE-DUPLICATE",
    set: ['guests.mail.networks=[{"network":"apps","interface":"net1"},{"network":"lan"}]'],
    subject: "guests.mail.networks[1].interface",
    message: "Cards 0 and 1 of mail are both net1.",
  },
  {
    code: "STORAGE-ONLY-COUNTED",
    set: [`storages.far=${RBD}`, "storages.far.managed=true"],
    subject: "storages.far.managed",
    message: "Storage far is of type rbd and managed: `pulumi up` makes no storage entry of this type.",
  },
  {
    code: "STORAGE-ONLY-COUNTED",
    set: ['servers.one.storages.fast={"type":"lvm","sizeGiB":100,"content":["images"],"managed":true}'],
    subject: "servers.one.storages.fast.managed",
    message: "Storage fast is of type lvm and managed: `pulumi up` makes no storage entry of this type.",
  },
  {
    code: "STORAGE-SHARE-INCOMPLETE",
    set: ['storages.far={"type":"nfs","sizeGiB":5000,"content":["images"]}'],
    subject: "storages.far.server",
    message: "Storage far is of type nfs, and does not say server and export.",
  },
  {
    code: "STORAGE-SHARE-INCOMPLETE",
    set: ['storages.far={"type":"cifs","server":"vault","sizeGiB":5000,"content":["images"],"managed":false}'],
    subject: "storages.far.export",
    message: "Storage far is of type cifs, and does not say export.",
  },
  {
    code: "REPLICATION-OF-SHARED",
    set: [`storages.far=${NFS}`, "guests.mail.disks[0].storage=far"],
    subject: "guests.mail.disks[0].storage",
    message:
      "storage-replication of disk 0 of mail has nothing to send: one and two see the same bytes on the shared storage far (nfs).",
  },
  {
    code: "GUEST-NO-SPARE",
    set: [`storages.ceph=${RBD}`, "guests.mail.disks[0].storage=ceph", "guests.mail.coldReplica=null"],
    subject: "guests.mail",
    message:
      "mail has no spare: when one is lost, its disks on ceph are still there, and it is down until somebody starts it elsewhere.",
  },
];
