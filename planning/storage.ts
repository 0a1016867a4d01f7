/** Demand on every storage pool: primaries, replicas, backups and images; bytes behind an export are counted once. */
import { policyGuests, policyStorage } from "./backup/subjects";
import { longestGapSeconds, parseCalendarEvent } from "./calendar";
import type { Context } from "./context";
import type { StorageUsage } from "./plan";
import type { BackupPolicySpec, GuestSpec, SharedStorageSpec } from "./schema";
import { byName, sum } from "./units";
import { DEFAULT_RECOVERY_POINTS } from "./zfs-replica";

type Kind = "primaryGiB" | "replicaGiB" | "backupGiB" | "imageGiB";

/** Size of a full backup over the used size, where nothing else is known. */
const MIXED_COMPRESSION = 0.6;

/** What lies on a guest's disks. */
export function usedGiB(guest: GuestSpec): number {
  return sum(guest.disks.map((disk) => disk.usedGiB ?? disk.sizeGiB / 2));
}

/** What the recovery points of `zfs-sync` hold of one disk, on either server: its share of what the guest changes between the oldest and now. */
export function pointsGiB(guest: GuestSpec, disk: GuestSpec["disks"][number]): number {
  const replica = guest.coldReplica;
  const { event } = replica === undefined ? {} : parseCalendarEvent(replica.schedule);
  if (replica?.method !== "zfs-sync" || event === undefined || event.years) return 0;
  const used = (each: typeof disk) => each.usedGiB ?? each.sizeGiB / 2;
  const share = usedGiB(guest) === 0 ? 0 : used(disk) / usedGiB(guest);
  const hours = ((replica.recoveryPoints ?? DEFAULT_RECOVERY_POINTS) * longestGapSeconds(event)) / 3600;
  const changed = (guest.changeGiBPerHour ?? usedGiB(guest) / 100) * hours * share;
  // A block that is overwritten twice between two points is held once: per point no more than the disk.
  return Math.min(changed, (replica.recoveryPoints ?? DEFAULT_RECOVERY_POINTS) * disk.sizeGiB);
}

/** Backups of one guest that a policy keeps; undefined: all of them, for ever. */
export function keptCopies(keep: BackupPolicySpec["keep"]): number | undefined {
  const total =
    (keep.last ?? 0) +
    (keep.hourly ?? 0) +
    (keep.daily ?? 0) +
    (keep.weekly ?? 0) +
    (keep.monthly ?? 0) +
    (keep.yearly ?? 0);
  return total === 0 ? undefined : total;
}

/** Names of the guests that a policy backs up. */
export function guestsOf(context: Context, policy: BackupPolicySpec): string[] {
  return policyGuests(context.guests, policy);
}

/** Names of the servers that need an image: those where a guest is made from it, now or after a switch. */
export function imageServers(context: Context, image: string): string[] {
  const servers = context.guests
    .filter(({ spec }) => spec.image === image)
    .flatMap(({ primary, spare }) => (spare === undefined ? [primary] : [primary, spare]));
  return [...new Set(servers)].sort(byName);
}

/** The local pool that a shared storage's bytes lie on, when a server of this site exports it. */
export function backingPool(
  context: Context,
  shared: SharedStorageSpec,
): { server: string; storage: string } | undefined {
  const { server, export: path } = shared;
  if (server === undefined || path === undefined) return undefined;
  const pools = Object.entries(context.server(server)?.storages ?? {})
    .filter(([, pool]) => pool.path !== undefined && isInside(path, pool.path))
    // Of nested directories the deepest holds the bytes.
    .sort(([a, one], [b, other]) => (other.path?.length ?? 0) - (one.path?.length ?? 0) || byName(a, b));
  const found = pools[0];
  return found && { server, storage: found[0] };
}

function isInside(path: string, directory: string): boolean {
  const trim = (text: string) => text.replace(/\/+$/, "");
  return trim(path) === trim(directory) || trim(path).startsWith(`${trim(directory)}/`);
}

