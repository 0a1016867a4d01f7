/** The life of a replication pair: plain functions over the client. See {@link ReplicationPair} for what it promises. */
import { CALENDAR_EXAMPLES, parseCalendarEvent } from "../planning/calendar";
import type { PveClient } from "./pve/client";
import { type CallContext, PveError } from "./pve/errors";
import type { ClusterRow, GuestRow, ReplicationJob, ReplicationJobStatus } from "./pve/types";
import type { ReplicationHealth } from "./replication-pair";
import {
  type Difference,
  type Handler,
  type HandlerContext,
  type InputFailure,
  PartlyInitialised,
  serve,
} from "./serve";

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

/** What is recorded: the inputs, and what PVE says of the job that does not change by itself. */
export interface ReplicationPairState extends ReplicationPairInputs {
  jobId: string;
  health: ReplicationHealth;
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

const PATIENCE: ReplicationPatience = { start: 300, firstSync: 12 * 3600, removal: 180, poll: 2 };
const PROGRESS_SECONDS = 20;

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

/** The handler, with a patience of its own for tests. */
export function replicationPairHandler(
  patience: ReplicationPatience = PATIENCE,
): Handler<ReplicationPairInputs, ReplicationPairState> {
  return {
    check,
    diff,
    async create(context, inputs) {
      const job = await ensureJob(context, inputs, patience);
      return { id: job.id, outs: await settle(context, inputs, job, patience) };
    },
    async read({ pve, progress }, _id, props) {
      const job = await findJob(pve, props);
      if (!job) return undefined;
      const source = job.source ?? props.source;
      const status = await readStatus(pve, source, job.id, props);
      if (status?.error !== undefined && (status.fail_count ?? 0) > 0) {
        progress(`replication ${job.id} of '${props.guest}' fails on ${source}: ${status.error}`);
      }
      return stateOf(props, job, source, status);
    },
    async update(context, _id, olds, news) {
      if (!samePair(olds, news)) await removeJob(context, olds, patience);
      const job = await ensureJob(context, news, patience);
      return settle(context, news, job, patience);
    },
    delete: (context, _id, props) => removeJob(context, props, patience),
  };
}

/** What the engine loads. */
export const provider = serve(replicationPairHandler());

function check(inputs: Partial<ReplicationPairInputs>): InputFailure[] {
  const failures: InputFailure[] = [];
  const { vmid, source, target, schedule, rateMBps } = inputs;
  if (vmid !== undefined && !(Number.isInteger(vmid) && vmid >= 100 && vmid <= 999_999_999)) {
    failures.push({ property: "vmid", reason: `${vmid} is no guest id; write a number from 100 to 999999999` });
  }
  if (source !== undefined && source === target) {
    failures.push({
      property: "target",
      reason: `'${target}' is the source itself; name the other server of the pair`,
    });
  }
  const problem = schedule === undefined ? undefined : parseCalendarEvent(schedule).problem;
  if (problem !== undefined) {
    failures.push({
      property: "schedule",
      reason: `'${schedule}' is no calendar event of PVE: ${problem}; write for instance ${CALENDAR_EXAMPLES}`,
    });
  }
  if (rateMBps !== undefined && !(rateMBps >= 1)) {
    failures.push({
      property: "rateMBps",
      reason: `${rateMBps} is below 1 MB/s; write 1 or more, or leave it out for no limit`,
    });
  }
  return failures;
}

function diff(olds: ReplicationPairState, news: Partial<ReplicationPairInputs>): Difference {
  const wanted = { ...olds, ...news };
  const replaces = wanted.vmid === olds.vmid ? [] : ["vmid"];
  // A limit that is no longer given counts as removed, but only when the inputs are given at all.
  const rate = "schedule" in news ? news.rateMBps : olds.rateMBps;
  const changes =
    replaces.length > 0 ||
    !samePair(olds, wanted) ||
    wanted.schedule !== olds.schedule ||
    wanted.guest !== olds.guest ||
    rate !== olds.rateMBps;
  return { changes, replaces };
}

type Pair = Pick<ReplicationPairInputs, "source" | "target">;

function samePair(a: Pair, b: Pair): boolean {
  return (a.source === b.source && a.target === b.target) || (a.source === b.target && a.target === b.source);
}

function about(doing: string, { guest, vmid }: { guest: string; vmid: number }): CallContext {
  return { doing: `${doing} guest ${vmid} '${guest}'`, guest };
}

function jobsOf(pve: PveClient, guest: { guest: string; vmid: number }): Promise<ReplicationJob[]> {
  return pve
    .get<ReplicationJob[]>("/cluster/replication", {}, about("list the replication jobs of", guest))
    .then((jobs) => jobs.filter((job) => Number(job.guest) === guest.vmid));
}

/** The job of this guest between these two servers, in whichever direction, unless it is being removed. */
async function findJob(
  pve: PveClient,
  pair: Pair & { guest: string; vmid: number },
): Promise<ReplicationJob | undefined> {
  const jobs = (await jobsOf(pve, pair)).filter((job) => job.remove_job === undefined);
  return jobs.find((job) =>
    job.source === undefined
      ? [pair.source, pair.target].includes(job.target)
      : samePair(pair, { source: job.source, target: job.target }),
  );
}

/** The server that the guest is on. */
async function serverOf(pve: PveClient, guest: { guest: string; vmid: number }): Promise<string> {
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

async function readStatus(
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

function healthOf(job: ReplicationJob, status: ReplicationJobStatus | undefined): ReplicationHealth {
  if (isOn(job.disable)) return "disabled";
  if ((status?.fail_count ?? 0) > 0) return "failing";
  return (status?.last_sync ?? 0) > 0 ? "ok" : "waiting";
}

function isOn(flag: unknown): boolean {
  return flag === true || Number(flag ?? 0) === 1;
}

function stateOf(
  inputs: ReplicationPairInputs,
  job: ReplicationJob,
  source: string,
  status: ReplicationJobStatus | undefined,
): ReplicationPairState {
  const { guest, vmid, kind } = inputs;
  const rate = job.rate === undefined ? undefined : Number(job.rate);
  return {
    guest,
    vmid,
    kind,
    source,
    target: job.target,
    schedule: job.schedule ?? "*/15",
    ...(rate === undefined ? {} : { rateMBps: rate }),
    jobId: job.id,
    health: healthOf(job, status),
  };
}

/** Adopts or makes the job, and brings schedule and limit to what is wanted. Never enables a job that was disabled. */
async function ensureJob(
  context: HandlerContext,
  inputs: ReplicationPairInputs,
  patience: ReplicationPatience,
): Promise<ReplicationJob> {
  const { pve } = context;
  await leavingJobsGone(context, inputs, patience);
  const existing = await findJob(pve, inputs);
  if (existing) {
    await bringUpToDate(pve, existing, inputs);
    return existing;
  }
  const source = await serverOf(pve, inputs);
  if (source !== inputs.source && source !== inputs.target) throw guestElsewhere(inputs, source);
  const target = source === inputs.source ? inputs.target : inputs.source;
  const taken = new Set((await jobsOf(pve, inputs)).map((job) => job.id));
  let number = 0;
  while (taken.has(`${inputs.vmid}-${number}`)) number++;
  const id = `${inputs.vmid}-${number}`;
  await pve.post(
    "/cluster/replication",
    { id, type: "local", target, schedule: inputs.schedule, rate: inputs.rateMBps, comment: commentFor(inputs) },
    about(`set up replication to ${target} of`, inputs),
  );
  return { id, guest: inputs.vmid, jobnum: number, source, target, schedule: inputs.schedule, ...rateOf(inputs) };
}

function rateOf(inputs: ReplicationPairInputs): { rate?: number } {
  return inputs.rateMBps === undefined ? {} : { rate: inputs.rateMBps };
}

function commentFor(inputs: ReplicationPairInputs): string {
  return `coldspare: cold replica of ${inputs.guest}`;
}

function guestElsewhere(inputs: ReplicationPairInputs, server: string): PveError {
  return new PveError({
    ...about("set up replication of", inputs),
    server,
    call: "POST /cluster/replication",
    status: 409,
    reason: `the guest is on ${server}, neither on ${inputs.source} nor on ${inputs.target}`,
    fix: `move it to ${inputs.source} (\`qm migrate\`, \`pct migrate\`), or name ${server} in the specification`,
  });
}

async function bringUpToDate(pve: PveClient, job: ReplicationJob, inputs: ReplicationPairInputs): Promise<void> {
  const rate = job.rate === undefined ? undefined : Number(job.rate);
  const comment = commentFor(inputs);
  const same =
    (job.schedule ?? "*/15") === inputs.schedule && rate === inputs.rateMBps && job.comment?.trim() === comment;
  if (same) return;
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

/** A job that is marked for removal still holds its id, and its end would take the copy of a new job with it. */
async function leavingJobsGone(
  context: HandlerContext,
  inputs: ReplicationPairInputs,
  patience: ReplicationPatience,
): Promise<void> {
  const leaving = (await jobsOf(context.pve, inputs)).filter((job) => job.remove_job !== undefined);
  for (const job of leaving) {
    if (await waitGone(context, inputs, job.id, patience)) continue;
    throw new PveError({
      ...about("set up replication of", inputs),
      server: job.source ?? inputs.source,
      call: "GET /cluster/replication",
      status: 409,
      reason: `an older job ${job.id} is marked for removal and is still there`,
      fix: `bring ${job.source ?? inputs.source} back so that it can finish, or remove the job by force: \`pvesr delete ${job.id} --force\``,
    });
  }
}

/** Waits for the first good run, and returns what to record. @throws PartlyInitialised when it did not come */
async function settle(
  { pve, progress }: HandlerContext,
  inputs: ReplicationPairInputs,
  job: ReplicationJob,
  patience: ReplicationPatience,
): Promise<ReplicationPairState> {
  const source = job.source ?? (await serverOf(pve, inputs));
  const first = await readStatus(pve, source, job.id, inputs);
  const record = (status: ReplicationJobStatus | undefined) => stateOf(inputs, job, source, status);
  if (isOn(job.disable)) {
    progress(`replication ${job.id} of '${inputs.guest}' is disabled and stays so`);
    return record(first);
  }
  if ((first?.last_sync ?? 0) > 0) return record(first);
  const partly = (status: ReplicationJobStatus | undefined, reason: string) =>
    new PartlyInitialised(job.id, record(status), [
      `${source}: the first replication of guest ${inputs.vmid} '${inputs.guest}' to ${job.target} (job ${job.id}) is not done: ${reason}`,
    ]);
  try {
    await pve.post(
      `/nodes/${source}/replication/${job.id}/schedule_now`,
      {},
      about("start the replication of", inputs),
    );
    const failsBefore = first?.fail_count ?? 0;
    const began = Date.now();
    let shownAt = began;
    for (;;) {
      await pve.pause(patience.poll);
      const status = await readStatus(pve, source, job.id, inputs);
      if ((status?.last_sync ?? 0) > 0) return record(status);
      if ((status?.fail_count ?? 0) > failsBefore) {
        const fix = `mend what it names (ZFS storage on both servers, ssh between them, space), then run this again; the log: \`pvesr status\` on ${source}`;
        throw partly(status, `${status?.error ?? "it failed"}. Fix: ${fix}`);
      }
      const seconds = (Date.now() - began) / 1000;
      const running = status?.pid !== undefined;
      if (seconds > (running ? patience.firstSync : patience.start)) {
        const what = running ? "it still runs" : "it was not begun";
        throw partly(
          status,
          `${what} after ${Math.round(seconds)} s. Fix: look at \`pvesr status\` on ${source}, then run this again`,
        );
      }
      if (Date.now() - shownAt > PROGRESS_SECONDS * 1000) {
        shownAt = Date.now();
        progress(
          `'${inputs.guest}': first replication from ${source} to ${job.target}, ${running ? "running" : "waiting for the scheduler"}, ${Math.round(seconds)} s`,
        );
      }
    }
  } catch (error) {
    // The job is there whatever happened: it must be recorded.
    if (error instanceof PartlyInitialised) throw error;
    throw partly(first, (error as Error).message);
  }
}

/** Marks the job for removal and waits until its server has taken it and the copy away, unless that server cannot. */
async function removeJob(
  context: HandlerContext,
  props: ReplicationPairInputs,
  patience: ReplicationPatience,
): Promise<void> {
  const { pve, progress } = context;
  const mine = (await jobsOf(pve, props)).find(
    (job) => job.source === undefined || samePair(props, { source: job.source, target: job.target }),
  );
  if (!mine) return;
  if (mine.remove_job === undefined) {
    try {
      await pve.delete(`/cluster/replication/${mine.id}`, {}, about("remove the replication of", props));
    } catch (error) {
      if (!(error instanceof PveError && error.isMissing)) throw error;
    }
  }
  if (await waitGone(context, props, mine.id, patience)) return;
  const off = await serversOff(pve);
  const why = off.length > 0 ? `${off.join(" and ")} is off` : `${mine.source ?? props.source} has not done it yet`;
  progress(
    `replication ${mine.id} of '${props.guest}' is marked for removal and goes when its servers can do it (${why}); ` +
      `until then the copy on ${mine.target} remains. By hand: \`pvesr delete ${mine.id} --force\``,
  );
}

/** Waits until a job is gone; `false` when it stays, at once when a server of the pair is off. */
async function waitGone(
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
