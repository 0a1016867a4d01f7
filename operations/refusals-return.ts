/** What failback, commit, maintenance, shutdown, start and up can report: docs/findings.md is made of it. */
import type { CatalogueEntry } from "../planning";

const DIVERGED =
  "A switch that nobody planned leaves data behind that was written on the old server after the last refresh. It is on its disks " +
  "and nowhere else, until something is written over it. So it takes a word of the person's before anything is.";

export const returnFindings = {
  "OPERATION-DIVERGED-CHOICE": {
    severity: "error",
    title: "What becomes of the old side's own data is not said",
    explanation: DIVERGED,
    example:
      "what was last written on srv2 before the switch is only there, and would be overwritten by the next synchronisation",
    fix: "Add `--diverged keep`, `--diverged extract` or `--diverged discard`.",
  },
  "OPERATION-DIVERGED-CONTAINER": {
    severity: "error",
    title: "A container's old volumes cannot be copied by command",
    explanation:
      "Under storage-replication the old side is volumes without a guest. Proxmox VE imports a machine's disks from files, but a " +
      "container's file systems only from a backup or a template.",
    example:
      "web is a container under storage-replication: Proxmox VE cannot copy its volumes on srv2 while its configuration is elsewhere",
    fix: "Keep them by hand with `zfs snapshot` and `zfs send`, then say `--diverged discard`.",
  },
  "OPERATION-NO-ROOM": {
    severity: "error",
    title: "There is no room for the copies of the old sides' data",
    explanation:
      "`--diverged keep` copies the old disks in full before anything is written over them. ZFS and LVM reserve the full size of a disk " +
      "unless the storage is thin; where it is, this is a warning, as what is really used may fit.",
    example: "copies of what only srv2 has of sql-erp, docker-1 take 440 GiB on tank, which has 380 GiB left there",
    fix: "Bring guests home one after another, or discard what nobody needs.",
  },
  "OPERATION-AT-HOME": {
    severity: "error",
    title: "The guest is at home",
    explanation:
      "Failback and commit are for guests whose spare is the active side, and failback for those at home whose replication a failover of the spare has left off.",
    example: "sql-erp is active on srv2, its home",
    fix: "Nothing is to be done; for a commit, fail over first with --planned.",
  },
  "OPERATION-NOT-AWAY": {
    severity: "error",
    title: "Nothing of this server is away",
    explanation: "A server stands for every guest that has its home there and is active on its spare. There is none.",
    example: "no guest that has its home on srv1 is active elsewhere",
    fix: "Look at `coldspare status`.",
  },
  "OPERATION-BOTH-RUN": {
    severity: "error",
    title: "Both sides of a guest run",
    explanation:
      "This is what fencing and guard are there to prevent; it needs a start by force, or a guard that is not installed. Each side " +
      "now writes data of its own, and only a person can say which of it counts.",
    example: "sql-erp runs on srv1 and srv2 at the same time",
    fix: "Stop the wrong one now, on its server; then run the command again.",
  },
  "OPERATION-JOB-MISSING": {
    severity: "error",
    title: "The replication job is gone",
    explanation: "The way home leads over the guest's replication job, turned round. Somebody removed it.",
    example: "there is no replication job for sql-erp between srv2 and srv1, so nothing can be brought up to date",
    fix: "`pulumi up --refresh` makes it anew.",
  },
  "OPERATION-NO-BACKUP-STORAGE": {
    severity: "error",
    title: "No storage for the backup on the way home is known",
    explanation:
      "A guest whose spare is made by restore comes home over a backup of the active standby, on a storage that both servers reach.",
    example: "the manifest names no storage for backups of remote-app: the way home leads over one",
    fix: "Set coldReplica.backupStorage, then `pulumi up`.",
  },
  "OPERATION-METHOD": {
    severity: "error",
    title: "The guest's method does not allow this",
    explanation:
      "With zfs-sync each server has an API of its own, and the engine knows a guest by the one that it was made at: another home is another " +
      "guest to it. Its copies are volumes that are received all the time, and this release has no command that drills them.",
    example:
      "files-1 is kept by zfs-sync: srv1 and srv2 have an API each, and to the engine a guest cannot move from one to the other without being made anew",
    fix: "Take it home with failback; drill it as a planned failover.",
  },
  "OPERATION-COMMIT-SITE-FILE": {
    severity: "error",
    title: "The site file cannot be changed by command",
    explanation:
      "A commit changes two words of the site file: where the guest is at home, and where its spare is. Where they come by an " +
      "anchor or a merge key, or where networks change too, only a person knows what else the change would reach.",
    example:
      "the site file does not say 'srv2' at guests.sql-erp.on in a way that can be changed by itself (a merge key, an anchor, or other words)",
    fix: "Change it by hand, and leave --write out.",
  },
  "OPERATION-NOT-RUNNING": {
    severity: "warning",
    title: "The guest does not run now",
    explanation: "Somebody shut it down. It is moved all the same, and is not started, as it was not running.",
    example: "sql-erp does not run now: it is moved, and stays off",
    fix: "Start it afterwards.",
  },
  "OPERATION-ONE-STORAGE": {
    severity: "warning",
    title: "All disks come to one storage",
    explanation: "A restore puts every disk of a guest on one storage; before, this guest had them on several.",
    example: "all disks of remote-app come to tank; before, they were on tank and fast",
    fix: "Move them afterwards with `qm disk move`.",
  },
  "OPERATION-MOVED-ON": {
    severity: "warning",
    title: "A guest that was moved for a maintenance is somewhere else by now",
    explanation:
      "A maintenance brings back what is still where it put it. What a person moved on since is left to that person.",
    example: "sql-erp was moved to srv1, and is on srv3 now: it is left alone",
    fix: "Look at `coldspare status`.",
  },
  "OPERATION-SERVER-SILENT": {
    severity: "warning",
    title: "A server that is to go down does not answer",
    explanation:
      "`coldspare shutdown` reaches it neither over its API nor over SSH. It may be off already; it may also be on, with its guests, and " +
      "only out of reach.",
    example: "srv2 does not answer, with sql-erp, which is active there: it is taken to be off, and left alone",
    fix: "Look whether it is off; if it is on, switch it off at its console or with a short press of its button.",
  },
  "OPERATION-SWITCH-ON": {
    severity: "warning",
    title: "No way to switch a server on is known",
    explanation:
      "Without a management controller or a command in the site file somebody has to press the button; the command waits.",
    example: "no way to switch srv1 on is known: it is waited for",
    fix: "Press its button; or give the server `power` in the site file.",
  },
  "OPERATION-UP-DESTROYS": {
    severity: "error",
    title: "The update would delete or replace something",
    explanation:
      "While a server is dead, what is left is all there is. An update that deletes or replaces is either a mistake (a guest that is " +
      "looked for on its old server) or can wait.",
    example: "the update would replace sql-erp-vm, and while a server is away nothing is deleted or replaced",
    fix: "Put back what changed, or leave that resource out with --exclude.",
  },
  "OPERATION-UP-UNREADABLE": {
    severity: "error",
    title: "What the update would do could not be read",
    explanation: "`coldspare up` reads a preview before it runs anything. A preview that fails proves nothing.",
    example: "what the update would do could not be read, so it was not run: error: no stack selected",
    fix: "Run `pulumi preview` by hand, and mend what it says.",
  },
  "OPERATION-UP-NO-SERVER": {
    severity: "error",
    title: "No hypervisor answers",
    explanation: "An update needs one server of the site through which things are changed.",
    example: "no hypervisor of smb answers, so there is nobody to change anything at",
    fix: "Bring one back, or mend the way to it.",
  },
} as const satisfies Record<string, CatalogueEntry>;
