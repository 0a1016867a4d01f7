import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Domain } from "./domain";
import { fail } from "./errors";
import type { StorageEntry, Volume } from "./state";
import { gib } from "./topology";

const MIB = 1024 * 1024;

/** Where the bytes of a volume (or of one of its snapshots) lie below the lab's folder. */
export function volumeFile(domain: Domain, volume: Pick<Volume, "backing" | "name">, snapshot?: string): string {
  const safe = (text: string) => text.replace(/[^A-Za-z0-9._-]+/g, "_");
  const name = safe(volume.name) + (snapshot ? `@${safe(snapshot)}` : "");
  return path.join(domain.world.volumes, safe(volume.backing), name);
}

/** Space that the volumes of a place take. */
export function usedBytes(domain: Domain, backing: string, entry: StorageEntry): number {
  // A zvol reserves its whole size unless the storage says sparse; everything else grows with what is written.
  const reserves = entry.type === "zfspool" && entry.sparse !== "1";
  return domain.state.volumes
    .filter((volume) => volume.backing === backing)
    .reduce(
      (sum, volume) =>
        sum + (reserves && volume.content !== "backup" ? Math.max(volume.size, volume.used) : volume.used),
      0,
    );
}

/** Whether volumes of the storage live in directories (names with a path and an extension). */
export function isDirectory(entry: StorageEntry): boolean {
  return ["dir", "nfs", "cifs"].includes(entry.type);
}

/** The storage's own text for a full disk. */
export function outOfSpace(entry: StorageEntry, name: string, file: string): Error {
  if (entry.type === "zfspool")
    return new Error(`zfs error: cannot create '${entry.pool ?? entry.storage}/${name}': out of space`);
  if (entry.type === "lvmthin")
    return new Error(
      `lvcreate '${entry.vgname}/${name}' error:   Insufficient free space in thin pool ${entry.thinpool}`,
    );
  return new Error(`unable to create image: qemu-img: ${file}: Could not write data: No space left on device`);
}

export function splitVolid(volid: string): { storage: string; name: string } {
  const colon = volid.indexOf(":");
  if (colon < 0) throw fail(`unable to parse volume ID '${volid}'`);
  return { storage: volid.slice(0, colon), name: volid.slice(colon + 1) };
}

/** The volume behind a volume id, as a node sees it. */
export function findVolume(domain: Domain, node: string, volid: string): Volume | undefined {
  // An empty drive says 'none', the node's own 'cdrom': there is no volume behind either.
  if (!volid.includes(":")) return undefined;
  const { storage, name } = splitVolid(volid);
  const entry = domain.state.storages[storage];
  if (!entry || !domain.active(entry, node)) return undefined;
  const backing = domain.backing(entry, node);
  return domain.state.volumes.find((volume) => volume.backing === backing && volume.name === name);
}

/** The path that PVE prints for a volume. */
export function volumePath(entry: StorageEntry, name: string): string {
  if (entry.type === "pbs") return name.replace(/^backup\//, "");
  const last = name.split("/").pop()!;
  if (entry.type === "zfspool")
    return name.startsWith("subvol") ? `/${entry.pool}/${last}` : `/dev/zvol/${entry.pool ?? entry.storage}/${last}`;
  if (entry.type === "lvmthin") return `/dev/${entry.vgname}/${last}`;
  const base = entry.path ?? `/mnt/pve/${entry.storage}`;
  const [kind] = name.split("/");
  const folder: Record<string, string> = {
    backup: "dump",
    iso: "template/iso",
    vztmpl: "template/cache",
    snippets: "snippets",
    import: "import",
  };
  const inside = folder[kind!];
  return inside ? `${base}/${inside}/${name.split("/").slice(1).join("/")}` : `${base}/images/${name}`;
}

function stamp(text: string): Buffer {
  return Buffer.from(text);
}

/** Adds a volume with its first bytes. Refuses when the place is full. */
export function addVolume(
  domain: Domain,
  node: string,
  entry: StorageEntry,
  volume: Omit<Volume, "backing" | "ctime" | "snapshots"> & { ctime?: number },
  bytes: Buffer | string,
): Volume {
  const backing = domain.backing(entry, node);
  const { avail } = domain.usage(entry, node);
  const reserves = entry.type === "zfspool" && entry.sparse !== "1";
  const demand = reserves ? Math.max(volume.size, volume.used) : Math.max(volume.used, Math.min(volume.size, 4096));
  if (demand > avail) throw outOfSpace(entry, volume.name, volumePath(entry, volume.name));
  const full: Volume = { ...volume, backing, ctime: volume.ctime ?? domain.world.clock.seconds(), snapshots: [] };
  domain.state.volumes.push(full);
  const file = volumeFile(domain, full);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, bytes);
  domain.save();
  return full;
}

