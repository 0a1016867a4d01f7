import * as fs from "node:fs";
import type { Domain } from "./domain";
import { badParameters, fail } from "./errors";
import { isDisk, isDriveKey, isUnusedKey, parseDrive, printDrive } from "./qemu-config";
import type { Guest, GuestConfig, Volume } from "./state";
import { gib } from "./topology";
import {
  addVolume,
  allocateDisk,
  findVolume,
  formatSize,
  isDirectory,
  parseSize,
  removeVolume,
  splitVolid,
  volumeFile,
  volumePath,
} from "./volumes";

type Log = (line: string) => void;

const NEW_VOLUME = /^([A-Za-z][\w.-]*):(\d+(?:\.\d+)?)$/;
const CLOUD_INIT = /^([A-Za-z][\w.-]*):cloudinit$/;
const EFI_BYTES = 528 * 1024;
const TPM_BYTES = 4 * 1024 * 1024;
const CLOUD_INIT_BYTES = 4 * 1024 * 1024;

/** What PVE checks of the drives before any task begins. */
export function checkDrives(domain: Domain, node: string, params: Record<string, string>, isRoot: boolean): void {
  for (const [key, text] of Object.entries(params)) {
    if (!isDriveKey(key)) continue;
    const values = parseDrive(text);
    const file = values.file ?? "";
    const storage = (NEW_VOLUME.exec(file) ?? CLOUD_INIT.exec(file))?.[1];
    if (storage) {
      const entry = domain.state.storages[storage];
      if (!entry) throw fail(`storage '${storage}' does not exist`);
      if (!entry.content.split(",").includes("images"))
        throw badParameters({ storage: `storage '${storage}' does not support vm images` });
      const source = values["import-from"];
      if (source?.startsWith("/")) {
        if (!isRoot) throw badParameters({ [key]: "Only root can pass arbitrary filesystem paths." });
        if (!importFile(domain, node, source))
          throw badParameters({ [key]: `error with import source '${source}': no such file` });
      } else if (source && !findVolume(domain, node, source))
        throw badParameters({ [key]: `error with import source '${source}': volume '${source}' does not exist` });
    } else if (file.includes(":")) {
      const { storage: existing } = splitVolid(file);
      domain.storage(existing);
      if (!findVolume(domain, node, file)) throw fail(`volume '${file}' does not exist`);
    } else if (file.startsWith("/")) {
      throw badParameters({ [key]: "Only root can pass arbitrary filesystem paths." });
    }
  }
}

function bytesFor(key: string, gibs: string): number {
  if (key === "efidisk0") return EFI_BYTES;
  if (key === "tpmstate0") return TPM_BYTES;
  return gib(Number(gibs));
}

/** A file or device of a node that a disk may be made from, given by its absolute path. */
export interface ImportFile {
  size: number;
  copyTo(volume: Volume): void;
}

/** What lies behind an absolute path on the node: one of its volumes, or a file of its real host. */
export function importFile(domain: Domain, node: string, path: string): ImportFile | undefined {
  const copyTo = (from: string, used: number) => (volume: Volume) => {
    fs.copyFileSync(from, volumeFile(domain, volume));
    volume.used = Math.max(volume.used, Math.min(used, volume.size));
  };
  for (const entry of Object.values(domain.state.storages)) {
    if (!domain.active(entry, node)) continue;
    const backing = domain.backing(entry, node);
    const known = domain.state.volumes.find(
      (each) => each.backing === backing && volumePath(entry, each.name) === path,
    );
    if (known) return { size: known.virtualSize ?? known.size, copyTo: copyTo(volumeFile(domain, known), known.used) };
  }
  const real = domain.world.runtime?.file(node, path);
  if (!real) return undefined;
  const { size } = fs.statSync(real.outside);
  return { size: Math.max(512, Math.ceil(size / 512) * 512), copyTo: copyTo(real.outside, size) };
}

function allocate(domain: Domain, guest: Guest, key: string, values: Record<string, string>, log: Log): string {
  const [, storage, size] = NEW_VOLUME.exec(values.file!)!;
  const from = values["import-from"];
  const source = from ? findVolume(domain, guest.node, from) : undefined;
  const file = from?.startsWith("/") ? importFile(domain, guest.node, from) : undefined;
  const bytes = source ? (source.virtualSize ?? source.size) : (file?.size ?? bytesFor(key, size!));
  const { volid, volume, entry } = allocateDisk(domain, guest.node, storage!, guest.vmid, {
    size: bytes,
    format: values.format,
    ...(source ? { source } : {}),
  });
  file?.copyTo(volume);
  if (isDirectory(entry))
    log(`Formatting '${volumePath(entry, volume.name)}', fmt=${volume.format} size=${bytes} preallocation=off`);
  const rest = Object.fromEntries(
    Object.entries(values).filter(([name]) => !["format", "import-from", "size"].includes(name)),
  );
  const stored = { ...rest, file: volid, size: formatSize(bytes) };
  if (source || file)
    log(`${key}: successfully created disk '${volid},size=${formatSize(bytes)}' from import of '${from}'`);
  else log(`${key}: successfully created disk '${volid},size=${formatSize(bytes)}'`);
  return printDrive(stored);
}

