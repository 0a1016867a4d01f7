/** Findings about backups and replicas of a running cluster. */
import type { CatalogueEntry } from "../catalogue";

export const liveCopyFindings = {
  "LIVE-NO-COPY": {
    severity: "error",
    title: "A guest that exists once",
    explanation: "Neither a replica nor a backup of it lies anywhere else: with its server it is gone for good.",
    example: "1 guest exists in one place only, without replica and backup: web (101).",
    fix: "Back it up now with `vzdump`, then take a job that covers all guests.",
  },
  "LIVE-BACKUP-BROKEN": {
    severity: "error",
    title: "The newest backup is broken",
    explanation:
      "A backup whose verification failed, or that was never finished, brings nothing back. It counts as none here.",
    example: "The newest backup is unfinished, or its verification failed: web (101).",
    fix: "Back it up again, and verify the older backups.",
  },
  "LIVE-REPLICATION-FAILS": {
    severity: "error",
    title: "A replication that fails",
    explanation:
      "Proxmox VE tries again, each time later. Until it succeeds the replica is as old as its last success.",
    example: "The replication of web (101) to pve2 fails. No tank on pve2. It last succeeded 2 h ago.",
    fix: "Read the job's log, mend the cause, `pvesr schedule-now`.",
  },
  "LIVE-BACKUP-OLD": {
    severity: "warning",
    title: "A backup older than its job allows",
    explanation:
      "The job is enabled and its schedule has come round, and the newest backup is from before that (six hours are left for a long run).",
    example: "The newest backup is older than its job allows for web (101); the oldest is from 9 d ago.",
    fix: "Look at the last runs of the job.",
  },
  "LIVE-IN-NO-JOB": {
    severity: "warning",
    title: "A guest that dropped out of the backups",
    explanation: "It has backups from some time ago, and no enabled job takes it now.",
    example: "1 guest has old backups and is in no job any more: web (101).",
    fix: "Add it to a job; the selection `All` forgets nobody.",
  },
  "LIVE-BACKUP-JOB-DISABLED": {
    severity: "warning",
    title: "A backup job that is switched off",
    explanation: "Often switched off for an afternoon and forgotten.",
    example: "The backup job backup-4a1c is disabled.",
    fix: "Switch it on, or remove it.",
  },
  "LIVE-BACKUP-JOB-NOWHERE": {
    severity: "warning",
    title: "A backup job without a storage",
    explanation: "Its storage was removed or disabled: every run fails.",
    example: "The backup job backup-4a1c writes to old-nas, which does not exist.",
    fix: "Give it a storage that is there.",
  },
  "LIVE-REPLICATION-LATE": {
    severity: "warning",
    title: "A replication that is behind its schedule",
    explanation:
      "More than two runs (and a quarter of an hour) have passed without one that succeeded, and none has failed: it takes longer than its schedule allows, or does not run.",
    example:
      "The replication of web (101) to pve2 is late for its schedule. The schedule is */15. It last succeeded 4 h ago.",
    fix: "Widen the schedule or raise the rate, or look why it does not run.",
  },
  "LIVE-REPLICATION-DISABLED": {
    severity: "warning",
    title: "A replication that is switched off",
    explanation: "What lies on the other server is as old as its last run.",
    example: "The replication of web (101) to pve2 is disabled. It last succeeded 1 d ago.",
    fix: "Switch it on, or remove it so that nobody counts on it.",
  },
  "LIVE-BACKUP-IN-CLUSTER": {
    severity: "warning",
    title: "Backups inside the cluster",
    explanation:
      "The storage of the backups is lent by a server of this very cluster, or by a guest in it. One fire, one thief or one stolen password takes both.",
    example: "Backups lie inside the cluster that they are made of: nas on pve2. Fire, theft and ransomware take both.",
    fix: "Keep a second copy outside the cluster.",
  },
  "LIVE-DISK-LEFT-OUT": {
    severity: "warning",
    title: "A disk that no copy holds",
    explanation:
      "Disks can be left out of backups and of replication one by one; mount points of containers are left out of backups unless they say otherwise. A guest that comes back does so without them.",
    example: "Disks that the copies of their guests leave out: scsi1 of web (101).",
    fix: "Take the disks in, or make sure that nobody misses them.",
  },
} as const satisfies Record<string, CatalogueEntry>;
