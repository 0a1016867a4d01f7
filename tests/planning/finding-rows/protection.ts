/** Findings about replicas, backups and recovery, and which change of a clean site brings them, word for word. */
import type { Row } from "./row";

export const protectionRows: Row[] = [
  {
    code: "ACTIVE-STANDBY-NO-BACKUP",
    set: [],
    options: { active: { wiki: "spare" } },
    subject: "guests.wiki.coldReplica",
    message: "wiki runs as a restored standby on one: the backup policies write guest 102, which is off.",
  },
  {
    code: "SCHEDULE-INVALID",
    set: ["guests.mail.coldReplica.schedule=*/15 * * * *"],
    subject: "guests.mail.coldReplica.schedule",
    message:
      "Proxmox VE cannot parse the schedule '*/15 * * * *' of the replica of mail: '* * * *' is left over after the time.",
  },
  {
    code: "SCHEDULE-INVALID",
    set: ["backups.nightly.schedule=at night"],
    subject: "backups.nightly.schedule",
    message:
      "Proxmox VE cannot parse the schedule 'at night' of the backup policy nightly: 'at' is no weekday (mon, tue, wed, thu, fri, sat, sun).",
  },
  {
    code: "SCHEDULE-ENDS",
    set: ["backups.nightly.schedule=2026-*-* 01:00"],
    subject: "backups.nightly.schedule",
    message: "The schedule '2026-*-* 01:00' of the backup policy nightly names years, and ends with the last of them.",
  },
  {
    code: "RPO-BROKEN",
    set: ["guests.mail.coldReplica.schedule=hourly"],
    subject: "guests.mail.coldReplica.recoveryPoint",
    message:
      "mail promises to lose at most 20 min, and may lose 1 h 4 s: 1 h between two runs of 'hourly' + 4 s to send 0.4 GiB (0.4 GiB/h) at 125 MB/s.",
  },
  {
    code: "RPO-BROKEN",
    set: ["guests.wiki.coldReplica.schedule=sun 12:00"],
    subject: "guests.wiki.coldReplica.recoveryPoint",
    message:
      "wiki promises to lose at most 2 d, and may lose 7 d 11 h: backups at '01:00' (13 min 26 s long), restored at 'sun 12:00': at worst 7 d 11 h from the backup that is restored to the restore after it + 4 min 29 s to restore 20 GiB at 80 MB/s.",
  },
  {
    code: "RTO-BROKEN",
    set: ["guests.mail.boot.seconds=400"],
    subject: "guests.mail.coldReplica.recoveryTime",
    message:
      "mail promises to answer within 10 min, and takes 11 min 55 s: 5 min until confirmed + 15 s for 1 activation (first to start) + 0 s of boot delays + 6 min 40 s to boot.",
  },
  {
    code: "REPLICA-CANNOT-KEEP-UP",
    set: ["guests.mail.coldReplica.rateMBps=5", "guests.mail.changeGiBPerHour=20"],
    subject: "guests.mail.coldReplica.schedule",
    message: "mail changes 20 GiB/h: sending what 15 min brought takes 17 min 54 s at 5 MB/s.",
  },
  {
    code: "REPLICA-CANNOT-KEEP-UP",
    set: ["guests.wiki.coldReplica.schedule=*/5", "policies.restoreMBps=20"],
    subject: "guests.wiki.coldReplica.schedule",
    message: "Restoring 20 GiB of wiki takes 17 min 54 s, longer than the 5 min between two restores.",
  },
  {
    code: "REPLICA-CANNOT-KEEP-UP",
    set: [
      "guests.wiki.on=one",
      'guests.wiki.coldReplica={"on":"two","method":"storage-replication","schedule":"*/30"}',
      "guests.mail.changeGiBPerHour=240",
      "guests.wiki.changeGiBPerHour=240",
    ],
    subject: "servers.one",
    message:
      "one sends its replicas one after another: mail 8 min 36 s every 15 min and wiki 17 min 11 s every 30 min is 115 % of the time there is.",
  },
  {
    code: "REPLICA-CANNOT-KEEP-UP",
    set: [
      "guests.mail.coldReplica.method=restore",
      "guests.mail.coldReplica.backupStorage=backups",
      "guests.mail.coldReplica.schedule=*/10",
      "guests.wiki.coldReplica.schedule=*/10",
    ],
    subject: "guests",
    message:
      "Restores run one after another: mail 8 min 57 s every 10 min and wiki 4 min 29 s every 10 min is 135 % of the time there is.",
  },
  {
    code: "GUEST-NO-SPARE",
    set: ["guests.mail.coldReplica=null"],
    subject: "guests.mail",
    message: "mail has no spare: when one is lost, it is down until one is back.",
  },
  {
    code: "GUEST-NO-BACKUP",
    set: ['backups.nightly.guests=["wiki"]'],
    subject: "guests.mail",
    message: "mail is in no backup policy: nothing goes back to before a mistake.",
  },
  {
    code: "DOMAIN-CONTROLLER-SINGLE",
    set: ["guests.mail.role=domain-controller"],
    subject: "guests.mail.coldReplica",
    message:
      "mail is the only domain controller and has a spare: a second controller would lose nothing at a failover.",
  },
  {
    code: "DOMAIN-CONTROLLER-GENERATION",
    set: ["guests.mail.role=domain-controller", "guests.wiki.role=domain-controller"],
    subject: "guests.mail.coldReplica",
    message: "mail is one of 2 domain controllers (mail and wiki): its spare must start with a fresh VM generation id.",
  },
  {
    code: "SWARM-MANAGER-SPARE",
    set: ["guests.mail.role=swarm-manager"],
    subject: "guests.mail.coldReplica",
    message:
      "mail is a Swarm manager: after a failover its older state breaks the managers' consensus, and it has to join afresh.",
  },
  {
    code: "BACKUP-KEEPS-ALL",
    set: ["backups.nightly.keep={}"],
    subject: "backups.nightly.keep",
    message: "Backup policy nightly keeps every backup until backups is full.",
  },
  {
    code: "BACKUP-RETENTION-CLASH",
    set: ['backups.noon={"storage":"backups","schedule":"12:00","guests":["wiki"],"keep":{"last":2}}'],
    subject: "backups.noon.keep",
    message: "Policies nightly and noon both write wiki to backups, and each run prunes what the other one keeps.",
  },
  {
    code: "BACKUP-SAME-LOCATION",
    set: ["servers.vault.location=hall"],
    subject: "storages.backups",
    message:
      "The backups on backups are in 'hall', together with one and two: a fire there takes guests, replicas and backups.",
  },
  {
    code: "OFFLINE-MEDIUM-NONE",
    set: ["targets={}"],
    subject: "targets",
    message: "No off-line medium is planned: nothing survives the loss of the whole site.",
  },
  {
    code: "OFFLINE-MEDIUM-TOO-SMALL",
    set: ["targets.shelf.sizeGiB=400"],
    subject: "targets.shelf.sizeGiB",
    message: "Off-line medium shelf has 400 GiB, and backups is to hold 432 GiB.",
  },
];
