/**
 * A second opinion on plans, by enumeration: written without looking at how planning/ does it, and sharing nothing with
 * it but the types. Slow and simple on purpose.
 */
import type { Side, SiteSpec } from "../../planning/schema";

const ACTIVATION = 15;
const near = 1e-6;

interface Seat {
  guest: string;
  from: string;
  /** Where it may run after the loss; undefined: nowhere. */
  to: string | undefined;
  moves: boolean;
  mayStayOff: boolean;
}

export interface OracleLoss {
  survives: boolean;
  lost: string[];
  shed: string[];
  restarts: { guest: string; on: string; recoveryTimeSeconds: number }[];
  usage: Record<string, { memoryGiB: number; cores: number; fits: boolean; guests: string[] }>;
  quorate: boolean | undefined;
}

function isHypervisor(spec: SiteSpec, server: string | undefined): boolean {
  return server !== undefined && spec.servers[server]!.roles.includes("hypervisor");
}

/** All subsets of a set: 2^n of them. */
function subsets<T>(items: readonly T[]): T[][] {
  const all: T[][] = [];
  for (let mask = 0; mask < 2 ** items.length; mask++) all.push(items.filter((_, index) => mask & (1 << index)));
  return all;
}

function load(spec: SiteSpec, server: string, guests: readonly string[]) {
  const { cores, memoryGiB, hostReserve } = spec.servers[server]!;
  let memory = 0;
  let virtual = 0;
  let startable = true;
  for (const name of guests) {
    const guest = spec.guests[name]!;
    memory += guest.memoryGiB + spec.policies.memoryOverheadGiB;
    virtual += guest.cores;
    if (guest.cores > cores) startable = false;
  }
  const fits =
    startable &&
    memory <= Math.max(0, memoryGiB - hostReserve.memoryGiB) + near &&
    virtual <= Math.max(0, cores - hostReserve.cores) * spec.policies.coreOvercommit + near;
  return { memoryGiB: memory, cores: virtual, fits, guests: [...guests].sort() };
}

/** Whether a side has a disk on the share while the server that exports it is lost. A local storage of that name wins. */
function disksGone(spec: SiteSpec, name: string, side: Side, lost: string): boolean {
  const { on, coldReplica, disks } = spec.guests[name]!;
  const server = side === "primary" ? on : coldReplica?.on;
  if (server === undefined) return false;
  const forced = side === "spare" && coldReplica?.method === "restore" ? coldReplica.storage : undefined;
  for (const disk of disks) {
    const id = forced ?? disk.storage;
    const share = spec.storages[id];
    if (share === undefined || spec.servers[server]!.storages[id] !== undefined || share.server !== lost) continue;
    if (share.mountedBy === undefined ? isHypervisor(spec, server) : share.mountedBy.includes(server)) return true;
  }
  return false;
}

function seats(spec: SiteSpec, active: Record<string, Side>, lost: string): Seat[] {
  const normallyOn = Object.keys(spec.guests).filter((guest) => spec.guests[guest]!.started);
  return normallyOn.map((guest) => {
    const { on, coldReplica, sheddable } = spec.guests[guest]!;
    const spareRuns = coldReplica !== undefined && active[guest] === "spare";
    const from = spareRuns ? coldReplica.on : on;
    const other = coldReplica === undefined ? undefined : spareRuns ? on : coldReplica.on;
    const [here, there] = spareRuns ? (["spare", "primary"] as const) : (["primary", "spare"] as const);
    const moves = from === lost || disksGone(spec, guest, here, lost);
    const standby =
      other !== lost && isHypervisor(spec, other) && !disksGone(spec, guest, there, lost) ? other : undefined;
    const to = moves ? standby : from;
    return { guest, from, to, moves, mayStayOff: spec.policies.allowShedding && sheddable };
  });
}

/** More important guests first. */
function ranking(spec: SiteSpec, guests: readonly string[]): string[] {
  return [...guests].sort((a, b) => spec.guests[b]!.priority - spec.guests[a]!.priority || (a < b ? -1 : 1));
}