/** Names a new disk as PVE does: the first free number. */
export function newDiskName(
  domain: Domain,
  entry: StorageEntry,
  backing: string,
  vmid: number,
  format: string,
  prefix = "vm",
): string {
  const taken = new Set(
    domain.state.volumes.filter((volume) => volume.backing === backing).map((volume) => volume.name.split("/").pop()),
  );
  for (let number = 0; ; number++) {
    const plain = `${prefix}-${vmid}-disk-${number}`;
    const last = isDirectory(entry) ? `${plain}.${format === "subvol" ? "subvol" : format}` : plain;
    const same = [...taken].some((name) => name === last || name?.replace(/\.[a-z0-9]+$/, "") === plain);
    if (!same) return isDirectory(entry) ? `${vmid}/${last}` : last;
  }
}

/** The format that a new disk gets on a storage. */
export function diskFormat(entry: StorageEntry, wanted: string | undefined): string {
  if (!isDirectory(entry)) return "raw";
  return wanted ?? "raw";
}

/** Allocates an empty disk of a guest. */
export function allocateDisk(
  domain: Domain,
  node: string,
  storage: string,
  vmid: number,
  options: { size: number; format?: string | undefined; content?: string; source?: Volume; prefix?: string },
): { volid: string; volume: Volume; entry: StorageEntry } {
  const entry = domain.storage(storage, node);
  if (!domain.active(entry, node)) throw new Error(`storage '${storage}' is not online`);
  const content = options.content ?? "images";
  if (!entry.content.split(",").includes(content))
    throw new Error(`storage '${storage}' does not support content-type '${content}'`);
  const subvolume = content === "rootdir" && entry.type === "zfspool";
  const format = subvolume ? "subvol" : diskFormat(entry, options.format);
  const backing = domain.backing(entry, node);
  const name = newDiskName(domain, entry, backing, vmid, format, subvolume ? "subvol" : (options.prefix ?? "vm"));
  const bytes = options.source
    ? fs.readFileSync(volumeFile(domain, options.source))
    : stamp(`disk ${createHash("sha1").update(`${backing}:${name}`).digest("hex").slice(0, 12)}\n`);
  const used = Math.min(options.source?.used ?? 0, options.size) || Math.min(MIB, options.size);
  const volume = addVolume(domain, node, entry, { name, content, format, size: options.size, used, vmid }, bytes);
  return { volid: `${storage}:${name}`, volume, entry };
}

/** Removes a volume with its bytes and snapshots. */
export function removeVolume(domain: Domain, volume: Volume): void {
  for (const snapshot of [undefined, ...volume.snapshots])
    fs.rmSync(volumeFile(domain, volume, snapshot), { force: true });
  const index = domain.state.volumes.indexOf(volume);
  if (index >= 0) domain.state.volumes.splice(index, 1);
  domain.save();
}

/** Copies the bytes and the size of a volume over another, which is made if it is not there. */
export function copyVolume(domain: Domain, from: Volume, backing: string, name = from.name): Volume {
  let target = domain.state.volumes.find((volume) => volume.backing === backing && volume.name === name);
  if (!target) {
    target = { ...from, backing, name, ctime: domain.world.clock.seconds(), snapshots: [] };
    domain.state.volumes.push(target);
  }
  Object.assign(target, { size: from.size, used: from.used });
  const file = volumeFile(domain, target);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.copyFileSync(volumeFile(domain, from), file);
  domain.save();
  return target;
}

export function snapshotVolume(domain: Domain, volume: Volume, name: string): void {
  fs.copyFileSync(volumeFile(domain, volume), volumeFile(domain, volume, name));
  volume.snapshots.push(name);
}

export function rollbackVolume(domain: Domain, volume: Volume, name: string): void {
  fs.copyFileSync(volumeFile(domain, volume, name), volumeFile(domain, volume));
}

export function dropVolumeSnapshot(domain: Domain, volume: Volume, name: string): void {
  fs.rmSync(volumeFile(domain, volume, name), { force: true });
  volume.snapshots = volume.snapshots.filter((other) => other !== name);
}

/** Volumes on a storage that belong to a guest. */
export function volumesOfGuest(
  domain: Domain,
  node: string,
  vmid: number,
): { volid: string; volume: Volume; entry: StorageEntry }[] {
  const found: { volid: string; volume: Volume; entry: StorageEntry }[] = [];
  for (const entry of Object.values(domain.state.storages)) {
    if (!domain.active(entry, node)) continue;
    const backing = domain.backing(entry, node);
    for (const volume of domain.state.volumes)
      if (volume.backing === backing && volume.vmid === vmid && ["images", "rootdir"].includes(volume.content))
        found.push({ volid: `${entry.storage}:${volume.name}`, volume, entry });
  }
  return found;
}

/** `1G`, `512M`, `10485760` or `4K` as bytes; a number without a unit counts as bytes. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGT])?$/.exec(text);
  if (!match) return undefined;
  const unit = { K: 1024, M: MIB, G: gib(1), T: gib(1024) }[match[2] as "K" | "M" | "G" | "T"] ?? 1;
  return Math.round(Number(match[1]) * unit);
}

/** Bytes as PVE writes them in a configuration. */
export function formatSize(bytes: number): string {
  let value = bytes;
  for (const unit of ["", "K", "M", "G"]) {
    if (value === 0 || value % 1024 !== 0) return `${value}${unit}`;
    value /= 1024;
  }
  return `${value}T`;
}
