import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ClusterSnapshot } from "../../planning/adoption/snapshot";
import type { ClusterKind } from "./clusters";

/** When the kept snapshots were read, as far as they know. Later than any clock that the labs follow. */
export const SNAPSHOT_TIME = 1_900_000_001;

/** What `readCluster` gave for a test cluster. */
export function keptSnapshot(kind: ClusterKind): ClusterSnapshot {
  return JSON.parse(readFileSync(join(__dirname, "snapshots", `${kind}.json`), "utf8")) as ClusterSnapshot;
}

/** JSON with sorted keys: the same cluster gives the same text. */
export function snapshotText(snapshot: ClusterSnapshot): string {
  return `${JSON.stringify(sorted(snapshot), undefined, 1)}\n`;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, sorted(one)]));
}
