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
} as const satisfies Readonly<Record<string, CatalogueEntry>>;
