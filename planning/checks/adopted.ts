/** Words for what was there before: who may use them, and whether they fit together. */
import { type Context, type Placed, sorted } from "../context";
import type { DiskSpec, GuestSpec, SharedStorageSpec } from "../schema";
import { isOnlyCounted } from "../storage-types";
import { list } from "../units";

/** Checks names of servers, guests that were taken over, and storages that are only counted. */
export function checkAdopted(context: Context): void {
  checkServerNames(context);
  for (const guest of context.guests) {
    checkNotAdopted(context, guest);
    checkSockets(context, guest);
    checkDiskInterfaces(context, guest);
    checkCardInterfaces(context, guest);
  }
  for (const { name, spec } of context.servers)
    for (const [id, storage] of sorted(spec.storages))
      if (storage.managed && isOnlyCounted(storage))
        reportCounted(context, id, storage.type, `servers.${name}.storages.${id}`);
  for (const [id, storage] of sorted(context.spec.storages)) checkShared(context, id, storage);
}

function checkServerNames(context: Context): void {
  const byLowerCase = new Map<string, string[]>();
  for (const { name } of context.servers) {
    const key = name.toLowerCase();
    byLowerCase.set(key, [...(byLowerCase.get(key) ?? []), name]);
  }
  for (const names of byLowerCase.values())
    if (names.length > 1)
      context.add(
        "SERVER-NAMES-ALIKE",
        `servers.${names.at(-1)}`,
        `The servers ${list(names)} differ in capital letters alone: to the network they are one name.`,
        `Rename ${list(
          names.map((name) => `servers.${name}`),
          "or",
        )}.`,
      );
}

function checkNotAdopted(context: Context, { name, spec }: Placed): void {
  if (spec.adopted) return;
  const report = (path: string, message: string, instead: string) =>
    context.add(
      "GUEST-NOT-ADOPTED",
      path,
      message,
      `Set guests.${name}.adopted to true if ${name} exists already; ${instead}.`,
    );
  if (spec.keep.length > 0)
    report(
      `guests.${name}.keep`,
      `${name} keeps its ${list(spec.keep)} as they are, and is not adopted: there is nothing yet that could be kept.`,
      `or remove guests.${name}.keep`,
    );
  for (const [index, disk] of spec.disks.entries()) {
    const path = `guests.${name}.disks[${index}]`;
    if (!Number.isInteger(disk.sizeGiB))
      report(
        `${path}.sizeGiB`,
        `Disk ${index} of ${name} is to have ${disk.sizeGiB} GiB: a disk that coldspare makes has whole GiB.`,
        `or write ${Math.ceil(disk.sizeGiB)}`,
      );
    if (/^(virtio|sata|ide)/.test(disk.interface ?? ""))
      report(
        `${path}.interface`,
        `Disk ${index} of ${name} is to be ${disk.interface}: disks that coldspare makes are scsi disks.`,
        `or remove ${path}.interface`,
      );
  }
}

function checkSockets(context: Context, { name, spec }: Placed): void {
  if (spec.kind !== "vm" || spec.cores % spec.sockets === 0) return;
  const next = Math.ceil(spec.cores / spec.sockets) * spec.sockets;
  context.add(
    "GUEST-SOCKETS",
    `guests.${name}.sockets`,
    `${name} has ${spec.cores} cores on ${spec.sockets} sockets: each socket has the same number of them.`,
    `Set guests.${name}.cores to ${next}, or guests.${name}.sockets to 1.`,
  );
}

/** Disks of each kind that Proxmox VE numbers, and how many there can be. */
const DISK_COUNTS: Readonly<Record<GuestSpec["kind"], Readonly<Record<string, number>>>> = {
  vm: { scsi: 31, virtio: 16, sata: 6, ide: 4 },
  container: { rootfs: 1, mp: 256 },
};
const CARDS = 32;

