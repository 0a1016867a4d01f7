import * as fs from "node:fs";
import { type Call, flag } from "./call";
import { copySeconds, isVolumeKey } from "./clone";
import { volumesNamed } from "./destroy";
import type { Domain } from "./domain";
import { fail, forbidden } from "./errors";
import { refuseTaken, setPlainValues } from "./guest-values";
import { linkSeconds, pbsPath, readPbsArchive } from "./pbs-backup";
import { findPbsSnapshot, isPbs } from "./pbs-storage";
import { powerOn } from "./power";
import { hasPrivilege } from "./privileges";
import { randomMac } from "./property-string";
import { newIdentity, parseDrive, printDrive } from "./qemu-config";
import type { Guest, GuestConfig, GuestType, StorageEntry } from "./state";
import { startTask, type TaskHandle } from "./tasks";
import {
  allocateDisk,
  findVolume,
  formatSize,
  isDirectory,
  removeVolume,
  splitVolid,
  volumeFile,
  volumePath,
} from "./volumes";

/** What the lab's backup archives hold: the configuration and the bytes of each disk. */
export interface Archive {
  type: GuestType;
  vmid: number;
  config: GuestConfig;
  disks: Record<string, { size: number; used: number; format: string; content: string; bytes: string }>;
}

/** @throws Error when it is not there, damaged, or needs another key */
export function readArchive(domain: Domain, node: string, volid: string): Archive {
  const { storage, name } = splitVolid(volid);
  const entry = domain.state.storages[storage];
  if (entry && isPbs(entry)) return readPbsArchive(domain, node, entry, name);
  const volume = findVolume(domain, node, volid);
  if (!volume) throw fail(`volume '${volid}' does not exist`);
  try {
    return JSON.parse(fs.readFileSync(volumeFile(domain, volume), "utf8")) as Archive;
  } catch {
    throw new Error(`restore failed: archive '${volid}' is damaged`);
  }
}

/** Whether the backup is there, as far as the node sees. */
function hasArchive(domain: Domain, node: string, entry: StorageEntry, volid: string): boolean {
  if (!isPbs(entry)) return findVolume(domain, node, volid) !== undefined;
  return findPbsSnapshot(domain, node, entry, splitVolid(volid).name)?.snapshot.manifest !== undefined;
}

/** `POST /nodes/{node}/qemu` or `/lxc` with a backup: over an existing guest only with `force`. */
export function restoreGuest(call: Call, type: GuestType, vmid: number): string {
  const { domain, node, params, identity } = call;
  const volid = params.archive ?? params.ostemplate ?? "";
  const existing = domain.guest(vmid);
  const force = flag(params.force);
  if (existing && !force) refuseTaken(domain, vmid, "restore", type);
  if (existing && existing.node !== node) refuseTaken(domain, vmid, "restore", type);
  const { storage } = splitVolid(volid);
  if (!hasArchive(domain, node, domain.storage(storage, node), volid)) throw fail(`volume '${volid}' does not exist`);
  if (
    !hasPrivilege(domain, identity, `/storage/${storage}`, "Datastore.AllocateSpace") &&
    !hasPrivilege(domain, identity, `/vms/${vmid}`, "VM.Backup")
  )
    throw forbidden(`/storage/${storage}`, "Datastore.AllocateSpace");
  if (params.storage) domain.storage(params.storage);
  let guest = existing;
  if (!guest) {
    guest = { vmid, type, node, config: { lock: "create" }, snapshots: {} };
    domain.state.guests[String(vmid)] = guest;
    if (params.pool) domain.state.pools[params.pool]?.guests.push(vmid);
  }
  const target = guest;
  return startTask(domain, {
    node,
    type: type === "qemu" ? "qmrestore" : "vzrestore",
    id: String(vmid),
    user: identity.full,
    cleanUp: () => {
      delete target.config.lock;
    },
    work: (handle) => domain.withGuest(vmid, () => restore(call, target, existing !== undefined, volid, handle)),
  });
}

async function restore(call: Call, guest: Guest, over: boolean, volid: string, handle: TaskHandle): Promise<void> {
  const { domain, node, params } = call;
  const { vmid } = guest;
  if (over) refuseOver(guest, handle);
  guest.config.lock = "create";
  const archive = readArchive(domain, node, volid);
  const entry = domain.storage(splitVolid(volid).storage, node);
  const path = volumePath(entry, splitVolid(volid).name);
  if (isPbs(entry)) {
    handle.log(`restore proxmox backup image: ${pbsPath(entry, splitVolid(volid).name)}`);
    const bytes = Object.values(archive.disks).reduce((sum, disk) => sum + disk.used, 0);
    await handle.takes(linkSeconds(domain, node, entry, bytes));
  } else if (guest.type === "qemu") {
    handle.log(
      `restore vma archive: zstd -q -d -c ${path} | vma extract -v -r /var/tmp/vzdumptmp.fifo - /var/tmp/vzdumptmp`,
    );
    handle.log(`CFG: size: ${JSON.stringify(archive.config).length} name: qemu-server.conf`);
  } else handle.log(`recovering backed-up configuration from '${volid}'`);
  // PVE destroys the old disks before it writes the new ones: a restore that fails then costs the guest its data.
  if (over) dropOld(domain, node, guest, volumesNamed(guest));
  const made: string[] = [];
  try {
    const config = await restoreVolumes(call, guest, archive, made, handle);
    guest.config = overridden(domain, guest, config, params);
    guest.snapshots = {};
    handle.log("rescan volumes...");
  } catch (error) {
    for (const name of made) {
      const volume = findVolume(domain, node, name);
      if (volume) removeVolume(domain, volume);
    }
    if (handle.task.exitstatus === undefined) delete guest.config.lock;
    const text = error instanceof Error ? error.message : String(error);
    handle.log(
      "error before or during data restore, some or all disks were not completely restored. " +
        `VM ${vmid} state is NOT cleaned up.`,
    );
    throw new Error(text);
  } finally {
    domain.save();
  }
  if (flag(params.start)) {
    handle.log("Execute autostart");
    await powerOn(domain, guest, handle);
  }
}

