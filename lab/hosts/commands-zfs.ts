import * as path from "node:path";
import { fail } from "../errors";
import type { StorageEntry, Volume } from "../state";
import { isDirectory, volumeFile } from "../volumes";
import type { HostCommand } from "./commands-io";

const MIB = 1024 * 1024;

/** A pool of the node that a zfspool storage lies on. */
interface Pool {
  name: string;
  backing: string;
  entry: StorageEntry;
}

/** Words as the lab's zfs reads them. */
function line(kind: string, words: Record<string, string | number>): string {
  const pairs = Object.entries(words).map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
  return `${kind} ${pairs.join(" ")}\n`;
}

function poolsOf({ domain, node }: HostCommand): Pool[] {
  const pools = new Map<string, Pool>();
  for (const entry of Object.values(domain.state.storages)) {
    if (entry.type !== "zfspool" || isDirectory(entry) || !domain.onNode(entry, node)) continue;
    const name = entry.pool ?? entry.storage;
    if (!pools.has(name)) pools.set(name, { name, backing: domain.backing(entry, node), entry });
  }
  return [...pools.values()];
}

function list(command: HostCommand): void {
  const { domain, node, out, world } = command;
  for (const { name, backing, entry } of poolsOf(command)) {
    const folder = path.relative(world.volumes, path.dirname(volumeFile(domain, { backing, name: "x" })));
    out(line("pool", { name, folder, size: domain.usage(entry, node).total }));
    for (const volume of domain.state.volumes) {
      if (volume.backing !== backing) continue;
      out(
        line("volume", {
          pool: name,
          name: volume.name,
          size: volume.size,
          format: volume.format,
          made: volume.ctime,
          sparse: entry.sparse === "1" ? 1 : 0,
          snapshots: volume.snapshots.join(","),
        }),
      );
    }
  }
}

/** What zfs did with the bytes already: `add NAME SIZE TYPE MADE`, `remove NAME`, `size NAME N`, `snapshot|unsnapshot NAME SNAPSHOT`. */
function change(command: HostCommand, words: string[]): void {
  const { domain } = command;
  const pools = poolsOf(command);
  for (const [verb = "", full = "", ...rest] of words.map((word) => word.split("\t"))) {
    const [poolName = "", name = ""] = full.split("/");
    const pool = pools.find((each) => each.name === poolName);
    if (!pool) throw fail(`this node has no pool '${poolName}'`);
    const volume = domain.state.volumes.find((each) => each.backing === pool.backing && each.name === name);
    if (verb === "add") {
      if (!volume) domain.state.volumes.push(added(pool, name, rest));
      continue;
    }
    if (!volume) continue;
    if (verb === "remove") domain.state.volumes.splice(domain.state.volumes.indexOf(volume), 1);
    else if (verb === "size") volume.size = Number(rest[0]);
    else if (verb === "snapshot") volume.snapshots = [...volume.snapshots.filter((each) => each !== rest[0]), rest[0]!];
    else volume.snapshots = volume.snapshots.filter((each) => each !== rest[0]);
  }
  domain.save();
}

function added({ backing }: Pool, name: string, [size, type, made]: string[]): Volume {
  const vmid = /^(?:vm|base|subvol)-(\d+)-/.exec(name)?.[1];
  return {
    backing,
    name,
    content: type === "volume" ? "images" : "rootdir",
    format: type === "volume" ? "raw" : "subvol",
    size: Number(size),
    used: Math.min(MIB, Number(size)),
    ctime: Number(made),
    snapshots: [],
    ...(vmid !== undefined && { vmid: Number(vmid) }),
  };
}

/** What the lab's zfs (lab/zfs) asks and tells: which volumes there are on this node, and what became of them. */
export async function labZfs(command: HostCommand, [verb, ...words]: string[]): Promise<void> {
  if (verb === "list") list(command);
  else if (verb === "change") change(command, words);
  else throw fail(`there is no request '${verb}'`);
}
