/** Guests that would be lost, and what is wrong with their backups and replicas. */
import { formatDuration, list } from "../units";
import { isChosen } from "./backup-jobs";
import { allListed, backupLateness, backupStores, copiesOf, gapOf, hasBackup, jobsOf } from "./live-backups";
import type { LiveCode } from "./live-catalogue";
import { diesWith, type Facts, type LiveGuest, type LiveJob, sees } from "./live-facts";
import type { LiveFinding } from "./live-types";
import { bySize, type Check, live, named, type Seen, some } from "./live-words";

/** Two runs may be missed before a replication is called late. */
const LATE_RUNS = 2;
const LATE_GRACE_SECONDS = 15 * 60;

/** Running guests that the loss of their own server leaves with one of these fates, the largest first. */
function withFate({ facts, losses }: Seen, fate: string): LiveGuest[] {
  const ids = new Set(
    losses.flatMap(({ guests, server }) =>
      guests.filter((each) => each.fate === fate && each.server === server).map(({ id }) => id),
    ),
  );
  return facts.guests.filter(({ id }) => ids.has(id)).sort(bySize);
}

const storeFor = (facts: Facts): string =>
  backupStores(facts).find((storage) => facts.stores.get(storage)?.shared === true) ?? "<storage>";

export const noCopy: Check = (seen) => {
  const guests = withFate(seen, "nothing").filter((guest) => !hasBackup(seen.facts, guest));
  if (guests.length === 0) return [];
  const unseen = allListed(seen.facts) ? "" : " (what other backups exist was not read)";
  return [
    live("LIVE-NO-COPY", {
      subject: "guests",
      guests,
      message: `${some(guests.length, "exists", "exist")} in one place only, without replica and backup${unseen}: ${named(guests)}.`,
      fix: `Back ${guests.length === 1 ? "it" : "them"} up now: \`vzdump ${guests
        .slice(0, 20)
        .map(({ id }) => id)
        .join(" ")} --storage ${storeFor(seen.facts)} --mode snapshot\`, and take a job that covers all guests.`,
    }),
  ];
};

export const noBackup: Check = (seen) => {
  const alone = new Set(withFate(seen, "nothing").map(({ id }) => id));
  const guests = seen.facts.guests
    .filter((guest) => guest.running && !alone.has(guest.id) && !hasBackup(seen.facts, guest))
    .sort(bySize);
  if (guests.length === 0) return [];
  return [
    live("GUEST-NO-BACKUP", {
      subject: "guests",
      guests,
      message: `${some(guests.length, "runs", "run")} without a ${allListed(seen.facts) ? "backup" : "known backup (what other backups exist was not read)"}: ${named(guests)}. A replica or a shared storage passes on what is deleted or encrypted.`,
      fix: "Add them to a backup job: Datacenter, Backup, with the selection `All`.",
    }),
  ];
};

export const noSpare: Check = (seen) => {
  const guests = withFate(seen, "backup");
  if (guests.length === 0) return [];
  return [
    live("GUEST-NO-SPARE", {
      subject: "guests",
      guests,
      message: `${some(guests.length, "comes", "come")} back by a restore alone when the server is lost: ${named(guests)}.`,
      fix: replicaFix(seen.facts, guests),
    }),
  ];
};

/** The replication that Proxmox VE itself could make, for the first guest that can have one. */
function replicaFix(facts: Facts, guests: readonly LiveGuest[]): string {
  for (const { id, node, volumes = [] } of guests) {
    const pools = volumes.map(({ storage = "" }) => storage);
    if (volumes.length === 0 || pools.some((pool) => facts.stores.get(pool)?.entry.type !== "zfspool")) continue;
    const target = facts.nodes.find(
      ({ name, online }) => online && name !== node && pools.every((pool) => sees(facts, name, pool)),
    );
    if (target !== undefined)
      return `Replicate what lies on ZFS: \`pvesr create-local-job ${id}-0 ${target.name} --schedule '*/15'\`. Or keep cold replicas by restore: \`coldspare import\` is the beginning of both.`;
  }
  return "Keep cold replicas that are restored from each backup (`coldspare import`, then `coldReplica: { method: restore }`), or move them to a storage that other servers see.";
}

export const noJob: Check = ({ facts }) => {
  const guests = facts.guests
    .filter((guest) => guest.running && jobsOf(facts, guest).length === 0 && hasBackup(facts, guest))
    .sort(bySize);
  if (guests.length === 0 || facts.isUnread(/backup jobs/)) return [];
  return [
    live("LIVE-IN-NO-JOB", {
      subject: "guests",
      guests,
      message: `${some(guests.length, "has old backups and is", "have old backups and are")} in no job any more: ${named(guests)}.`,
      fix: "Add them to a backup job: Datacenter, Backup, with the selection `All`.",
    }),
  ];
};

