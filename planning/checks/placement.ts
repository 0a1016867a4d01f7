/** Servers, storages and bridges that guests need, on the primary and on the spare. */

import { afterLoss, liesOn } from "../capacity";
import { type Context, own, type Placed, type SeenStorage } from "../context";
import { nearest } from "../nearest";
import type { DiskSpec } from "../schema";
import { list } from "../units";

/** Checks where guests and their disks and interfaces are. */
export function checkPlacement(context: Context): void {
  for (const guest of context.guests) {
    checkPrimary(context, guest);
    checkSpare(context, guest);
    for (const [index, disk] of guest.spec.disks.entries()) checkDisk(context, guest, disk, index);
    checkExports(context, guest);
    checkBridges(context, guest);
    checkMountPaths(context, guest);
  }
  for (const { name, spec } of context.servers)
    if (spec.roles.includes("hypervisor") && spec.applications.length > 0)
      context.add(
        "HYPERVISOR-APPLICATIONS",
        `servers.${name}.applications`,
        `${name} is a hypervisor and carries ${list(spec.applications)} itself: a hypervisor carries no applications of its own.`,
        `Move ${list(spec.applications)} into a guest, and clear servers.${name}.applications.`,
      );
}

/** ' Did you mean srv1?' or the known servers. */
export function serverFix(context: Context, path: string, wrong: string, candidates: readonly string[]): string {
  const close = nearest(wrong, candidates);
  if (close !== undefined) return `Did you mean ${close}? Set ${path} to ${close}.`;
  return candidates.length === 0
    ? `Add a server to the section servers.`
    : `Set ${path} to ${list(candidates, "or")}${context.server(wrong) ? "" : `, or add servers.${wrong}`}.`;
}

function checkPrimary(context: Context, { name, primary }: Placed): void {
  const path = `guests.${name}.on`;
  if (context.server(primary) === undefined)
    context.add(
      "SERVER-UNKNOWN",
      path,
      `${name} is to run on '${primary}', which does not exist.`,
      serverFix(context, path, primary, context.hypervisors),
    );
  else if (!context.isHypervisor(primary))
    context.add(
      "GUEST-NOT-ON-HYPERVISOR",
      path,
      `${name} is to run on ${primary}, which is no hypervisor (${list(context.server(primary)?.roles ?? [])}).`,
      serverFix(context, path, primary, context.hypervisors),
    );
}

function checkSpare(context: Context, { name, primary, spare }: Placed): void {
  if (spare === undefined) return;
  const path = `guests.${name}.coldReplica.on`;
  const others = context.hypervisors.filter((candidate) => candidate !== primary);
  if (context.server(spare) === undefined)
    context.add(
      "SERVER-UNKNOWN",
      path,
      `${name} is to keep its replica on '${spare}', which does not exist.`,
      serverFix(context, path, spare, others),
    );
  else if (spare === primary)
    context.add(
      "REPLICA-ON-PRIMARY",
      path,
      `${name} keeps its replica on ${spare}, its own primary: both are lost together.`,
      others.length === 0 ? "Add a second hypervisor." : `Set ${path} to ${list(others, "or")}.`,
    );
  else if (!context.isHypervisor(spare))
    context.add(
      "REPLICA-NOT-ON-HYPERVISOR",
      path,
      `${name} keeps its replica on ${spare}, which cannot run it: it is no hypervisor (${list(context.server(spare)?.roles ?? [])}).`,
      others.length === 0 ? "Add a second hypervisor." : `Set ${path} to ${list(others, "or")}.`,
    );
}

function checkDisk(context: Context, guest: Placed, disk: DiskSpec, index: number): void {
  const { name, spec, primary, spare } = guest;
  if (disk.usedGiB !== undefined && disk.usedGiB > disk.sizeGiB)
    context.add(
      "DISK-OVERFULL",
      `guests.${name}.disks[${index}].usedGiB`,
      `Disk ${index} of ${name} has ${disk.sizeGiB} GiB and is to hold ${disk.usedGiB} GiB.`,
      `Raise guests.${name}.disks[${index}].sizeGiB, or correct usedGiB.`,
    );
  const path = `guests.${name}.disks[${index}].storage`;
  const content = spec.kind === "vm" ? "images" : "rootdir";
  checkStorage(context, {
    server: primary,
    storage: disk.storage,
    content,
    path,
    what: `Disk ${index} of ${name}`,
    side: "primary",
  });
  if (spare === undefined || spare === primary) return;
  const other = spec.coldReplica?.method === "restore" ? spec.coldReplica.storage : undefined;
  checkStorage(context, {
    server: spare,
    storage: other ?? disk.storage,
    content,
    path: other === undefined ? path : `guests.${name}.coldReplica.storage`,
    what: `Disk ${index} of ${name}`,
    side: "spare",
  });
}

