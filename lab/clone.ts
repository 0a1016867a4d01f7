import * as fs from "node:fs";
import { type Call, flag } from "./call";
import type { Domain } from "./domain";
import { badParameters, fail } from "./errors";
import { discard, readVmid } from "./guest-values";
import { subject } from "./power";
import { randomMac } from "./property-string";
import { isDisk, isDriveKey, newIdentity, parseDrive, printDrive } from "./qemu-config";
import type { Guest, GuestConfig, GuestType } from "./state";
import { startTask, type TaskHandle } from "./tasks";
import {
  addVolume,
  allocateDisk,
  findVolume,
  formatSize,
  isDirectory,
  newDiskName,
  splitVolid,
  volumeFile,
} from "./volumes";
import { requireWritable } from "./writable";

/** Bytes that the lab's storages copy in a virtual second. */
export const COPY_RATE = 200 * 1024 * 1024;

/** Virtual seconds that copying so many bytes takes. */
export function copySeconds(bytes: number): number {
  return 1 + bytes / COPY_RATE;
}

/** Whether a key of either kind of guest holds a volume. */
export function isVolumeKey(type: GuestType, key: string): boolean {
  return type === "qemu" ? isDriveKey(key) : /^(rootfs|mp\d+)$/.test(key);
}

/** `POST …/clone`. */
export function cloneGuest(call: Call, type: GuestType): string {
  const { domain, node, params, identity } = call;
  const guest = domain.guestOn(node, type, call.path.vmid!);
  if (params.newid === undefined) throw badParameters({ newid: "property is missing and it is not optional" });
  const newid = readVmid(params.newid);
  const target = params.target ?? node;
  domain.requireQuorum(node);
  if (!domain.state.nodes[target]) throw fail(`no such cluster node '${target}'`);
  domain.checkLock(guest);
  if (domain.guest(newid))
    throw fail(`unable to create ${type === "qemu" ? "VM" : "CT"} ${newid}: config file already exists`);
  const template = guest.config.template === "1";
  const full = flag(params.full, !template);
  if (!full && !template) throw badParameters({ full: "parameter 'full' must be set for VMs which are not templates" });
  if (!full && params.storage) throw badParameters({ storage: "parameter 'storage' not allowed for linked clones" });
  if (params.storage) {
    const entry = domain.storage(params.storage);
    const content = type === "qemu" ? "images" : "rootdir";
    if (!entry.content.split(",").includes(content))
      throw fail(`storage '${entry.storage}' does not support vm images`);
  }
  if (target !== node) requireSharedDisks(domain, guest, params.storage);
  const source = params.snapname ? guest.snapshots[params.snapname]?.config : guest.config;
  if (!source) throw fail(`snapshot '${params.snapname}' does not exist`);
  requireWritable(call, guest);
  const clone: Guest = { vmid: newid, type, node: target, config: { lock: "clone" }, snapshots: {} };
  domain.state.guests[String(newid)] = clone;
  if (params.pool) domain.state.pools[params.pool]?.guests.push(newid);
  guest.config.lock = "clone";
  return startTask(domain, {
    node,
    type: type === "qemu" ? "qmclone" : "vzclone",
    id: String(guest.vmid),
    user: identity.full,
    seconds: 1,
    cleanUp: () => {
      delete guest.config.lock;
      discard(domain, clone);
    },
    work: (handle) =>
      domain.withGuest(newid, async () => {
        try {
          const copy = await cloneVolumes(domain, guest, clone, source, { ...params, full: full ? "1" : "0" }, handle);
          clone.config = finishClone(domain, type, copy, params);
        } catch (error) {
          if (handle.task.exitstatus === undefined) discard(domain, clone);
          throw new Error(`clone failed: ${error instanceof Error ? error.message : String(error)}`);
        } finally {
          if (handle.task.exitstatus === undefined) delete guest.config.lock;
          domain.save();
        }
      }),
  });
}

function requireSharedDisks(domain: Domain, guest: Guest, storage: string | undefined): void {
  for (const [key, text] of Object.entries(guest.config)) {
    if (!isVolumeKey(guest.type, key)) continue;
    const file = parseDrive(text).file ?? "";
    if (!file.includes(":") || !isDisk(parseDrive(text))) continue;
    const entry = domain.storage(storage ?? file.split(":")[0]!);
    if (!domain.isShared(entry) || !domain.isShared(domain.storage(file.split(":")[0]!)))
      throw fail(`can't clone ${subject(guest)} to another node (${subject(guest)} uses local storage)`);
  }
}

