import type { StorageEntry } from "./state";
import { gib, type LabExport, type LabNode, type LabTopology } from "./topology";

const DEFAULT_LOCAL_GIB = 100;

export function findNode(topology: LabTopology, name: string): LabNode {
  const node = topology.nodes.find((candidate) => candidate.name === name);
  if (!node) throw new Error(`the topology has no node '${name}'`);
  return node;
}

function offered(topology: LabTopology, entry: StorageEntry): LabExport | undefined {
  const wanted = entry.type === "nfs" ? entry.export : entry.share;
  const shared = topology.shared
    .filter((candidate) => candidate.type === entry.type)
    .map((candidate) => ({
      server: candidate.server ?? "192.0.2.1",
      path: candidate.export ?? (candidate.type === "nfs" ? `/export/${candidate.id}` : candidate.id),
      sizeGiB: candidate.sizeGiB,
    }));
  return [...(topology.exports ?? []), ...shared].find(
    (candidate) => candidate.server === entry.server && candidate.path === wanted,
  );
}

/** True for a network storage that no machine of the topology offers. */
export function isMissingExport(topology: LabTopology, entry: StorageEntry): boolean {
  return (entry.type === "nfs" || entry.type === "cifs") && !offered(topology, entry);
}

/** What the directories below it offer, for `scan/nfs`. */
export function exportsOf(topology: LabTopology, server: string): LabExport[] {
  return (topology.exports ?? []).filter((candidate) => candidate.server === server);
}

/** Capacity in bytes of a storage on a node. A directory without an entry of its own lies on the root disk. */
export function findStorageSize(topology: LabTopology, entry: StorageEntry, node: string): number {
  const network = entry.type === "nfs" || entry.type === "cifs" ? offered(topology, entry) : undefined;
  if (network) return gib(network.sizeGiB);
  const hardware = findNode(topology, node);
  const own = hardware.storages.find(
    (candidate) =>
      candidate.id === entry.storage ||
      (candidate.type === "zfspool" && entry.type === "zfspool" && (candidate.pool ?? candidate.id) === entry.pool),
  );
  if (own) return gib(own.sizeGiB);
  const shared = topology.shared.find((candidate) => candidate.id === entry.storage);
  if (shared) return gib(shared.sizeGiB);
  if (entry.type === "dir") return gib(hardware.localGiB ?? DEFAULT_LOCAL_GIB);
  return 0;
}
