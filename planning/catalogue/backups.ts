/** Findings about targets, policies and media of backups. */
import type { CatalogueEntry } from "./types";

export const backupFindings = {
  "TARGET-UNKNOWN": {
    severity: "error",
    title: "A target that does not exist",
    explanation: "A policy writes to a target of the section `targets`, and a synchronised target fetches from one.",
    example: "Backup policy nightly writes to target 'cloud', which does not exist.",
    fix: "Correct the name to the nearest known target that the message names, or add the target.",
  },
  "TARGET-OR-STORAGE": {
    severity: "error",
    title: "A policy with two targets, or with none",
    explanation: "`storage` is short for a vzdump target on that storage: a policy has one of the two.",
    example: "Backup policy nightly has neither a target nor a storage: nothing is written.",
    fix: "Write `target` or `storage`, not both.",
  },
  "TARGET-SIZE": {
    severity: "error",
    title: "How much a target holds is not known, or said twice",
    explanation:
      "Without a size nobody can say when the target is full. A bucket has no size of its own: then the quota is what may be used.",
    example: "Target cloud has neither sizeGiB nor disks: nothing can be said of the day it fills.",
    fix: "Give sizeGiB, or the disks it is made of, or for somebody else's storage quotaGiB.",
  },
  "TARGET-DISKS": {
    severity: "error",
    title: "A set of disks that cannot be built",
    explanation: "Each layout has a least number of disks.",
    example: "The disks of target cloud cannot be built: raidz1 needs at least 2 disks, and has 1.",
    fix: "Correct the number of disks or the layout.",
  },
  "TARGET-HOST": {
    severity: "error",
    title: "A target on no server, or on two",
    explanation: "`on` names a server of this site, `host` one that is none: a target has one of the two.",
    example: "Target cloud is on no server: it has neither `on` nor `host`.",
    fix: "Write `on` or `host`, not both.",
  },
  "TARGET-PULL-NO-SERVER": {
    severity: "error",
    title: "A receiver that fetches is no server of the site",
    explanation:
      "What fetches needs the program, its timers and its keys: `pulumi up` installs them on servers of the site only. Being behind NAT is no hindrance, as it calls out.",
    example: "Target cloud fetches by itself, but it is no server of this site.",
    fix: "Add the machine to the section `servers`, and name it in `on`.",
  },
  "TARGET-NOT-HTTPS": {
    severity: "error",
    title: "A repository that is reached without TLS",
    explanation:
      "Keys and data would travel readable and could be changed on the way. That holds for loopback, too: any process of the machine may listen there.",
    example: "Target cloud is reached at 'http://127.0.0.1:9000', without TLS.",
    fix: "Write https://; an authority of your own goes into `ca`.",
  },
  "TARGET-SAME-DISK": {
    severity: "error",
    title: "Copies on the disks that carry the originals",
    explanation: "One failure, or one hand, takes both.",
    example: "Target dump is on the disks of what it copies: storage dump is one's own, where mail runs.",
    fix: "Put the copies on other disks, of another server if there is one.",
  },
  "TARGET-SAME-SERVER": {
    severity: "warning",
    title: "Copies on the server that they are made of",
    explanation: "When the server is lost, its copies are out of reach, too.",
    example: "Target cloud is on vault, and so is what it copies: folder:vault:/srv/scans.",
    fix: "Put the target on another server, or add a second one elsewhere.",
  },
  "TARGET-FULL": {
    severity: "error",
    title: "A target that fills within 12 months",
    explanation:
      "The retention is simulated, with the first full copies, the daily change and the compression of each kind of data. Measured numbers replace the defaults.",
    example:
      "Target cloud is full after 24 days: its copies take up to 54.03 GiB, and 42.5 GiB may be filled. Of policy nightly at most daily 3 and weekly 1 fits.",
    fix: "Keep fewer copies, as the message names, or take more room; measured numbers (compressionRatio, dailyChange) make the forecast sharper.",
  },
  "QUOTA-EXCEEDED": {
    severity: "error",
    title: "The copies take more than the quota allows",
    explanation: "Somebody else's limit is hard: the backup that goes beyond it fails.",
    example: "The copies of policy nightly take up to 432 GiB, and its quota is 100 GiB.",
    fix: "Keep fewer copies, or raise the quota.",
  },
  "SOURCE-NOT-TAKEN": {
    severity: "error",
    title: "A target that cannot take this kind of source",
    explanation:
      "Proxmox Backup Server and vzdump storages take guests, restic repositories take folders and volumes, ZFS receivers take data sets.",
    example: "Backup policy nightly has folders, which a vzdump target cannot take.",
    fix: "Make a policy of its own for them, with a target of the kind that the message names.",
  },
  "VOLUME-IN-GUEST-NOT-BUILT": {
    severity: "error",
    title: "A volume inside a guest",
    explanation:
      "Programs, timers and secrets are installed on servers of the site; this release installs none inside guests. A policy that nobody carries out would look like a backup.",
    example: "Volume spool is inside guest mail, where this release installs no program that copies it.",
    fix: "Let the guest dump its volumes to a folder on a server, and back that up (`folders`, with `of`).",
  },
  "BACKUP-NOTHING": {
    severity: "error",
    title: "A policy that backs up nothing",
    explanation: "No guest is of that pool or has that tag: mostly a mistyped name.",
    example: "Backup policy nightly backs up nothing: no guest has the tag 'windos'.",
    fix: "Correct the pool or tag, or name guests.",
  },
  "BACKUP-KEEPS-NOTHING": {
    severity: "error",
    title: "A retention that keeps nothing",
    explanation: "All numbers are 0. Proxmox takes that for 'keep all'; whoever wrote it meant something else.",
    example: "Backup policy nightly keeps nothing: every number in keep is 0.",
    fix: "Write how many copies stay, for example { daily: 7, weekly: 4 }.",
  },
  "BACKUP-RPO-BROKEN": {
    severity: "error",
    title: "A policy cannot keep its promised recovery point",
    explanation:
      "The longest gap of the schedule and the time that a run takes over the link are more than the promise.",
    example:
      "Backup policy nightly promises copies of at most 12 h, and they may be 1 d 13 min old: 1 d between two runs of '01:00' + 13 min 26 s for a run.",
    fix: "Back up more often, use a faster link, or promise less.",
  },
  "BACKUP-RUN-TOO-LONG": {
    severity: "error",
    title: "A backup takes longer than the time between two of them",
    explanation: "What changes does not fit through the link, or the storage is too slow.",
    example: "A run of backup policy nightly takes 13 min 26 s, and the next one begins after 10 min.",
    fix: "Back up less often, use a faster link (linkMbps), or raise the limits of the policy.",
  },
  "SECRET-IN-CLEAR": {
    severity: "error",
    title: "A password or key in the specification",
    explanation:
      "The specification is plain text, and so are plans and outputs. Secrets stand in the stack's config, encrypted, and the specification says their names.",
    example: "targets.cloud.backend.endpoint contains a user and a password.",
    fix: "Name a secret, and set it with `pulumi config set --secret coldspare:<name>`. Change what was written here: it is known now.",
  },
  "APPEND-ONLY-IMPOSSIBLE": {
    severity: "error",
    title: "Append-only where everybody can delete",
    explanation:
      "Over SFTP and on a local disk, whoever may write may also remove. A rest-server with --append-only, or an S3 key without the right to delete, takes additions only.",
    example: "Target cloud cannot be append-only: over sftp whoever writes can also delete.",
    fix: "Use rest-server or S3, or remove appendOnly and rely on another copy.",
  },
  "ENCRYPTION-KEY-COPY": {
    severity: "info",
    title: "Backups that only a key can open",
    explanation: "The key lies with the hypervisors. When they are lost together with it, no backup is restored.",
    example: "What target cloud holds is encrypted by the hypervisors: without their key nothing of it is restored.",
    fix: "Print the key or keep a copy of it off line (`proxmox-backup-client key paperkey`).",
  },
  "COPIES-FEW": {
    severity: "warning",
    title: "Fewer than three copies (the 3 of 3-2-1-1-0)",
    explanation: "Production counts as one, a cold replica as one. Two copies are one while the other is being mended.",
    example: "wiki has fewer than three copies, production counted.",
    fix: "Add a second target, a synchronised copy or rotated media.",
  },
  "COPIES-ONE-MEDIUM": {
    severity: "warning",
    title: "All copies on one kind of medium (the 2 of 3-2-1-1-0)",
    explanation: "What breaks one kind of medium, breaks all of them.",
    example: "mail and wiki have copies on one kind of medium only (disk).",
    fix: "Add rotated disks, a bucket or tapes; a target's `media` says what it is.",
  },
  "COPIES-ONE-PLACE": {
    severity: "warning",
    title: "No copy elsewhere (the first 1 of 3-2-1-1-0)",
    explanation: "Fire and thieves take what is in one place. A target whose location is not stated does not count.",
    example: "mail and wiki have no copy in another place than production.",
    fix: "Carry a set of media out of the building (offSite), or add a target elsewhere and state its location.",
  },
  "COPIES-ALL-ON-LINE": {
    severity: "warning",
    title: "No copy off line or immutable (the second 1 of 3-2-1-1-0)",
    explanation: "Whoever takes the servers can delete every copy that they can delete.",
    example: "mail and wiki have no copy that is off line or immutable.",
    fix: "Add rotated media, or a target that takes additions only (appendOnly, immutableFor).",
  },
  "COPIES-UNVERIFIED": {
    severity: "warning",
    title: "No copy is ever read again (the 0 of 3-2-1-1-0)",
    explanation: "A copy that nobody has read since it was written may be none.",
    example: "No copy of mail and wiki is ever verified.",
    fix: "Set verify.reread or verify.testRestore of the policy.",
  },
  "SNAPSHOTS-ALONE": {
    severity: "warning",
    title: "Snapshots in place of backups",
    explanation:
      "A snapshot is not a backup: it lies on the disks of its original and goes with them. And many snapshots slow a machine down and keep its space.",
    example:
      "dataset:vault:tank/data has snapshots on vault alone, its own server: a snapshot is not a backup, and many slow a machine down.",
    fix: "Send them to a receiver on another server.",
  },
  "PBS-OWNER-SHARED": {
    severity: "error",
    title: "Two targets share the groups of one datastore",
    explanation:
      "On Proxmox Backup Server a group of backups has one owner: the token that came first. The other one is refused.",
    example:
      "Targets cloud and more write to the root of datastore office with two tokens: the second to come is refused.",
    fix: "Give each a namespace of its own, or use one target for both.",
  },
  "SYNC-CIRCLE": {
    severity: "error",
    title: "Synchronised targets in a circle",
    explanation: "Each is a copy of the other, and nobody writes the first one.",
    example: "Target cloud is a copy of itself: cloud from more from cloud.",
    fix: "Remove one syncFrom: backups are written to one target, and fetched from it.",
  },
  "IMMUTABLE-IMPOSSIBLE": {
    severity: "error",
    title: "Immutable where the target cannot keep it",
    explanation:
      "Proxmox Backup Server gives the hypervisors no right to prune; a receiver that fetches is out of their reach; rest-server and S3 without the right to delete take additions only. Others obey whoever logs in.",
    example: "Copies of policy nightly are to be immutable for 7d, which target backups cannot keep.",
    fix: "Use such a target, or remove immutableFor.",
  },
  "IMMUTABLE-BEYOND-KEEP": {
    severity: "warning",
    title: "Copies stay longer than the retention says",
    explanation: "What is immutable is not pruned: the target holds more than the forecast counts.",
    example: "Copies of policy nightly are immutable for 90d, and its retention ends after 28 d.",
    fix: "Keep copies at least so long, or shorten immutableFor.",
  },
  "TEST-RESTORE-NO-ROOM": {
    severity: "error",
    title: "No room to boot a copy for its test",
    explanation: "The copy is booted in isolation beside what runs there.",
    example: "The test restore of mail needs 8 GiB of memory on two, which has 5.85 GiB left.",
    fix: "Test on another server (verify.testRestore.on).",
  },
  "ROTATION-INVALID": {
    severity: "error",
    title: "A rotation that cannot be followed",
    explanation: "A disk has one place in one set, and while the only one is attached nothing is off line.",
    example: "The rotation of shelf cannot be followed: medium disk-a is in it twice: a disk has one place in one set.",
    fix: "Correct media and swaps of the rotation.",
  },
  "ROTATION-SET-IDLE": {
    severity: "error",
    title: "Media whose turn never comes",
    explanation: "When two sets are due at once, the later one in the list is served; another one may never be.",
    example: "Set weekly of shelf never gets a turn: whenever it is due, so is a set after it.",
    fix: "Put the rarer set last, or give them different times.",
  },
  "ROTATION-GRACE": {
    severity: "error",
    title: "A swap may be late until the next one",
    explanation: "With so much grace a forgotten swap is never reported.",
    example: "A swap of shelf may be 8d late, and the next one is due 7 d after it.",
    fix: "Shorten grace.",
  },
  "ROTATION-NEVER-OFF-SITE": {
    severity: "warning",
    title: "Media that never leave the building",
    explanation: "The shelf burns with the servers.",
    example: "No set of shelf is carried out of the building, and no other copy is elsewhere.",
    fix: "Add a set with offSite: true, for example monthly.",
  },
  "TIME-ZONE-UNKNOWN": {
    severity: "error",
    title: "A time zone that does not exist",
    explanation: "Schedules, swaps and retention are meant in the site's time zone.",
    example: "There is no time zone 'Europe/Pari'.",
    fix: "Write an IANA name, for example Europe/Paris.",
  },
} as const satisfies Record<string, CatalogueEntry>;
