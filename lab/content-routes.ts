import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { anyOf, type Call, flag, type Permission, perm, type Route, route } from "./call";
import { isVolumeKey } from "./clone";
import { badParameters, fail } from "./errors";
import { changePbsVolume, forgetPbs } from "./pbs-backup";
import { activatePbs, findPbsSnapshot, isPbs, listedSnapshot, pbsSnapshots } from "./pbs-storage";
import { checkPermission } from "./privileges";
import type { StorageEntry, Volume } from "./state";
import { startTask } from "./tasks";
import {
  addVolume,
  diskFormat,
  findVolume,
  isDirectory,
  newDiskName,
  parseSize,
  removeVolume,
  splitVolid,
  volumeFile,
  volumePath,
} from "./volumes";

const CONTENT = "/nodes/{node}/storage/{storage}/content";
const AUDIT = anyOf("/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace");
/** Whoever may fetch by the server's own network. */
const FETCH: Permission = { some: [perm("/", "Sys.Audit", "Sys.Modify"), perm("/nodes/{node}", "Sys.AccessNetwork")] };
const MIB = 1024 * 1024;
/** Size that a made-up disk image or template has when nothing else is known. */
const DEFAULT_IMAGE = 600 * MIB;
const DEFAULT_VIRTUAL = 2048 * MIB;

function entryOf(call: Call): StorageEntry {
  const entry = call.domain.storage(call.path.storage!, call.node);
  if (isPbs(entry)) activatePbs(call.domain, call.node, entry);
  else if (!call.domain.active(entry, call.node)) throw fail(`storage '${entry.storage}' is not online`);
  return entry;
}

function listContent(call: Call): Record<string, unknown>[] {
  const { domain, params } = call;
  const entry = entryOf(call);
  if (isPbs(entry))
    return pbsSnapshots(domain, call.node, entry)
      .filter(() => !params.content || params.content === "backup")
      .filter((snapshot) => !params.vmid || snapshot.id === params.vmid)
      .map((snapshot) => listedSnapshot(entry, snapshot));
  const backing = domain.backing(entry, call.node);
  return domain.state.volumes
    .filter((volume) => volume.backing === backing)
    .filter((volume) => !params.content || volume.content === params.content)
    .filter((volume) => !params.vmid || String(volume.vmid) === params.vmid)
    .map((volume) => listed(entry, volume));
}

function listed(entry: StorageEntry, volume: Volume): Record<string, unknown> {
  const common = {
    volid: `${entry.storage}:${volume.name}`,
    content: volume.content,
    format: volume.format,
    size: volume.size,
    ctime: volume.ctime,
    ...(volume.vmid === undefined ? {} : { vmid: volume.vmid }),
    ...(volume.parent ? { parent: volume.parent } : {}),
    ...(volume.notes ? { notes: volume.notes } : {}),
    ...(volume.protected ? { protected: 1 } : {}),
  };
  if (volume.content === "backup") return { ...common, subtype: volume.name.includes("-lxc-") ? "lxc" : "qemu" };
  if (volume.content === "images" || volume.content === "rootdir")
    return {
      ...common,
      ...(entry.type === "zfspool" ? { name: volume.name.split("/").pop() } : { used: volume.used }),
    };
  return common;
}

/** The volume of a path: PVE takes the whole id or the name alone. */
function volumeOf(call: Call): { volid: string; volume: Volume; entry: StorageEntry } {
  const entry = entryOf(call);
  const given = call.path.volume!;
  const volid = given.includes(":") ? given : `${entry.storage}:${given}`;
  const volume = findVolume(call.domain, call.node, volid);
  if (!volume) {
    if (isDirectory(entry)) throw fail(`volume_size_info on '${volid}' failed`);
    throw fail(`zfs error: cannot open '${entry.pool}/${splitVolid(volid).name}': dataset does not exist`);
  }
  return { volid, volume, entry };
}

