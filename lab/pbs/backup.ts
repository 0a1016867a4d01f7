import { checkOwner, datastorePath, hasPrivilege } from "./access";
import type { BackupServer } from "./backup-server";
import { CHUNK_BYTES, digestOfChunk } from "./chunk-store";
import type { Datastore } from "./datastore";
import { forbidden, messageOf, refused } from "./errors";
import { decrypt, type EncryptionKey, encrypt, keyedDigest, shortFingerprint } from "./key";
import { groupText, type Manifest, type ManifestFile, type Snapshot, type SnapshotId, snapshotText } from "./snapshots";
import { type PbsTaskHandle, startPbsTask, taskEnd } from "./tasks";
import { startVerification } from "./verify";

/** A disk or an archive of a backup. */
export interface BackupFile {
  /** `drive-scsi0.img.fidx`, `root.pxar.didx` */
  filename: string;
  bytes: Buffer;
  /** Size of the disk. */
  size: number;
  /** Bytes of a real disk that its content stands for. */
  used: number;
}

export interface BackupRequest {
  store: string;
  snapshot: SnapshotId;
  auth: string;
  /** Machine that the backup comes from. */
  from: string;
  files: BackupFile[];
  /** Small files that are kept whole, e.g. `qemu-server.conf.blob`. */
  blobs: Record<string, Buffer>;
  key?: EncryptionKey;
  /** Facts that the lab needs to restore. */
  lab: Record<string, unknown>;
  /** Bytes per second that the client sends at most. */
  rate: number;
}

/** What a backup sent, in bytes of real disks. */
export interface UploadResult {
  /** Bytes of all disks. */
  total: number;
  /** What was new and went over the link. */
  uploaded: number;
  /** Whether an earlier snapshot spared the rest. */
  isIncremental: boolean;
}

const PARTS = 16;

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

/**
 * Writes a backup as a client does over the backup protocol: only chunks that the last good snapshot of the group has not are
 * sent. The server has a task for it.
 *
 * @throws Error with what the client is told
 */
export async function uploadBackup(server: BackupServer, request: BackupRequest): Promise<UploadResult> {
  const { snapshot, auth, store: name } = request;
  const store = server.datastore(name).open("write");
  const path = datastorePath(name, snapshot.ns);
  if (!hasPrivilege(server, auth, path, "Datastore.Backup")) throw forbidden(`Datastore.Backup on ${path}`);
  if (!store.tree.hasNamespace(snapshot.ns)) throw refused(`namespace '${snapshot.ns}' not found`);
  prepareGroup(store, request);
  const result: UploadResult = { total: 0, uploaded: 0, isIncremental: false };
  const task = startPbsTask(server, {
    type: "backup",
    id: `${name}:${groupText(snapshot)}`,
    auth,
    work: (handle) => receive(store, request, result, handle),
  });
  const exit = await taskEnd(server, task);
  if (exit !== "OK") throw new Error(server.reachableFrom(request.from) ? exit : "connection reset");
  if (store.section["verify-new"] === "1") startVerification(store, { snapshots: [snapshot] }, auth);
  return result;
}

function prepareGroup(store: Datastore, { snapshot, auth }: BackupRequest): void {
  if (store.tree.hasGroup(snapshot)) checkOwner(store.tree.owner(snapshot), auth);
  else store.tree.setOwner(snapshot, auth);
  const newest = store.tree.snapshots(snapshot).at(-1);
  if (newest && newest.time >= snapshot.time) throw refused("backup timestamp is older than last backup.");
}

/** The last snapshot whose chunks count as known: finished, and not found damaged. */
function previousOf(store: Datastore, snapshot: SnapshotId): Snapshot | undefined {
  const last = store.tree.snapshots(snapshot).findLast(({ manifest, time }) => manifest && time < snapshot.time);
  return last?.manifest?.unprotected.verify_state?.state === "failed" ? undefined : last;
}

async function receive(
  store: Datastore,
  request: BackupRequest,
  result: UploadResult,
  handle: PbsTaskHandle,
): Promise<void> {
  const { snapshot } = request;
  const { clock } = store.server.world;
  const began = clock.now();
  store.writers.add(began);
  try {
    handle.log(`starting new backup on datastore '${store.name}' from ${request.from}: "${snapshotText(snapshot)}"`);
    const previous = previousOf(store, snapshot);
    store.tree.createSnapshot(snapshot);
    const files: ManifestFile[] = [];
    for (const file of request.files) files.push(await receiveFile(store, request, file, previous, result, handle));
    for (const [filename, bytes] of Object.entries(request.blobs)) {
      store.requireSpace(bytes.length);
      store.tree.writeFile(snapshot, filename, request.key ? encrypt(request.key, bytes) : bytes);
      files.push({ filename, "crypt-mode": request.key ? "encrypt" : "none", size: bytes.length });
      handle.log(
        `add blob "${store.tree.snapshotFolder(snapshot)}/${filename}" (${bytes.length} bytes, comp: ${bytes.length})`,
      );
    }
    keepKnown(store, snapshot, previous);
    store.tree.writeManifest(snapshot, manifestOf(request, files));
    handle.log("successfully finished backup");
    handle.log("backup finished successfully");
  } catch (error) {
    // A server without power cleans nothing up: what was begun stays, without a manifest.
    if (handle.task.exitstatus !== undefined) throw error;
    handle.log(`backup failed: ${messageOf(error)}`);
    handle.log("removing failed backup");
    removeUnfinished(store, snapshot);
    throw error;
  } finally {
    store.writers.delete(began);
  }
}

function removeUnfinished(store: Datastore, snapshot: SnapshotId): void {
  try {
    if (store.tree.snapshot(snapshot)) store.tree.removeSnapshot(snapshot);
  } catch {
    // The medium is gone, and the unfinished snapshot with it.
  }
}