function cloudInitDrive(domain: Domain, guest: Guest, key: string, values: Record<string, string>, log: Log): string {
  const storage = CLOUD_INIT.exec(values.file!)![1]!;
  const entry = domain.storage(storage, guest.node);
  const plain = `vm-${guest.vmid}-cloudinit`;
  const format = isDirectory(entry) ? (values.format ?? "qcow2") : "raw";
  const name = isDirectory(entry) ? `${guest.vmid}/${plain}.${format}` : plain;
  if (!findVolume(domain, guest.node, `${storage}:${name}`))
    addVolume(
      domain,
      guest.node,
      entry,
      { name, content: "images", format, size: CLOUD_INIT_BYTES, used: CLOUD_INIT_BYTES, vmid: guest.vmid },
      "cloud-init\n",
    );
  log(`${key}: successfully created disk '${storage}:${name},media=cdrom'`);
  return printDrive({ file: `${storage}:${name}`, media: "cdrom" });
}

/** The first free key for a disk that is no longer attached. */
export function addUnused(config: GuestConfig, volid: string): void {
  if (Object.entries(config).some(([key, value]) => isUnusedKey(key) && value === volid)) return;
  for (let number = 0; ; number++) {
    if (config[`unused${number}`] !== undefined) continue;
    config[`unused${number}`] = volid;
    return;
  }
}

/** Takes a drive out of the configuration: a disk stays on its storage as `unusedN`, unless it is to be destroyed. */
export function detachDrive(domain: Domain, guest: Guest, key: string, destroy: boolean): void {
  const text = guest.config[key];
  if (text === undefined) return;
  delete guest.config[key];
  if (isUnusedKey(key)) {
    const volume = findVolume(domain, guest.node, text);
    if (volume) removeVolume(domain, volume);
    return;
  }
  const values = parseDrive(text);
  const volid = values.file ?? "";
  const volume = volid.includes(":") ? findVolume(domain, guest.node, volid) : undefined;
  if (!volume || volume.vmid !== guest.vmid) return;
  if (destroy || volid.includes("cloudinit")) removeVolume(domain, volume);
  else if (isDisk(values)) addUnused(guest.config, volid);
}

/** Sets one drive: makes a new volume, attaches one that is there, or changes the options of the one in place. */
export function setDrive(domain: Domain, guest: Guest, key: string, text: string, log: Log): void {
  const values = parseDrive(text);
  const file = values.file ?? "";
  const before = guest.config[key] ? parseDrive(guest.config[key]!) : undefined;
  let stored: string;
  if (NEW_VOLUME.test(file)) stored = allocate(domain, guest, key, values, log);
  else if (CLOUD_INIT.test(file)) stored = cloudInitDrive(domain, guest, key, values, log);
  else if (file === "none" || file === "cdrom") stored = printDrive({ ...values, media: values.media ?? "cdrom" });
  else {
    const volume = findVolume(domain, guest.node, file);
    if (!volume) throw fail(`volume '${file}' does not exist`);
    if (volume.content !== "iso" && volume.vmid !== undefined && volume.vmid !== guest.vmid)
      throw fail(`unable to attach disk '${file}' - it belongs to VM ${volume.vmid}`);
    const size = values.media === "cdrom" && file.includes("cloudinit") ? {} : { size: formatSize(volume.size) };
    stored = printDrive({ ...values, ...size });
    for (const [other, value] of Object.entries(guest.config))
      if (isUnusedKey(other) && value === file) delete guest.config[other];
  }
  if (before && before.file !== parseDrive(stored).file) detachDrive(domain, guest, key, false);
  guest.config[key] = stored;
}

/** Grows a disk. PVE refuses to make one smaller. */
export function resizeDisk(domain: Domain, guest: Guest, key: string, size: string, rootfs = false): void {
  const text = guest.config[key];
  if (text === undefined) throw new Error(`disk '${key}' does not exist`);
  const values = parseDrive(text);
  const volume = findVolume(domain, guest.node, values.file ?? "");
  if (!volume) throw new Error(`volume '${values.file}' does not exist`);
  const relative = size.startsWith("+");
  const bytes = parseSize(relative ? size.slice(1) : size);
  if (bytes === undefined) throw badParameters({ size: "value does not match the regex pattern" });
  const wanted = relative ? volume.size + bytes : bytes;
  if (wanted < volume.size) throw new Error(rootfs ? `unable to shrink disk size` : "shrinking disks is not supported");
  const { storage } = splitVolid(values.file!);
  const entry = domain.storage(storage, guest.node);
  if (entry.type === "zfspool" && entry.sparse !== "1" && wanted - volume.size > domain.usage(entry, guest.node).avail)
    throw new Error(
      `zfs error: cannot set property for '${entry.pool}/${volume.name}': size is greater than available space`,
    );
  volume.size = wanted;
  guest.config[key] = printDrive({ ...values, size: formatSize(wanted) });
}
