import type { Domain } from "./domain";
import { fail } from "./errors";
import { checkKey, readBackupFile, uploadBackup } from "./pbs/backup";
import { messageOf } from "./pbs/errors";
import { keepOptions, pruneGroup } from "./pbs/prune";
import { type Snapshot, snapshotText } from "./pbs/snapshots";
import { startPbsTask } from "./pbs/tasks";
import {
  activatePbs,
  findPbsSnapshot,
  type OpenedStorage,
  repositoryText,
  requirePbs,
  storageKey,
} from "./pbs-storage";
import type { Archive } from "./restore";
import type { GuestConfig, StorageEntry } from "./state";
import type { TaskHandle } from "./tasks";

/** What the lab notes of a disk, so that it can be made again. */
interface DiskFacts {
  file: string;
  size: number;
  used: number;
  format: string;
  content: string;
}

export interface PbsBackupRequest {
  archive: Archive;
  node: string;
  /** When the backup began, in seconds. */
  begun: number;
  /** Bytes per second that the node reads and sends at most. */
  rate: number;
  notes?: string | undefined;
  isProtected: boolean;
}

function configText(config: GuestConfig): string {
  return Object.entries(config)
    .map(([key, value]) => `${key}: ${encodeURIComponent(value)}\n`)
    .join("");
}

function parseConfigText(text: string): GuestConfig {
  const lines = text.split("\n").filter((line) => line !== "");
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")), decodeURIComponent(line.slice(line.indexOf(":") + 2))]),
  );
}

/** Name of a disk's file in the backup: images of machines, archives of containers' file systems. */
function fileOf(type: Archive["type"], key: string): string {
  if (type === "qemu") return `drive-${key}.img.fidx`;
  return key === "rootfs" ? "root.pxar.didx" : `${key}.pxar.didx`;
}

const CONFIG_FILE = { qemu: "qemu-server.conf.blob", lxc: "pct.conf.blob" };