function manifestOf({ key, lab, files: sources }: BackupRequest, files: ManifestFile[]): Manifest {
  const used = Object.fromEntries(sources.map((file) => [file.filename, file.used]));
  return { files, ...(key ? { fingerprint: key.fingerprint } : {}), unprotected: {}, lab: { ...lab, used } };
}

/** The chunks that the client may refer to without sending them: those of the same disk, under the same key. */
function knownChunks(store: Datastore, previous: Snapshot | undefined, request: BackupRequest, name: string) {
  const fits = previous?.files.includes(name) && previous.manifest?.fingerprint === request.key?.fingerprint;
  if (!previous || !fits) return undefined;
  const used = (previous.manifest?.lab.used as Record<string, number> | undefined)?.[name] ?? 0;
  return { digests: new Set(store.tree.index(previous, name).digests), used };
}

async function receiveFile(
  store: Datastore,
  request: BackupRequest,
  file: BackupFile,
  previous: Snapshot | undefined,
  result: UploadResult,
  handle: PbsTaskHandle,
): Promise<ManifestFile> {
  const { snapshot, key } = request;
  const known = knownChunks(store, previous, request, file.filename);
  const chunks = [...chunksOf(file.bytes)].map((data) => ({
    data,
    digest: key ? keyedDigest(key, data) : digestOfChunk(data),
  }));
  // A chunk that occurs twice is sent once.
  const unique = new Map(chunks.map((chunk) => [chunk.digest, chunk]));
  const fresh = [...unique.values()].filter(({ digest }) => !known?.digests.has(digest));
  // The bytes that the disk has grown by since, or all of them, are spread over the chunks that were sent.
  const growth = known ? Math.max(0, file.used - known.used) : file.used;
  const weight = Math.max(CHUNK_BYTES, Math.ceil(growth / Math.max(1, fresh.length)));
  const digests = chunks.map(({ digest }) => digest);
  // The index is there from the beginning, so that a garbage collection meanwhile finds what the backup needs.
  store.tree.writeIndex(snapshot, file.filename, { size: file.bytes.length, digests });
  let uploaded = 0;
  for (const { digest, data } of fresh) {
    await send(request, store, weight, handle);
    store.requireSpace(store.chunks.has(digest) ? 0 : weight);
    store.chunks.put(digest, key ? encrypt(key, data) : data, weight, store.server.world.clock.now());
    uploaded += weight;
  }
  result.total += file.used;
  result.uploaded += uploaded;
  result.isIncremental ||= known !== undefined;
  handle.log(`Upload statistics for '${file.filename}'`);
  handle.log(
    `Size: ${file.size}\nChunk count: ${chunks.length}\nUpload size: ${uploaded}\nDuplicates: ${chunks.length - fresh.length}+0`,
  );
  return { filename: file.filename, "crypt-mode": key ? "encrypt" : "none", size: file.size };
}

/** The time that a chunk needs on its way, in parts: whoever ends the task or the link meanwhile is noticed. */
async function send(request: BackupRequest, store: Datastore, bytes: number, handle: PbsTaskHandle): Promise<void> {
  const { server } = store;
  const rate = () => Math.min(request.rate, server.rateTo(request.from));
  const parts = Math.min(PARTS, Math.max(1, Math.ceil(bytes / rate() / 2)));
  for (let part = 0; part < parts; part++) {
    await handle.takes(bytes / parts / rate());
    if (!server.reachableFrom(request.from)) throw new Error("backup ended but finished flag is not set.");
  }
}

/**
 * Chunks that were not sent because the last snapshot has them are looked for at the end. If one is gone, the backup fails and
 * the last snapshot counts as damaged: the next backup sends everything.
 */
function keepKnown(store: Datastore, snapshot: SnapshotId, previous: Snapshot | undefined): void {
  const now = store.server.world.clock.now();
  const own = store.tree.snapshot(snapshot)!;
  for (const { index } of store.tree.indexes(own))
    for (const digest of index.digests) {
      if (store.chunks.touch(digest, now)) continue;
      if (previous) store.tree.changeUnprotected(previous, { verify_state: { state: "failed", upid: "" } });
      throw new Error(`known chunk ${digest} of the previous snapshot is missing, the next backup sends all chunks`);
    }
}

/**
 * Reads one file of a snapshot back.
 *
 * @throws Error when a chunk is missing or damaged, or the key is not the one of the backup
 */
export function readBackupFile(store: Datastore, snapshot: Snapshot, filename: string, key?: EncryptionKey): Buffer {
  const used = checkKey(snapshot, key);
  if (filename.endsWith(".blob")) {
    const bytes = store.tree.fileBytes(snapshot, filename);
    return used ? decrypt(used, bytes) : bytes;
  }
  const { digests } = store.tree.index(snapshot, filename);
  return Buffer.concat(
    digests.map((digest) => {
      const data = store.chunks.read(digest, !used);
      return used ? decrypt(used, data) : data;
    }),
  );
}

/** The key for the backup; undefined when it is not encrypted. @throws Error with the client's words when it does not fit */
export function checkKey(snapshot: Snapshot, key?: EncryptionKey): EncryptionKey | undefined {
  const wanted = snapshot.manifest?.fingerprint;
  if (!wanted) return undefined;
  if (!key) throw new Error(`missing key - manifest was created with key ${shortFingerprint(wanted)}`);
  if (key.fingerprint !== wanted)
    throw new Error(
      `wrong key - manifest's key ${shortFingerprint(wanted)} does not match provided key ${shortFingerprint(key.fingerprint)}`,
    );
  return key;
}