/** Demand on each pool of the site, sorted by server and storage; 'shared' comes last. */
export function planStorages(context: Context): StorageUsage[] {
  const pools = new Map<string, StorageUsage>();
  const key = (server: string, storage: string) => `${server}/${storage}`;
  const open = (server: string, storage: string, sizeGiB: number, fillLimit: number, backedBy?: string) =>
    pools.set(key(server, storage), {
      storage,
      server,
      sizeGiB,
      limitGiB: sum([sizeGiB * fillLimit]),
      primaryGiB: 0,
      replicaGiB: 0,
      backupGiB: 0,
      imageGiB: 0,
      totalGiB: 0,
      fits: true,
      ...(backedBy !== undefined && { backedBy }),
    });
  for (const { name, spec } of context.servers)
    for (const [id, pool] of Object.entries(spec.storages)) open(name, id, pool.sizeGiB, pool.fillLimit);
  for (const [id, shared] of Object.entries(context.spec.storages)) {
    const backing = backingPool(context, shared);
    open("shared", id, shared.sizeGiB, shared.fillLimit, backing && key(backing.server, backing.storage));
  }

  /** Books bytes on the pool, and on the pool behind it. Unknown storages are findings elsewhere. */
  const book = (server: string, storage: string, kind: Kind, gib: number) => {
    const seen = context.storageOn(server, storage);
    const pool = seen && pools.get(key(seen.server, storage));
    if (pool === undefined) return;
    pool[kind] = sum([pool[kind], gib]);
    const behind = pool.backedBy === undefined ? undefined : pools.get(pool.backedBy);
    if (behind !== undefined) behind[kind] = sum([behind[kind], gib]);
  };

  for (const { primary, spare, spec } of context.guests) {
    for (const disk of spec.disks) {
      book(primary, disk.storage, "primaryGiB", disk.sizeGiB);
      const replica = spec.coldReplica;
      if (replica === undefined || spare === undefined) continue;
      if (replica.method === "restore") book(spare, replica.storage ?? disk.storage, "replicaGiB", 2 * disk.sizeGiB);
      else book(spare, disk.storage, "replicaGiB", disk.sizeGiB);
      if (replica.method === "zfs-sync")
        for (const server of [primary, spare]) book(server, disk.storage, "replicaGiB", pointsGiB(spec, disk));
    }
  }
  for (const [name, image] of Object.entries(context.spec.images)) {
    const seen = imageServers(context, name).map((server) => ({
      server,
      at: context.storageOn(server, image.storage),
    }));
    const firstShared = seen.find(({ at }) => at?.shared)?.server;
    for (const { server, at } of seen)
      if (at?.shared === false || server === firstShared) book(server, image.storage, "imageGiB", image.sizeGiB);
  }
  bookBackups(context, book);

  const all = [...pools.values()];
  for (const pool of all) {
    pool.totalGiB = sum([pool.primaryGiB, pool.replicaGiB, pool.backupGiB, pool.imageGiB]);
    pool.fits = pool.totalGiB <= pool.limitGiB;
  }
  return all.sort(
    (a, b) =>
      Number(a.server === "shared") - Number(b.server === "shared") ||
      byName(a.server, b.server) ||
      byName(a.storage, b.storage),
  );
}

/**
 * Copies of a guest on a storage: as many as the most generous policy keeps there (each policy's run prunes all backups
 * of the guest on that storage, so they do not add up) and one more that is being written.
 */
function bookBackups(context: Context, book: (server: string, storage: string, kind: Kind, gib: number) => void): void {
  const demand = new Map<string, { server: string; storage: string; gib: number }>();
  for (const policy of Object.values(context.spec.backups)) {
    const covered = guestsOf(context, policy);
    const storage = policyStorage(context.spec.targets, policy);
    if (storage === undefined) continue;
    for (const { name, spec, primary } of context.guests) {
      if (!covered.includes(name)) continue;
      const gib = usedGiB(spec) * (policy.compressionRatio ?? MIXED_COMPRESSION) * ((keptCopies(policy.keep) ?? 1) + 1);
      const slot = `${name}/${storage}`;
      if (gib > (demand.get(slot)?.gib ?? 0)) demand.set(slot, { server: primary, storage, gib });
    }
  }
  for (const { server, storage, gib } of demand.values()) book(server, storage, "backupGiB", gib);
}
