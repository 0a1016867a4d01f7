/** Reads a site as it is now: all servers and voters at once, each by its own word. */
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { idsOf } from "../planning/node-conf";
import { newestDrill } from "../providers/drill-results";
import { PveError } from "../providers/pve/errors";
import { isOn } from "../providers/replication-health";
import { findStandbys, normalTags } from "../providers/standby-inspect";
import { hypervisors, type Operator } from "./context";
import { type ApiAnswer, askApi, askSsh, patiently, type SshAnswer, unreadable } from "./live-servers";
import {
  DIVERGED_TAG,
  type LiveGuest,
  type LiveJob,
  type LiveServer,
  type LiveSite,
  type LiveStandby,
  type LiveZfsSide,
  type RunningGuest,
  type Seat,
} from "./live-types";
import { agreed, NOBODY, readVoters, recordsOf, type VoterReadings, type VoterRecord } from "./voters";

export type * from "./live-types";

interface Answers {
  api: Record<string, ApiAnswer>;
  ssh: Record<string, SshAnswer>;
  readings: VoterReadings;
  standbys: Record<string, LiveStandby[]>;
}

/** Never throws for a server that does not answer: that is what one wants to know. */
export async function readLive(operator: Operator): Promise<LiveSite> {
  const { manifest } = operator;
  const names = Object.keys(manifest.servers);
  const guests = Object.values(manifest.guests);
  const withSpare = guests.filter(({ spare }) => spare !== undefined);
  const restored = withSpare.filter(({ method }) => method === "restore");
  const apis = Object.fromEntries(hypervisors(manifest).map((server) => [server, askApi(operator, server)]));
  const [said, ssh, readings, found] = await Promise.all([
    settle(apis),
    settle(Object.fromEntries(names.map((server) => [server, askSsh(operator, server)]))),
    readVoters(operator, withSpare),
    settle(
      Object.fromEntries(restored.map((guest) => [guest.name, readStandbys(operator, guest, apis[guest.spare!])])),
    ),
  ]);
  const api = { ...said };
  const standbys: Answers["standbys"] = {};
  for (const { name, spare } of restored) {
    const each = found[name]!;
    if (each instanceof PveError) api[spare!] = unreadable(each);
    else standbys[name] = each;
  }
  const answers = { api, ssh, readings, standbys };
  const open = Object.values(api).filter(({ reach }) => reach === "up");
  const times = Object.values(api).flatMap(({ time }) => (time === undefined ? [] : [time * 1000]));
  return {
    at: new Date(times.length > 0 ? Math.max(...times) : operator.clock.now().getTime()).toISOString(),
    servers: Object.fromEntries(names.map((name) => [name, liveServer(manifest, name, answers)])),
    guests: Object.fromEntries(guests.map((guest) => [guest.name, liveGuest(guest, answers)])),
    readings,
    jobsKnown: open.length > 0 && open.every(({ jobs }) => jobs !== undefined),
    takenIds: [
      ...new Set(
        Object.values(api).flatMap(({ listed, guests: own }) => [...listed, ...own].map(({ vmid }) => Number(vmid))),
      ),
    ],
  };
}

async function settle<T>(promises: Record<string, Promise<T>>): Promise<Record<string, T>> {
  const entries = Object.entries(promises);
  const values = await Promise.all(entries.map(([, promise]) => promise));
  return Object.fromEntries(entries.map(([name], index) => [name, values[index]!]));
}

/** Of Proxmox VE, when the server that a call is about does not answer the one that was asked. */
const NO_ROUTE = 595;

async function readStandbys(
  operator: Operator,
  guest: ManifestGuest,
  spareApi: Promise<ApiAnswer> | undefined,
): Promise<LiveStandby[] | PveError> {
  const pve = operator.pveAt(guest.spare!);
  if (pve === undefined || (await spareApi)?.reach !== "up") return [];
  const identity = {
    guest: guest.name,
    vmid: guest.vmid,
    kind: guest.kind,
    node: guest.spare!,
    standbyIds: guest.standbyIds ?? [0, 0],
    tags: [],
  } satisfies Parameters<typeof findStandbys>[1];
  const found = await patiently(operator, () => findStandbys(pve, identity)).catch((error: unknown) => {
    if (!(error instanceof PveError)) throw error;
    // A standby that was moved to another server, which is dead, is none.
    return error.status === NO_ROUTE ? [] : error;
  });
  if (found instanceof PveError) return found;
  return found.map(({ vmid, node, name, running, ours, recovery, config }): LiveStandby => {
    const lock = config.lock;
    return {
      vmid,
      server: node,
      name,
      running,
      ours,
      ...(lock !== undefined && { lock }),
      ...(recovery !== undefined && { recoveryPoint: recovery.time, volid: recovery.volid }),
      good: ours && recovery !== undefined && lock === undefined,
      tags: normalTags(config.tags),
    };
  });
}

