/** Findings about targets, policies and media, and which change of a clean site brings them, word for word. */
import type { Row } from "./row";

export const backupRows: Row[] = [
  {
    code: "TARGET-UNKNOWN",
    set: ['backups.nightly={"target":"cloud","schedule":"01:00"}'],
    subject: "backups.nightly.target",
    message: "Backup policy nightly writes to target 'cloud', which does not exist.",
  },
  {
    code: "TARGET-UNKNOWN",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000,"syncFrom":{"target":"store","schedule":"05:00"}}',
    ],
    subject: "targets.cloud.syncFrom.target",
    message: "Target cloud fetches from 'store', which does not exist.",
  },
  {
    code: "TARGET-OR-STORAGE",
    set: ["backups.nightly.storage=null"],
    subject: "backups.nightly",
    message: "Backup policy nightly has neither a target nor a storage: nothing is written.",
  },
  {
    code: "TARGET-OR-STORAGE",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000}',
      "backups.nightly.target=cloud",
    ],
    subject: "backups.nightly",
    message: "Backup policy nightly has a target ('cloud') and a storage ('backups').",
  },
  {
    code: "TARGET-SIZE",
    set: ['targets.cloud={"kind":"pbs","on":"vault","datastore":"office"}'],
    subject: "targets.cloud",
    message: "Target cloud has neither sizeGiB nor disks: nothing can be said of the day it fills.",
  },
  {
    code: "TARGET-SIZE",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000,"disks":{"layout":"mirror","count":2,"sizeTB":4}}',
    ],
    subject: "targets.cloud",
    message: "Target cloud has sizeGiB and disks, which say two things of one size.",
  },
  {
    code: "TARGET-DISKS",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","disks":{"layout":"raidz1","count":1,"sizeTB":6}}',
    ],
    subject: "targets.cloud.disks",
    message: "The disks of target cloud cannot be built: raidz1 needs at least 2 disks, and has 1.",
  },
  {
    code: "TARGET-HOST",
    set: ['targets.cloud={"kind":"pbs","datastore":"office","sizeGiB":3000}'],
    subject: "targets.cloud",
    message: "Target cloud is on no server: it has neither `on` nor `host`.",
  },
  {
    code: "TARGET-HOST",
    set: ['targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000,"host":"pbs.example.org"}'],
    subject: "targets.cloud",
    message: "Target cloud has `on` (vault) and `host` (pbs.example.org).",
  },
  {
    code: "TARGET-PULL-NO-SERVER",
    set: [
      'targets.cloud={"kind":"zfs-receiver","dataset":"pool/copies","sizeGiB":900,"host":"nas.example.org","direction":"pull"}',
    ],
    subject: "targets.cloud.direction",
    message: "Target cloud fetches by itself, but it is no server of this site.",
  },
  {
    code: "TARGET-NOT-HTTPS",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"http://127.0.0.1:9000","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"cloud-password","appendOnly":true}',
    ],
    subject: "targets.cloud.backend.endpoint",
    message: "Target cloud is reached at 'http://127.0.0.1:9000', without TLS.",
  },
  {
    code: "TARGET-NOT-HTTPS",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"rest","url":"http://office@backup.example.org:8000/"},"passwordSecret":"cloud-password","appendOnly":false}',
    ],
    subject: "targets.cloud.backend.url",
    message: "Target cloud is reached at 'http://…@backup.example.org:8000/', without TLS.",
  },
  {
    code: "TARGET-SAME-DISK",
    set: [
      'servers.one.storages.dump={"type":"dir","path":"/srv/dump","sizeGiB":900,"content":["backup"]}',
      'servers.two.storages.dump={"type":"dir","path":"/srv/dump","sizeGiB":900,"content":["backup"]}',
      "backups.nightly.storage=dump",
    ],
    subject: "backups.nightly.storage",
    message: "Target dump is on the disks of what it copies: storage dump is one's own, where mail runs.",
  },
  {
    code: "TARGET-SAME-DISK",
    set: [
      'targets.cloud={"kind":"zfs-receiver","on":"one","dataset":"tank/copies","sizeGiB":900}',
      'backups.nightly={"target":"cloud","schedule":"01:00","keep":{"daily":7,"weekly":4}}',
    ],
    subject: "targets.cloud",
    message:
      "Target cloud is on the disks of what it copies: tank/copies is inside storage tank of one, where mail runs.",
  },
  {
    code: "TARGET-SAME-DISK",
    set: [
      'targets.cloud={"kind":"restic","sizeGiB":500,"backend":{"type":"local","on":"vault","path":"/srv/scans/restic"},"passwordSecret":"cloud-password"}',
      'backups.data={"target":"cloud","schedule":"02:00","folders":[{"server":"vault","paths":["/srv/scans"],"usedGiB":20}],"verify":{"reread":"sun"}}',
    ],
    subject: "targets.cloud",
    message: "Target cloud is on the disks of what it copies: /srv/scans/restic is inside what is backed up of vault.",
  },
  {
    code: "TARGET-SAME-SERVER",
    set: [
      'targets.cloud={"kind":"restic","sizeGiB":500,"backend":{"type":"sftp","on":"vault","path":"/srv/restic"},"passwordSecret":"cloud-password"}',
      'backups.data={"target":"cloud","schedule":"02:00","folders":[{"server":"vault","paths":["/srv/scans"],"usedGiB":20}],"verify":{"reread":"sun"}}',
    ],
    subject: "targets.cloud",
    message: "Target cloud is on vault, and so is what it copies: folder:vault:/srv/scans.",
  },
  {
    code: "TARGET-FULL",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":50}',
      'backups.nightly={"target":"cloud","schedule":"01:00","keep":{"daily":7,"weekly":4}}',
    ],
    subject: "targets.cloud",
    message:
      "Target cloud is full after 24 days: its copies take up to 54.03 GiB, and 42.5 GiB may be filled. Of policy nightly at most daily 3 and weekly 1 fits.",
  },
  {
    code: "TARGET-FULL",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":20}',
      'backups.nightly={"target":"cloud","schedule":"01:00","keep":{"daily":7,"weekly":4}}',
    ],
    subject: "targets.cloud",
    message:
      "Target cloud is full after 1 day: its copies take up to 54.03 GiB, and 17 GiB may be filled. Not even one copy of each rule fits.",
  },
  {
    code: "QUOTA-EXCEEDED",
    set: ["backups.nightly.quotaGiB=100"],
    subject: "backups.nightly.quotaGiB",
    message: "The copies of policy nightly take up to 432 GiB, and its quota is 100 GiB.",
  },
  {
    code: "QUOTA-EXCEEDED",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000,"quotaGiB":40}',
      'backups.nightly={"target":"cloud","schedule":"01:00","keep":{"daily":7,"weekly":4}}',
    ],
    subject: "targets.cloud.quotaGiB",
    message:
      "The copies on target cloud take up to 54.03 GiB, and its quota is 40 GiB: it is exceeded after 19 days. Of policy nightly at most daily 3 and weekly 1 fits.",
  },
  {
    code: "SOURCE-NOT-TAKEN",
    set: ['backups.nightly.folders=[{"server":"vault","paths":["/etc"],"usedGiB":1}]'],
    subject: "backups.nightly.folders",
    message: "Backup policy nightly has folders, which a vzdump target cannot take.",
  },
  {
    code: "SOURCE-NOT-TAKEN",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"cloud-password","appendOnly":true}',
      'backups.nightly={"target":"cloud","schedule":"01:00","keep":{"daily":7,"weekly":4},"guests":"all"}',
    ],
    subject: "backups.nightly.guests",
    message: "Backup policy nightly has guests, which a restic target cannot take.",
  },
  {
    code: "SERVER-UNKNOWN",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"cloud-password","appendOnly":true}',
      'backups.data={"target":"cloud","schedule":"02:00","folders":[{"server":"valt","paths":["/etc"],"usedGiB":1}],"verify":{"reread":"sun"}}',
    ],
    subject: "backups.data.folders[0].server",
    message: "Backup policy data reads from 'valt', which does not exist.",
  },
  {
    code: "SERVER-UNKNOWN",
    set: ['targets.cloud={"kind":"pbs","on":"valt","datastore":"office","sizeGiB":3000}'],
    subject: "targets.cloud.on",
    message: "Target cloud is on 'valt', which does not exist.",
  },
  {
    code: "VOLUME-IN-GUEST-NOT-BUILT",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"cloud-password","appendOnly":true}',
      'backups.data={"target":"cloud","schedule":"02:00","folders":[{"server":"vault","paths":["/srv/scans"],"usedGiB":20}],"verify":{"reread":"sun"},"volumes":[{"server":"mail","volume":"spool","usedGiB":3}]}',
    ],
    subject: "backups.data.volumes[0].server",
    message: "Volume spool is inside guest mail, where this release installs no program that copies it.",
  },
  {
    code: "GUEST-UNKNOWN",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"cloud-password","appendOnly":true}',
      'backups.data={"target":"cloud","schedule":"02:00","folders":[{"server":"vault","of":"mial","paths":["/srv/x"],"usedGiB":1}],"verify":{"reread":"sun"}}',
    ],
    subject: "backups.data.folders[0].of",
    message: "A folder of backup policy data has data of guest 'mial', which does not exist.",
  },
  {
    code: "BACKUP-NOTHING",
    set: ['guests.mail.tags=["windows"]', 'backups.nightly.guests={"tag":"windos"}'],
    subject: "backups.nightly.guests",
    message: "Backup policy nightly backs up nothing: no guest has the tag 'windos'.",
  },
  {
    code: "BACKUP-NOTHING",
    set: ['backups.nightly.guests={"pool":"office"}'],
    subject: "backups.nightly.guests",
    message: "Backup policy nightly backs up nothing: no guest is in the pool 'office'.",
  },
  {
    code: "BACKUP-KEEPS-NOTHING",
    set: ['backups.nightly.keep={"last":0,"daily":0}'],
    subject: "backups.nightly.keep",
    message: "Backup policy nightly keeps nothing: every number in keep is 0.",
  },
  {
    code: "BACKUP-RPO-BROKEN",
    set: ["backups.nightly.recoveryPoint=12h"],
    subject: "backups.nightly.recoveryPoint",
    message:
      "Backup policy nightly promises copies of at most 12 h, and they may be 1 d 13 min old: 1 d between two runs of '01:00' + 13 min 26 s for a run.",
  },
  {
    code: "BACKUP-RPO-BROKEN",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"cloud-password","appendOnly":true,"linkMbps":0.02}',
      'backups.data={"target":"cloud","schedule":"02:00","folders":[{"server":"vault","paths":["/srv/scans"],"usedGiB":20}],"verify":{"reread":"sun"},"recoveryPoint":"2d"}',
    ],
    subject: "backups.data.recoveryPoint",
    message:
      "Backup policy data promises copies of at most 2 d, and they may be 2 d 1 h old: 1 d between two runs of '02:00' + 1 d 1 h for a run.",
  },
  {
    code: "BACKUP-RUN-TOO-LONG",
    set: ["backups.nightly.schedule=*/10"],
    subject: "backups.nightly.schedule",
    message: "A run of backup policy nightly takes 13 min 26 s, and the next one begins after 10 min.",
  },
  {
    code: "SECRET-IN-CLEAR",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://user:pw@s3.example.org","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"cloud-password","appendOnly":true}',
    ],
    subject: "targets.cloud.backend.endpoint",
    message: "targets.cloud.backend.endpoint contains a user and a password.",
  },
  {
    code: "SECRET-IN-CLEAR",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"cloud-password","appendOnly":true,"password":"hunter2"}',
    ],
    subject: "targets.cloud.password",
    message:
      "targets.cloud.password contains what looks like a secret itself; the specification only says names of secrets.",
  },
  {
    code: "SECRET-IN-CLEAR",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"hunter2!","appendOnly":true}',
    ],
    subject: "targets.cloud.passwordSecret",
    message:
      "targets.cloud.passwordSecret contains what looks like a secret itself; the specification only says names of secrets.",
  },
  {
    code: "SECRET-IN-CLEAR",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org","bucket":"office","accessKeySecret":"AKIAIOSFODNN7EXAMPLE","secretKeySecret":"s3-secret"},"passwordSecret":"cloud-password","appendOnly":true}',
    ],
    subject: "targets.cloud.backend.accessKeySecret",
    message:
      "targets.cloud.backend.accessKeySecret contains what looks like a secret itself; the specification only says names of secrets.",
  },
  {
    code: "SECRET-NAME-RESERVED",
    set: [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"s3-secret"},"passwordSecret":"apiToken","appendOnly":true}',
    ],
    subject: "targets.cloud.passwordSecret",
    message: "The secret of target cloud is 'apiToken', which is a setting of the stack itself.",
  },
  {
    code: "APPEND-ONLY-IMPOSSIBLE",
    set: [
      'targets.cloud={"kind":"restic","sizeGiB":500,"backend":{"type":"sftp","on":"vault","path":"/srv/restic"},"passwordSecret":"cloud-password","appendOnly":true}',
    ],
    subject: "targets.cloud.appendOnly",
    message: "Target cloud cannot be append-only: over sftp whoever writes can also delete.",
  },
  {
    code: "ENCRYPTION-KEY-COPY",
    set: ['targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000,"encryption":"client"}'],
    subject: "targets.cloud.encryption",
    message: "What target cloud holds is encrypted by the hypervisors: without their key nothing of it is restored.",
  },
  {
    code: "COPIES-FEW",
    set: ["targets={}", "guests.wiki.coldReplica=null"],
    subject: "backups",
    message: "wiki has fewer than three copies, production counted.",
  },
  {
    code: "COPIES-ONE-MEDIUM",
    set: ["targets={}"],
    subject: "backups",
    message: "mail and wiki have copies on one kind of medium only (disk).",
  },
  {
    code: "COPIES-ONE-PLACE",
    set: ["servers.vault.location=hall"],
    subject: "backups",
    message: "mail and wiki have no copy in another place than production.",
  },
  {
    code: "COPIES-ALL-ON-LINE",
    set: ["targets={}"],
    subject: "backups",
    message: "mail and wiki have no copy that is off line or immutable.",
  },
  {
    code: "COPIES-UNVERIFIED",
    set: ["targets={}"],
    subject: "backups",
    message: "No copy of mail and wiki is ever verified.",
  },
  {
    code: "SNAPSHOTS-ALONE",
    set: [
      'targets.cloud={"kind":"zfs-receiver","on":"vault","dataset":"tank/snaps","sizeGiB":900}',
      'backups.data={"target":"cloud","schedule":"hourly","datasets":[{"server":"vault","dataset":"tank/data","usedGiB":50}]}',
    ],
    subject: "backups",
    message:
      "dataset:vault:tank/data has snapshots on vault alone, its own server: a snapshot is not a backup, and many slow a machine down.",
  },
  {
    code: "PBS-OWNER-SHARED",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000}',
      'targets.more={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000}',
    ],
    subject: "targets.more.namespace",
    message:
      "Targets cloud and more write to the root of datastore office with two tokens: the second to come is refused.",
  },
  {
    code: "SYNC-CIRCLE",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000,"syncFrom":{"target":"more","schedule":"05:00"}}',
      'targets.more={"kind":"pbs","on":"vault","datastore":"copies","sizeGiB":3000,"syncFrom":{"target":"cloud","schedule":"05:00"}}',
    ],
    subject: "targets.cloud.syncFrom.target",
    message: "Target cloud is a copy of itself: cloud from more from cloud.",
  },
  {
    code: "IMMUTABLE-IMPOSSIBLE",
    set: ["backups.nightly.immutableFor=7d"],
    subject: "backups.nightly.immutableFor",
    message: "Copies of policy nightly are to be immutable for 7d, which target backups cannot keep.",
  },
  {
    code: "IMMUTABLE-BEYOND-KEEP",
    set: [
      'targets.cloud={"kind":"pbs","on":"vault","datastore":"office","sizeGiB":3000}',
      'backups.nightly={"target":"cloud","schedule":"01:00","keep":{"daily":7,"weekly":4},"immutableFor":"90d"}',
    ],
    subject: "backups.nightly.immutableFor",
    message: "Copies of policy nightly are immutable for 90d, and its retention ends after 28 d.",
  },
  {
    code: "TEST-RESTORE-NO-ROOM",
    set: [
      "guests.wiki.memoryGiB=22",
      'backups.nightly.verify={"testRestore":{"schedule":"sun 04:00","guests":["mail"],"on":"two"}}',
    ],
    subject: "backups.nightly.verify.testRestore.on",
    message: "The test restore of mail needs 8 GiB of memory on two, which has 5.85 GiB left.",
  },
  {
    code: "GUEST-UNKNOWN",
    set: ['backups.nightly.verify={"testRestore":{"schedule":"sun 04:00","guests":["mial"]}}'],
    subject: "backups.nightly.verify.testRestore.guests",
    message: "The test restore of backup policy nightly names guest 'mial', which does not exist.",
  },
  {
    code: "SCHEDULE-INVALID",
    set: ['backups.nightly.verify={"reread":"now and then"}'],
    subject: "backups.nightly.verify.reread",
    message:
      "Proxmox VE cannot parse the schedule 'now and then' of the verification of backup policy nightly: 'now' is no weekday (mon, tue, wed, thu, fri, sat, sun).",
  },
  {
    code: "ROTATION-INVALID",
    set: ['targets.shelf.rotation=[{"name":"weekly","media":["disk-a","disk-a"],"swap":"mon 09:00"}]'],
    subject: "targets.shelf.rotation",
    message: "The rotation of shelf cannot be followed: medium disk-a is in it twice: a disk has one place in one set.",
  },
  {
    code: "ROTATION-SET-IDLE",
    set: [
      'targets.shelf.rotation=[{"name":"weekly","media":["disk-a","disk-b"],"swap":"mon 09:00"},{"name":"daily","media":["disk-c","disk-d"],"swap":"09:00"}]',
      "targets.shelf.grace=12h",
    ],
    subject: "targets.shelf.rotation[0]",
    message: "Set weekly of shelf never gets a turn: whenever it is due, so is a set after it.",
  },
  {
    code: "ROTATION-GRACE",
    set: ["targets.shelf.grace=8d"],
    subject: "targets.shelf.grace",
    message: "A swap of shelf may be 8d late, and the next one is due 7 d after it.",
  },
  {
    code: "ROTATION-NEVER-OFF-SITE",
    set: ["servers.vault.location=hall"],
    subject: "targets.shelf.rotation",
    message: "No set of shelf is carried out of the building, and no other copy is elsewhere.",
  },
  {
    code: "TIME-ZONE-UNKNOWN",
    set: ["site.timeZone=Europe/Pari"],
    subject: "site.timeZone",
    message: "There is no time zone 'Europe/Pari'.",
  },
];
