/**
 * What fits on a server: memory with the overhead of each guest, virtual cores up to the overcommit, and no guest with
 * more cores than the server has (Proxmox VE refuses to start it: 'MAX n vcpus allowed per VM on this node').
 */
import { type Context, own, type Placed } from "./context";
import type { Usage } from "./plan";
import type { GuestSpec, ServerSpec, Side, SiteSpec } from "./schema";
import { byName, sum } from "./units";

/** Memory and cores of some guests on a server, next to its limits. */
export function usageOf(server: ServerSpec, guests: readonly Placed[], policies: SiteSpec["policies"]): Usage {
  const memoryGiB = sum(guests.map(({ spec }) => spec.memoryGiB + policies.memoryOverheadGiB));
  const memoryLimitGiB = sum([Math.max(0, server.memoryGiB - server.hostReserve.memoryGiB)]);
  const cores = guests.reduce((total, { spec }) => total + spec.cores, 0);
  const coreLimit = sum([Math.max(0, server.cores - server.hostReserve.cores) * policies.coreOvercommit]);
  return {
    memoryGiB,
    memoryLimitGiB,
    cores,
    coreLimit,
    guests: guests.map(({ name }) => name).sort(byName),
    fits: memoryGiB <= memoryLimitGiB && cores <= coreLimit && guests.every(({ spec }) => canRun(server, spec)),
  };
}

/** Whether a server has the cores that a guest needs at all, whatever else runs there. */
export function canRun(server: ServerSpec, guest: GuestSpec): boolean {
  return coresAtStart(guest) <= server.cores;
}

/** Cores that Proxmox VE reserves the numbers of when it starts a guest: with hotplug, all that it may grow to. */
export function coresAtStart(guest: GuestSpec): number {
  return Math.max(guest.cores, guest.kind === "vm" ? (guest.hotplug?.maximumCores ?? 0) : 0);
}

/** Who runs where after a loss. */
export interface Outcome {
  /** By server: everything that is to run there. */
  running: Record<string, Placed[]>;
  usage: Record<string, Usage>;
  /** Guests that start on another server, in boot order. */
  moved: { guest: Placed; to: string }[];
  /** Guests that stop with the lost server and that no other server can take over. */
  lost: Placed[];
  /** Guests that stay off to make room. */
  shed: Placed[];
}

/** Guests in the order in which a server starts them. */
export function byBootOrder(a: Placed, b: Placed): number {
  return a.spec.boot.order - b.spec.boot.order || byName(a.name, b.name);
}

/** More important first; the name settles ties, so that no order in the file ever does. */
function byImportance(a: Placed, b: Placed): number {
  return b.spec.priority - a.spec.priority || byName(a.name, b.name);
}

/**
 * Whether the loss of a server costs no data of a guest that runs there: all of its disks lie on shared storages, which
 * that server does not export. Somebody can start it elsewhere, from a configuration or a backup of it.
 */
export function keepsData(context: Context, { activeServer, spec }: Placed, lostServer: string): boolean {
  return spec.disks.every((disk) => {
    const seen = context.storageOn(activeServer, disk.storage);
    return seen?.shared === true && seen.storage.server !== lostServer;
  });
}

/** Whether a side of a guest has disks on a storage that a server exports: they are gone together with that server. */
export function liesOn(context: Context, guest: Placed, side: Side, exporter: string | undefined): boolean {
  const replica = guest.spec.coldReplica;
  const server = side === "primary" ? guest.primary : guest.spare;
  if (server === undefined || exporter === undefined) return false;
  const restored = side === "spare" && replica?.method === "restore" ? replica.storage : undefined;
  return guest.spec.disks.some((disk) => {
    const seen = context.storageOn(server, restored ?? disk.storage);
    return seen?.shared === true && seen.storage.server === exporter;
  });
}

/** Who runs where after the loss of one server; nobody is lost when `lost` is undefined. A guest that is normally off is nowhere in it. */
export function afterLoss(context: Context, lostServer?: string): Outcome {
  const { policies } = context.spec;
  const outcome: Outcome = { running: {}, usage: {}, moved: [], lost: [], shed: [] };
  const left = context.servers.filter(({ name }) => name !== lostServer);
  for (const { name } of left) outcome.running[name] = [];

  for (const guest of context.guests) {
    if (!guest.spec.started) continue;
    const otherSide = guest.activeSide === "primary" ? "spare" : "primary";
    const staying = guest.activeServer !== lostServer && !liesOn(context, guest, guest.activeSide, lostServer);
    const takesOver =
      context.isHypervisor(guest.standbyServer) &&
      guest.standbyServer !== lostServer &&
      !liesOn(context, guest, otherSide, lostServer);
    const target = staying ? guest.activeServer : takesOver ? guest.standbyServer : undefined;
    if (target === undefined) outcome.lost.push(guest);
    else if (!staying) outcome.moved.push({ guest, to: target });
    if (target !== undefined) own(outcome.running, target)?.push(guest);
  }

  for (const { name, spec } of left) {
    const wanted = outcome.running[name] ?? [];
    const kept = lostServer !== undefined && policies.allowShedding ? keepImportant(spec, wanted, policies) : wanted;
    outcome.shed.push(...wanted.filter((guest) => !kept.includes(guest)));
    outcome.running[name] = kept;
    outcome.usage[name] = usageOf(spec, kept, policies);
  }
  outcome.moved = outcome.moved.filter(({ guest }) => !outcome.shed.includes(guest));
  outcome.moved.sort((a, b) => byBootOrder(a.guest, b.guest));
  outcome.shed.sort((a, b) => -byImportance(a, b));
  return outcome;
}

/**
 * Leaves out sheddable guests, the least important first, until the rest fits: a guest stays off only if nothing less
 * important can make room for it. When even all of them off would not be enough, nobody is shed: it would not help.
 */
function keepImportant(server: ServerSpec, wanted: readonly Placed[], policies: SiteSpec["policies"]): Placed[] {
  const fits = (guests: readonly Placed[]) => usageOf(server, guests, policies).fits;
  if (fits(wanted)) return [...wanted];
  let kept = wanted.filter(({ spec }) => !spec.sheddable);
  if (!fits(kept)) return [...wanted];
  for (const guest of wanted.filter(({ spec }) => spec.sheddable).sort(byImportance))
    if (fits([...kept, guest])) kept = [...kept, guest];
  return kept;
}
