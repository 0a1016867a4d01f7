/** Replication jobs as PVE keeps them: finding, reading, changing and removing the job of a pair. */
import { about } from "./about";
import type { PveClient } from "./pve/client";
import { PveError } from "./pve/errors";
import type { ClusterRow, GuestRow, ReplicationJob, ReplicationJobStatus } from "./pve/types";
import type { ReplicationHealth } from "./replication-health";
import { healthOf } from "./replication-health";
import type { HandlerContext } from "./serve";

/** Inputs, all known. */
export interface ReplicationPairInputs {
  guest: string;
  vmid: number;
  kind: "qemu" | "lxc";
  source: string;
  target: string;
  schedule: string;
  rateMBps?: number;
}

/** How long to wait, in seconds. */
export interface ReplicationPatience {
  /** For the scheduler to begin the first run; it looks once a minute. */
  start: number;
  /** For the first run to end: a full copy of the guest's disks. */
  firstSync: number;
  /** For the guest's server to take the job and the copy away; seen to take 42 s. */
  removal: number;
  /** Between two looks. */
  poll: number;
}

/** The facts about a job that change with every run. */
export interface ReplicationFacts {
  jobId: string;
  source: string;
  target: string;
  health: ReplicationHealth;
  /** Unix time of the last good run; 0 when there was none since the job was made or swapped. */
  lastSync: number;
  failCount: number;
  error?: string;
}

/** Reads how a pair is doing now; `undefined` when there is no job for it. */
export async function replicationStatus(
  pve: PveClient,
  pair: Pick<ReplicationPairInputs, "guest" | "vmid" | "source" | "target">,
): Promise<ReplicationFacts | undefined> {
  const job = await findJob(pve, pair);
  if (!job) return undefined;
  const source = job.source ?? (await serverOf(pve, pair));
  const status = await readStatus(pve, source, job.id, pair);
  return {
    jobId: job.id,
    source,
    target: job.target,
    health: healthOf(job, status),
    lastSync: status?.last_sync ?? 0,
    failCount: status?.fail_count ?? 0,
    ...(status?.error === undefined ? {} : { error: status.error }),
  };
}

type Pair = Pick<ReplicationPairInputs, "source" | "target">;

export function samePair(a: Pair, b: Pair): boolean {
  return (a.source === b.source && a.target === b.target) || (a.source === b.target && a.target === b.source);
}

export function jobsOf(pve: PveClient, guest: { guest: string; vmid: number }): Promise<ReplicationJob[]> {
  return pve
    .get<ReplicationJob[]>("/cluster/replication", {}, about("list the replication jobs of", guest))
    .then((jobs) => jobs.filter((job) => Number(job.guest) === guest.vmid));
}

/** The job of this guest between these two servers, in whichever direction, unless it is being removed. */
export async function findJob(
  pve: PveClient,
  pair: Pair & { guest: string; vmid: number },
): Promise<ReplicationJob | undefined> {
  const jobs = (await jobsOf(pve, pair)).filter((job) => job.remove_job === undefined);
  return jobs.find((job) => isBetween(pair, job));
}

/** The server that the guest is on. */
export async function serverOf(pve: PveClient, guest: { guest: string; vmid: number }): Promise<string> {
  const asked = about("find", guest);
  const row = (await pve.get<GuestRow[]>("/cluster/resources", { type: "vm" }, asked)).find(
    (each) => each.vmid === guest.vmid,
  );
  if (row) return row.node;
  throw new PveError({
    ...asked,
    server: "cluster",
    call: "GET /cluster/resources",
    status: 404,
    reason: `no guest ${guest.vmid} exists`,
    fix: "create the guest before its replication (dependsOn), or correct the id",
  });
}

export async function readStatus(
  pve: PveClient,
  source: string,
  jobId: string,
  guest: { guest: string; vmid: number },
): Promise<ReplicationJobStatus | undefined> {
  try {
    return await pve.get<ReplicationJobStatus>(
      `/nodes/${source}/replication/${jobId}/status`,
      {},
      about("read the replication of", guest),
    );
  } catch (error) {
    // PVE knows the status only where the guest is; just after a move the job still names the old server.
    if (error instanceof PveError && (error.isMissing || error.isServerDown)) return undefined;
    throw error;
  }
}