/** The name of a volume on a storage of a backup server; undefined on any other. */
function pbsVolume(call: Call): { entry: StorageEntry; name: string } | undefined {
  const entry = entryOf(call);
  const given = call.path.volume!;
  // The time in the name holds colons as well.
  return isPbs(entry)
    ? { entry, name: given.startsWith(`${entry.storage}:`) ? splitVolid(given).name : given }
    : undefined;
}

function showPbsVolume(call: Call, entry: StorageEntry, name: string): Record<string, unknown> {
  const snapshot = findPbsSnapshot(call.domain, call.node, entry, name)?.snapshot;
  if (!snapshot) throw fail(`volume_size_info on '${entry.storage}:${name}' failed`);
  const { size, format, protected: isProtected } = listedSnapshot(entry, snapshot);
  const notes = snapshot.manifest?.unprotected.notes;
  const path = volumePath(entry, name);
  return { path, size, used: size, format, ...(notes ? { notes } : {}), ...(isProtected ? { protected: 1 } : {}) };
}

function showVolume(call: Call): Record<string, unknown> {
  const onPbs = pbsVolume(call);
  if (onPbs) return showPbsVolume(call, onPbs.entry, onPbs.name);
  const { volume, entry } = volumeOf(call);
  return {
    path: volumePath(entry, volume.name),
    size: volume.size,
    used: volume.used,
    format: volume.format,
    ...(volume.notes ? { notes: volume.notes } : {}),
    ...(volume.protected ? { protected: 1 } : {}),
  };
}

function changeVolume(call: Call): null {
  const onPbs = pbsVolume(call);
  if (onPbs) {
    const { notes, protected: value } = call.params;
    changePbsVolume(call.domain, call.node, onPbs.entry, onPbs.name, {
      ...(notes === undefined ? {} : { notes }),
      ...(value === undefined ? {} : { protected: flag(value) }),
    });
    return null;
  }
  const { volume } = volumeOf(call);
  if (call.params.notes !== undefined) volume.notes = call.params.notes;
  if (call.params.protected !== undefined) {
    if (volume.content !== "backup") throw fail("unable to update protection - only backups can be protected");
    volume.protected = flag(call.params.protected);
  }
  return null;
}

/** Guests whose configuration names the volume. */
function users(call: Call, volid: string): number[] {
  return call.domain
    .guests()
    .filter((guest) =>
      Object.entries(guest.config).some(([key, text]) => isVolumeKey(guest.type, key) && text.split(",")[0] === volid),
    )
    .map((guest) => guest.vmid);
}

/** Of a guest's backup the space and the guest's backups; of anything else the storage (pve-storage, API2/Storage/Content.pm). */
function checkDelete(call: Call, storage: string, backupOf: string | number | undefined): void {
  const storagePath = `/storage/${storage}`;
  if (backupOf === undefined) checkPermission(call, perm(storagePath, "Datastore.Allocate"));
  else {
    checkPermission(call, perm(storagePath, "Datastore.AllocateSpace"));
    checkPermission(call, perm(`/vms/${backupOf}`, "VM.Backup"));
  }
}

function deleteVolume(call: Call): string | null {
  const { domain, node, identity } = call;
  const entry = entryOf(call);
  const given = call.path.volume!;
  const volid = given.startsWith(`${entry.storage}:`) ? given : `${entry.storage}:${given}`;
  const volume = isPbs(entry) ? undefined : findVolume(domain, node, volid);
  const sent = /^backup\/(?:vm|ct)\/(\d+)\//.exec(splitVolid(volid).name)?.[1];
  checkDelete(call, entry.storage, isPbs(entry) ? sent : volume?.content === "backup" ? volume.vmid : undefined);
  const owner = volume?.content === "images" || volume?.content === "rootdir" ? volume.vmid : undefined;
  if (owner !== undefined && users(call, volid).length > 0)
    throw fail(
      `Cannot remove image, a guest with VMID '${owner}' exists!\nYou can delete the image from the guest's hardware pane\n`,
    );
  return startTask(domain, {
    node,
    type: "imgdel",
    id: `${volid.replace(/:/g, "\\x3a")}@${entry.storage}`.replace(/^.*@/, volume?.vmid ? `${volume.vmid}@` : "@"),
    user: identity.full,
    seconds: 0.5,
    work: (handle) => {
      if (isPbs(entry)) {
        forgetPbs(domain, node, entry, splitVolid(volid).name);
        handle.log(`Removed volume '${volid}'`);
        return;
      }
      const found = findVolume(domain, node, volid);
      if (found?.protected) throw new Error(`cannot remove protected volume '${volid}' on '${entry.storage}'`);
      if (found) removeVolume(domain, found);
      handle.log(`Removed volume '${volid}'`);
    },
  });
}

