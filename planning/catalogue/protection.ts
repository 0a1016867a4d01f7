/** Findings about replicas, backups and recovery times. */
import type { CatalogueEntry } from "./types";

export const protectionFindings = {
  "SCHEDULE-INVALID": {
    severity: "error",
    title: "A schedule that Proxmox VE cannot parse",
    explanation:
      "Schedules are Proxmox VE calendar events: [WEEKDAY] [[YEARS-]MONTHS-DAYS] [HOURS:]MINUTES. They are no cron lines.",
    example: "",
    fix: 'Write it like "*/15", "22:30" or "mon..fri 12:00,18:00".',
  },
  "SCHEDULE-ENDS": {
    severity: "error",
    title: "A schedule that comes to an end",
    explanation:
      "A schedule that names years runs for the last time in the last of them; no recovery point can be promised.",
    example: "",
    fix: "Leave the year out.",
  },
  "RPO-BROKEN": {
    severity: "error",
    title: "The promised recovery point is not kept",
    explanation: "The longest gap of the schedule and the time of the transfer are more than the promise.",
    example: "",
    fix: "Refresh the replica more often, or promise less.",
  },
  "RTO-BROKEN": {
    severity: "error",
    title: "The promised recovery time is not kept",
    explanation:
      "Confirmation, activation, the boot delays of the guests before it and its own boot take longer than promised.",
    example: "",
    fix: "Let the guest start earlier (boot.order), shorten delays, or promise less.",
  },
  "REPLICA-CANNOT-KEEP-UP": {
    severity: "error",
    title: "A refresh takes longer than the time between two of them",
    explanation: "The replica falls further and further behind.",
    example: "",
    fix: "Refresh less often, raise the rate limit, or use a faster link.",
  },
  "GUEST-NO-SPARE": {
    severity: "warning",
    title: "A guest without a spare",
    explanation:
      "When its server is lost, the guest is down until the server is repaired or a backup is restored by hand.",
    example: "",
    fix: "Give it a coldReplica.",
  },
  "GUEST-NO-BACKUP": {
    severity: "warning",
    title: "A guest that nothing backs up",
    explanation: "A replica repeats mistakes and malicious encryption within minutes; only a backup goes back in time.",
    example: "",
    fix: "Add it to a backup policy.",
  },
  "DOMAIN-CONTROLLER-SINGLE": {
    severity: "info",
    title: "The only domain controller has a spare",
    explanation:
      "A second domain controller replicates the directory itself, without losing the changes since the last refresh.",
    example: "",
    fix: "Run a second domain controller on the other hypervisor instead of a spare.",
  },
  "DOMAIN-CONTROLLER-GENERATION": {
    severity: "warning",
    title: "One domain controller among several has a spare",
    explanation:
      "A controller that comes back with an older state corrupts the replication between controllers, unless it sees a new VM generation id.",
    example: "",
    fix: "Remove its coldReplica, the other controllers stand in for it; or give it a fresh VM generation id at each failover.",
  },
  "SWARM-MANAGER-SPARE": {
    severity: "warning",
    title: "A Swarm manager has a spare",
    explanation:
      "An older state of a manager breaks the consensus of the managers; such a node has to leave and join afresh.",
    example: "",
    fix: "Run managers on three servers instead of giving one a spare.",
  },
  "BACKUP-KEEPS-ALL": {
    severity: "error",
    title: "A backup policy that never removes anything",
    explanation: "Without a number in `keep`, Proxmox VE keeps every backup until the storage is full.",
    example: "",
    fix: "Set keep.last, keep.daily, keep.weekly …",
  },
  "BACKUP-RETENTION-CLASH": {
    severity: "warning",
    title: "Two policies prune one another's backups",
    explanation:
      "A run prunes all backups of a guest on the storage, also those of another policy: the shorter retention wins.",
    example: "",
    fix: "Give both policies the same `keep`, or different storages.",
  },
  "BACKUP-SAME-LOCATION": {
    severity: "info",
    title: "Backups in the same place as everything else",
    explanation: "Three copies, on two kinds of media, one of them elsewhere: what is in one place burns together.",
    example: "",
    fix: "Keep the off-line media in another building, or add a backup storage elsewhere.",
  },
  "OFFLINE-MEDIUM-NONE": {
    severity: "warning",
    title: "No off-line medium",
    explanation: "Nothing survives the loss of the whole site, or an intruder who reaches every server.",
    example: "",
    fix: "Add an offline-medium to the section `targets`.",
  },
  "OFFLINE-MEDIUM-TOO-SMALL": {
    severity: "warning",
    title: "An off-line medium is smaller than what it copies",
    explanation: "The last backups of a run would be missing on the medium.",
    example: "",
    fix: "Take larger media, or keep fewer backups.",
  },
} as const satisfies Record<string, CatalogueEntry>;
