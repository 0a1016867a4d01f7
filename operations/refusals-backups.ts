/** What backups, restore, branch and media can refuse: docs/findings.md is made of it. */
import type { CatalogueEntry } from "../planning";

export const backupFindings = {
  "OPERATION-UNKNOWN-POLICY": {
    severity: "error",
    title: "There is no such backup policy",
    explanation: "Policies and targets are known from the manifest, which every `pulumi up` renews.",
    example: "smb has no backup policy 'nightyl'",
    fix: "Give the name of one that the message lists, or fetch a newer manifest with `--from`.",
  },
  "OPERATION-NOT-BACKED-UP": {
    severity: "error",
    title: "A guest of the policy cannot be backed up now",
    explanation:
      "A guest is backed up where it is active. While that is not known, or its server does not answer, there is nothing that could be " +
      "backed up; the other guests of the policy are.",
    example: "sql-erp is not found on srv2, or srv2 does not answer, so it is not backed up to nas",
    fix: "Look at `coldspare status`, bring its server back or fail over, and run the policy again.",
  },
  "OPERATION-NO-POINT": {
    severity: "error",
    title: "There is no copy that would do",
    explanation:
      "A copy that was found to be broken is never chosen by itself, and one on a medium on the shelf cannot be read before it is attached.",
    example: "there is no good copy of sql-erp as of 2026-11-19T00:00:00Z or earlier",
    fix: "Choose one of those that `coldspare backups <subject>` lists.",
  },
  "OPERATION-VERIFY-ELSEWHERE": {
    severity: "error",
    title: "These copies are verified somewhere else",
    explanation:
      "A backup server that is no server of the site is verified there; media are read again as soon as they are written.",
    example: "the backup server of pbs-1, backup.example.org, is not reached over SSH from here",
    fix: "Run the command that the message names on that machine.",
  },
  "OPERATION-POINT-ON-MEDIUM": {
    severity: "error",
    title: "The copy lies on a medium",
    explanation:
      "A rotated medium is attached for its turn only, and is no storage of Proxmox VE: its archives go back to one first.",
    example: "B/1 lies on medium B of shelf",
    fix: "Attach the medium that the message names, and copy the archive into the folder of the storage.",
  },
  "OPERATION-POINT-BROKEN": {
    severity: "warning",
    title: "The copy was found to be broken",
    explanation:
      "Such a copy is never chosen by itself. It can be named by its id, for the day when a broken copy is better than none.",
    example:
      "backup-nfs:backup/vzdump-qemu-113-2026_11_21-21_00_00.vma.zst was found to be broken: what comes back may be anything",
    fix: "Take another one, if there is any.",
  },
  "OPERATION-POINT-NOT-SEEN": {
    severity: "error",
    title: "The server does not see the copy",
    explanation:
      "A directory on one server is not seen by another one; a shared storage may be offline on one of them.",
    example: "srv1 does not see local:backup/vzdump-qemu-113-2026_11_21-21_00_00.vma.zst, srv2 does",
    fix: "Restore it on a server that sees it, or choose a copy on a shared storage.",
  },
  "OPERATION-OLDER-DATA": {
    severity: "warning",
    title: "The guest goes back in time",
    explanation:
      "What was written after the copy is not in it. It is on the disks that are kept before the restore, and nowhere else.",
    example: "sql-erp goes back to 2026-11-21T21:00:00Z: what was written in the 6 h since then is not in it",
    fix: "Choose another copy with `--point`, or restore it beside with `--as` and compare.",
  },
  "OPERATION-RESTORE-ELSEWHERE": {
    severity: "error",
    title: "The guest would be there twice",
    explanation:
      "A guest under its own id exists once, and of one with a spare only the side runs that its voters name. On another server a copy is " +
      "another guest, with an id and hardware addresses of its own.",
    example: "sql-erp is active on srv2 and has a spare: on srv1 it would run without its guard's record",
    fix: "Fail over, or restore it beside with `--as NAME --to SERVER`.",
  },
  "OPERATION-HOME-MOVES": {
    severity: "warning",
    title: "The specification names another server",
    explanation:
      "The guest is restored where it was asked for. The next `pulumi up` wants it where the specification has it.",
    example: "wiki belongs on srv1 by the specification",
    fix: "Change `on` in the site file before the next update.",
  },
  "OPERATION-EXISTS": {
    severity: "error",
    title: "The guest is there",
    explanation:
      "A restore writes over its disks. Nothing is written over without a word, and what is there is kept first.",
    example: "sql-erp (113) is on srv2, and runs: restoring it writes over its disks",
    fix: "Add `--over`, or restore it beside with `--as NAME`.",
  },
  "OPERATION-NAME": {
    severity: "error",
    title: "The name does not do",
    explanation:
      "A guest beside another one needs a name of its own, of letters, digits and hyphens, as a host name has.",
    example: "there is a guest 'sql-erp-2' already",
    fix: "Give another name.",
  },
  "OPERATION-SAME-ADDRESS": {
    severity: "warning",
    title: "Two guests with the same address",
    explanation:
      "A restored guest has another hardware address, but inside it is the same system: its fixed address, its name, its services and " +
      "whatever it does by itself at night.",
    example:
      "sql-erp-2 starts in the networks of sql-erp, which runs: inside it has the same addresses and the same name",
    fix: "Leave it off until that is changed, or use `coldspare branch`, which starts it in isolation.",
  },
  "OPERATION-SPARE-DIFFERS": {
    severity: "warning",
    title: "The spare still has the data from before",
    explanation:
      "The spare is a copy of what was written over. Until it is made anew, a failover would bring back what the restore was to undo.",
    example:
      "sql-erp has a spare, and the copy on srv1 keeps the data from before until the next replication, which sends everything anew",
    fix: "Let it be refreshed before anything else.",
  },
  "OPERATION-NO-STORAGE": {
    severity: "error",
    title: "The server has no such storage",
    explanation: "Disks come back to the storage that they were on, unless `--storage` names another one.",
    example: "the copy wants its disks on tank, which srv3 does not have (storage 'tank' does not exist)",
    fix: "Name a storage of that server with `--storage`.",
  },
  "OPERATION-INTO": {
    severity: "error",
    title: "It does not come back to such a place",
    explanation:
      "Folders and volumes come back into a folder, a data set into a new data set. Nothing there is written over.",
    example: "dataset:srv1:tank/data comes back into a data set, and '/root/x' is none",
    fix: "Give with `--into` what the message asks for.",
  },
  "OPERATION-FILES": {
    severity: "error",
    title: "No single files can be taken out of this copy",
    explanation:
      "A machine's vzdump archive holds the bytes of its disks, in no order of files; a data set comes back as a whole. Repositories, " +
      "archives of containers and a Proxmox Backup Server know files.",
    example:
      "backup-nfs:backup/vzdump-qemu-113-2026_11_21-21_00_00.vma.zst is a vzdump archive of a machine: Proxmox VE cannot read single files out of it",
    fix: "Restore it beside, powered off, and mount its disk.",
  },
  "OPERATION-LIVE": {
    severity: "error",
    title: "The guest cannot be cloned as it is now",
    explanation:
      "A clone is made on the server where the guest is. Proxmox VE clones a machine while it runs, a container only while it is off.",
    example: "web is a container that runs: Proxmox VE clones it only while it is off",
    fix: "Leave `--live` out: then the newest copy comes back.",
  },
  "OPERATION-BRANCH-ROOM": {
    severity: "error",
    title: "A failover would not find room beside the branch",
    explanation:
      "A branch is for trying things out. It never takes the memory that guests need which stand by on the server, should another one be lost.",
    example:
      "sql-erp-branch needs 16.25 GiB on srv1, where 40 GiB of 60 GiB are taken, and the loss of srv2 would bring 16.25 GiB more",
    fix: "Make it on another server with `--to`, or powered off with `--no-start`.",
  },
  "OPERATION-EXPIRES": {
    severity: "error",
    title: "How long the branch lives is not said",
    explanation:
      "Every branch has a day on which `coldspare branch expire` removes it: forgotten clones fill storages.",
    example: "'next week' is no duration",
    fix: "Write `--expires 7d`.",
  },
} as const satisfies Readonly<Record<string, CatalogueEntry>>;