function liveServer(manifest: SiteManifest, name: string, { api, ssh }: Answers): LiveServer {
  const own = api[name];
  const overSsh = ssh[name]!;
  const votes = Object.entries(api)
    .filter(([other, { reach }]) => other !== name && reach === "up")
    .flatMap(([, { cluster }]) => cluster.filter((row) => row.type === "node" && row.name === name))
    .map(({ online }) => online === 1);
  const clustered = own?.cluster.find(({ type }) => type === "cluster");
  const running = (own?.guests ?? []).filter(({ status }) => status === "running");
  return {
    name,
    hypervisor: own !== undefined,
    api: own?.reach ?? "none",
    ...(own?.problem !== undefined && { apiProblem: own.problem }),
    ssh: overSsh.reach,
    ...(overSsh.problem !== undefined && { sshProblem: overSsh.problem }),
    ...(votes.length > 0 && { online: votes.some((vote) => vote) }),
    ...(clustered !== undefined && { quorate: Number(clustered.quorate) === 1 }),
    ...(overSsh.node !== undefined && { node: overSsh.node }),
    running: running.map((row): RunningGuest => {
      const guest = guestWithId(manifest, name, row.vmid);
      return {
        vmid: row.vmid,
        kind: row.kind,
        name: row.name ?? String(row.vmid),
        memoryGiB: Math.round(((row.maxmem ?? 0) / 1024 ** 3) * 1000) / 1000,
        cores: row.cpus ?? 0,
        ...(guest !== undefined && { guest: guest.name }),
      };
    }),
    usedGiB: running.reduce((sum, { maxmem = 0 }) => sum + maxmem / 1024 ** 3 + manifest.memoryOverheadGiB, 0),
  };
}

function guestWithId(manifest: SiteManifest, server: string, vmid: number): ManifestGuest | undefined {
  return Object.values(manifest.guests).find((guest) =>
    idsOf(guest).some((each) => each.server === server && each.vmid === vmid),
  );
}

function liveGuest(guest: ManifestGuest, answers: Answers): LiveGuest {
  const { name, primary, spare } = guest;
  const seats = idsOf(guest).map(({ server, vmid }) => seatOf(server, vmid, answers.api));
  const runningOn = seats.filter(({ running }) => running === true);
  const record = spare === undefined ? undefined : (agreed(guest, answers.readings) ?? onlyVoice(guest, answers));
  const standbys = answers.standbys[name] ?? [];
  const job = spare === undefined ? undefined : jobOf(guest, answers);
  const active = activeServerOf(guest, record?.server, seats);
  const activeSide =
    active === primary ? "primary" : active === spare ? "spare" : active === NOBODY ? "nobody" : "unknown";
  const zfs = guest.method === "zfs-sync" ? zfsSides(guest, answers) : undefined;
  const standbyServer = activeSide === "primary" ? spare : activeSide === "spare" ? primary : undefined;
  const recoveryPoint = zfs
    ? zfs[standbyServer ?? spare!]?.points[0]?.at
    : recoveryPointOf(guest, job, standbys, runningOn);
  const drill = newestDrill(Object.values(answers.ssh).map(({ drills }) => drills[name]));
  const other = activeSide === "primary" ? spare : primary;
  const tagged = seats.some((seat) => seat.server !== active && seat.tags.includes(DIVERGED_TAG));
  const noted = Object.entries(answers.ssh).some(
    ([server, { diverged }]) => server === other && diverged.includes(name),
  );
  // Volumes carry no mark: after a switch without consent, either way, the job is off, and what is on the old side is its own.
  const parted = isOff(job, activeSide) && other !== undefined && answers.api[other]?.reach === "up";
  return {
    name,
    ...(record !== undefined && { record }),
    seats,
    runningOn,
    activeSide,
    ...((activeSide === "primary" || activeSide === "spare") && { activeServer: active! }),
    ...(job !== undefined && { job }),
    standbys,
    ...(zfs && { zfs }),
    ...(recoveryPoint !== undefined && { recoveryPoint }),
    refreshing:
      job?.running === true ||
      Object.values(zfs ?? {}).some(({ sync }) => sync?.state === "running") ||
      standbys.some(({ lock }) => lock === "create" || lock === "backup"),
    diverged: activeSide !== "unknown" && (tagged || noted || parted) && !isCopyAgain(zfs?.[active ?? ""], record),
    ...(drill !== undefined && { drill }),
  };
}

function zfsSides({ name, primary, spare }: ManifestGuest, { ssh }: Answers): NonNullable<LiveGuest["zfs"]> {
  const sides = [primary, spare!].flatMap((server) => {
    const answer = ssh[server];
    return answer?.reach === "up" ? [[server, answer.replicas[name] ?? { points: [] }] as const] : [];
  });
  return Object.fromEntries(sides);
}

