/** Findings about a running cluster: votes, servers, storages, and what is easily forgotten. */
import type { CatalogueEntry } from "../catalogue";

export const liveClusterFindings = {
  "LIVE-NO-QUORUM": {
    severity: "error",
    title: "A cluster without quorum",
    explanation:
      "Fewer than half of the votes answer. What runs goes on running; nothing can be started, moved or changed.",
    example:
      "The cluster office has no quorum (2 of 5 votes, 3 are needed): nothing can be started or changed, and HA restarts nothing.",
    fix: "Bring the servers back; `pvecm expected` only where they are certainly off.",
  },
  "LIVE-SERVER-OFF": {
    severity: "error",
    title: "A server that is off",
    explanation: "The first loss has happened: what the report says about the others comes on top of it.",
    example: "pve3 is off or cut off. The next loss is the second one.",
    fix: "Bring it back, or bring its guests up elsewhere and remove it from the cluster.",
  },
  "LIVE-QUORUM-LOST": {
    severity: "error",
    title: "The next loss costs the majority",
    explanation:
      "After the loss of one more server fewer than half of the votes are left: nothing starts any more on the others, however healthy they are.",
    example: "Without pve1 or pve2 the cluster keeps 1 of 3 votes and needs 2: nothing starts any more on the others.",
    fix: "Bring back what is off, or add a vote.",
  },
  "LIVE-STORAGE-FULL": {
    severity: "error",
    title: "A storage that is all but full",
    explanation: "More than 95 % are in use. Guests stop with an input/output error when nothing is left.",
    example: "tank on pve1 is 96 % full (1740 of 1800 GiB).",
    fix: "Make room, or make it larger.",
  },
  "LIVE-HA-LOCAL": {
    severity: "error",
    title: "HA without disks elsewhere",
    explanation:
      "HA restarts a guest on another server by moving its configuration there. Disks on a server's own storage do not come along unless they are replicated.",
    example:
      "HA is to restart web (101), whose disks lie on a storage of one server and are not replicated: HA moves the configuration to a server without the disks, and fails there.",
    fix: "Replicate the disks, move them to a shared storage, or take the guest out of HA.",
  },
  "LIVE-UNREAD": {
    severity: "warning",
    title: "What could not be read",
    explanation:
      "Proxmox VE leaves out of its lists what a token may not see. What was not seen is never taken for absent or safe.",
    example: "Not read, and so not judged: the pools (the token lacks Pool.Audit on /pool).",
    fix: "Give the token what it lacks, and read again.",
  },
  "LIVE-STORAGE-FILLING": {
    severity: "warning",
    title: "A storage that fills up",
    explanation: "More than 85 % are in use.",
    example: "tank on pve1 is 88 % full (1600 of 1800 GiB).",
    fix: "Make room before guests stop.",
  },
  "LIVE-THIN-OVERCOMMITTED": {
    severity: "warning",
    title: "More promised than there is",
    explanation:
      "The sizes of the disks on a thin pool add up to more than the pool has. That is well as long as somebody watches it.",
    example: "tank on pve1 promises 32 GiB to disks and has 30 GiB: when they fill up, all guests on it stop at once.",
    fix: "Watch it, and let guests give back what they delete (`discard`).",
  },
  "LIVE-STORAGE-INACTIVE": {
    severity: "warning",
    title: "A storage that is configured and not there",
    explanation: "A server is to have it and does not: not mounted, not reachable, or meant for other servers only.",
    example: "Storages that are configured and not there: local on pve2.",
    fix: "Bring it back, or restrict it to the servers that have it.",
  },
  "LIVE-BOUND-TO-SERVER": {
    severity: "warning",
    title: "A guest that another server cannot start as it is",
    explanation: "Its disks are elsewhere too, but it has a CD image or a device that only its own server has.",
    example:
      "Guests with disks elsewhere that do not start there as they are: web (101) has hostpci0 and ide2 (an ISO on local).",
    fix: "Take CD images out; map devices that other servers have too.",
  },
  "LIVE-ONE-SERVER": {
    severity: "warning",
    title: "One server alone",
    explanation: "Nothing can stand in for it.",
    example: "pve1 is the only server: there is nowhere to start anything when it is lost.",
    fix: "Add a second server.",
  },
  "LIVE-LOCKED": {
    severity: "warning",
    title: "A locked guest",
    explanation: "A backup, migration or snapshot is at work on it, or was broken off and left its lock.",
    example: "1 guest is locked: web (101) by backup. Backups and starts of locked guests fail.",
    fix: "Wait, or take a left lock away with `qm unlock` or `pct unlock`.",
  },
  "LIVE-SNAPSHOTS": {
    severity: "info",
    title: "Guests with snapshots",
    explanation: "A snapshot that nobody needs any more keeps all that was overwritten since.",
    example: "1 guest carries snapshots: web (101). They grow with every write, and are no backup.",
    fix: "Remove those that nobody needs.",
  },
  "LIVE-NOT-AT-BOOT": {
    severity: "info",
    title: "Guests that do not start with their server",
    explanation: "They run now, and stay off after a power cut until somebody starts them.",
    example: "1 guest runs and does not start with the server: after a power cut web (101) stays off.",
    fix: "Set `onboot` where that is not meant.",
  },
  "LIVE-TEMPLATE-ONCE": {
    severity: "info",
    title: "Templates on one server",
    explanation:
      "A template is no running guest; whoever makes guests from it, or has linked clones of it, needs it all the same.",
    example: "Templates on one server's own storage: debian-13 (900). Linked clones of them stop with that server.",
    fix: "Back it up once, or keep it on a shared storage.",
  },
} as const satisfies Record<string, CatalogueEntry>;