function mib(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** Backs a guest up to a datastore. @throws Error with what stands in the task's log */
export async function backUpToPbs(
  domain: Domain,
  entry: StorageEntry,
  request: PbsBackupRequest,
  handle: TaskHandle,
): Promise<void> {
  const { archive, node, begun, notes } = request;
  const { server, store, auth, ns } = activatePbs(domain, node, entry);
  const type = archive.type === "qemu" ? "vm" : "ct";
  const snapshot = { ns, type, id: String(archive.vmid), time: Math.floor(begun) };
  const key = storageKey(domain, entry);
  if (key) handle.log("INFO: enabling encryption");
  const facts: Record<string, DiskFacts> = {};
  const files = Object.entries(archive.disks).map(([name, { bytes, size, used, format, content }]) => {
    const file = fileOf(archive.type, name);
    facts[name] = { file, size, used, format, content };
    return { filename: file, bytes: Buffer.from(bytes, "base64"), size, used };
  });
  const blobs = { [CONFIG_FILE[archive.type]]: Buffer.from(configText(archive.config)) };
  const base = { store: store.name, snapshot, auth, from: node, files, blobs, rate: request.rate };
  const lab = { type: archive.type, vmid: archive.vmid, disks: facts };
  const result = await uploadBackup(server, { ...base, lab, ...(key ? { key } : {}) }).catch((error) => {
    throw new Error(clientError(messageOf(error), server.reachableFrom(node)));
  });
  if (result.isIncremental)
    handle.log(
      `INFO: using fast incremental mode (dirty-bitmap), ${mib(result.uploaded)} dirty of ${mib(result.total)} total`,
      `INFO: backup was done incrementally, reused ${mib(result.total - result.uploaded)} (${percent(result.total - result.uploaded, result.total)}%)`,
    );
  const seconds = Math.max(1, Math.round(domain.world.clock.now() - begun));
  handle.log(`INFO: transferred ${mib(result.uploaded)} in ${seconds} seconds`);
  if (notes) {
    handle.log("INFO: adding notes to backup");
    store.tree.changeUnprotected(snapshot, { notes });
  }
  if (!request.isProtected) return;
  handle.log("INFO: marking backup as protected");
  store.tree.setProtected(snapshot, true);
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((100 * part) / whole);
}

function clientError(message: string, isReachable: boolean): string {
  if (!isReachable || /finished flag|connection reset/.test(message))
    return "backup write data failed: command error: write_data upload error: broken pipe";
  if (/No space left|Input\/output/.test(message))
    return `backup write data failed: command error: write_data upload error: pipelined request failed: ${message}`;
  return `backup connect failed: command error: ${message}`;
}

/** What a node did not find, in PVE's words. */
function snapshotAt(
  domain: Domain,
  node: string,
  entry: StorageEntry,
  name: string,
): OpenedStorage & { snapshot: Snapshot } {
  const found = findPbsSnapshot(domain, node, entry, name);
  if (!found?.snapshot.manifest) throw fail(`volume '${entry.storage}:${name}' does not exist`);
  return found;
}

/**
 * Reads a whole backup.
 *
 * @throws Error `proxmox-backup-client failed: Error: …` with a wrong key, a damaged chunk or without the privilege
 */
export function readPbsArchive(domain: Domain, node: string, entry: StorageEntry, name: string): Archive {
  const { server, store, auth, snapshot, ...opened } = snapshotAt(domain, node, entry, name);
  requirePbs({ server, store, auth, ...opened }, snapshot, "Datastore.Read", "Datastore.Backup");
  const { type, vmid, disks } = snapshot.manifest!.lab as {
    type: Archive["type"];
    vmid: number;
    disks: Record<string, DiskFacts>;
  };
  startPbsTask(server, { type: "reader", id: `${store.name}:${snapshotText(snapshot)}`, auth, work: () => {} });
  try {
    const key = checkKey(snapshot, storageKey(domain, entry));
    const read = (file: string) => readBackupFile(store, snapshot, file, key);
    return {
      type,
      vmid,
      config: parseConfigText(read(CONFIG_FILE[type]).toString()),
      disks: Object.fromEntries(
        Object.entries(disks).map(([disk, { file, ...facts }]) => [
          disk,
          { ...facts, bytes: read(file).toString("base64") },
        ]),
      ),
    };
  } catch (error) {
    throw new Error(`proxmox-backup-client failed: Error: ${messageOf(error)}`);
  }
}

/** Virtual seconds that reading so many bytes from the server takes because of a slow link. */
export function linkSeconds(domain: Domain, node: string, entry: StorageEntry, bytes: number): number {
  return bytes / activatePbs(domain, node, entry).server.rateTo(node);
}

/** Prunes the backups of one guest as the client does. @returns what was decided, with PVE's marks */
export function prunePbs(
  domain: Domain,
  node: string,
  entry: StorageEntry,
  guest: { type: "vm" | "ct"; id: string },
  rule: string,
  dryRun: boolean,
): { snapshot: Snapshot; mark: "keep" | "remove" | "protected" }[] {
  const opened = activatePbs(domain, node, entry);
  const group = { ns: opened.ns, ...guest };
  opened.store.open(dryRun ? "read" : "write");
  requirePbs(opened, { ...group, time: 0 }, "Datastore.Modify", "Datastore.Prune");
  const values = Object.fromEntries(rule.split(",").map((part) => part.split("=") as [string, string]));
  const keep = values["keep-all"] === "1" ? {} : keepOptions(values);
  return pruneGroup(opened.store, group, keep, dryRun).map(({ snapshot, mark }) => ({
    snapshot,
    mark: mark === "keep-partial" ? "keep" : mark,
  }));
}

/** `proxmox-backup-client forget`. */
export function forgetPbs(domain: Domain, node: string, entry: StorageEntry, name: string): void {
  const found = findPbsSnapshot(domain, node, entry, name);
  if (!found) return;
  const { snapshot, store } = found;
  store.open("write");
  requirePbs(found, snapshot, "Datastore.Modify", "Datastore.Prune");
  if (snapshot.protected)
    throw new Error(`cannot remove protected volume '${entry.storage}:${name}' on '${entry.storage}'`);
  store.tree.removeSnapshot(snapshot);
}

/** Sets notes or protection of a backup. */
export function changePbsVolume(
  domain: Domain,
  node: string,
  entry: StorageEntry,
  name: string,
  change: { notes?: string; protected?: boolean },
): void {
  const found = snapshotAt(domain, node, entry, name);
  found.store.open("write");
  requirePbs(found, found.snapshot, "Datastore.Modify", "Datastore.Backup");
  if (change.notes !== undefined) found.store.tree.changeUnprotected(found.snapshot, { notes: change.notes });
  if (change.protected !== undefined) found.store.tree.setProtected(found.snapshot, change.protected);
}

/** How PVE names the backup's place in logs. */
export function pbsPath(entry: StorageEntry, name: string): string {
  return `pbs://${repositoryText(entry)}/${name.replace(/^backup\//, "")}`;
}

/** The disks and archives of a backup, to be read one by one. @throws Error as `readPbsArchive` */
export function openPbsArchive(
  domain: Domain,
  node: string,
  entry: StorageEntry,
  name: string,
): { archives: string[]; read: (archive: string) => Buffer } {
  const found = snapshotAt(domain, node, entry, name);
  requirePbs(found, found.snapshot, "Datastore.Read", "Datastore.Backup");
  const { store, snapshot } = found;
  const archives = snapshot.files.filter((file) => !file.endsWith(".blob"));
  return {
    archives,
    read: (archive) => {
      try {
        return readBackupFile(store, snapshot, archive, checkKey(snapshot, storageKey(domain, entry)));
      } catch (error) {
        throw fail(`proxmox-file-restore failed: Error: ${messageOf(error)}`);
      }
    },
  };
}
