import { anyOf, type Call, perm, type Route, route } from "./call";
import { prunePbs } from "./pbs-backup";
import { isPbs, pbsSnapshots, volumeNameOf } from "./pbs-storage";
import type { StorageEntry, Volume } from "./state";
import { startTask } from "./tasks";
import { removeVolume } from "./volumes";
import { keptArchives } from "./vzdump";

/** A backup and what a retention makes of it. */
interface Decision {
  volid: string;
  ctime: number;
  mark: "keep" | "remove" | "protected";
  type: "qemu" | "lxc";
  vmid?: number;
  volume?: Volume;
}

/** Decides about every backup of a storage, guest by guest. On a backup server `dryRun: false` removes at once. */
function decide(call: Call, entry: StorageEntry, dryRun: boolean): Decision[] {
  const rule = call.params["prune-backups"] ?? entry["prune-backups"] ?? "keep-all=1";
  return isPbs(entry) ? decideOnPbs(call, entry, rule, dryRun) : decideOnDirectory(call, entry, rule);
}

function decideOnPbs(call: Call, entry: StorageEntry, rule: string, dryRun: boolean): Decision[] {
  const { domain, node, params } = call;
  const groups = new Map(pbsSnapshots(domain, node, entry).map(({ type, id }) => [`${type}/${id}`, { type, id }]));
  return [...groups.values()]
    .filter(({ id }) => !params.vmid || id === params.vmid)
    .filter(({ type }) => !params.type || (params.type === "qemu") === (type === "vm"))
    .flatMap(({ type, id }) => prunePbs(domain, node, entry, { type: type === "vm" ? "vm" : "ct", id }, rule, dryRun))
    .map(({ snapshot, mark }) => ({
      volid: `${entry.storage}:${volumeNameOf(snapshot)}`,
      ctime: snapshot.time,
      mark,
      type: snapshot.type === "vm" ? "qemu" : "lxc",
      vmid: Number(snapshot.id),
    }));
}

function decideOnDirectory(call: Call, entry: StorageEntry, rule: string): Decision[] {
  const { domain, node, params } = call;
  const backing = domain.backing(entry, node);
  const typeOf = (volume: Volume) => (volume.name.includes("-lxc-") ? "lxc" : "qemu");
  const archives = domain.state.volumes.filter(
    (volume) =>
      volume.backing === backing &&
      volume.content === "backup" &&
      (!params.vmid || String(volume.vmid) === params.vmid) &&
      (!params.type || typeOf(volume) === params.type),
  );
  return archives.map((volume) => {
    const group = archives.filter(
      (other) => other.vmid === volume.vmid && typeOf(other) === typeOf(volume) && !other.protected,
    );
    const kept = keptArchives(group, rule).has(volume);
    return {
      volid: `${entry.storage}:${volume.name}`,
      ctime: volume.ctime,
      mark: volume.protected ? "protected" : kept ? "keep" : "remove",
      type: typeOf(volume),
      ...(volume.vmid ? { vmid: volume.vmid } : {}),
      volume,
    };
  });
}

function show({ volume: _volume, ...decision }: Decision): Omit<Decision, "volume"> {
  return decision;
}

function prune(call: Call): string {
  const { domain, node, identity } = call;
  const entry = domain.storage(call.path.storage!, node);
  return startTask(domain, {
    node,
    type: "prunebackups",
    id: call.params.vmid ? `${call.params.vmid}@${entry.storage}` : entry.storage,
    user: identity.full,
    seconds: 0.5,
    work: (handle) => {
      for (const { volid, mark, volume } of decide(call, entry, false)) {
        handle.log(`${mark}\t${volid}`);
        if (mark === "remove" && volume) removeVolume(domain, volume);
      }
    },
  });
}

const PATH = "/nodes/{node}/storage/{storage}/prunebackups";

/** What a retention would remove from a storage, and removing it. */
export const pruneRoutes: Route[] = [
  route("GET", PATH, anyOf("/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace"), (call) =>
    decide(call, call.domain.storage(call.path.storage!, call.node), true).map(show),
  ),
  route("DELETE", PATH, perm("/storage/{storage}", "Datastore.Allocate"), prune),
];
