/** Findings about room and votes, and which change of a clean site brings them, word for word. */
import type { Row } from "./row";

export const capacityRows: Row[] = [
  {
    code: "CAPACITY-MEMORY",
    set: ["guests.wiki.memoryGiB=24"],
    subject: "servers.one",
    message:
      "When two is lost, its guests do not fit on one: mail 8 + wiki 24, with 0.15 of overhead each, is 32.3 GiB of memory, and one has 28 GiB for guests. 4.3 GiB are missing.",
  },
  {
    code: "CAPACITY-MEMORY",
    set: ["guests.mail.memoryGiB=30", "servers.two.memoryGiB=64"],
    subject: "servers.one",
    message:
      "When two is lost, its guests do not fit on one: mail 30 + wiki 4, with 0.15 of overhead each, is 34.3 GiB of memory, and one has 28 GiB for guests. 6.3 GiB are missing.",
  },
  {
    code: "CAPACITY-MEMORY",
    set: ["guests.wiki.memoryGiB=24", "guests.mail.sheddable=true", "policies.memoryOverheadGiB=0"],
    subject: "servers.one",
    message:
      "When two is lost, its guests do not fit on one: mail 8 + wiki 24 is 32 GiB of memory, and one has 28 GiB for guests. 4 GiB are missing.",
  },
  {
    code: "CAPACITY-MEMORY",
    set: [
      "guests.wiki.memoryGiB=29",
      "guests.mail.sheddable=true",
      "policies.allowShedding=true",
      "servers.two.memoryGiB=64",
    ],
    subject: "servers.one",
    message:
      "When two is lost, its guests do not fit on one: mail 8 + wiki 29, with 0.15 of overhead each, is 37.3 GiB of memory, and one has 28 GiB for guests. 9.3 GiB are missing.",
  },
  {
    code: "CAPACITY-CORES",
    set: ["policies.coreOvercommit=0.8"],
    subject: "servers.one",
    message:
      "When two is lost, its guests do not fit on one: mail 2 + wiki 4 is 6 virtual cores, and one carries 5.6 (8 logical cores, 1 kept for the host, times 0.8).",
  },
  {
    code: "CAPACITY-GUEST-CORES",
    set: ["servers.two.cores=16", "guests.wiki.cores=12"],
    subject: "guests.wiki.cores",
    message: "When two is lost, wiki needs 12 cores, and one has 8: it does not start there.",
  },
  {
    code: "CAPACITY-GUEST-CORES",
    set: ["guests.mail.cores=9", "servers.two.cores=16"],
    subject: "guests.mail.cores",
    message: "mail needs 9 cores, and one has 8: it does not start there.",
  },
  {
    code: "HOST-RESERVE-TOO-LARGE",
    set: ["servers.one.hostReserve.cores=9"],
    subject: "servers.one.hostReserve",
    message: "hostReserve of one keeps 9 cores, and one has 8: nothing is left for guests.",
  },
  {
    code: "HOST-RESERVE-TOO-LARGE",
    set: ["servers.one.hostReserve.cores=9", "servers.one.hostReserve.memoryGiB=40"],
    subject: "servers.one.hostReserve",
    message:
      "hostReserve of one keeps 9 cores, and one has 8; 40 GiB of memory, and one has 32 GiB: nothing is left for guests.",
  },
  {
    code: "CAPACITY-SHEDS",
    set: ["guests.wiki.memoryGiB=24", "guests.mail.sheddable=true", "policies.allowShedding=true"],
    subject: "servers.one",
    message: "When one is lost, mail stays off to make room for more important guests.",
  },
  {
    code: "STORAGE-FULL",
    set: ["guests.mail.disks[0].sizeGiB=850"],
    subject: "servers.one.storages.tank",
    message:
      "Storage tank on one is to hold 950 GiB (primary disks 850 + replicas 100), and may be filled up to 850 GiB of 1000 GiB.",
  },
  {
    code: "STORAGE-FULL",
    set: ["guests.mail.disks[0].usedGiB=900"],
    subject: "storages.backups",
    message: "Storage backups is to hold 6624 GiB (backups 6624), and may be filled up to 3600 GiB of 4000 GiB.",
  },
  {
    code: "STORAGE-FULL",
    set: ["guests.wiki.disks[0].sizeGiB=500"],
    subject: "servers.one.storages.tank",
    message:
      "Storage tank on one is to hold 1100 GiB (primary disks 100 + replicas 1000), and may be filled up to 850 GiB of 1000 GiB.",
  },
  {
    code: "STORAGE-FULL",
    set: ["servers.vault.storages.dumps.sizeGiB=400"],
    subject: "servers.vault.storages.dumps",
    message: "Storage dumps on vault is to hold 432 GiB (backups 432), and may be filled up to 340 GiB of 400 GiB.",
  },
  {
    code: "QUORUM-NO-THIRD-VOTE",
    set: ['servers.vault.roles=["backup-server"]'],
    subject: "site.cluster",
    message:
      "Cluster office has two nodes, one and two, and no third vote: when one is lost, the other has 1 vote of 2 and cannot start anything.",
  },
  {
    code: "WITNESS-IS-NODE",
    set: ['servers.vault.roles=["backup-server"]', 'servers.one.roles=["hypervisor", "witness"]'],
    subject: "servers.one.roles",
    message:
      "one is a hypervisor of cluster office and its witness: its loss would cost two votes at once, so the witness does not count.",
  },
  {
    code: "WITNESS-WITH-ODD-NODES",
    set: ['servers.three={"roles":["hypervisor"],"cores":4,"memoryGiB":16}'],
    subject: "servers.vault.roles",
    message: "Cluster office has 3 nodes and a witness: a QDevice is for an even number of nodes.",
  },
];