/** `POST …/content`: an empty disk for a guest. */
function allocate(call: Call): string {
  const { domain, node, params } = call;
  const entry = entryOf(call);
  const vmid = Number(params.vmid);
  const size = parseSize(/^\d+$/.test(params.size ?? "") ? `${params.size}K` : (params.size ?? ""));
  if (!size) throw badParameters({ size: "value does not match the regex pattern" });
  const wanted = params.filename ?? "";
  const format = diskFormat(entry, params.format ?? /\.(qcow2|raw|vmdk)$/.exec(wanted)?.[1]);
  const name =
    wanted === ""
      ? newDiskName(domain, entry, domain.backing(entry, node), vmid, format)
      : isDirectory(entry)
        ? `${vmid}/${wanted}`
        : wanted;
  if (findVolume(domain, node, `${entry.storage}:${name}`))
    throw fail(`disk image '${volumePath(entry, name)}' already exists`);
  addVolume(domain, node, entry, { name, content: "images", format, size, used: MIB, vmid }, "disk\n");
  return `${entry.storage}:${name}`;
}

const FOLDER: Record<string, string> = { iso: "iso", vztmpl: "vztmpl", import: "import" };
const EXTENSION: Record<string, RegExp> = {
  iso: /\.(iso|img)$/i,
  vztmpl: /\.tar\.(gz|xz|zst|bz2)$/,
  import: /\.(ova|qcow2|raw|vmdk|img)$/,
};

function fileFormat(content: string, name: string): string {
  if (content === "iso") return "iso";
  if (content === "vztmpl")
    return `t${/\.tar\.(\w+)$/.exec(name)?.[1]?.replace("zst", "zst") ?? "gz"}`.replace("tzst", "tzst");
  return /\.(\w+)$/.exec(name)?.[1] ?? "raw";
}

function checkFile(entry: StorageEntry, content: string, name: string): void {
  if (!FOLDER[content])
    throw badParameters({
      content: `value '${content}' does not have a value in the enumeration 'iso, vztmpl, import'`,
    });
  if (!entry.content.split(",").includes(content))
    throw fail(`storage '${entry.storage}' is not configured for content-type '${content}'`);
  if (!EXTENSION[content]!.test(name)) throw badParameters({ filename: "wrong file extension" });
}

function verify(data: Buffer, algorithm: string | undefined, checksum: string | undefined): void {
  if (!algorithm || !checksum) return;
  const found = createHash(algorithm).update(data).digest("hex");
  if (found.toLowerCase() !== checksum.toLowerCase())
    throw new Error(`checksum mismatch: got '${found}' != expect '${checksum}'`);
}

/**
 * What a download brings. The lab does not go out to the Internet: a file of that name on the lab's shelf
 * (`<folder>/shelf`) is taken, else one is made from the address, always the same for the same address.
 */
export function fetched(call: Call, url: string): { data: Buffer; size: number; virtualSize: number } {
  const name = decodeURIComponent(new URL(url).pathname.split("/").pop() ?? "");
  const file = path.join(call.world.shelf, path.basename(name));
  if (name !== "" && fs.existsSync(file)) {
    const data = fs.readFileSync(file);
    return { data, size: data.length, virtualSize: DEFAULT_VIRTUAL };
  }
  return { data: Buffer.from(`image ${url}\n`), size: DEFAULT_IMAGE, virtualSize: DEFAULT_VIRTUAL };
}