export function rateOf(inputs: ReplicationPairInputs): { rate?: number } {
  return inputs.rateMBps === undefined ? {} : { rate: inputs.rateMBps };
}

export function commentFor(inputs: ReplicationPairInputs): string {
  return `coldspare: cold replica of ${inputs.guest}`;
}

export async function bringUpToDate(pve: PveClient, job: ReplicationJob, inputs: ReplicationPairInputs): Promise<void> {
  const rate = job.rate === undefined ? undefined : Number(job.rate);
  // A job that somebody else made keeps its comment for as long as it does what is wanted.
  if ((job.schedule ?? "*/15") === inputs.schedule && rate === inputs.rateMBps) return;
  const comment = commentFor(inputs);
  const dropsRate = rate !== undefined && inputs.rateMBps === undefined;
  await pve.put(
    `/cluster/replication/${job.id}`,
    { schedule: inputs.schedule, rate: inputs.rateMBps, comment, delete: dropsRate ? "rate" : undefined },
    about("change the replication of", inputs),
  );
  Object.assign(job, { schedule: inputs.schedule, comment });
  delete job.rate;
  Object.assign(job, rateOf(inputs));
}

/**
 * The jobs of this guest that a pair answers for: the one between its servers, and those that it left behind between others
 * (told by their comment). A job that somebody made to a third server is none of them.
 */
export async function jobsOfPair(pve: PveClient, pair: ReplicationPairInputs): Promise<ReplicationJob[]> {
  return (await jobsOf(pve, pair)).filter((job) => isBetween(pair, job) || job.comment?.trim() === commentFor(pair));
}

/** Whether a job is between these two servers, in whichever direction; one that does not say its source counts as such. */
export function isBetween(pair: Pair, job: ReplicationJob): boolean {
  return job.source === undefined
    ? [pair.source, pair.target].includes(job.target)
    : samePair(pair, { source: job.source, target: job.target });
}

/** Marks jobs for removal and waits until their server has taken them and their copies away, unless that server cannot. */
export async function removeJobs(
  context: HandlerContext,
  props: ReplicationPairInputs,
  jobs: readonly ReplicationJob[],
  patience: ReplicationPatience,
): Promise<void> {
  const { pve, progress } = context;
  for (const job of jobs.filter((each) => each.remove_job === undefined)) {
    try {
      await pve.delete(`/cluster/replication/${job.id}`, {}, about("remove the replication of", props));
    } catch (error) {
      if (!(error instanceof PveError && error.isMissing)) throw error;
    }
  }
  for (const job of jobs) {
    if (await waitGone(context, props, job.id, patience)) continue;
    const off = await serversOff(pve);
    const why = off.length > 0 ? `${off.join(" and ")} is off` : `${job.source ?? props.source} has not done it yet`;
    progress(
      `replication ${job.id} of '${props.guest}' is marked for removal and goes when its servers can do it (${why}); ` +
        `until then the copy on ${job.target} remains. By hand: \`pvesr delete ${job.id} --force\``,
    );
  }
}

/** Waits until a job is gone; `false` when it stays, at once when a server of the pair is off. */
export async function waitGone(
  { pve }: HandlerContext,
  props: ReplicationPairInputs,
  jobId: string,
  patience: ReplicationPatience,
): Promise<boolean> {
  const until = Date.now() + patience.removal * 1000;
  for (;;) {
    const job = (await jobsOf(pve, props)).find((each) => each.id === jobId);
    if (!job) return true;
    const off = await serversOff(pve);
    if (off.includes(job.source ?? props.source) || off.includes(job.target) || Date.now() > until) return false;
    await pve.pause(patience.poll);
  }
}

async function serversOff(pve: PveClient): Promise<string[]> {
  const rows = await pve.get<ClusterRow[]>("/cluster/status");
  return rows.filter((row) => row.type === "node" && row.online === 0).map((row) => row.name);
}
