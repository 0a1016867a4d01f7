/** Disks of machines, and root file system and mount points of containers. */
import { list } from "../units";
import type { DiskInput, GuestDraft } from "./guest-draft";
import { flag, parseGiB, parseOptions } from "./words";

/** Options of a drive that have a word, or that change nothing about what is planned. */
const SAID = ["file", "volume", "size", "ssd", "discard", "iothread", "format", "media", "mp", "backup", "replicate"];

/** Adds the drives of a machine to its draft. CD drives are no disks. */
export function readMachineDrives(draft: GuestDraft): void {
  for (const key of draft.numbered(/ide|sata|scsi|virtio/)) {
    const options = parseOptions(draft.config[key] ?? "", "file");
    const file = options.get("file") ?? "";
    if (options.get("media") === "cdrom" || file === "none" || file === "cdrom") {
      if (file !== "none" && !isCloudInit(file)) draft.left.push(`${key} is a CD drive with ${file || "nothing"}`);
      continue;
    }
    addDrive(draft, key, file, options);
  }
  readVolumesBeside(draft);
}

/** Adds root file system and mount points of a container. The provider counts mount points without gaps. */
export function readContainerVolumes(draft: GuestDraft): void {
  const points = draft.numbered(/mp/);
  if (points.some((key, index) => key !== `mp${index}`))
    draft.keep("disks", `the mount points ${list(points)} are not numbered without gaps`);
  for (const key of [...(draft.config.rootfs === undefined ? [] : ["rootfs"]), ...points]) {
    const options = parseOptions(draft.config[key] ?? "", "volume");
    const isSaid = addDrive(draft, key, options.get("volume") ?? "", options);
    const path = options.get("mp");
    if (isSaid && key !== "rootfs" && path !== undefined) namePoint(draft, key, path);
  }
  readVolumesBeside(draft);
}

/** A specification mounts a disk at /srv/<name>; one that is elsewhere gets no name. */
function namePoint(draft: GuestDraft, key: string, path: string): void {
  const [, name] = /^\/srv\/([a-z0-9][a-z0-9-]*)\/?$/.exec(path) ?? [];
  const disk = draft.disks.at(-1);
  if (name !== undefined && disk !== undefined) disk.name = name;
  else draft.left.push(`${key} is mounted at ${path}`);
}

/** @returns Whether the drive can be said. */
function addDrive(draft: GuestDraft, key: string, file: string, options: ReadonlyMap<string, string>): boolean {
  const storage = /^([^/:]+):./.exec(file)?.[1];
  const size = parseGiB(options.get("size"));
  const problem = unsayable(draft, storage, size, file);
  if (problem !== undefined || storage === undefined || size === undefined) {
    draft.keep("disks", `${key} ${problem}`);
    return false;
  }
  draft.disks.push({
    interface: key,
    sizeGiB: size,
    storage,
    ...(flag(options.get("ssd")) && { ssd: true }),
    // A container's volumes are discarded by Proxmox VE itself.
    ...(!/^(rootfs|mp)/.test(key) && options.get("discard") !== "on" && { discard: false }),
  } satisfies DiskInput);
  tellOptions(draft, key, options);
  return true;
}

function unsayable(
  draft: GuestDraft,
  storage: string | undefined,
  size: number | undefined,
  file: string,
): string | undefined {
  if (file.startsWith("/"))
    return `is ${file} of the server itself, which has no word: it is not counted, and no copy of it is planned`;
  if (storage === undefined) return "is no volume of a storage, which has no word";
  if (!draft.storages.has(storage))
    return `lies on the storage ${storage}, which is not in the specification: it is not counted`;
  return size === undefined ? "does not say its size: it is not counted" : undefined;
}

function tellOptions(draft: GuestDraft, key: string, options: ReadonlyMap<string, string>): void {
  const isPoint = /^mp\d/.test(key);
  // Mount points are in no backup unless they say so, all other drives unless they say not.
  const inBackup = isPoint ? flag(options.get("backup")) : (options.get("backup") ?? "1") !== "0";
  const why = isPoint ? "as mount points are that do not ask for it" : "backup=0";
  if (!inBackup) draft.left.push(`${key} is left out of backups (${why})`);
  if (options.get("replicate") === "0") draft.left.push(`${key} is left out of replication (replicate=0)`);
  const others = [...options.keys()].filter((option) => !SAID.includes(option));
  if (others.length > 0) draft.left.push(`${key} has options without a word: ${list(others)}`);
}

/** Volumes that a guest has beside its disks. */
function readVolumesBeside(draft: GuestDraft): void {
  const system = draft.disks[0]?.storage;
  for (const key of draft.numbered(/efidisk|tpmstate/)) {
    const file = parseOptions(draft.config[key] ?? "", "file").get("file") ?? "";
    if (file.split(":")[0] !== system) draft.left.push(`${key} is ${file}: not on the storage of its first disk`);
  }
  for (const key of draft.numbered(/unused/))
    draft.left.push(`${key} is ${draft.config[key] ?? ""}: attached to nothing, it takes room that is not planned`);
}

function isCloudInit(file: string): boolean {
  return /(^|[:/-])(vm-\d+-)?cloudinit(\.\w+)?$/.test(file);
}