function download(call: Call): string {
  const { domain, node, params, identity } = call;
  const entry = entryOf(call);
  const content = params.content ?? "";
  const name = params.filename ?? "";
  checkFile(entry, content, name);
  const volumeName = `${FOLDER[content]}/${name}`;
  const volid = `${entry.storage}:${volumeName}`;
  return startTask(domain, {
    node,
    type: "download",
    id: name.slice(0, 64).replace(/:/g, "_"),
    user: identity.full,
    work: async (handle) => {
      const url = params.url!;
      handle.log(`downloading ${url} to ${volumePath(entry, volumeName)}`);
      const existing = findVolume(domain, node, volid);
      const { data, size, virtualSize } = fetched(call, url);
      await handle.takes(1 + size / (100 * MIB));
      verify(data, params["checksum-algorithm"], params.checksum);
      if (existing) removeVolume(domain, existing);
      addVolume(
        domain,
        node,
        entry,
        { name: volumeName, content, format: fileFormat(content, name), size, used: size, virtualSize },
        data,
      );
      handle.log(`download of '${url}' to '${volumePath(entry, volumeName)}' finished`);
    },
  });
}

function upload(call: Call): string {
  const { domain, node, params, identity, file } = call;
  const entry = entryOf(call);
  const content = params.content ?? "";
  if (!file) throw badParameters({ filename: "property is missing and it is not optional" });
  checkFile(entry, content, file.name);
  const name = `${FOLDER[content]}/${file.name}`;
  return startTask(domain, {
    node,
    type: "imgcopy",
    id: "",
    user: identity.full,
    seconds: 0.5,
    work: (handle) => {
      verify(file.data, params["checksum-algorithm"], params.checksum);
      const existing = findVolume(domain, node, `${entry.storage}:${name}`);
      if (existing) removeVolume(domain, existing);
      addVolume(
        domain,
        node,
        entry,
        {
          name,
          content,
          format: fileFormat(content, file.name),
          size: file.data.length,
          used: file.data.length,
          virtualSize: DEFAULT_VIRTUAL,
        },
        file.data,
      );
      handle.log(
        `starting file import from: /var/tmp/pveupload`,
        `target node: ${node}`,
        `target file: ${volumePath(entry, name)}`,
        "finished file import successfully",
      );
    },
  });
}

/** Bytes of a volume, for tests that compare what was restored. */
export function bytesOf(call: Call, volid: string): Buffer | undefined {
  const volume = findVolume(call.domain, call.node, volid);
  return volume ? fs.readFileSync(volumeFile(call.domain, volume)) : undefined;
}

/** What lies on the storages. */
export const contentRoutes: Route[] = [
  route("GET", CONTENT, AUDIT, listContent),
  route("POST", CONTENT, perm("/storage/{storage}", "Datastore.AllocateSpace"), allocate),
  route("GET", `${CONTENT}/{volume}`, AUDIT, showVolume),
  route("PUT", `${CONTENT}/{volume}`, perm("/storage/{storage}", "Datastore.Allocate"), changeVolume),
  route("DELETE", `${CONTENT}/{volume}`, undefined, deleteVolume),
  route(
    "POST",
    "/nodes/{node}/storage/{storage}/download-url",
    { every: [perm("/storage/{storage}", "Datastore.AllocateTemplate"), FETCH] },
    download,
  ),
  route(
    "POST",
    "/nodes/{node}/storage/{storage}/upload",
    perm("/storage/{storage}", "Datastore.AllocateTemplate"),
    upload,
  ),
  route("GET", "/nodes/{node}/query-url-metadata", FETCH, (call) => {
    const url = call.params.url ?? "";
    const { size } = fetched(call, url);
    return { filename: new URL(url).pathname.split("/").pop(), size, mimetype: "application/octet-stream" };
  }),
];