/** What the disk at a place in the list is called. */
export function diskInterface(kind: GuestSpec["kind"], disk: Pick<DiskSpec, "interface">, index: number): string {
  if (disk.interface !== undefined) return disk.interface;
  if (kind === "vm") return `scsi${index}`;
  return index === 0 ? "rootfs" : `mp${index - 1}`;
}

function checkDiskInterfaces(context: Context, { name, spec }: Placed): void {
  const interfaces = spec.disks.map((disk, index) => diskInterface(spec.kind, disk, index));
  for (const [index, text] of interfaces.entries()) {
    if (spec.disks[index]?.interface === undefined || isPossible(spec.kind, text, index)) continue;
    context.add(
      "INTERFACE-IMPOSSIBLE",
      `guests.${name}.disks[${index}].interface`,
      `Disk ${index} of ${name} is to be ${text}, which ${spec.kind === "vm" ? "a machine does not have" : index === 0 ? "is no container's first disk" : "a container does not have there"}.`,
      `Remove guests.${name}.disks[${index}].interface, or set it to ${spec.kind === "vm" ? "scsi0 to scsi30" : index === 0 ? "rootfs" : "mp0 to mp255"}.`,
    );
  }
  reportTwice(context, `guests.${name}.disks`, `Disks`, name, interfaces);
}

function isPossible(kind: GuestSpec["kind"], text: string, index: number): boolean {
  const [, word = "", number = "0"] = /^([a-z]+)(\d*)$/.exec(text) ?? [];
  const isFirst = kind === "vm" || (word === "rootfs") === (index === 0);
  return isFirst && Number(number || 0) < (DISK_COUNTS[kind][word] ?? 0);
}

function checkCardInterfaces(context: Context, { name, spec }: Placed): void {
  const interfaces = spec.networks.map((card, index) => card.interface ?? `net${index}`);
  for (const [index, text] of interfaces.entries())
    if (Number(text.slice("net".length)) >= CARDS)
      context.add(
        "INTERFACE-IMPOSSIBLE",
        `guests.${name}.networks[${index}].interface`,
        `Card ${index} of ${name} is to be ${text}, which no guest has.`,
        `Remove guests.${name}.networks[${index}].interface, or set it to net0 to net31.`,
      );
  reportTwice(context, `guests.${name}.networks`, "Cards", name, interfaces);
}

function reportTwice(context: Context, path: string, what: string, guest: string, interfaces: readonly string[]): void {
  for (const [index, text] of interfaces.entries()) {
    const first = interfaces.indexOf(text);
    if (first === index) continue;
    context.add(
      "INTERFACE-DUPLICATE",
      `${path}[${index}].interface`,
      `${what} ${first} and ${index} of ${guest} are both ${text}.`,
      `Set ${path}[${index}].interface to one that is free, or leave it out of all of them.`,
    );
  }
}

function checkShared(context: Context, id: string, storage: SharedStorageSpec): void {
  const { type, server, export: exported, managed } = storage;
  const path = `storages.${id}`;
  if (type !== "nfs" && type !== "cifs") {
    if (managed) reportCounted(context, id, type, path);
    return;
  }
  const missing = [...(server === undefined ? ["server"] : []), ...(exported === undefined ? ["export"] : [])];
  if (missing.length > 0)
    context.add(
      "STORAGE-SHARE-INCOMPLETE",
      `${path}.${missing[0]}`,
      `Storage ${id} is of type ${type}, and does not say ${list(missing)}.`,
      `Add ${list(missing.map((key) => `${path}.${key}`))}.`,
    );
}

function reportCounted(context: Context, id: string, type: string, path: string): void {
  context.add(
    "STORAGE-ONLY-COUNTED",
    `${path}.managed`,
    `Storage ${id} is of type ${type} and managed: \`pulumi up\` makes no storage entry of this type.`,
    `Set ${path}.managed to false, and make the entry by hand if it is not there.`,
  );
}
