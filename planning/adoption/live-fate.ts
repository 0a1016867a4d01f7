/** What becomes of one guest when a server is lost: how it comes back, or why it does not. */
import { formatDuration, list } from "../units";
import { allListed, backupAfter, hasBackup, jobsOf } from "./live-backups";
import { diesWith, type Facts, type LiveGuest, type LiveJob, sees, type Volume } from "./live-facts";
import type { Fate, GuestLoss, LiveQuorum } from "./live-types";

/** A guest that is lost, before it is known whether another server has room for it. */
export interface Stranded {
  guest: LiveGuest;
  fate: Fate;
  byItself: boolean;
  /** Servers that could run it without a restore. */
  candidates: string[];
  how: string;
  backup?: NonNullable<GuestLoss["backup"]>;
}

/** @returns What becomes of a guest; undefined: it goes on running. */
export function fateOf(
  facts: Facts,
  guest: LiveGuest,
  lost: string,
  quorum: LiveQuorum | undefined,
): Stranded | undefined {
  const onLost = guest.node === lost;
  const gone = (guest.volumes ?? []).filter((volume) => isGone(facts, guest, volume, lost) !== false);
  const unclear = gone.length > 0 && gone.every((volume) => isGone(facts, guest, volume, lost) === undefined);
  if (!onLost && (gone.length === 0 || unclear)) return undefined;
  const backup = backupAfter(facts, guest, lost);
  const restored = { guest, candidates: [], byItself: false, ...(backup && { backup }) };
  if (guest.volumes === undefined || guest.volumes.length === 0 || unclear)
    return { ...restored, ...withoutKnowing(facts, guest, backup) };
  if (onLost && gone.length === 0) return { ...restored, ...byShared(facts, guest, lost, quorum) };
  const jobs = onLost ? workingJobs(facts, guest, gone, lost) : [];
  if (jobs.length > 0) return { ...restored, ...byReplica(facts, guest, jobs, quorum) };
  return { ...restored, ...byBackup(facts, guest, backup, onLost ? "" : `${storagesOf(gone)} is gone: `) };
}

/** Undefined: the storage is not known. A device or folder of a server goes with it. */
function isGone(facts: Facts, { node }: LiveGuest, { storage }: Volume, lost: string): boolean | undefined {
  return storage === undefined ? node === lost : diesWith(facts, storage, node, lost);
}

const storagesOf = (volumes: readonly Volume[]): string =>
  list([...new Set(volumes.map(({ storage }) => storage ?? "a disk of the server"))].sort());

function withoutKnowing(facts: Facts, guest: LiveGuest, backup: GuestLoss["backup"]): Pick<Stranded, "fate" | "how"> {
  const why =
    guest.volumes === undefined
      ? `its configuration could not be read${guest.snapshot.unreadable ? ` (${guest.snapshot.unreadable})` : ""}`
      : guest.volumes.length === 0
        ? "it has no disk of its own"
        : "where its disks lie could not be read";
  return backup === undefined
    ? { fate: "unknown", how: `${why}, and no backup of it was seen` }
    : { fate: "backup", how: `${why}; ${restoreText(facts, guest, backup)}` };
}

function byShared(
  facts: Facts,
  guest: LiveGuest,
  lost: string,
  quorum: LiveQuorum | undefined,
): Pick<Stranded, "fate" | "byItself" | "candidates" | "how"> {
  const storages = [...new Set((guest.volumes ?? []).flatMap(({ storage }) => storage ?? []))];
  const candidates = facts.nodes
    .filter(({ name, online }) => name !== lost && online && storages.every((storage) => sees(facts, name, storage)))
    .map(({ name }) => name);
  const lies = `its disks are on ${list(storages.sort())}`;
  if (candidates.length === 0)
    return { fate: "shared", byItself: false, candidates, how: `${lies}, which no other server has active` };
  const byItself = guest.ha && mayStart(quorum) && guest.bound.length === 0;
  const how = byItself ? `HA starts it, ${lies}` : `${lies}: somebody starts it ${obstacles(guest, quorum)}`.trimEnd();
  return { fate: byItself ? "ha" : "shared", byItself, candidates, how };
}