async function cloneVolumes(
  domain: Domain,
  guest: Guest,
  clone: Guest,
  source: GuestConfig,
  params: Record<string, string>,
  handle: TaskHandle,
): Promise<GuestConfig> {
  const copy: GuestConfig = {};
  for (const [key, text] of Object.entries(source)) {
    if (
      /^(lock|template|unused\d+|parent|snaptime|digest|protection)$/.test(key) &&
      !(key === "protection" && guest.type === "qemu")
    )
      continue;
    copy[key] = text;
    if (!isVolumeKey(guest.type, key)) continue;
    const values = parseDrive(text);
    const file = values.file ?? "";
    const volume = file.includes(":") ? findVolume(domain, guest.node, file) : undefined;
    if (!volume) continue;
    if (volume.content === "iso") continue;
    const from = splitVolid(file).storage;
    if (file.includes("cloudinit")) {
      copy[key] = cloneCloudInit(domain, clone, params.storage ?? from, values);
      continue;
    }
    if (params.full === "1") {
      handle.log(`create full clone of drive ${key} (${file})`);
      await handle.takes(copySeconds(volume.used));
      const { volid } = allocateDisk(domain, clone.node, params.storage ?? from, clone.vmid, {
        size: volume.size,
        format: params.format ?? (volume.format === "subvol" ? undefined : volume.format),
        content: volume.content,
        source: volume,
      });
      copy[key] = printDrive({ ...values, file: volid, size: formatSize(volume.size) });
    } else {
      handle.log(`create linked clone of drive ${key} (${file})`);
      copy[key] = linkedClone(domain, clone, from, volume, values);
    }
  }
  return copy;
}

function linkedClone(
  domain: Domain,
  clone: Guest,
  storage: string,
  base: NonNullable<ReturnType<typeof findVolume>>,
  values: Record<string, string>,
): string {
  const entry = domain.storage(storage, clone.node);
  const backing = domain.backing(entry, clone.node);
  const plain = newDiskName(
    domain,
    entry,
    backing,
    clone.vmid,
    base.format,
    base.format === "subvol" ? "subvol" : "vm",
  );
  const name = entry.type === "lvmthin" ? plain : `${base.name}/${plain}`;
  const bytes = fs.readFileSync(volumeFile(domain, base));
  addVolume(
    domain,
    clone.node,
    entry,
    {
      name,
      content: base.content,
      format: base.format,
      size: base.size,
      used: 1024 * 1024,
      vmid: clone.vmid,
      parent: base.name,
    },
    bytes,
  );
  return printDrive({ ...values, file: `${storage}:${name}`, size: formatSize(base.size) });
}

function cloneCloudInit(domain: Domain, clone: Guest, storage: string, values: Record<string, string>): string {
  const entry = domain.storage(storage, clone.node);
  const name = isDirectory(entry) ? `${clone.vmid}/vm-${clone.vmid}-cloudinit.qcow2` : `vm-${clone.vmid}-cloudinit`;
  const size = 4 * 1024 * 1024;
  addVolume(
    domain,
    clone.node,
    entry,
    { name, content: "images", format: isDirectory(entry) ? "qcow2" : "raw", size, used: size, vmid: clone.vmid },
    "cloud-init\n",
  );
  return printDrive({ ...values, file: `${storage}:${name}` });
}

function finishClone(domain: Domain, type: GuestType, copy: GuestConfig, params: Record<string, string>): GuestConfig {
  for (const [key, text] of Object.entries(copy)) {
    if (!/^net\d+$/.test(key)) continue;
    copy[key] =
      type === "qemu"
        ? text.replace(/^([a-z0-9-]+)=[0-9A-F:]{17}/i, (_, model: string) => `${model}=${randomMac()}`)
        : text.replace(/hwaddr=[0-9A-F:]{17}/i, `hwaddr=${randomMac()}`);
  }
  if (type === "qemu") {
    const { smbios1, vmgenid } = newIdentity(domain.world.clock.seconds());
    Object.assign(copy, { smbios1, vmgenid });
    if (params.name) copy.name = params.name;
    else if (copy.name) copy.name = `Copy-of-${copy.name}`;
  } else {
    if (params.hostname) copy.hostname = params.hostname;
  }
  if (params.description) copy.description = params.description;
  return copy;
}

/** `POST …/template`: the disks become base volumes, and the guest can no longer be started. */
export function makeTemplate(call: Call, type: GuestType): string | null {
  const { domain, node } = call;
  const guest = domain.guestOn(node, type, call.path.vmid!);
  requireWritable(call, guest);
  domain.checkLock(guest);
  if (guest.running)
    throw fail(
      type === "qemu"
        ? "you can't convert VM to template if VM is running!"
        : "you can't convert a running CT to a template",
    );
  if (Object.keys(guest.snapshots).length > 0) throw fail("unable to create template, because VM contains snapshots");
  const work = () => {
    for (const [key, text] of Object.entries(guest.config)) {
      if (!isVolumeKey(type, key)) continue;
      const values = parseDrive(text);
      const volume = findVolume(domain, node, values.file ?? "");
      if (!volume || !isDisk(values) || volume.vmid !== guest.vmid) continue;
      const before = volumeFile(domain, volume);
      volume.name = volume.name.replace(
        /(^|\/)(vm|subvol)-(\d+-disk-)/,
        (_all, slash, kind, rest) => `${slash}${kind === "vm" ? "base" : "basevol"}-${rest}`,
      );
      fs.renameSync(before, volumeFile(domain, volume));
      guest.config[key] = printDrive({ ...values, file: `${splitVolid(values.file!).storage}:${volume.name}` });
    }
    guest.config.template = "1";
    domain.save();
  };
  if (type === "lxc") {
    work();
    return null;
  }
  return startTask(domain, {
    node,
    type: "qmtemplate",
    id: String(guest.vmid),
    user: call.identity.full,
    seconds: 1,
    work,
  });
}
