/**
 * Writes `tests/live/snapshots/<kind>.json`: what the reader gives for each test cluster, so that pure code is tested without a lab.
 * Run with `node --require ./bench/register.cjs tests/live/take-snapshots.ts` after a change of a cluster or of the reader.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCluster } from "../../operations/live-site/read";
import { clusterKinds, startCluster } from "./clusters";
import { SNAPSHOT_TIME, snapshotText } from "./snapshot-text";

async function main(): Promise<void> {
  for (const kind of clusterKinds) {
    // A clock that begins at the same moment and hardly moves: nothing happens by itself meanwhile.
    const cluster = await startCluster(kind, { at: SNAPSHOT_TIME, speed: 0.001 });
    try {
      const snapshot = await readCluster(cluster.pve, { clock: () => SNAPSHOT_TIME * 1000 });
      writeFileSync(join(__dirname, "snapshots", `${kind}.json`), snapshotText(snapshot));
      process.stdout.write(`${kind}: ${snapshot.guests.length} guests, ${(await cluster.calls()).total} calls\n`);
    } finally {
      await cluster.stop();
    }
  }
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