export const oldBackup: Check = ({ facts }) => {
  const guests = facts.guests
    .filter((guest) => guest.running && backupLateness(facts, guest) !== undefined)
    .sort(bySize);
  if (guests.length === 0) return [];
  const ages = guests.map((guest) => facts.snapshot.readAt - (copiesOf(facts, guest)[0]?.at ?? 0));
  return [
    live("LIVE-BACKUP-OLD", {
      subject: "guests",
      guests,
      message: `The newest backup is older than its job allows for ${named(guests)}; the oldest is from ${formatDuration(Math.max(...ages))} ago.`,
      fix: "Look at the last runs of the jobs: Datacenter, Backup, or the tasks of type `vzdump` of the server.",
    }),
  ];
};

export const brokenBackup: Check = ({ facts }) => {
  const broken = (facts.copies?.backups ?? []).filter((copy) => copy.broken);
  const newest = (id: number) =>
    Math.max(...(facts.copies?.backups ?? []).filter(({ vmid }) => vmid === id).map(({ at }) => at));
  const guests = facts.guests.filter(({ id }) => broken.some(({ vmid, at }) => vmid === id && at === newest(id)));
  if (guests.length === 0) return [];
  return [
    live("LIVE-BACKUP-BROKEN", {
      subject: "guests",
      guests,
      message: `The newest backup is unfinished, or its verification failed: ${named(guests)}.`,
      fix: "Back them up again now, then verify the older backups too: what broke one may have broken them.",
    }),
  ];
};

export const backupBeside: Check = ({ facts }) => {
  const guests = facts.guests
    .filter((guest) => {
      const copies = copiesOf(facts, guest);
      const dies = ({ storage, server }: { storage: string; server?: string }) =>
        diesWith(facts, storage, server ?? guest.node, guest.node) === true;
      const jobs = jobsOf(facts, guest).flatMap(({ storage }) => (storage === undefined ? [] : [{ storage }]));
      const places = copies.length > 0 ? copies : jobs;
      return guest.running && places.length > 0 && places.every(dies);
    })
    .sort(bySize);
  if (guests.length === 0) return [];
  return [
    live("TARGET-SAME-SERVER", {
      subject: "guests",
      guests,
      message: `All backups of ${named(guests)} lie on the very server that ${guests.length === 1 ? "it runs" : "they run"} on, and are gone with it.`,
      fix: "Write them to a storage of another machine, best a Proxmox Backup Server outside this cluster.",
    }),
  ];
};

export const backupInCluster: Check = ({ facts }) => {
  const lent = backupStores(facts).filter((storage) => {
    const store = facts.stores.get(storage);
    return store?.shared === true && (store.hostServer !== undefined || store.hostGuest !== undefined);
  });
  if (lent.length === 0) return [];
  const hosts = lent.map((storage) => {
    const { hostServer, hostGuest } = facts.stores.get(storage) ?? {};
    const guest = facts.guests.find(({ id }) => id === hostGuest);
    return `${storage} on ${hostServer ?? `${guest?.title} (${hostGuest}), a guest of this cluster`}`;
  });
  return [
    live("LIVE-BACKUP-IN-CLUSTER", {
      subject: "storages",
      message: `Backups lie inside the cluster that they are made of: ${list(hosts)}. Fire, theft and ransomware take both.`,
      fix: "Keep a second copy elsewhere: a backup server outside the cluster that pulls, and media that are taken off line.",
    }),
  ];
};

export const disabledJobs: Check = ({ facts }) =>
  facts.snapshot.backupJobs
    .filter(({ enabled }) => !enabled)
    .map((job) => {
      const guests = facts.guests.filter(
        (guest) => guest.running && isChosen(job, guest.snapshot) && jobsOf(facts, guest).length === 0,
      );
      const alone = guests.length === 0 ? "" : ` Nothing else backs up ${named(guests)}.`;
      return live("LIVE-BACKUP-JOB-DISABLED", {
        subject: `backup job ${job.id}`,
        guests,
        message: `The backup job ${job.id}${job.options.comment ? ` (${job.options.comment})` : ""} is disabled.${alone}`,
        fix: `Switch it on (\`pvesh set /cluster/backup/${job.id} --enabled 1\`), or remove it.`,
      });
    });

export const jobsToNowhere: Check = ({ facts }) =>
  facts.snapshot.backupJobs
    .filter(({ enabled }) => enabled && !facts.isUnread(/storages/))
    .flatMap((job) => {
      const store = facts.stores.get(job.storage ?? "");
      if (job.storage === undefined || (store !== undefined && !store.entry.disabled)) return [];
      return [
        live("LIVE-BACKUP-JOB-NOWHERE", {
          subject: `backup job ${job.id}`,
          message: `The backup job ${job.id} writes to ${job.storage}, which ${store === undefined ? "does not exist" : "is disabled"}.`,
          fix: "Give it a storage that is there: Datacenter, Backup.",
        }),
      ];
    });

interface GuestJob {
  job: LiveJob;
  guest: LiveGuest;
}

