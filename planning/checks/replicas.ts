/** What each way to make a cold replica needs. */
import { feedOf, pbsStorage } from "../backup/feeds";
import { policyStorage } from "../backup/subjects";
import { type Context, own, type Placed } from "../context";
import { nearest } from "../nearest";
import type { ColdReplicaSpec } from "../schema";
import { guestsOf } from "../storage";
import { list } from "../units";
import { differingPools } from "../zfs-replica";

/** Checks cluster, ZFS, backup storage and settings of every replica. */
export function checkReplicas(context: Context): void {
  for (const guest of context.guests) {
    const replica = guest.spec.coldReplica;
    if (replica === undefined) continue;
    if (replica.method === "restore") checkRestore(context, guest, replica);
    else checkReplication(context, guest, replica);
    checkUnused(context, guest, replica);
  }
}

function checkReplication(context: Context, guest: Placed, { method, on }: ColdReplicaSpec): void {
  const path = `guests.${guest.name}.coldReplica.method`;
  if (method === "zfs-sync") checkZfsSync(context, guest, path);
  else if (context.spec.site.cluster === undefined)
    context.add(
      "REPLICATION-NEEDS-CLUSTER",
      path,
      `${guest.name} is to be refreshed by storage-replication, but ${guest.primary} and ${on} are in no cluster.`,
      `Name the cluster at site.cluster, or set ${path} to zfs-sync.`,
    );
  const sides = [...new Set([guest.primary, on])].filter((server) => context.isHypervisor(server));
  for (const [index, disk] of guest.spec.disks.entries()) {
    const shared = context.storageOn(guest.primary, disk.storage);
    if (shared?.shared === true) {
      reportShared(context, guest, { index, storage: disk.storage, type: shared.storage.type, sides, method });
      continue;
    }
    const others = sides
      .map((server) => ({ server, seen: context.storageOn(server, disk.storage) }))
      .filter(({ seen }) => seen !== undefined && seen.storage.type !== "zfspool");
    if (others.length === 0) continue;
    const where = others.map(({ server, seen }) => `${seen?.storage.type} on ${server}`);
    context.add(
      "REPLICATION-NEEDS-ZFS",
      `guests.${guest.name}.disks[${index}].storage`,
      `${method} of disk ${index} of ${guest.name} needs ZFS on both sides: storage ${disk.storage} is ${list(where)}.`,
      `Use a zfspool storage that ${list(sides)} ${sides.length === 1 ? "has" : "have"}${zfsOnBoth(context, sides)}, or set ${path} to restore.`,
    );
  }
}

function reportShared(
  context: Context,
  { name, spec }: Placed,
  disk: { index: number; storage: string; type: string; sides: readonly string[]; method: string },
): void {
  const { index, storage, type, sides, method } = disk;
  const path = `guests.${name}.coldReplica`;
  context.add(
    "REPLICATION-OF-SHARED",
    `guests.${name}.disks[${index}].storage`,
    `${method} of disk ${index} of ${name} has nothing to send: ${list(sides)} see the same bytes on the shared storage ${storage} (${type}).`,
    spec.disks.length === 1
      ? `Remove ${path} and let Proxmox VE's HA start ${name} elsewhere, or set ${path}.method to restore with a storage of the spare's.`
      : `Put all disks of ${name} on a zfspool storage that both servers have, or set ${path}.method to restore.`,
  );
}

/** The guest is registered on both servers under one id, which two servers of one cluster cannot have. */
function checkZfsSync(context: Context, guest: Placed, path: string): void {
  const { name, primary, spare, spec } = guest;
  const { cluster } = context.spec.site;
  if (cluster !== undefined)
    context.add(
      "REPLICA-ZFS-SYNC-CLUSTER",
      path,
      `${name} is to be refreshed by zfs-sync, which registers it under one id on ${primary} and on ${spare}: in cluster ${cluster} an id exists once.`,
      `Set ${path} to storage-replication, which sends the same snapshots, or to restore.`,
    );
  if (spec.kind === "container")
    context.add(
      "REPLICA-ZFS-SYNC-CONTAINER",
      path,
      `${name} is a container: Proxmox VE makes one from a template or a backup only, and registers none on volumes that are there.`,
      `Make ${name} a virtual machine, or join the servers to one cluster and set ${path} to storage-replication.`,
    );
  for (const { index, storage, pools } of differingPools(context, guest))
    context.add(
      "REPLICA-ZFS-SYNC-POOL",
      `guests.${name}.disks[${index}].storage`,
      `Storage ${storage} of disk ${index} of ${name} is pool ${pools[0]} on ${primary} and ${pools[1]} on ${spare}: zfs-sync sends a data set to one of the same name.`,
      `Give ${storage} the same pool on both servers (servers.${spare}.storages.${storage}.pool).`,
    );
}

