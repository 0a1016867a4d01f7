import { COPY_RATE } from "./clone";
import type { Domain } from "./domain";
import { fail } from "./errors";
import { ownVolumes, parseDrive } from "./qemu-config";
import { nextEvent } from "./schedule";
import type { Guest, ReplicationJob, ReplicationState, Volume } from "./state";
import { clockText } from "./time-text";
import { copyVolume, dropVolumeSnapshot, findVolume, removeVolume, snapshotVolume, splitVolid } from "./volumes";

/** PVE's schedule for jobs that name none. */
export const DEFAULT_SCHEDULE = "*/15";
const RETRY_SECONDS = 300;
const LONGEST_RETRY_SECONDS = 1800;

export function newReplicationState(): ReplicationState {
  return { last_sync: 0, last_try: 0, next_sync: 0, fail_count: 0, log: [], storages: [] };
}

export function stateOf(domain: Domain, id: string): ReplicationState {
  let state = domain.state.replicationState[id];
  if (!state) {
    state = newReplicationState();
    domain.state.replicationState[id] = state;
  }
  return state;
}

/** When a job is due next: by its schedule from the last run, or a while after a failure. */
export function nextSync(job: ReplicationJob, state: ReplicationState): number {
  if (state.fail_count > 0) return state.last_try + Math.min(RETRY_SECONDS * state.fail_count, LONGEST_RETRY_SECONDS);
  return nextEvent(job.schedule ?? DEFAULT_SCHEDULE, state.last_sync) ?? 0;
}

/** Volumes of a guest that a job copies. Every one must lie on a storage that can replicate. */
export function replicatedVolumes(domain: Domain, guest: Guest): { volid: string; volume: Volume }[] {
  const named =
    guest.type === "qemu"
      ? ownVolumes(guest.config)
      : Object.entries(guest.config)
          .filter(([key]) => /^(rootfs|mp\d+)$/.test(key))
          .map(([key, text]) => ({ key, volid: text.split(",")[0]! }));
  return named.flatMap(({ key, volid }) => {
    if (parseDrive(guest.config[key] ?? "").replicate === "0") return [];
    const entry = domain.state.storages[splitVolid(volid).storage];
    if (!entry || domain.isShared(entry)) return [];
    if (entry.type !== "zfspool") throw fail(`missing replicate feature on volume '${volid}'`);
    const volume = findVolume(domain, guest.node, volid);
    if (!volume) throw fail(`zfs error: cannot open '${entry.pool}/${splitVolid(volid).name}': dataset does not exist`);
    return [{ volid, volume }];
  });
}

/** A guest that has moved to the target of its job: source and target change places by themselves. */
export function swapReplication(domain: Domain, guest: Guest, from: string, keepState = true): void {
  for (const job of domain.replicationOf(guest.vmid)) {
    if (job.target === guest.node) job.target = from;
    job.source = guest.node;
    // The state of a job lies on its source; a migration hands it over, a moved configuration file does not.
    if (!keepState) domain.state.replicationState[job.id] = newReplicationState();
  }
}

function sshError(domain: Domain, job: ReplicationJob, volumes: string[], lastSync: number): Error {
  const address = domain.address(job.target);
  const storages = [...new Set(volumes.map((volid) => splitVolid(volid).storage))].join(",");
  return new Error(
    `command '/usr/bin/ssh -e none -o 'BatchMode=yes' -o 'HostKeyAlias=${job.target}' -o 'UserKnownHostsFile=/etc/pve/nodes/${job.target}/ssh_known_hosts' -o 'GlobalKnownHostsFile=none' root@${address} -- pvesr prepare-local-job ${job.id} --scan ${storages} ${volumes.join(" ")} --last_sync ${lastSync}' failed: exit code 255`,
  );
}

/** One run of a job, as the scheduler makes it. While its guest is migrated it does nothing and stays due. */
export async function runJob(domain: Domain, job: ReplicationJob): Promise<void> {
  await domain.withMigrationLock(job.guest, false, () => runLocked(domain, job));
}

async function runLocked(domain: Domain, job: ReplicationJob): Promise<void> {
  const state = stateOf(domain, job.id);
  const { clock } = domain.world;
  const started = clock.now();
  state.running = true;
  delete state.due;
  state.last_try = Math.floor(started);
  state.log = [];
  const say = (text: string) => state.log.push(`${clockText(domain)} ${job.id}: ${text}`);
  try {
    const fault = domain.world.faults.takeTaskFault("replication");
    if (fault) throw new Error(fault);
    if (job.remove_job) await removeCopies(domain, job, say);
    else await sync(domain, job, state, Math.floor(started), say);
    state.fail_count = 0;
    delete state.error;
    state.duration = Math.round((clock.now() - started) * 1e6) / 1e6;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    state.fail_count++;
    state.error = text;
    state.duration = Math.round((clock.now() - started) * 1e6) / 1e6;
    say(`end replication job with error: ${text}`);
  } finally {
    delete state.running;
    domain.save();
  }
}

