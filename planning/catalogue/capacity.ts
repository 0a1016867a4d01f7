/** Findings about room: memory, cores, storage and votes, before and after a loss. */
import type { CatalogueEntry } from "./types";

export const capacityFindings = {
  "HOST-RESERVE-TOO-LARGE": {
    severity: "error",
    title: "More is kept for the host than the server has",
    explanation: "Nothing is left for guests, so that every other number about this server would mislead.",
    example: "hostReserve of one keeps 9 cores, and one has 8: nothing is left for guests.",
    fix: "Correct hostReserve, or the cores and memory of the server.",
  },
  "CAPACITY-MEMORY": {
    severity: "error",
    title: "Memory does not suffice",
    explanation:
      "Guests take their memory and policies.memoryOverheadGiB each; the server's hostReserve is never given away.",
    example:
      "When two is lost, its guests do not fit on one: mail 8 + wiki 24, with 0.15 of overhead each, is 32.3 GiB of memory, and one has 28 GiB for guests. 4.3 GiB are missing.",
    fix: "Take memory from guests, add some to the server, or let sheddable guests stay off after a loss.",
  },
  "CAPACITY-CORES": {
    severity: "error",
    title: "Cores do not suffice",
    explanation:
      "The virtual cores of all guests may reach the logical cores left to guests times policies.coreOvercommit.",
    example:
      "When two is lost, its guests do not fit on one: mail 2 + wiki 4 is 6 virtual cores, and one carries 5.6 (8 logical cores, 1 kept for the host, times 0.8).",
    fix: "Take cores from guests, raise the overcommit if their load allows it, or let sheddable guests stay off.",
  },
  "CAPACITY-GUEST-CORES": {
    severity: "error",
    title: "A guest needs more cores than a server has",
    explanation: "Proxmox VE refuses to start a guest with more virtual cores than the server has logical ones.",
    example: "When two is lost, wiki needs 12 cores, and one has 8: it does not start there.",
    fix: "Give the guest fewer cores, or choose a server with more.",
  },
  "CAPACITY-SHEDS": {
    severity: "warning",
    title: "Guests stay off after a loss",
    explanation: "There is room for the important guests only; the plan sheds the least important ones.",
    example: "When one is lost, mail stays off to make room for more important guests.",
    fix: "Accept it, or make room for them.",
  },
  "STORAGE-FULL": {
    severity: "error",
    title: "A storage pool is too small",
    explanation:
      "Primaries, replicas (twice for restore), backups with one being written, and images are more than the pool may be filled with.",
    example:
      "Storage tank on one is to hold 950 GiB (primary disks 850 + replicas 100), and may be filled up to 850 GiB of 1000 GiB.",
    fix: "Enlarge the pool, move disks, keep fewer backups, or raise fillLimit if the file system allows it.",
  },
  "QUORUM-NO-THIRD-VOTE": {
    severity: "error",
    title: "A two-node cluster without a third vote",
    explanation:
      "When one of two nodes is lost, the other has one vote of two: /etc/pve becomes read-only and no guest can be started.",
    example:
      "Cluster office has two nodes, one and two, and no third vote: when one is lost, the other has 1 vote of 2 and cannot start anything.",
    fix: "Give a third machine the role `witness` (a QDevice): any small computer that is no hypervisor.",
  },
  "WITNESS-IS-NODE": {
    severity: "warning",
    title: "A witness that is a node of the cluster",
    explanation:
      "A hypervisor has its vote already; a second one there would be lost together with the first, so the plan does not count it.",
    example:
      "one is a hypervisor of cluster office and its witness: its loss would cost two votes at once, so the witness does not count.",
    fix: "Put the witness on a machine that is no hypervisor.",
  },
  "WITNESS-WITH-ODD-NODES": {
    severity: "warning",
    title: "A witness beside an odd number of nodes",
    explanation: "A QDevice helps clusters with an even number of nodes; with an odd one Proxmox advises against it.",
    example: "Cluster office has 3 nodes and a witness: a QDevice is for an even number of nodes.",
    fix: "Remove the role `witness`, or add a node.",
  },
} as const satisfies Record<string, CatalogueEntry>;