/** What the loss of a server means, by trying every set of guests that could stay off on every other server. */
export function lossOracle(spec: SiteSpec, active: Record<string, Side>, lostServer: string): OracleLoss {
  const all = seats(spec, active, lostServer);
  const usage: OracleLoss["usage"] = {};
  const shed: string[] = [];
  for (const server of Object.keys(spec.servers).filter((name) => name !== lostServer)) {
    const here = all.filter(({ to }) => to === server);
    const names = here.map(({ guest }) => guest);
    const possible = subsets(here.filter(({ mayStayOff }) => mayStayOff).map(({ guest }) => guest))
      .map((off) => names.filter((name) => !off.includes(name)))
      .filter((on) => load(spec, server, on).fits);
    const order = ranking(spec, names);
    // The best set keeps the most important guest if any set can, then the next one, and so on.
    const worth = (on: readonly string[]) => order.map((name) => (on.includes(name) ? "1" : "0")).join("");
    const best = possible.sort((a, b) => (worth(a) < worth(b) ? 1 : -1))[0] ?? names;
    shed.push(...names.filter((name) => !best.includes(name)));
    usage[server] = load(spec, server, best);
  }
  const lost = all.filter(({ to }) => to === undefined).map(({ guest }) => guest);
  const votes = quorate(spec, lostServer);
  return {
    survives: lost.length === 0 && Object.values(usage).every(({ fits }) => fits) && votes !== false,
    lost: lost.sort(),
    shed: shed.sort(),
    restarts: restarts(
      spec,
      all.filter(({ guest, moves, to }) => moves && to !== undefined && !shed.includes(guest)),
    ),
    usage,
    quorate: votes,
  };
}

/** Starts everything that moves one after another, with a clock. */
function restarts(spec: SiteSpec, moving: readonly Seat[]): OracleLoss["restarts"] {
  const started: OracleLoss["restarts"] = [];
  let clock = spec.policies.confirmSeconds;
  const queue = moving.map(({ guest, to }) => ({ guest, to: to! }));
  const groupOf = (guest: string) => Object.entries(spec.groups).find(([, { guests }]) => guests.includes(guest));
  // The guest that may start first is the one whose group, or which itself, has the smallest number and name.
  const rank = (guest: string): [number, string, number] => {
    const group = groupOf(guest);
    return group === undefined
      ? [spec.guests[guest]!.boot.order, guest, 0]
      : [group[1].order, group[0], group[1].guests.indexOf(guest)];
  };
  const first = (a: string, b: string) => {
    const [one, other] = [rank(a), rank(b)];
    for (const index of [0, 1, 2] as const) if (one[index] !== other[index]) return one[index] < other[index] ? -1 : 1;
    return 0;
  };
  while (queue.length > 0) {
    queue.sort((a, b) => first(a.guest, b.guest));
    const { guest, to } = queue.shift()!;
    const { boot } = spec.guests[guest]!;
    clock += ACTIVATION;
    started.push({ guest, on: to, recoveryTimeSeconds: clock + boot.seconds });
    const group = groupOf(guest);
    const members = queue.filter((other) => group !== undefined && groupOf(other.guest)?.[0] === group[0]);
    clock += group === undefined || members.length > 0 ? boot.delaySeconds : boot.seconds + group[1].delaySeconds;
  }
  return started.sort((a, b) => (a.guest < b.guest ? -1 : 1));
}

function quorate(spec: SiteSpec, lost: string): boolean | undefined {
  if (spec.site.cluster === undefined) return undefined;
  const voters = Object.keys(spec.servers).filter((name) => isHypervisor(spec, name));
  if (voters.length > 1) {
    const witness = Object.keys(spec.servers)
      .sort()
      .find((name) => spec.servers[name]!.roles.includes("witness") && !isHypervisor(spec, name));
    if (witness !== undefined) voters.push(witness);
  }
  return voters.filter((name) => name !== lost).length > voters.length / 2;
}

/** Whether any way to run all guests that must run exists at all: every guest tried on every server and off. */
export function anyWayToSurvive(spec: SiteSpec, active: Record<string, Side>, lostServer: string): boolean {
  const all = seats(spec, active, lostServer);
  const servers = Object.keys(spec.servers).filter((name) => name !== lostServer);
  const attempt = (index: number, running: Record<string, string[]>): boolean => {
    const seat = all[index];
    if (seat === undefined) return servers.every((server) => load(spec, server, running[server] ?? []).fits);
    if (seat.mayStayOff && seat.to !== undefined && attempt(index + 1, running)) return true;
    return servers.some(
      (server) =>
        server === seat.to && attempt(index + 1, { ...running, [server]: [...(running[server] ?? []), seat.guest] }),
    );
  };
  return attempt(0, {}) && quorate(spec, lostServer) !== false;
}

export interface OraclePool {
  primaryGiB: number;
  replicaGiB: number;
  backupGiB: number;
  imageGiB: number;
}

/** Everything that lies on one pool, asked item by item: does this lie here? */
function takes({ guests = "all" }: SiteSpec["backups"][string], name: string): boolean {
  return guests === "all" || (Array.isArray(guests) && guests.includes(name));
}

