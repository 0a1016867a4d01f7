/** Findings about the form of a specification, and which change of a clean site brings them, word for word. */
import type { Row } from "./row";

export const specificationRows: Row[] = [
  {
    code: "SPEC-INVALID",
    set: ["guests.mail.memoryGiB=much"],
    subject: "guests.mail.memoryGiB",
    message: 'guests.mail.memoryGiB is "much": expected a number.',
  },
  {
    code: "SPEC-INVALID",
    set: ["guests.mail.boot.order=1.5"],
    subject: "guests.mail.boot.order",
    message: "guests.mail.boot.order is 1.5: expected a whole number.",
  },
  {
    code: "SPEC-INVALID",
    set: ["guests.mail.kind=lxc"],
    subject: "guests.mail.kind",
    message: 'guests.mail.kind is "lxc": expected vm or container.',
  },
  {
    code: "SPEC-INVALID",
    set: ["guests.mail.coldReplica.method=magic"],
    subject: "guests.mail.coldReplica.method",
    message: 'guests.mail.coldReplica.method is "magic": expected storage-replication, zfs-sync or restore.',
  },
  {
    code: "SPEC-INVALID",
    set: ["guests.mail.coldReplica.recoveryPoint=soon"],
    subject: "guests.mail.coldReplica.recoveryPoint",
    message: 'guests.mail.coldReplica.recoveryPoint is "soon": must be a number with a unit: 90s, 15m, 4h, 1d or 2w.',
  },
  {
    code: "SPEC-INVALID",
    set: ["policies.coreOvercommit=-1"],
    subject: "policies.coreOvercommit",
    message: "policies.coreOvercommit is -1: must be greater than 0.",
  },
  {
    code: "SPEC-INVALID",
    set: ['servers.Big={"roles":["witness"],"cores":1,"memoryGiB":1}'],
    subject: "servers.Big",
    message:
      "The name 'Big' cannot be used: must be a host name: lower-case letters, digits and inner dashes, 1-63 characters.",
  },
  {
    code: "SPEC-INVALID",
    set: ["guests.mail.memoryGiB=0.01"],
    subject: "guests.mail.memoryGiB",
    message: "guests.mail.memoryGiB is 0.01: must be at least 0.015625.",
  },
  {
    code: "SPEC-INVALID",
    set: ["site.cluster=a-rather-long-name"],
    subject: "site.cluster",
    message: 'site.cluster is "a-rather-long-name": must be at most 15 characters long.',
  },
  {
    code: "SPEC-INVALID",
    set: ["guests.mail.pool=my pool!"],
    subject: "guests.mail.pool",
    message: 'guests.mail.pool is "my pool!": must be a Proxmox pool: letters, digits, dots, dashes and underscores.',
  },
  {
    code: "SPEC-INVALID",
    set: ["guests.mail.coldReplica.rateMBps=0.5"],
    subject: "guests.mail.coldReplica.rateMBps",
    message: "guests.mail.coldReplica.rateMBps is 0.5: must be at least 1.",
  },
  {
    code: "SPEC-INVALID",
    set: ["guests.mail.disks[0].name=../etc"],
    subject: "guests.mail.disks[0].name",
    message: 'guests.mail.disks[0].name is "../etc": must be lower-case letters, digits and dashes.',
  },
  {
    code: "SPEC-INVALID",
    set: [`guests.mail.disks=${JSON.stringify(Array(32).fill({ sizeGiB: 1, storage: "tank" }))}`],
    subject: "guests.mail.disks",
    message: `guests.mail.disks is ${JSON.stringify(Array(32).fill({ sizeGiB: 1, storage: "tank" })).slice(0, 57)}...: must be at most 31 entries.`,
  },
  {
    code: "SPEC-INVALID",
    set: [`guests.mail.networks=${JSON.stringify(Array(33).fill({ network: "apps" }))}`],
    subject: "guests.mail.networks",
    message: `guests.mail.networks is ${JSON.stringify(Array(33).fill({ network: "apps" })).slice(0, 57)}...: must be at most 32 entries.`,
  },
  {
    code: "SECRET-NAME-RESERVED",
    set: ['guests.mail.cloudInit={"passwordSecret":"apiToken"}'],
    subject: "guests.mail.cloudInit.passwordSecret",
    message: "The password of mail is the secret 'apiToken', which is a setting of the stack itself.",
  },
  {
    code: "SPEC-MISSING",
    set: ["guests.mail.memoryGiB=null"],
    subject: "guests.mail.memoryGiB",
    message: "guests.mail.memoryGiB is missing (a number).",
  },
  {
    code: "SPEC-MISSING",
    set: ["guests.mail.kind=null"],
    subject: "guests.mail.kind",
    message: "guests.mail.kind is missing (vm or container).",
  },
  {
    code: "SPEC-UNKNOWN-KEY",
    set: ["guests.mail.memroyGiB=9"],
    subject: "guests.mail.memroyGiB",
    message: "'memroyGiB' is no key of guests.mail: did you mean 'memoryGiB'?",
  },
  {
    code: "SPEC-UNKNOWN-KEY",
    set: ["guets.mail.memoryGiB=9"],
    subject: "guets",
    message: "'guets' is no key of the specification: did you mean 'guests'?",
  },
  {
    code: "SPEC-UNKNOWN-KEY",
    set: ["guests.mail.coldReplica.shedule=*/5"],
    subject: "guests.mail.coldReplica.shedule",
    message: "'shedule' is no key of guests.mail.coldReplica: did you mean 'schedule'?",
  },
  {
    code: "SPEC-UNKNOWN-KEY",
    set: ["servers.one.zzzzzzzzzz=1"],
    subject: "servers.one.zzzzzzzzzz",
    message: "'zzzzzzzzzz' is no key of servers.one.",
  },
  {
    code: "ACTIVE-SIDE-INVALID",
    set: [],
    options: { active: { ghost: "spare" } },
    subject: "guests.ghost",
    message: "The spare of 'ghost' is recorded as active, but there is no such guest.",
  },
  {
    code: "ACTIVE-SIDE-INVALID",
    set: ["guests.mail.coldReplica=null"],
    options: { active: { mail: "spare" } },
    subject: "guests.mail.coldReplica",
    message: "The spare of mail is recorded as active, but mail has no coldReplica.",
  },
  {
    code: "GUEST-ID-DUPLICATE",
    set: ["guests.wiki.id=101"],
    subject: "guests.mail.id",
    message: "Guest id 101 is used twice: by mail and wiki.",
  },
  {
    code: "GUEST-ID-DUPLICATE",
    set: ["guests.wiki.coldReplica.standbyIds=[101, 9001]"],
    subject: "guests.mail.id",
    message: "Guest id 101 is used twice: by mail and standby copy 1 of wiki.",
  },
  {
    code: "GUEST-ID-DUPLICATE",
    set: ["guests.mail.id=null", "guests.wiki.id=251258"],
    subject: "guests.wiki.id",
    message: "Guest id 251258 is used twice: by mail (derived from its name) and wiki.",
  },
];