async function sync(
  domain: Domain,
  job: ReplicationJob,
  state: ReplicationState,
  time: number,
  say: (text: string) => void,
): Promise<void> {
  const guest = domain.guest(job.guest);
  if (!guest || guest.node !== job.source) throw new Error(`no such guest '${job.guest}' on node '${job.source}'`);
  say("start replication job");
  say(`guest => ${guest.type === "qemu" ? "VM" : "CT"} ${guest.vmid}, running => ${guest.running?.pid ?? 0}`);
  const volumes = replicatedVolumes(domain, guest);
  const volids = volumes.map(({ volid }) => volid);
  say(`volumes => ${volids.join(",")}`);
  await alive(domain, job, volids, state);
  await domain.world.work(1);
  const snapshot = `__replicate_${job.id}_${time}__`;
  const targets = volumes.map(({ volid, volume }) => target(domain, job, volid, volume));
  for (const { volid, volume } of volumes) {
    snapshotVolume(domain, volume, snapshot);
    say(`create snapshot '${snapshot}' on ${volid}`);
  }
  say("using secure transmission, rate limit: none");
  const copies: Volume[] = [];
  try {
    for (const [index, { volid, volume }] of volumes.entries()) {
      const { backing, base } = targets[index]!;
      const bytes = base ? Math.min(volume.used, 8 * 1024 * 1024) : volume.used;
      say(base ? `incremental sync '${volid}' (${base} => ${snapshot})` : `full sync '${volid}' (${snapshot})`);
      const rate = Number(job.rate ?? 0) * 1024 * 1024 || COPY_RATE;
      await domain.world.work(1 + bytes / rate);
      await alive(domain, job, volids, state);
      const copy = copyVolume(domain, volume, backing);
      snapshotVolume(domain, copy, snapshot);
      copies.push(copy);
      say(`successfully imported '${volid}'`);
    }
  } catch (error) {
    // A server that is dead cleans up nothing.
    if (domain.state.nodes[job.source]?.up)
      for (const { volume } of volumes) dropVolumeSnapshot(domain, volume, snapshot);
    throw error;
  }
  // Only now, on both sides: until every volume has arrived, the last whole state can be gone back to.
  for (const volume of [...volumes.map(({ volume: own }) => own), ...copies])
    for (const old of volume.snapshots.filter((name) => name.startsWith(`__replicate_${job.id}_`) && name !== snapshot))
      dropVolumeSnapshot(domain, volume, old);
  say("end replication job");
  state.last_sync = time;
  state.storages = [...new Set(volids.map((volid) => splitVolid(volid).storage))];
}

async function alive(domain: Domain, job: ReplicationJob, volids: string[], state: ReplicationState): Promise<void> {
  if (!domain.state.nodes[job.source]?.up) throw new Error("interrupted by signal");
  if (domain.reaches(job.source, job.target)) return;
  await domain.world.clock.sleep(1);
  throw sshError(domain, job, volids, state.last_sync);
}

/** Where the copy goes and from which common snapshot it continues. */
function target(
  domain: Domain,
  job: ReplicationJob,
  volid: string,
  volume: Volume,
): { backing: string; base: string | undefined } {
  const entry = domain.state.storages[splitVolid(volid).storage]!;
  if (!domain.onNode(entry, job.target))
    throw new Error(`storage '${entry.storage}' is not available on node '${job.target}'`);
  const backing = domain.backing(entry, job.target);
  const copy = domain.state.volumes.find((other) => other.backing === backing && other.name === volume.name);
  const base = copy?.snapshots.find((name) => name.startsWith("__replicate_") && volume.snapshots.includes(name));
  if (copy && !base)
    throw new Error(`volume '${volid}' already exists on target node '${job.target}', but has no common snapshot`);
  const { avail } = domain.usage(entry, job.target);
  if (!copy && Math.max(volume.used, entry.sparse === "1" ? 0 : volume.size) > avail)
    throw new Error(
      `command 'zfs recv -F -- ${entry.pool}/${volume.name}' failed: cannot receive new filesystem stream: out of space`,
    );
  return { backing, base };
}

/** The source node carries out what a deleted job was marked for. */
async function removeCopies(domain: Domain, job: ReplicationJob, say: (text: string) => void): Promise<void> {
  if (!domain.quorate(job.source)) throw new Error("cfs-lock 'file-replication_cfg' error: no quorum!");
  const guest = domain.guest(job.guest);
  const volumes = guest ? replicatedVolumes(domain, guest) : [];
  say("start replication job");
  if (job.remove_job === "full") {
    if (!domain.reaches(job.source, job.target))
      throw sshError(
        domain,
        job,
        volumes.map(({ volid }) => volid),
        0,
      );
    await domain.world.work(1);
    for (const { volid, volume } of volumes) {
      const entry = domain.state.storages[splitVolid(volid).storage]!;
      const copy = domain.state.volumes.find(
        (other) => other.backing === domain.backing(entry, job.target) && other.name === volume.name,
      );
      if (copy) removeVolume(domain, copy);
    }
  }
  for (const { volume } of volumes)
    for (const name of volume.snapshots.filter((other) => other.startsWith(`__replicate_${job.id}_`)))
      dropVolumeSnapshot(domain, volume, name);
  say("job removed");
  delete domain.state.replication[job.id];
  delete domain.state.replicationState[job.id];
}

/** What pvescheduler does each minute: one job after the other on each node. */
export function replicationMinute(domain: Domain): void {
  const now = domain.world.clock.now();
  for (const node of domain.nodeNames()) {
    if (!domain.state.nodes[node]!.up || domain.at(node) !== domain) continue;
    const jobs = Object.values(domain.state.replication).filter((job) => job.source === node);
    if (jobs.some((job) => domain.state.replicationState[job.id]?.running)) continue;
    const due = jobs.filter((job) => {
      const state = stateOf(domain, job.id);
      if (job.remove_job) return state.fail_count === 0 || nextSync(job, state) <= now;
      return job.disable !== "1" && (state.due || nextSync(job, state) <= now);
    });
    void (async () => {
      for (const job of due) if (domain.state.nodes[node]!.up) await runJob(domain, job);
    })();
  }
}
