/** Findings about replicas, backups and recovery times. */
import type { CatalogueEntry } from "./types";

export const protectionFindings = {
  "SCHEDULE-INVALID": {
    severity: "error",
    title: "A schedule that Proxmox VE cannot parse",
    explanation:
      "Schedules are Proxmox VE calendar events: [WEEKDAY] [[YEARS-]MONTHS-DAYS] [HOURS:]MINUTES. They are no cron lines.",
    example:
      "Proxmox VE cannot parse the schedule '*/15 * * * *' of the replica of mail: '* * * *' is left over after the time.",
    fix: 'Write it like "*/15", "22:30" or "mon..fri 12,18:00".',
  },
  "SCHEDULE-ENDS": {
    severity: "error",
    title: "A schedule that comes to an end",
    explanation:
      "A schedule that names years runs for the last time in the last of them; no recovery point can be promised.",
    example: "The schedule '2026-*-* 01:00' of the backup policy nightly names years, and ends with the last of them.",
    fix: "Leave the year out.",
  },
  "RPO-BROKEN": {
    severity: "error",
    title: "The promised recovery point is not kept",
    explanation: "The longest gap of the schedule and the time of the transfer are more than the promise.",
    example:
      "mail promises to lose at most 20 min, and may lose 1 h 4 s: 1 h between two runs of 'hourly' + 4 s to send 0.4 GiB (0.4 GiB/h) at 125 MB/s.",
    fix: "Refresh the replica more often, or promise less.",
  },
  "RTO-BROKEN": {
    severity: "error",
    title: "The promised recovery time is not kept",
    explanation:
      "Confirmation, activation, the boot delays of the guests before it and its own boot take longer than promised.",
    example:
      "mail promises to answer within 10 min, and takes 11 min 55 s: 5 min until confirmed + 15 s for 1 activation (first to start) + 0 s of boot delays + 6 min 40 s to boot.",
    fix: "Let the guest start earlier (boot.order), shorten delays, or promise less.",
  },
  "REPLICA-CANNOT-KEEP-UP": {
    severity: "error",
    title: "A refresh takes longer than the time between two of them",
    explanation: "The replica falls further and further behind.",
    example: "mail changes 20 GiB/h: sending what 15 min brought takes 17 min 54 s at 5 MB/s.",
    fix: "Refresh less often, raise the rate limit, or use a faster link.",
  },
  "ACTIVE-STANDBY-NO-BACKUP": {
    severity: "warning",
    title: "The active side is in no backup",
    explanation:
      "A spare by `restore` has an id of its own. Backup jobs name the primary's id, so what is written on the spare while it is active has no copy.",
    example: "wiki runs as a restored standby on one: the backup policies write guest 102, which is off.",
    fix: "Back the standby up by hand (`vzdump`) until the guest is home again.",
  },
  "GUEST-NO-SPARE": {
    severity: "warning",
    title: "A guest without a spare",
    explanation:
      "When its server is lost, the guest is down until the server is repaired or a backup is restored by hand.",
    example: "mail has no spare: when one is lost, it is down until one is back.",
    fix: "Give it a coldReplica.",
  },
  "GUEST-NO-BACKUP": {
    severity: "warning",
    title: "A guest that nothing backs up",
    explanation: "A replica repeats mistakes and malicious encryption within minutes; only a backup goes back in time.",
    example: "mail is in no backup policy: nothing goes back to before a mistake.",
    fix: "Add it to a backup policy.",
  },
  "DOMAIN-CONTROLLER-SINGLE": {
    severity: "info",
    title: "The only domain controller has a spare",
    explanation:
      "A second domain controller replicates the directory itself, without losing the changes since the last refresh.",
    example:
      "mail is the only domain controller and has a spare: a second controller would lose nothing at a failover.",
    fix: "Run a second domain controller on the other hypervisor instead of a spare.",
  },
  "DOMAIN-CONTROLLER-GENERATION": {
    severity: "warning",
    title: "One domain controller among several has a spare",
    explanation:
      "A controller that comes back with an older state corrupts the replication between controllers, unless it sees a new VM generation id.",
    example: "mail is one of 2 domain controllers (mail and wiki): its spare must start with a fresh VM generation id.",
    fix: "Remove its coldReplica, the other controllers stand in for it; or give it a fresh VM generation id at each failover.",
  },
  "SWARM-MANAGER-SPARE": {
    severity: "warning",
    title: "A Swarm manager has a spare",
    explanation:
      "An older state of a manager breaks the consensus of the managers; such a node has to leave and join afresh.",
    example:
      "mail is a Swarm manager: after a failover its older state breaks the managers' consensus, and it has to join afresh.",
    fix: "Run managers on three servers instead of giving one a spare.",
  },
  "BACKUP-KEEPS-ALL": {
    severity: "error",
    title: "A backup policy that never removes anything",
    explanation: "Without a number in `keep`, Proxmox VE keeps every backup until the storage is full.",
    example: "Backup policy nightly keeps every backup until backups is full.",
    fix: "Set keep.last, keep.daily, keep.weekly …",
  },
  "BACKUP-RETENTION-CLASH": {
    severity: "warning",
    title: "Two policies prune one another's backups",
    explanation:
      "A run prunes all backups of a guest on the storage, also those of another policy: the shorter retention wins.",
    example: "Policies nightly and noon both write wiki to backups, and each run prunes what the other one keeps.",
    fix: "Give both policies the same `keep`, or different storages.",
  },
  "BACKUP-SAME-LOCATION": {
    severity: "info",
    title: "Backups in the same place as everything else",
    explanation: "Three copies, on two kinds of media, one of them elsewhere: what is in one place burns together.",
    example:
      "The backups on backups are in 'hall', together with one and two: a fire there takes guests, replicas and backups.",
    fix: "Keep the off-line media in another building, or add a backup storage elsewhere.",
  },
  "OFFLINE-MEDIUM-NONE": {
    severity: "warning",
    title: "No off-line medium",
    explanation: "Nothing survives the loss of the whole site, or an intruder who reaches every server.",
    example: "No off-line medium is planned: nothing survives the loss of the whole site.",
    fix: "Add an offline-medium to the section `targets`.",
  },
  "OFFLINE-MEDIUM-TOO-SMALL": {
    severity: "warning",
    title: "An off-line medium is smaller than what it copies",
    explanation: "The last backups of a run would be missing on the medium.",
    example: "Off-line medium shelf has 400 GiB, and backups is to hold 432 GiB.",
    fix: "Take larger media, or keep fewer backups.",
  },
} as const satisfies Record<string, CatalogueEntry>;