function zfsOnBoth(context: Context, servers: readonly string[]): string {
  const ids = Object.keys(context.server(servers[0] ?? "")?.storages ?? {}).filter((id) =>
    servers.every((server) => context.storageOn(server, id)?.storage.type === "zfspool"),
  );
  return ids.length === 0 ? "" : ` (${list(ids.sort(), "or")})`;
}

function checkRestore(context: Context, guest: Placed, replica: ColdReplicaSpec): void {
  const { name, primary } = guest;
  const { backupStorage: id, on } = replica;
  const path = `guests.${name}.coldReplica.backupStorage`;
  const shared = Object.entries(context.spec.storages)
    .filter(([, storage]) => storage.content.includes("backup"))
    .map(([key]) => key)
    .sort();
  if (id === undefined) {
    context.add(
      "RESTORE-NEEDS-BACKUP-STORAGE",
      path,
      `${name} is refreshed by restore, but from no storage.`,
      shared.length === 0
        ? "Add a shared storage with content backup to the section storages."
        : `Set ${path} to ${list(shared, "or")}.`,
    );
    return;
  }
  if (pbsStorage(context, id) !== undefined) {
    checkFed(context, name, path, id);
    return;
  }
  const storage = own(context.spec.storages, id);
  const sides = [...new Set([primary, on])].filter((server) => context.isHypervisor(server));
  const blind = sides.filter((server) => storage === undefined || !context.mounters(storage).includes(server));
  if (storage === undefined && !context.servers.some(({ spec }) => Object.hasOwn(spec.storages, id)))
    context.add(
      "STORAGE-UNKNOWN",
      path,
      `${name} is restored from storage '${id}', which does not exist.`,
      `Set ${path} to ${nearest(id, shared) ?? (list(shared, "or") || "a shared storage with content backup")}, or add storages.${id}.`,
    );
  else if (storage === undefined)
    context.add(
      "RESTORE-BACKUP-STORAGE-UNSEEN",
      path,
      `${name} is restored from ${id}, a local storage: ${on} cannot read what lies on another server.`,
      shared.length === 0 ? "Export it as a shared storage that both mount." : `Set ${path} to ${list(shared, "or")}.`,
    );
  else if (blind.length > 0)
    context.add(
      "RESTORE-BACKUP-STORAGE-UNSEEN",
      path,
      `${name} is restored from ${id}, which ${list(blind)} ${blind.length === 1 ? "does" : "do"} not mount.`,
      `Add ${list(blind)} to storages.${id}.mountedBy.`,
    );
  if (storage !== undefined && !storage.content.includes("backup"))
    context.add(
      "STORAGE-CONTENT",
      path,
      `${name} is restored from ${id}, which takes ${list(storage.content)} and no backups.`,
      `Add 'backup' to storages.${id}.content.`,
    );
  const covered = Object.values(context.spec.backups).some(
    (policy) => policyStorage(context.spec.targets, policy) === id && guestsOf(context, policy).includes(name),
  );
  if (storage !== undefined && !covered)
    context.add(
      "RESTORE-NOT-BACKED-UP",
      path,
      `${name} is restored from ${id}, but no backup policy writes ${name} there.`,
      `Add ${name} to the guests of a policy in the section backups whose storage is ${id}.`,
    );
}

const UNUSED = {
  restore: ["rateMBps", "recoveryPoints"],
  "storage-replication": ["standbyIds", "backupStorage", "storage", "recoveryPoints"],
  "zfs-sync": ["standbyIds", "backupStorage", "storage"],
} as const satisfies Record<ColdReplicaSpec["method"], (keyof ColdReplicaSpec)[]>;

/** A storage on Proxmox Backup Server is on every hypervisor; the guest's backups have to arrive there. */
function checkFed(context: Context, name: string, path: string, id: string): void {
  const { storage } = feedOf(context, id, 0);
  const covered = Object.values(context.spec.backups).some(
    (policy) => policyStorage(context.spec.targets, policy) === storage && guestsOf(context, policy).includes(name),
  );
  if (covered) return;
  context.add(
    "RESTORE-NOT-BACKED-UP",
    path,
    `${name} is restored from ${id}, but no backup policy writes ${name} there${storage === id ? "" : `, nor to ${storage}, which ${id} is fed from`}.`,
    `Add ${name} to the guests of a policy in the section backups whose target is ${storage}.`,
  );
}

function checkUnused(context: Context, { name }: Placed, replica: ColdReplicaSpec): void {
  const foreign = UNUSED[replica.method];
  for (const key of foreign)
    if (replica[key] !== undefined)
      context.add(
        "REPLICA-SETTING-UNUSED",
        `guests.${name}.coldReplica.${key}`,
        `${key} of ${name} has no effect with the method ${replica.method}.`,
        `Remove guests.${name}.coldReplica.${key}.`,
      );
}