function refuseOver(guest: Guest, handle: TaskHandle): void {
  const kind = guest.type === "qemu" ? "VM" : "CT";
  const refuse = (reason: string) => {
    handle.log(
      `error before or during data restore, some or all disks were not completely restored. ${kind} ${guest.vmid} state is NOT cleaned up.`,
    );
    throw new Error(`unable to restore ${kind} ${guest.vmid} - ${reason}`);
  };
  if (guest.config.protection === "1") refuse("- protection mode enabled");
  if (guest.running) refuse("vm is running");
  if (guest.config.template === "1") refuse("you can't restore over a template");
}

async function restoreVolumes(
  call: Call,
  guest: Guest,
  archive: Archive,
  made: string[],
  handle: TaskHandle,
): Promise<GuestConfig> {
  const { domain, node, params } = call;
  const config: GuestConfig = {};
  for (const [key, text] of Object.entries(archive.config)) {
    const disk = archive.disks[key];
    if (!isVolumeKey(guest.type, key) || !disk) {
      config[key] = text;
      continue;
    }
    const values = parseDrive(text);
    const storage = params.storage ?? splitVolid(values.file ?? "").storage;
    handle.log(`DEV: dev_id=1 size: ${disk.size} devname: drive-${key}`);
    const { volid, volume, entry } = allocateDisk(domain, node, storage, guest.vmid, {
      size: disk.size,
      format: disk.format === "subvol" ? undefined : disk.format,
      content: disk.content,
    });
    made.push(volid);
    const path = volumePath(entry, volume.name);
    if (isDirectory(entry))
      handle.log(`Formatting '${path}', fmt=${volume.format} size=${disk.size} preallocation=off`);
    handle.log(`new volume ID is '${volid}'`, `map 'drive-${key}' to '${path}' (write zeros = 0)`);
    await handle.takes(2 + copySeconds(disk.used));
    if (domain.usage(entry, node).avail < disk.used - volume.used)
      throw new Error(`vma: blk_pwrite to drive-${key} failed: No space left on device (28)`);
    fs.writeFileSync(volumeFile(domain, volume), Buffer.from(disk.bytes, "base64"));
    volume.used = Math.max(volume.used, disk.used);
    handle.log(
      "progress 100% (read " + `${disk.size} bytes, duration 0 sec)`,
      `total bytes read ${disk.size}, sparse bytes ${disk.size - Math.min(disk.size, disk.used)} (${Math.round(100 - (100 * disk.used) / disk.size)}%)`,
    );
    config[key] = printDrive({ ...values, file: volid, size: formatSize(disk.size) });
  }
  return config;
}

/** What the guest had before and the backup does not replace. */
function dropOld(domain: Domain, node: string, guest: Guest, volids: string[]): void {
  for (const volid of volids) {
    const volume = findVolume(domain, node, volid);
    if (volume && volume.vmid === guest.vmid) removeVolume(domain, volume);
  }
}

/** Values given with the call win over those of the backup; identity and addresses are new where asked for. */
function overridden(domain: Domain, guest: Guest, config: GuestConfig, params: Record<string, string>): GuestConfig {
  const shell: Guest = { ...guest, config: { ...config } };
  delete shell.config.lock;
  delete shell.config.parent;
  if (guest.type === "qemu" && shell.config.vmgenid) shell.config.vmgenid = newIdentity(0).vmgenid!;
  if (flag(params.unique)) {
    for (const [key, text] of Object.entries(shell.config))
      if (/^net\d+$/.test(key)) shell.config[key] = text.replace(/[0-9A-F]{2}(:[0-9A-F]{2}){5}/i, randomMac());
    if (guest.type === "qemu") shell.config.smbios1 = newIdentity(0).smbios1!;
  }
  const own = Object.fromEntries(
    Object.entries(params).filter(
      ([key]) =>
        !isVolumeKey(guest.type, key) && key !== "ostemplate" && key !== "restore" && key !== "ignore-unpack-errors",
    ),
  );
  setPlainValues(shell, own);
  domain.save();
  return shell.config;
}
