/** Findings about sites and guests that were there before, and about what is only counted. */
import type { CatalogueEntry } from "./types";

export const adoptionFindings = {
  "SITE-AS-FOUND": {
    severity: "warning",
    title: "A site that is planned as it was found",
    explanation:
      "With `site.asFound` errors that say what is wrong with what exists are warnings, so that an imported site can be taken over before it is mended. What coldspare itself could not do safely stays an error.",
    example: "The site is planned as it was found: 3 errors are told as warnings (CAPACITY-MEMORY and STORAGE-FULL).",
    fix: "Settle them, then remove `site.asFound`.",
  },
  "SERVER-NAMES-ALIKE": {
    severity: "error",
    title: "Two servers whose names differ in capital letters alone",
    explanation:
      "Names of hosts are the same to the network whether written in capitals or not: an address, a certificate or a host key of one would be taken for the other's.",
    example: "The servers One and one differ in capital letters alone: to the network they are one name.",
    fix: "Rename one of them.",
  },
  "GUEST-NOT-ADOPTED": {
    severity: "error",
    title: "A word that only a guest that was there before may have",
    explanation:
      "Parts that are kept as they are, disks of no whole GiB and disks on other controllers than scsi exist on guests that were made by hand; coldspare makes none like them.",
    example: "mail keeps its disks as they are, and is not adopted: there is nothing yet that could be kept.",
    fix: "Set `adopted: true` if the guest exists already, or leave the word out.",
  },
  "ADOPTED-GUEST-GONE": {
    severity: "error",
    title: "A guest that was taken over and is there no more",
    explanation:
      "Of an adopted guest the specification says only what is watched: made from it, a guest would have empty disks, and none of the settings of the one that is gone.",
    example: "mail is adopted, and there is no guest 101: 'pulumi up' would make an empty one in its place.",
    fix: "Restore it under its id from a backup, or remove it from the specification.",
  },
  "GUEST-SOCKETS": {
    severity: "error",
    title: "Cores that do not divide among the sockets",
    explanation: "Proxmox VE gives each virtual socket the same number of cores.",
    example: "mail has 2 cores on 3 sockets: each socket has the same number of them.",
    fix: "Give it a number of cores that the sockets divide.",
  },
  "INTERFACE-IMPOSSIBLE": {
    severity: "error",
    title: "A disk or card that a guest of this kind does not have",
    explanation:
      "Machines have scsi0 to scsi30, virtio0 to virtio15, sata0 to sata5 and ide0 to ide3; containers have rootfs, which comes first, and mp0 to mp255; both have net0 to net31.",
    example: "Disk 0 of mail is to be mp0, which a machine does not have.",
    fix: "Correct the interface, or leave it out.",
  },
  "INTERFACE-DUPLICATE": {
    severity: "error",
    title: "Two disks or cards of one name",
    explanation:
      "Each disk and each card of a guest has an interface of its own. Those that name none take theirs from their place in the list.",
    example: "Disks 0 and 1 of mail are both scsi1.",
    fix: "Give each its own interface, or leave all of them out.",
  },
  "STORAGE-ONLY-COUNTED": {
    severity: "error",
    title: "A storage entry that `pulumi up` does not make",
    explanation:
      "Storage entries of the types zfspool, dir and lvmthin (on a server) and nfs and cifs (shared) are made; those of every other type must be there, and are only counted.",
    example: "Storage far is of type rbd and managed: `pulumi up` makes no storage entry of this type.",
    fix: "Set `managed: false`, and make the entry by hand if it is not there.",
  },
  "STORAGE-SHARE-INCOMPLETE": {
    severity: "error",
    title: "A share that does not say where it comes from",
    explanation: "An NFS export or a CIFS share is found by its server and its path.",
    example: "Storage far is of type nfs, and does not say server and export.",
    fix: "Name the server and what it exports.",
  },
  "REPLICATION-OF-SHARED": {
    severity: "error",
    title: "A replication of disks that both servers see",
    explanation:
      "Replication sends volumes from one server's ZFS to another's. Disks on a shared storage are there for both already: nothing is to be sent, and a loss of the server loses none of them.",
    example:
      "storage-replication of disk 0 of mail has nothing to send: one and two see the same bytes on the shared storage far (nfs).",
    fix: "Remove the replica and let Proxmox VE's HA start the guest elsewhere, or keep a copy by restore on another storage.",
  },
} as const satisfies Record<string, CatalogueEntry>;