export function poolOracle(spec: SiteSpec, server: string, storage: string): OraclePool {
  const pool: OraclePool = { primaryGiB: 0, replicaGiB: 0, backupGiB: 0, imageGiB: 0 };
  const mounters = (id: string) =>
    spec.storages[id]!.mountedBy ?? Object.keys(spec.servers).filter((name) => isHypervisor(spec, name));
  /** The pools that hold the bytes when a server writes to a storage id. */
  const places = (writer: string, id: string): string[] => {
    if (spec.servers[writer]!.storages[id] !== undefined) return [`${writer}/${id}`];
    const share = spec.storages[id];
    if (share === undefined || !mounters(id).includes(writer)) return [];
    const { server: exporter = "", export: exported = "" } = share;
    const behind = Object.entries(spec.servers[exporter]?.storages ?? {}).filter(
      ([, local]) => local.path === exported || exported.startsWith(`${local.path}/`),
    );
    return [`shared/${id}`, ...behind.slice(0, 1).map(([local]) => `${exporter}/${local}`)];
  };
  const here = (writer: string, id: string) => places(writer, id).includes(`${server}/${storage}`);
  const used = (name: string) =>
    spec.guests[name]!.disks.reduce((gib, disk) => gib + (disk.usedGiB ?? disk.sizeGiB / 2), 0);

  const imageOn = new Set<string>();
  for (const [name, guest] of Object.entries(spec.guests)) {
    for (const disk of guest.disks) {
      if (here(guest.on, disk.storage)) pool.primaryGiB += disk.sizeGiB;
      const replica = guest.coldReplica;
      if (replica === undefined) continue;
      const restored = replica.method === "restore";
      const target = restored && replica.storage !== undefined ? replica.storage : disk.storage;
      if (here(replica.on, target)) pool.replicaGiB += restored ? disk.sizeGiB + disk.sizeGiB : disk.sizeGiB;
      // Both servers hold 24 points, each of what changed since the one before it.
      const gap = GAPS[replica.schedule];
      if (replica.method !== "zfs-sync" || gap === undefined || used(name) === 0) continue;
      const share = (disk.usedGiB ?? disk.sizeGiB / 2) / used(name);
      const perPoint = (((guest.changeGiBPerHour ?? used(name) * 0.01) * gap) / 3600) * share;
      for (const on of [guest.on, replica.on])
        if (here(on, disk.storage)) pool.replicaGiB += 24 * Math.min(perPoint, disk.sizeGiB);
    }
    if (guest.image !== undefined)
      for (const on of [guest.on, guest.coldReplica?.on])
        if (on !== undefined && here(on, spec.images[guest.image]!.storage))
          imageOn.add(places(on, spec.images[guest.image]!.storage)[0]!);
    // Policies that write to one storage prune one another's backups; those on different storages do not.
    for (const id of new Set(Object.values(spec.backups).map((policy) => policy.storage!))) {
      if (!here(guest.on, id)) continue;
      const sizes = Object.values(spec.backups)
        .filter((policy) => policy.storage === id && takes(policy, name))
        .map((policy) => {
          let kept = 0;
          for (const count of Object.values(policy.keep)) kept += count ?? 0;
          return used(name) * (policy.compressionRatio ?? 0.6) * ((kept === 0 ? 1 : kept) + 1);
        });
      pool.backupGiB += Math.max(0, ...sizes);
    }
  }
  for (const image of Object.values(spec.images)) pool.imageGiB += imageOn.size * image.sizeGiB;
  return pool;
}

/** The longest gaps of the schedules that random sites have, counted by hand. */
const GAPS: Record<string, number> = { "*/15": 900, "02:00": 86_400, "mon..fri 12:00": 3 * 86_400, sun: 7 * 86_400 };

/**
 * How much of a guest may be lost when it is kept up by sending: the server sends its replication jobs one after
 * another, so that in the worst case every other job of that server comes first.
 */
export function sentPointOracle(spec: SiteSpec, active: Record<string, Side>, name: string): number | undefined {
  const jobs: { guest: string; method: string; from: string; gap: number; seconds: number }[] = [];
  for (const [guest, { on, coldReplica, disks, changeGiBPerHour }] of Object.entries(spec.guests)) {
    if (coldReplica === undefined || coldReplica.method === "restore") continue;
    const gap = GAPS[coldReplica.schedule];
    // Without a schedule nothing is ever sent.
    if (gap === undefined && guest === name) return Number.POSITIVE_INFINITY;
    if (gap === undefined) continue;
    let used = 0;
    for (const disk of disks) used += disk.usedGiB ?? disk.sizeGiB / 2;
    const bytes = ((changeGiBPerHour ?? used * 0.01) * (gap / 3600) * 2 ** 30) / 1e6;
    const rate = Math.min(spec.policies.linkMbps / 8, coldReplica.rateMBps ?? Number.POSITIVE_INFINITY);
    const from = active[guest] === "spare" ? coldReplica.on : on;
    jobs.push({ guest, method: coldReplica.method, from, gap, seconds: bytes / rate });
  }
  const own = jobs.find(({ guest }) => guest === name);
  if (own === undefined) return undefined;
  let clock = own.gap;
  for (const job of jobs)
    if (job === own) clock += job.seconds;
    else if (job.method === own.method && job.from === own.from) clock += job.seconds;
  return clock;
}
