/** Findings about room: memory, cores, storage and votes, before and after a loss. */
import type { CatalogueEntry } from "./types";

export const capacityFindings = {
  "CAPACITY-MEMORY": {
    severity: "error",
    title: "Memory does not suffice",
    explanation:
      "Guests take their memory and policies.memoryOverheadGiB each; the server's hostReserve is never given away.",
    example: "",
    fix: "Take memory from guests, add some to the server, or let sheddable guests stay off after a loss.",
  },
  "CAPACITY-CORES": {
    severity: "error",
    title: "Cores do not suffice",
    explanation:
      "The virtual cores of all guests may reach the logical cores left to guests times policies.coreOvercommit.",
    example: "",
    fix: "Take cores from guests, raise the overcommit if their load allows it, or let sheddable guests stay off.",
  },
  "CAPACITY-GUEST-CORES": {
    severity: "error",
    title: "A guest needs more cores than a server has",
    explanation: "Proxmox VE refuses to start a guest with more virtual cores than the server has logical ones.",
    example: "",
    fix: "Give the guest fewer cores, or choose a server with more.",
  },
  "CAPACITY-SHEDS": {
    severity: "warning",
    title: "Guests stay off after a loss",
    explanation: "There is room for the important guests only; the plan sheds the least important ones.",
    example: "",
    fix: "Accept it, or make room for them.",
  },
  "STORAGE-FULL": {
    severity: "error",
    title: "A storage pool is too small",
    explanation:
      "Primaries, replicas (twice for restore), backups with one being written, and images are more than the pool may be filled with.",
    example: "",
    fix: "Enlarge the pool, move disks, keep fewer backups, or raise fillLimit if the file system allows it.",
  },
  "QUORUM-NO-THIRD-VOTE": {
    severity: "error",
    title: "A two-node cluster without a third vote",
    explanation:
      "When one of two nodes is lost, the other has one vote of two: /etc/pve becomes read-only and no guest can be started.",
    example: "",
    fix: "Give a third machine the role `witness` (a QDevice): any small computer that is no hypervisor.",
  },
  "QUORUM-LOST": {
    severity: "error",
    title: "The loss of a server costs the cluster its quorum",
    explanation: "Without more than half of the votes no guest can be started or changed.",
    example: "",
    fix: "Add a node or a witness.",
  },
  "WITNESS-IS-NODE": {
    severity: "warning",
    title: "A witness that is a node of the cluster",
    explanation:
      "A hypervisor has its vote already; a second one there would be lost together with the first, so the plan does not count it.",
    example: "",
    fix: "Put the witness on a machine that is no hypervisor.",
  },
  "WITNESS-WITH-ODD-NODES": {
    severity: "warning",
    title: "A witness beside an odd number of nodes",
    explanation: "A QDevice helps clusters with an even number of nodes; with an odd one Proxmox advises against it.",
    example: "",
    fix: "Remove the role `witness`, or add a node.",
  },
} as const satisfies Record<string, CatalogueEntry>;
