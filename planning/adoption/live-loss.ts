/** What the loss of each server of a running cluster means: who stops, who comes back, and whether the others have room. */
import { byName, sum } from "../units";
import { allListed, hasBackup } from "./live-backups";
import { diesWith, type Facts, type LiveGuest, sees, toGiB } from "./live-facts";
import { fateOf, type Stranded } from "./live-fate";
import type { Fate, GuestLoss, LiveQuorum, Room, ServerLoss } from "./live-types";
import type { NodeSnapshot } from "./snapshot";

/** The worst first. */
const WORST: Fate[] = ["nothing", "unknown", "backup", "replica", "shared", "ha-replica", "ha"];
/** Kept for the host where the plan has no server of this name: as in the specification's defaults. */
const HOST = { cores: 1, memoryGiB: 4 };
/** A storage that is filled further is slow, or stops its guests. */
const FILL_LIMIT = 0.9;

/** Votes of the cluster without a server, or as they are now. Undefined: there is no cluster. */
export function votesWithout({ snapshot, isUnread }: Facts, lost?: string): LiveQuorum | undefined {
  if (snapshot.cluster === undefined) return undefined;
  const device = snapshot.qdevice === true ? 1 : 0;
  const expected = snapshot.nodes.length + device;
  const votes = snapshot.nodes.filter(({ name, online }) => online && name !== lost).length + device;
  const needed = Math.floor(expected / 2) + 1;
  const unsure = snapshot.qdevice === undefined || isUnread(/qdevice|third vote/i);
  return { votes, expected, needed, quorate: votes >= needed, unsure };
}

/** What runs on each server now. */
export function loadNow(facts: Facts): Room[] {
  return new Loads(facts, undefined, new Set()).rooms();
}

/** One for each server, by name. */
export function lossesOf(facts: Facts): ServerLoss[] {
  return facts.nodes.map((node) => lossOf(facts, node));
}

function lossOf(facts: Facts, { name: lost, online }: NodeSnapshot): ServerLoss {
  const quorum = votesWithout(facts, lost);
  const stranded = facts.guests
    .filter(({ running }) => running)
    .flatMap((guest) => fateOf(facts, guest, lost, quorum) ?? []);
  const loads = new Loads(facts, lost, new Set(stranded.map(({ guest }) => guest.id)));
  const guests = placed(stranded, loads).sort(
    (a, b) => Number(a.comesBack) - Number(b.comesBack) || WORST.indexOf(a.fate) - WORST.indexOf(b.fate) || a.id - b.id,
  );
  const here = facts.guests.filter(({ node, running }) => node === lost && !running);
  const room = loads.rooms();
  return {
    server: lost,
    online,
    guests,
    counts: countsOf(guests),
    withoutBackup: withoutBackup(facts, stranded, guests),
    ...(quorum && { quorum }),
    storages: storagesGone(facts, lost),
    room,
    restores: restoresOf(facts, guests, room, lost),
    stopped: here.filter(({ template }) => !template).length,
    templates: here.filter(({ template }) => template).length,
  };
}

function countsOf(guests: readonly GuestLoss[]): ServerLoss["counts"] {
  const count = (test: (guest: GuestLoss) => boolean) => guests.filter(test).length;
  const isRestored = ({ fate }: GuestLoss) => fate === "backup" || fate === "nothing" || fate === "unknown";
  return {
    itself: count(({ comesBack, byItself }) => comesBack && byItself),
    person: count(({ comesBack, byItself }) => comesBack && !byItself),
    noRoom: count((guest) => !guest.comesBack && !isRestored(guest)),
    backup: count(({ fate }) => fate === "backup"),
    nothing: count(({ fate }) => fate === "nothing"),
    unknown: count(({ fate }) => fate === "unknown"),
  };
}

/** Guests that do not come back and of which no backup is known at all; backups that die with the server are none. */
function withoutBackup(facts: Facts, stranded: readonly Stranded[], guests: readonly GuestLoss[]): number {
  const staysAway = new Set(guests.filter(({ comesBack }) => !comesBack).map(({ id }) => id));
  return stranded.filter(
    ({ guest, backup }) =>
      staysAway.has(guest.id) && backup === undefined && (allListed(facts) || !hasBackup(facts, guest)),
  ).length;
}

/** Those that HA starts come first, then replicas, which have one place, then what can start anywhere, the largest first. */
function placed(stranded: readonly Stranded[], loads: Loads): GuestLoss[] {
  const rank = ({ byItself, candidates }: Stranded) => (byItself ? 0 : candidates.length === 1 ? 1 : 2);
  const order = stranded.toSorted(
    (a, b) => rank(a) - rank(b) || b.guest.memoryGiB - a.guest.memoryGiB || a.guest.id - b.guest.id,
  );
  return order.map((each) => {
    const { guest, fate, byItself, candidates, how, backup } = each;
    const on = loads.take(guest, candidates);
    const noRoom = on === undefined && candidates.length > 0;
    const { id, title, node: server, memoryGiB, cores, diskGiB } = guest;
    return {
      id,
      title,
      server,
      fate,
      byItself: byItself && on !== undefined,
      comesBack: on !== undefined,
      ...(on !== undefined && { on }),
      how: noRoom ? `${how}; but there is no room: ${loads.lack(guest, candidates)}` : how,
      memoryGiB,
      cores,
      diskGiB: toGiB(diskGiB * 1024 ** 3),
      ...(backup && { backup }),
    };
  });
}

