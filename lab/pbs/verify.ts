import type { Datastore } from "./datastore";
import { messageOf } from "./errors";
import { type Snapshot, type SnapshotId, snapshotText } from "./snapshots";
import { type PbsTaskHandle, startPbsTask } from "./tasks";
import type { PbsTask } from "./types";

/** Bytes per second that a verification reads. */
const VERIFY_RATE = 400 * 1024 * 1024;

export interface VerifyScope {
  /** These only. @default all of the namespace and below it */
  snapshots?: SnapshotId[];
  ns?: string;
  depth?: number;
  /** Leave out what was verified, whatever came of it, unless that is more than so many days ago. @default false */
  ignoreVerified?: boolean;
  outdatedAfterDays?: number;
  /** Only what the caller may see. */
  wanted?: (snapshot: Snapshot) => boolean;
}

/** Starts the task that reads and checks every chunk. */
export function startVerification(
  store: Datastore,
  scope: VerifyScope,
  auth: string,
  kind: { type: string; id: string } = { type: "verify", id: store.name },
): PbsTask {
  return startPbsTask(store.server, {
    ...kind,
    auth,
    work: (handle) => verify(store, scope, handle),
  });
}

/** @throws Error when a snapshot failed */
export async function verify(store: Datastore, scope: VerifyScope, handle: PbsTaskHandle): Promise<void> {
  store.open("write");
  const found = scope.snapshots
    ? scope.snapshots.flatMap((id) => store.tree.snapshot(id) ?? [])
    : store.tree.all(scope.ns, scope.depth);
  const good = new Set<string>();
  const failed: string[] = [];
  for (const snapshot of found.filter((each) => each.manifest && isDue(store, each, scope))) {
    if (!store.tree.snapshot(snapshot)) continue;
    if (!(await verifySnapshot(store, snapshot, good, handle))) failed.push(snapshotText(snapshot));
  }
  if (failed.length === 0) return;
  handle.log(`Failed to verify the following snapshots/groups:\n\t${failed.join("\n\t")}`);
  throw new Error("verification failed - please check the log for details");
}

function isDue(store: Datastore, snapshot: Snapshot, scope: VerifyScope): boolean {
  if (scope.wanted && !scope.wanted(snapshot)) return false;
  const last = snapshot.manifest?.unprotected.verify_state;
  if (!last || !scope.ignoreVerified) return true;
  if (scope.outdatedAfterDays === undefined) return false;
  const at = Number.parseInt(last.upid.split(":")[5] ?? "0", 16);
  // PBS counts whole days.
  return Math.floor((store.server.world.clock.now() - at) / 86400) > scope.outdatedAfterDays;
}

async function verifySnapshot(
  store: Datastore,
  snapshot: Snapshot,
  good: Set<string>,
  handle: PbsTaskHandle,
): Promise<boolean> {
  handle.log(`verify ${store.name}:${snapshotText(snapshot)}`);
  const isPlain = snapshot.manifest?.fingerprint === undefined;
  let errors = 0;
  for (const { filename, index } of store.tree.indexes(snapshot)) {
    handle.log(`  check ${filename}`);
    for (const digest of new Set(index.digests)) {
      if (good.has(digest)) continue;
      await handle.takes(store.chunks.weightOf(digest) / VERIFY_RATE);
      if (checkChunk(store, digest, isPlain, handle)) good.add(digest);
      else errors++;
    }
  }
  for (const filename of snapshot.files.filter((name) => name.endsWith(".blob"))) {
    handle.log(`  check ${filename}`);
    store.tree.fileBytes(snapshot, filename);
  }
  const state = errors === 0 ? "ok" : "failed";
  store.tree.changeUnprotected(snapshot, { verify_state: { state, upid: handle.task.upid } });
  return errors === 0;
}

function checkChunk(store: Datastore, digest: string, isPlain: boolean, handle: PbsTaskHandle): boolean {
  try {
    store.chunks.read(digest, isPlain);
    return true;
  } catch (error) {
    handle.log(`can't verify chunk, load failed - ${messageOf(error)}`);
    const aside = store.chunks.putAside(digest);
    if (aside) handle.log(`corrupted chunk renamed to "${aside}"`);
    return false;
  }
}
