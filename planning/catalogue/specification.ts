/** Findings about the form of a specification. */
import type { CatalogueEntry } from "./types";

export const specificationFindings = {
  "SPEC-INVALID": {
    severity: "error",
    title: "A value has the wrong type or form",
    explanation: "The value does not match the schema of the site specification.",
    example: 'guests.mail.memoryGiB is "much": expected a number.',
    fix: "Write a value of the type that the message names; editors complete it with site.schema.json.",
  },
  "SPEC-MISSING": {
    severity: "error",
    title: "A required key is missing",
    explanation: "The plan cannot be computed without this value, and it has no default.",
    example: "guests.mail.memoryGiB is missing (a number).",
    fix: "Add the key.",
  },
  "SPEC-UNKNOWN-KEY": {
    severity: "error",
    title: "A key is not part of the specification",
    explanation: "A mistyped key would be ignored silently, and its default used instead.",
    example: "'memroyGiB' is no key of guests.mail: did you mean 'memoryGiB'?",
    fix: "Correct it to the nearest known key that the message names, or remove it.",
  },
  "SECRET-NAME-RESERVED": {
    severity: "error",
    title: "A guest's password is a setting of the stack",
    explanation:
      "Secrets that guests name and the stack's own settings share the namespace `coldspare:`. The cluster's token must never become the password of a guest.",
    example: "The password of mail is the secret 'apiToken', which is a setting of the stack itself.",
    fix: "Name a secret of its own.",
  },
  "SPEC-OVERRIDE": {
    severity: "error",
    title: "An override cannot be applied",
    explanation: "`--set path=value` names a path that leads through a plain value, or has no '='.",
    example: "'guests.mail.cores.count=2' cannot be applied: guests.mail.cores is 2, which has no 'count' in it.",
    fix: "Write it as path=value, with dots between the keys, for example guests.sql-erp.memoryGiB=24.",
  },
  "ACTIVE-SIDE-INVALID": {
    severity: "error",
    title: "The recorded active side does not exist",
    explanation:
      "The record of active sides names a guest that the specification does not have, or the spare of a guest without one.",
    example: "The spare of 'ghost' is recorded as active, but there is no such guest.",
    fix: "Remove the entry from the record, or give the guest a coldReplica.",
  },
  "GUEST-ID-DUPLICATE": {
    severity: "error",
    title: "A guest id is used twice",
    explanation: "Guest ids are one space for machines, containers and standby copies, over all servers of the site.",
    example: "Guest id 101 is used twice: by mail and wiki.",
    fix: "Give each guest and each standby copy its own id.",
  },
} as const satisfies Record<string, CatalogueEntry>;