/** The disks of a container after the first are mounted at /srv/<name>. */
function checkMountPaths(context: Context, { name, spec }: Placed): void {
  if (spec.kind !== "container") return;
  const first = new Map<string, number>();
  for (const [index, disk] of spec.disks.entries()) {
    if (index === 0) continue;
    const mount = disk.name ?? `data${index}`;
    const other = first.get(mount);
    if (other === undefined) first.set(mount, index);
    else
      context.add(
        "DISK-NAME-DUPLICATE",
        `guests.${name}.disks[${index}].name`,
        `Disks ${other} and ${index} of ${name} are both mounted at /srv/${mount}: one would hide the other.`,
        `Give disk ${index} another name.`,
      );
  }
}

export interface StorageUse {
  server: string;
  storage: string;
  content: "images" | "rootdir" | "import" | "iso" | "vztmpl" | "backup";
  path: string;
  what: string;
  side: "primary" | "spare";
}

/** Checks that a server has a storage for a kind of content; answers the storage as the server sees it. */
export function checkStorage(context: Context, use: StorageUse): SeenStorage | undefined {
  const { server, storage, content, path, what, side } = use;
  const spec = context.server(server);
  // An unknown server, or one that cannot run the guest anyway, is a finding of its own.
  if (spec === undefined || !context.isHypervisor(server)) return undefined;
  const seen = context.storageOn(server, storage);
  if (seen?.storage.content.includes(content)) return seen;
  const candidates = [...Object.keys(spec.storages), ...Object.keys(context.spec.storages)]
    .filter((id) => context.storageOn(server, id)?.storage.content.includes(content))
    .sort();
  if (seen === undefined) {
    const close = nearest(storage, candidates);
    const instead = close ?? list(candidates, "or");
    const shared = own(context.spec.storages, storage);
    context.add(
      side === "primary" ? "STORAGE-UNKNOWN" : "STORAGE-MISSING-ON-SPARE",
      path,
      `${what} needs storage '${storage}' on ${server}, which ${shared ? "does not mount it" : "has none of that name"}.`,
      shared
        ? `Add ${server} to storages.${storage}.mountedBy.`
        : `Add servers.${server}.storages.${storage}${instead === "" ? "" : `, or set ${path} to ${instead}`}.`,
    );
  } else {
    const where = seen.shared ? `storages.${storage}` : `servers.${server}.storages.${storage}`;
    context.add(
      "STORAGE-CONTENT",
      path,
      `${what} needs content '${content}' on storage ${storage} of ${server}, which takes ${list(seen.storage.content)} only.`,
      `Add '${content}' to ${where}.content${candidates.length > 0 ? `, or use ${list(candidates, "or")}` : ""}.`,
    );
  }
  return seen;
}

/** Disks on another server's export make that server one more whose loss stops the guest. */
function checkExports(context: Context, guest: Placed): void {
  const { name, activeServer, spec } = guest;
  for (const { name: exporter } of context.servers) {
    if (exporter === activeServer || !liesOn(context, guest, guest.activeSide, exporter)) continue;
    if (!afterLoss(context, exporter).lost.some((lost) => lost.name === name)) continue;
    const ids = [...new Set(spec.disks.map(({ storage }) => storage))].filter(
      (id) => own(context.spec.storages, id)?.server === exporter,
    );
    context.add(
      "STORAGE-SINGLE-POINT",
      `guests.${name}.disks`,
      `${name} has disks on ${list(ids)}, which ${exporter} exports: when ${exporter} is lost, ${name} stops and nothing takes over.`,
      "Put the disks on a local storage, or give it a replica by restore on another storage.",
    );
  }
}

function checkBridges(context: Context, { name, spec, primary, spare }: Placed): void {
  const mapping = spec.coldReplica?.networks ?? {};
  for (const [index, nic] of spec.networks.entries())
    for (const server of spare === undefined || spare === primary ? [primary] : [primary, spare]) {
      const onSpare = server !== primary;
      const wanted = (onSpare ? own(mapping, nic.network) : undefined) ?? nic.network;
      const network = own(context.spec.networks, wanted);
      const bridges = context.isHypervisor(server) ? context.server(server)?.bridges : undefined;
      if (network === undefined || bridges === undefined || Object.hasOwn(bridges, network.bridge)) continue;
      context.add(
        onSpare ? "BRIDGE-MISSING-ON-SPARE" : "BRIDGE-MISSING",
        `guests.${name}.networks[${index}]`,
        `${onSpare ? "The spare of " : ""}${name} needs bridge ${network.bridge} (network ${wanted}) on ${server}, which has ${list(Object.keys(bridges)) || "no bridge"}.`,
        `Add servers.${server}.bridges.${network.bridge}, or correct networks.${wanted}.bridge.`,
      );
    }
}
