import type { Domain } from "./domain";
import { fail } from "./errors";
import { datastorePath, hasPrivilege, isOwner } from "./pbs/access";
import type { BackupServer } from "./pbs/backup-server";
import { ConnectError, connect, type Repository } from "./pbs/connect";
import type { Datastore } from "./pbs/datastore";
import { messageOf } from "./pbs/errors";
import { createKeyFile, type EncryptionKey, parseKeyFile } from "./pbs/key";
import { type Snapshot, type SnapshotId, snapshotText } from "./pbs/snapshots";
import type { StorageEntry } from "./state";

/*
 * The storage type `pbs` of Proxmox VE: what a node knows of a datastore of a backup server. Follows PVE::Storage::PBSPlugin;
 * its words are PVE's.
 */

/** What `/etc/pve/priv/storage` holds of a storage: password or token secret, and the encryption key's file. */
export interface StorageSecret {
  password?: string;
  key?: string;
}

/** A datastore as a node uses it. */
export interface OpenedStorage {
  server: BackupServer;
  store: Datastore;
  auth: string;
  ns: string;
}

export function isPbs(entry: Pick<StorageEntry, "type">): boolean {
  return entry.type === "pbs";
}

function secretOf(domain: Domain, id: string): StorageSecret {
  return domain.main.state.storageSecrets?.[id] ?? {};
}

function setSecret(domain: Domain, id: string, secret: StorageSecret): void {
  const { state } = domain.main;
  state.storageSecrets = { ...state.storageSecrets, [id]: secret };
}

/** Forgets password and key, as removing the storage does. */
export function dropStorageSecret(domain: Domain, id: string): void {
  delete domain.main.state.storageSecrets?.[id];
}

/**
 * Takes the secret parameters of a storage: they never stand in `storage.cfg`, where only the key's fingerprint is.
 *
 * @param params - `password`, `encryption-key` (`autogen` makes one); absent ones stay as they are
 * @param deleted - names of parameters to forget
 * @returns what PVE answers beside the storage: the key, this once
 */
export function takeSecrets(
  domain: Domain,
  entry: StorageEntry,
  params: Record<string, string>,
  deleted: string[] = [],
): Record<string, string> {
  const secret = { ...secretOf(domain, entry.storage) };
  const answer: Record<string, string> = {};
  if (params.password !== undefined) secret.password = params.password;
  if (deleted.includes("password")) delete secret.password;
  if (deleted.includes("encryption-key")) delete secret.key;
  const given = params["encryption-key"];
  if (given !== undefined) {
    secret.key = given === "autogen" ? createKeyFile(domain.world.clock.now()) : given;
    entry["encryption-key"] = parseKeyFile(secret.key).fingerprint;
    answer["encryption-key"] = secret.key;
  }
  setSecret(domain, entry.storage, secret);
  return answer;
}

/** The key of a storage. @throws Error when one is configured and its file is not there */
export function storageKey(domain: Domain, entry: StorageEntry): EncryptionKey | undefined {
  const { key } = secretOf(domain, entry.storage);
  if (key) return parseKeyFile(key);
  if (entry["encryption-key"])
    throw new Error(`encryption configured ('${entry["encryption-key"]}') but no encryption key file found!`);
  return undefined;
}

function repositoryOf(domain: Domain, entry: StorageEntry): Repository {
  return {
    host: entry.server ?? "",
    ...(entry.port ? { port: Number(entry.port) } : {}),
    ...(entry.fingerprint ? { fingerprint: entry.fingerprint } : {}),
    auth: entry.username ?? "root@pam",
    secret: secretOf(domain, entry.storage).password ?? "",
  };
}

/** `root@pam!token@192.0.2.31:main`, as the client names a datastore. */
export function repositoryText(entry: StorageEntry): string {
  const port = entry.port ? `:${entry.port}` : "";
  return `${entry.username ?? "root@pam"}@${entry.server}${port}:${entry.datastore}`;
}

/** Connects to a server for one node, with PVE's words for what goes wrong. */
export function connectFrom(domain: Domain, node: string, repository: Repository): BackupServer {
  try {
    return connect(domain.world, node, repository);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    if (error.kind === "fingerprint" && repository.fingerprint) {
      const server = domain.world.backupServers.find(
        ({ address, name, port }) => [address, name].includes(repository.host) || port === repository.port,
      );
      throw new Error(`fingerprint '${server?.fingerprint.toUpperCase()}' not verified, abort!`);
    }
    throw new Error(error.kind === "credentials" ? error.message : `500 ${error.message}`);
  }
}