/** With `zfs-sync` a good run from the active side proves that the other one has nothing of its own: it ends before it would write over that. */
function isCopyAgain(active: LiveZfsSide | undefined, record: VoterRecord | undefined): boolean {
  const { state, at } = active?.sync ?? {};
  return state === "ok" && at !== undefined && record !== undefined && Date.parse(at) > Date.parse(record.since ?? "");
}

/** The pause of a drill is none of a switch; on a spare that is active nobody drills. */
function isOff(job: LiveJob | undefined, side: LiveGuest["activeSide"]): boolean {
  if (job?.disabled !== true) return false;
  return side === "spare" || (side === "primary" && job.pausedByDrill !== true);
}

/** Of two voters one is often the dead server: then what the other one holds is all that can be known. */
function onlyVoice(guest: ManifestGuest, { readings }: Answers): VoterRecord | undefined {
  const records = recordsOf(guest, readings);
  return guest.voters.length === 2 && records.length === 1 ? records[0]!.record : undefined;
}

function seatOf(server: string, vmid: number, api: Record<string, ApiAnswer>): Seat {
  const own = api[server];
  const row = own?.guests.find((each) => each.vmid === vmid);
  if (own?.reach === "up") {
    return {
      server,
      vmid,
      config: row !== undefined,
      running: row?.status === "running",
      ...(row?.lock !== undefined && { lock: row.lock }),
      ...(row?.name !== undefined && { name: row.name }),
      tags: normalTags(row?.tags),
    };
  }
  // The others still have the configuration of a dead server's guests; whether they run is not known there.
  const views = Object.values(api).filter(({ reach, cluster }) => reach === "up" && knows(cluster, server));
  const listed = views.flatMap(({ listed: rows }) => rows.filter((each) => Number(each.vmid) === vmid));
  const config = views.length === 0 ? undefined : listed.some(({ node }) => node === server);
  const elsewhere = config === false;
  const shown = listed.find(({ node }) => node === server);
  return {
    server,
    vmid,
    config,
    running: elsewhere ? false : undefined,
    ...(shown?.lock !== undefined && { lock: shown.lock }),
    ...(shown?.name !== undefined && { name: shown.name }),
    tags: normalTags(shown?.tags),
  };
}

function knows(cluster: ApiAnswer["cluster"], server: string): boolean {
  return cluster.some(({ type, name }) => type === "node" && name === server);
}

/** By the voters, else by what runs, else by where the configuration is; NOBODY while a switch is under way. */
function activeServerOf(
  guest: ManifestGuest,
  recorded: string | undefined,
  seats: readonly Seat[],
): string | undefined {
  if (guest.spare === undefined) return guest.primary;
  if (recorded !== undefined) return recorded;
  const running = new Set(seats.filter((seat) => seat.running).map(({ server }) => server));
  if (running.size === 1) return [...running][0];
  if (running.size > 1 || guest.method === "restore" || guest.method === "zfs-sync") return undefined;
  const configured = seats.filter((seat) => seat.config).map(({ server }) => server);
  return configured.length === 1 ? configured[0] : undefined;
}

function jobOf(guest: ManifestGuest, { api, ssh }: Answers): LiveJob | undefined {
  const pair = [guest.primary, guest.spare];
  const views = Object.values(api).filter(({ reach }) => reach === "up");
  const job = views
    .flatMap(({ jobs }) => jobs ?? [])
    .find(
      ({ guest: vmid, target, source }) =>
        Number(vmid) === guest.vmid && pair.includes(target) && (source === undefined || pair.includes(source)),
    );
  if (job === undefined) return undefined;
  const state = views.flatMap(({ jobStates }) => jobStates).find(({ id }) => id === job.id);
  // What lies on the target tells when the source is off, and when a move has set the job's own memory back.
  const snapshot = ssh[job.target]?.snapshots[job.id] ?? 0;
  const lastSync = Math.max(state?.last_sync ?? 0, snapshot);
  return {
    id: job.id,
    ...(job.source !== undefined && { source: job.source }),
    target: job.target,
    disabled: isOn(job.disable),
    ...(isOn(job.disable) && ssh[job.target]?.paused.includes(job.id) && { pausedByDrill: true as const }),
    running: state?.pid !== undefined,
    failCount: state?.fail_count ?? 0,
    ...(state?.error !== undefined && { error: state.error }),
    ...(lastSync > 0 && { lastSync: new Date(lastSync * 1000).toISOString() }),
    removing: job.remove_job !== undefined,
    ...(job.schedule !== undefined && { schedule: job.schedule }),
  };
}

function recoveryPointOf(
  { method }: ManifestGuest,
  job: LiveJob | undefined,
  standbys: readonly LiveStandby[],
  runningOn: readonly Seat[],
): string | undefined {
  if (method !== "restore") return job?.lastSync;
  const running = new Set(runningOn.map(({ vmid }) => vmid));
  const times = standbys
    .filter(({ good, vmid }) => good && !running.has(vmid))
    .map(({ recoveryPoint }) => recoveryPoint!);
  return times.sort().at(-1);
}
