import type { Datastore } from "./datastore";
import { refused } from "./errors";
import { timeText } from "./snapshots";
import { type PbsTaskHandle, startPbsTask } from "./tasks";
import type { GcStatus, PbsTask } from "./types";

/**
 * A chunk that nothing refers to stays for so long after its last use: a running backup may be about to refer to it. The tuning
 * option `gc-atime-cutoff` of a datastore sets another time, in minutes.
 */
export const GRACE_SECONDS = 24 * 3600 + 5 * 60;
/** Before the beginning of the oldest writer, if that began earlier. */
const WRITER_GAP_SECONDS = 5 * 60;
const INDEX_SECONDS = 0.2;
const SWEEP_SECONDS_PER_CHUNK = 0.002;

/** Starts a garbage collection. @throws PbsError when one runs */
export function startGarbageCollection(store: Datastore, auth: string): PbsTask {
  store.open("write");
  if (store.collecting) throw refused("garbage collection already running");
  store.collecting = true;
  return startPbsTask(store.server, {
    type: "garbage_collection",
    id: store.name,
    auth,
    work: async (handle) => {
      try {
        await collect(store, handle);
      } finally {
        store.collecting = false;
      }
    },
  });
}

/** Marks what the indexes use, then removes what nobody has used for long enough. */
export async function collect(store: Datastore, handle: PbsTaskHandle): Promise<void> {
  const { clock } = store.server.world;
  handle.log(`starting garbage collection on store ${store.name}`);
  const began = clock.now();
  const oldestWriter = Math.min(began, ...store.writers);
  const limit = oldestUse(store, began, oldestWriter, handle);
  handle.log("Start GC phase1 (mark used chunks)");
  const marked = await mark(store, handle);
  handle.log("Start GC phase2 (sweep unused chunks)");
  const status: GcStatus = { upid: handle.task.upid, ...marked, ...NOTHING };
  const chunks = store.chunks.list();
  await handle.takes(chunks.length * SWEEP_SECONDS_PER_CHUNK);
  for (const chunk of chunks) {
    if (chunk.bad) {
      const gone = chunk.usedAt < limit;
      if (gone) store.chunks.remove(chunk);
      status[gone ? "removed-bad" : "still-bad"]++;
    } else if (chunk.usedAt < limit) {
      store.chunks.remove(chunk);
      status["removed-chunks"]++;
      status["removed-bytes"] += chunk.weight;
    } else {
      // What nothing refers to and is too young counts as pending, and no more as used.
      const kind = chunk.usedAt < oldestWriter ? "pending" : "disk";
      status[`${kind}-chunks`]++;
      status[`${kind}-bytes`] += chunk.weight;
    }
  }
  report(status, handle);
  store.server.state.gc[store.name] = status;
}

/** Chunks whose last use is older than this may go. */
function oldestUse(store: Datastore, began: number, oldestWriter: number, handle: PbsTaskHandle): number {
  const minutes = /(?:^|,)gc-atime-cutoff=(\d+)/.exec(store.section.tuning ?? "")?.[1];
  const cutoff = minutes === undefined ? GRACE_SECONDS : Number(minutes) * 60;
  const limit = oldestWriter < began - cutoff ? oldestWriter - WRITER_GAP_SECONDS : began - cutoff;
  handle.log(`Using access time cutoff ${cutoff / 60}m, minimum access time is ${timeText(Math.floor(limit))}`);
  return limit;
}

const NOTHING = {
  "disk-bytes": 0,
  "disk-chunks": 0,
  "removed-bytes": 0,
  "removed-chunks": 0,
  "pending-bytes": 0,
  "pending-chunks": 0,
  "removed-bad": 0,
  "still-bad": 0,
};

async function mark(
  store: Datastore,
  handle: PbsTaskHandle,
): Promise<Pick<GcStatus, "index-file-count" | "index-data-bytes">> {
  const counted = { "index-file-count": 0, "index-data-bytes": 0 };
  for (const snapshot of store.tree.all()) {
    if (!store.tree.snapshot(snapshot)) continue;
    for (const { filename, index } of store.tree.indexes(snapshot)) {
      await handle.takes(INDEX_SECONDS);
      counted["index-file-count"]++;
      const size = snapshot.manifest?.files.find((file) => file.filename === filename)?.size ?? index.size;
      counted["index-data-bytes"] += size;
      for (const digest of index.digests) {
        if (store.chunks.touch(digest, store.server.world.clock.now())) continue;
        handle.warn(`warning: unable to access non-existent chunk ${digest}, required by "${filename}"`);
        store.chunks.touchBad(digest, store.server.world.clock.now());
      }
    }
  }
  return counted;
}

function report(status: GcStatus, handle: PbsTaskHandle): void {
  const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(3)} GiB`;
  handle.log(`Removed garbage: ${gib(status["removed-bytes"])}`);
  handle.log(`Removed chunks: ${status["removed-chunks"]}`);
  if (status["pending-chunks"] > 0)
    handle.log(`Pending removals: ${gib(status["pending-bytes"])} (in ${status["pending-chunks"]} chunks)`);
  if (status["removed-bad"] > 0) handle.log(`Removed bad chunks: ${status["removed-bad"]}`);
  if (status["still-bad"] > 0) handle.log(`Leftover bad chunks: ${status["still-bad"]}`);
  handle.log(`Original data usage: ${gib(status["index-data-bytes"])}`);
  const percent = status["index-data-bytes"] === 0 ? 0 : (100 * status["disk-bytes"]) / status["index-data-bytes"];
  handle.log(`On-Disk usage: ${gib(status["disk-bytes"])} (${percent.toFixed(2)}%)`);
  handle.log(`On-Disk chunks: ${status["disk-chunks"]}`);
  const factor = status["disk-bytes"] === 0 ? 1 : status["index-data-bytes"] / status["disk-bytes"];
  handle.log(`Deduplication factor: ${factor.toFixed(2)}`);
}