/** What runs on each server that is left. What does not fit is counted all the same: by how much is the question. */
class Loads {
  readonly #rooms = new Map<string, Room & { physicalCores: number }>();
  readonly #overheadGiB: number;

  constructor(facts: Facts, lost: string | undefined, stopped: ReadonlySet<number>) {
    this.#overheadGiB = facts.plan.spec.policies.memoryOverheadGiB;
    for (const node of facts.nodes)
      if (node.online && node.name !== lost) this.#rooms.set(node.name, limitsOf(facts, node));
    for (const guest of facts.guests) if (guest.running && !stopped.has(guest.id)) this.#add(guest, guest.node);
  }

  /** Takes a guest in on the candidate with most memory left. @returns The server; undefined: it does not fit there. */
  take(guest: LiveGuest, candidates: readonly string[]): string | undefined {
    const [best] = this.#byRoom(guest, candidates);
    if (best === undefined) return undefined;
    this.#add(guest, best.server);
    best.takes++;
    const fits = best.memoryGiB <= best.memoryLimitGiB && guest.cores <= best.physicalCores;
    return fits ? best.server : undefined;
  }

  /** Why a guest that was taken does not fit. */
  lack(guest: LiveGuest, candidates: readonly string[]): string {
    const rooms = this.#byRoom(guest, candidates);
    const fewest = rooms.every(({ physicalCores }) => physicalCores < guest.cores);
    if (fewest) return `it has ${guest.cores} cores, more than ${rooms.map(({ server }) => server).join(" or ")}`;
    return `it needs ${toText(guest.memoryGiB)} GiB of memory`;
  }

  rooms(): Room[] {
    return [...this.#rooms.values()].map(({ physicalCores: _, ...room }) => ({
      ...room,
      fits: room.memoryGiB <= room.memoryLimitGiB && room.cores <= room.coreLimit,
    }));
  }

  #byRoom({ cores }: LiveGuest, candidates: readonly string[]) {
    const free = (room: Room) => room.memoryLimitGiB - room.memoryGiB;
    return candidates
      .flatMap((name) => this.#rooms.get(name) ?? [])
      .sort(
        (a, b) =>
          Number(b.physicalCores >= cores) - Number(a.physicalCores >= cores) ||
          free(b) - free(a) ||
          byName(a.server, b.server),
      );
  }

  #add({ memoryGiB, cores }: LiveGuest, server: string): void {
    const room = this.#rooms.get(server);
    if (room === undefined) return;
    room.memoryGiB = sum([room.memoryGiB, memoryGiB, this.#overheadGiB]);
    room.cores += cores;
  }
}

const toText = (value: number) => String(Math.round(value * 100) / 100);

/** The plan's limits, or the same from what the server has; a size that was not read is room for nothing. */
function limitsOf({ plan }: Facts, { name, cores = 0, memory = 0 }: NodeSnapshot): Room & { physicalCores: number } {
  const before = plan.servers[name]?.capacity.before;
  return {
    server: name,
    memoryGiB: 0,
    memoryLimitGiB: before?.memoryLimitGiB ?? Math.max(0, toGiB(memory) - HOST.memoryGiB),
    cores: 0,
    takes: 0,
    coreLimit: before?.coreLimit ?? Math.max(0, cores - HOST.cores) * plan.spec.policies.coreOvercommit,
    fits: true,
    physicalCores: cores,
  };
}

function storagesGone(facts: Facts, lost: string): string[] {
  return [...facts.stores.values()]
    .filter(({ entry, shared }) => {
      if (entry.disabled || diesWith(facts, entry.storage, lost, lost) !== true) return false;
      return shared || entry.nodes === undefined || entry.nodes.includes(lost);
    })
    .map(({ entry }) => entry.storage)
    .sort(byName);
}

/** Room for those that only a restore brings back, on whatever is left, all of it together. */
function restoresOf(
  facts: Facts,
  guests: readonly GuestLoss[],
  room: readonly Room[],
  lost: string,
): ServerLoss["restores"] {
  const restored = guests.filter(({ fate }) => fate === "backup");
  const overhead = facts.plan.spec.policies.memoryOverheadGiB;
  const memoryGiB = sum(restored.map((guest) => guest.memoryGiB + overhead));
  const freeMemoryGiB = sum(room.map((each) => Math.max(0, each.memoryLimitGiB - each.memoryGiB)));
  const diskGiB = sum(restored.map((guest) => guest.diskGiB));
  return {
    guests: restored.length,
    memoryShortGiB: toGiB(Math.max(0, memoryGiB - freeMemoryGiB) * 1024 ** 3),
    storageShortGiB: toGiB(Math.max(0, diskGiB - freeStorageGiB(facts, lost)) * 1024 ** 3),
  };
}

/** What is free for disks on storages that are left; a shared one counts once. */
function freeStorageGiB(facts: Facts, lost: string): number {
  const seen = new Set<string>();
  let free = 0;
  for (const node of facts.nodes.filter(({ name, online }) => online && name !== lost)) {
    for (const { storage, total, used } of node.storages) {
      const store = facts.stores.get(storage);
      const takesDisks = store?.entry.content.some((content) => content === "images" || content === "rootdir");
      const key = store?.shared ? storage : `${storage}@${node.name}`;
      if (!takesDisks || seen.has(key) || !sees(facts, node.name, storage)) continue;
      if (diesWith(facts, storage, node.name, lost) !== false) continue;
      seen.add(key);
      free += Math.max(0, total * FILL_LIMIT - used);
    }
  }
  return toGiB(free);
}