function jobsThat(facts: Facts, test: (job: LiveJob) => boolean): GuestJob[] {
  return facts.jobs.flatMap((job) => {
    const guest = facts.guests.find(({ id }) => id === job.guest);
    return guest !== undefined && test(job) ? [{ job, guest }] : [];
  });
}

const MOST_JOBS = 5;

/** One finding for all jobs of a kind: forty that fail have one cause as a rule. */
function replications(
  code: LiveCode,
  found: readonly GuestJob[],
  { what, all, detail, fix }: { what: string; all: string; detail(job: LiveJob): string; fix(first: GuestJob): string },
): LiveFinding[] {
  const [first] = found;
  if (first === undefined) return [];
  const shown = found.slice(0, MOST_JOBS).map(({ job, guest }) => `${named([guest])} to ${job.target}`);
  const more = found.length - shown.length;
  const oneOrAll = list(more > 0 ? [...shown, `${more} more`] : shown);
  const lead =
    found.length === 1 ? `The replication of ${oneOrAll} ${what}` : `${found.length} replications ${all}: ${oneOrAll}`;
  const of = found.length === 1 ? "" : ` ${first.guest.title}: `;
  return [
    live(code, {
      subject: found.length === 1 ? `replication job ${first.job.id}` : "replication jobs",
      guests: found.map(({ guest }) => guest),
      message: `${lead}.${of || " "}${detail(first.job)}`,
      fix: fix(first),
    }),
  ];
}

export const failingReplication: Check = ({ facts }) =>
  replications(
    "LIVE-REPLICATION-FAILS",
    jobsThat(facts, ({ disabled, state }) => !disabled && hasFailed(state)),
    {
      what: "fails",
      all: "fail",
      detail: ({ state }) =>
        `${state?.error === undefined ? "" : `${capital(state.error.trim())}. `}${lastText(facts, state?.lastSync)}`,
      fix: ({ job, guest }) =>
        `Read the log (\`pvesr status --guest ${guest.id}\` on ${guest.node}), mend the cause, then \`pvesr schedule-now ${job.id}\`.`,
    },
  );

const hasFailed = (state: LiveJob["state"]): boolean =>
  state !== undefined && (state.failCount > 0 || state.error !== undefined);

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, "");

function lastText({ snapshot }: Facts, lastSync = 0): string {
  if (lastSync === 0) return "It never succeeded.";
  return `It last succeeded ${formatDuration(Math.max(0, snapshot.readAt - lastSync))} ago.`;
}

export const lateReplication: Check = ({ facts }) =>
  replications(
    "LIVE-REPLICATION-LATE",
    jobsThat(facts, ({ disabled, state, schedule }) => {
      const gap = gapOf(schedule);
      if (disabled || state === undefined || hasFailed(state) || gap === undefined) return false;
      return facts.snapshot.readAt - state.lastSync > LATE_RUNS * gap + LATE_GRACE_SECONDS;
    }),
    {
      what: "is late for its schedule",
      all: "are late for their schedules",
      detail: ({ schedule, state }) => `The schedule is ${schedule}. ${lastText(facts, state?.lastSync)}`,
      fix: ({ guest }) =>
        `Look whether it still runs (\`pvesr status --guest ${guest.id}\` on ${guest.node}); a slow link needs a wider schedule or a higher rate.`,
    },
  );

export const disabledReplication: Check = ({ facts }) =>
  replications(
    "LIVE-REPLICATION-DISABLED",
    jobsThat(facts, ({ disabled }) => disabled),
    {
      what: "is disabled",
      all: "are disabled",
      detail: ({ state }) => (state === undefined ? "Its last run was not read." : lastText(facts, state.lastSync)),
      fix: ({ job: { id } }) =>
        `Switch it on (\`pvesr enable ${id}\`), or remove it (\`pvesr delete ${id}\`) so that nobody counts on it.`,
    },
  );

export const leftOut: Check = ({ facts }) => {
  const parts = facts.guests
    .filter(({ running }) => running)
    .flatMap((guest) => {
      const replicated = facts.jobs.some((job) => job.guest === guest.id && !job.disabled);
      const backedUp = hasBackup(facts, guest);
      const left = (guest.volumes ?? []).filter(
        ({ inBackup, inReplication, storage }) =>
          (backedUp && !inBackup) || (replicated && !inReplication && facts.stores.get(storage ?? "")?.shared !== true),
      );
      return left.length === 0 ? [] : [{ guest, text: `${list(left.map(({ key }) => key))} of ${named([guest])}` }];
    });
  if (parts.length === 0) return [];
  const shown = parts.slice(0, 5).map(({ text }) => text);
  return [
    live("LIVE-DISK-LEFT-OUT", {
      subject: "guests",
      guests: parts.map(({ guest }) => guest),
      message: `Disks that the copies of their guests leave out: ${list(parts.length > 5 ? [...shown, `those of ${parts.length - 5} more`] : shown)}.`,
      fix: "Where that is not meant: tick `Backup` on the disk or mount point (mount points are left out by default), and `Skip replication` off.",
    }),
  ];
};
