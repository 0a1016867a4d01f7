/** Which backups of a guest there are, and which jobs make them. */
import { longestGapSeconds, parseCalendarEvent } from "../calendar";
import { isChosen } from "./backup-jobs";
import { diesWith, type Facts, type LiveGuest } from "./live-facts";
import type { BackupCopy, GuestLoss } from "./live-types";
import type { BackupJobEntry } from "./snapshot";

/** Every hour of a day may pass before a job has come round to its last guest. */
const GRACE_SECONDS = 6 * 3600;

/** Enabled jobs that take a guest. */
export function jobsOf({ snapshot }: Facts, guest: LiveGuest): BackupJobEntry[] {
  return snapshot.backupJobs.filter((job) => job.enabled && isChosen(job, guest.snapshot));
}

/** Copies of a guest that can be restored from, the newest first. */
export function copiesOf({ copies }: Facts, { id }: LiveGuest): BackupCopy[] {
  return (copies?.backups ?? []).filter(({ vmid, broken }) => vmid === id && !broken).sort((a, b) => b.at - a.at);
}

/** Whether the backups on a storage were listed, as a server sees it. */
export function wasListed({ copies, stores }: Facts, storage: string, server: string): boolean {
  const listed = copies?.listed ?? [];
  return listed.includes(stores.get(storage)?.shared === true ? storage : `${storage}@${server}`);
}

/** Storages that may hold backups. */
export function backupStores(facts: Facts): string[] {
  return [...facts.stores.values()]
    .filter(({ entry }) => !entry.disabled && (entry.content.includes("backup") || entry.type === "pbs"))
    .map(({ entry }) => entry.storage);
}

/** Every place that may hold a backup was looked into: 'there is none' can be said. */
export function allListed(facts: Facts): boolean {
  if (facts.copies === undefined || facts.isUnread(/storage/i)) return false;
  return backupStores(facts).every((storage) => {
    const { shared, entry } = facts.stores.get(storage) ?? { shared: false, entry: undefined };
    if (shared) return wasListed(facts, storage, "");
    return facts.nodes
      .filter(({ name }) => entry?.nodes === undefined || entry.nodes.includes(name))
      .every(({ name }) => wasListed(facts, storage, name));
  });
}

/** The newest backup that outlives the loss of a server; nothing is said of when, where only a job speaks for it. */
export function backupAfter(facts: Facts, guest: LiveGuest, lost: string): GuestLoss["backup"] {
  const survives = ({ storage, server }: Pick<BackupCopy, "storage" | "server">) =>
    diesWith(facts, storage, server ?? "", lost) === false;
  const [newest] = copiesOf(facts, guest).filter(survives);
  if (newest !== undefined) return { storage: newest.storage, at: newest.at };
  const job = jobsOf(facts, guest).find(
    ({ storage = "" }) => survives({ storage, server: guest.node }) && !wasListed(facts, storage, guest.node),
  );
  return job?.storage === undefined ? undefined : { storage: job.storage };
}

/** Any backup of a guest, wherever it lies: seen, or promised by a job whose storage was not listed. */
export function hasBackup(facts: Facts, guest: LiveGuest): boolean {
  if (copiesOf(facts, guest).length > 0) return true;
  return jobsOf(facts, guest).some(({ storage }) => storage !== undefined && !wasListed(facts, storage, guest.node));
}

/** Seconds that the newest backup is older than its jobs allow; undefined: it is not, or that cannot be told. */
export function backupLateness(facts: Facts, guest: LiveGuest): number | undefined {
  const [newest] = copiesOf(facts, guest);
  if (newest === undefined) return undefined;
  const jobs = jobsOf(facts, guest).filter(({ storage }) => wasListed(facts, storage ?? "", guest.node));
  const gaps = jobs.flatMap(({ schedule }) => gapOf(schedule) ?? []);
  if (gaps.length === 0) return undefined;
  const late = facts.snapshot.readAt - newest.at - Math.min(...gaps) - GRACE_SECONDS;
  return late > 0 ? late : undefined;
}

/** The longest time between two runs of a schedule, in seconds; undefined: it cannot be read, or ends. */
export function gapOf(schedule: string): number | undefined {
  const { event } = parseCalendarEvent(schedule);
  const gap = event === undefined ? Number.POSITIVE_INFINITY : longestGapSeconds(event);
  return Number.isFinite(gap) ? gap : undefined;
}