function byReplica(
  facts: Facts,
  guest: LiveGuest,
  jobs: readonly LiveJob[],
  quorum: LiveQuorum | undefined,
): Pick<Stranded, "fate" | "byItself" | "candidates" | "how"> {
  // HA does not choose by replica: it goes there for certain only where no other server is left.
  const others = facts.nodes.filter(({ name, online }) => online && name !== guest.node);
  const certain = others.every(({ name }) => jobs.some(({ target }) => target === name));
  const byItself = guest.ha && certain && mayStart(quorum) && guest.bound.length === 0;
  const [newest] = jobs;
  const age = newest && ageText(facts, newest);
  const candidates = jobs.map(({ target }) => target);
  const how = byItself
    ? `HA starts it from its replica, ${age}`
    : `replica on ${list(candidates)}, ${age}: somebody starts it ${obstacles(guest, quorum)}`.trimEnd();
  return { fate: byItself ? "ha-replica" : "replica", byItself, candidates, how };
}

function ageText({ snapshot }: Facts, { state, schedule }: LiveJob): string {
  if (state === undefined) return `scheduled ${schedule}, its last run was not read`;
  return `${formatDuration(Math.max(0, snapshot.readAt - state.lastSync))} old`;
}

/** Without a majority nothing starts, and no configuration can be moved. */
const mayStart = (quorum: LiveQuorum | undefined): boolean => quorum === undefined || quorum.quorate;

function obstacles({ bound }: LiveGuest, quorum: LiveQuorum | undefined): string {
  const steps = [
    ...(mayStart(quorum) ? [] : ["after 'pvecm expected'"]),
    ...(bound.length === 0 ? [] : [`without ${list(bound)}`]),
  ];
  return steps.join(", ");
}

function byBackup(
  facts: Facts,
  guest: LiveGuest,
  backup: GuestLoss["backup"],
  before: string,
): Pick<Stranded, "fate" | "how"> {
  if (backup !== undefined) return { fate: "backup", how: `${before}${restoreText(facts, guest, backup)}` };
  if (facts.isUnread(/replication|backup jobs/))
    return { fate: "unknown", how: `${before}neither replica nor backup was seen, and not all could be read` };
  const dying = hasBackup(facts, guest) ? "its backups die with the server" : undefined;
  const unseen = allListed(facts) ? "" : " (what other backups exist was not read)";
  const jobs = jobsOf(facts, guest).length > 0 ? "and its job has left no backup" : "no backup";
  const jobless = `no replica, ${jobs}${unseen}`;
  return { fate: "nothing", how: `${before}${dying ?? jobless}` };
}

function restoreText(
  { snapshot }: Facts,
  { volumes = [] }: LiveGuest,
  { storage, at }: NonNullable<GuestLoss["backup"]>,
) {
  const left = volumes.filter(({ inBackup }) => !inBackup).map(({ key }) => key);
  const without = left.length === 0 ? "" : `, without ${list(left)}`;
  return at === undefined
    ? `restore from ${storage}${without}, if its job has written there (not read)`
    : `restore from ${storage}${without}, ${formatDuration(Math.max(0, snapshot.readAt - at))} old`;
}

/** Jobs that brought every lost disk to a server that is there and has the storage; the newest first. */
function workingJobs(facts: Facts, guest: LiveGuest, gone: readonly Volume[], lost: string): LiveJob[] {
  const lastSync = ({ state }: LiveJob) => state?.lastSync ?? 0;
  return facts.jobs
    .filter((job) => job.guest === guest.id && hasReplica(facts, job, gone, lost))
    .sort((a, b) => lastSync(b) - lastSync(a));
}

function hasReplica(
  facts: Facts,
  { target, disabled, source, state }: LiveJob,
  gone: readonly Volume[],
  lost: string,
): boolean {
  const online = facts.nodes.some(({ name, online: isOn }) => name === target && isOn);
  // A disabled job has left its last copy; whether there is one is said by its state alone.
  const ran = state === undefined ? !disabled : state.lastSync > 0;
  if (target === lost || !online || !ran || (source !== undefined && source !== lost)) return false;
  return gone.every(({ storage = "", inReplication }) => {
    const isZfs = facts.stores.get(storage)?.entry.type === "zfspool";
    return inReplication && isZfs && sees(facts, target, storage);
  });
}