/** What `activate_storage` does. @throws Error naming the storage */
export function activatePbs(domain: Domain, node: string, entry: StorageEntry): OpenedStorage {
  const repository = repositoryOf(domain, entry);
  let server: BackupServer;
  try {
    server = connectFrom(domain, node, repository);
  } catch (error) {
    throw new Error(`${entry.storage}: error fetching datastores - ${messageOf(error)}`);
  }
  const { auth } = repository;
  const visible = server
    .datastores()
    .find(
      ({ name }) =>
        name === entry.datastore &&
        hasPrivilege(server, auth, datastorePath(name, entry.namespace), "Datastore.Audit", "Datastore.Backup"),
    );
  if (!visible)
    throw new Error(`${entry.storage}: Cannot find datastore '${entry.datastore}', check permissions and existence!`);
  return { server, store: visible, auth, ns: entry.namespace ?? "" };
}

/** Whether the storage shows as active on the node: the client's `status` works. */
export function isPbsActive(domain: Domain, node: string, entry: StorageEntry): boolean {
  try {
    activatePbs(domain, node, entry).store.open("read");
    return true;
  } catch {
    return false;
  }
}

/** Capacity as the node sees it; who may not look at the datastore sees nothing. */
export function pbsUsage(domain: Domain, node: string, entry: StorageEntry): ReturnType<Datastore["usage"]> {
  try {
    const { server, store, auth } = activatePbs(domain, node, entry);
    if (hasPrivilege(server, auth, datastorePath(store.name), "Datastore.Audit")) return store.open("read").usage();
  } catch {
    // Not there: the lists say so beside it.
  }
  return { total: 0, used: 0, avail: 0 };
}

// ---- volumes

/** `backup/vm/100/2026-11-22T20:00:00Z` */
export function volumeNameOf(snapshot: SnapshotId): string {
  return `backup/${snapshotText(snapshot)}`;
}

/** @throws Error with PVE's words when the name is no backup on such a storage */
export function parsePbsName(name: string, ns = ""): SnapshotId {
  const [, type, id, time] = /^backup\/([^\s_/]+)\/([^\s_/]+)\/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/.exec(name) ?? [];
  if (!type || !id || !time) throw new Error(`unable to parse PBS volume name '${name}'`);
  return { ns, type, id, time: Date.parse(time) / 1000 };
}

/** Whether the storage's identity may read or change a group. */
function mayTouch(
  { server, store, auth, ns }: OpenedStorage,
  snapshot: SnapshotId,
  full: string,
  own: string,
): boolean {
  const path = datastorePath(store.name, ns);
  if (hasPrivilege(server, auth, path, full)) return true;
  return hasPrivilege(server, auth, path, own) && isOwner(store.tree.owner(snapshot), auth);
}

/** All backups of guests that the node sees on the storage. */
export function pbsSnapshots(domain: Domain, node: string, entry: StorageEntry): Snapshot[] {
  const opened = activatePbs(domain, node, entry);
  const { store, ns } = opened;
  store.open("read");
  return store.tree
    .groups(ns)
    .filter(({ type, id }) => ["vm", "ct"].includes(type) && /^\d+$/.test(id))
    .filter((group) => mayTouch(opened, { ...group, time: 0 }, "Datastore.Audit", "Datastore.Backup"))
    .flatMap((group) => store.tree.snapshots(group));
}

/** One of them by its volume name. */
export function findPbsSnapshot(
  domain: Domain,
  node: string,
  entry: StorageEntry,
  name: string,
): (OpenedStorage & { snapshot: Snapshot }) | undefined {
  const opened = activatePbs(domain, node, entry);
  opened.store.open("read");
  const id = parsePbsName(name, opened.ns);
  const snapshot = opened.store.tree.snapshot(id);
  return snapshot && mayTouch(opened, id, "Datastore.Audit", "Datastore.Backup") ? { ...opened, snapshot } : undefined;
}

/** @throws Error with the client's words unless the identity may do it */
export function requirePbs(opened: OpenedStorage, snapshot: SnapshotId, full: string, own: string): void {
  if (!mayTouch(opened, snapshot, full, own))
    throw fail(
      `proxmox-backup-client failed: Error: permission check failed - missing ${full}|${own} on ${datastorePath(opened.store.name, opened.ns)}`,
    );
}

/** A backup as the content list of a storage shows it. */
export function listedSnapshot(entry: StorageEntry, snapshot: Snapshot): Record<string, unknown> {
  const { manifest } = snapshot;
  const notes = manifest?.unprotected.notes;
  const verification = manifest?.unprotected.verify_state;
  return {
    volid: `${entry.storage}:${volumeNameOf(snapshot)}`,
    format: `pbs-${snapshot.type}`,
    size: manifest?.files.reduce((sum, file) => sum + file.size, 0) ?? 1,
    content: "backup",
    vmid: Number(snapshot.id),
    ctime: snapshot.time,
    subtype: snapshot.type === "vm" ? "qemu" : "lxc",
    ...(verification ? { verification } : {}),
    ...(notes ? { notes: notes.split("\n")[0] } : {}),
    ...(snapshot.protected ? { protected: 1 } : {}),
    ...(manifest?.fingerprint ? { encrypted: manifest.fingerprint } : {}),
  };
}
