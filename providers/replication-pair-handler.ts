/** The life of a replication pair: plain functions over the client. See {@link ReplicationPair} for what it promises. */
import { CALENDAR_EXAMPLES, parseCalendarEvent } from "../planning/calendar";
import { about } from "./about";
import { PveError } from "./pve/errors";
import type { ReplicationJob, ReplicationJobStatus } from "./pve/types";
import { healthWarning, isOn } from "./replication-health";
import {
  bringUpToDate,
  commentFor,
  findJob,
  isBetween,
  jobsOf,
  jobsOfPair,
  type ReplicationPairInputs,
  type ReplicationPatience,
  rateOf,
  readStatus,
  removeJobs,
  samePair,
  serverOf,
  waitGone,
} from "./replication-jobs";
import {
  type Difference,
  type Handler,
  type HandlerContext,
  type InputFailure,
  PartlyInitialised,
  serve,
} from "./serve";

/** What is recorded: the inputs, and what PVE says of the job that does not change by itself. How it goes is told, not kept. */
export interface ReplicationPairState extends ReplicationPairInputs {
  jobId: string;
}

const PATIENCE: ReplicationPatience = { start: 300, firstSync: 12 * 3600, removal: 180, poll: 2 };
const PROGRESS_SECONDS = 20;

/** The handler, with a patience of its own for tests. */
export function replicationPairHandler(
  patience: ReplicationPatience = PATIENCE,
): Handler<ReplicationPairInputs, ReplicationPairState> {
  return {
    check,
    diff,
    async create(context, inputs) {
      const job = await ensureJob(context, inputs, patience);
      return { id: job.id, outs: (await settle(context, inputs, job, patience)).outs };
    },
    async read({ pve, progress }, _id, props) {
      const job = await findJob(pve, props);
      if (!job) return undefined;
      const source = job.source ?? props.source;
      const status = await readStatus(pve, source, job.id, props);
      const warning = await healthWarning(pve, props, job, source, status);
      if (warning !== undefined) progress(warning);
      return stateOf(props, job, source);
    },
    async update(context, _id, olds, news) {
      const job = await ensureJob(context, news, patience);
      const { outs, follows } = await settle(context, news, job, patience);
      // Jobs to a server that is no spare any more hold the only copy until the new one is good: they go last.
      const left = [...(await jobsOfPair(context.pve, olds)), ...(await jobsOfPair(context.pve, news))];
      const former = new Map(left.filter((each) => !isBetween(news, each)).map((each) => [each.id, each]));
      if (former.size === 0) return outs;
      if (follows) {
        await removeJobs(context, olds, [...former.values()], patience);
        return outs;
      }
      const kept = [...former.values()].map((each) => `${each.id} to ${each.target}`).join(" and ");
      throw new PartlyInitialised(job.id, outs, [
        `${outs.source}: replication ${job.id} of '${news.guest}' to ${outs.target} is disabled, so ${kept} stays with its copy. ` +
          `Fix: \`pvesr enable ${job.id}\`, then run this again`,
      ]);
    },
    async delete(context, _id, props) {
      await removeJobs(context, props, await jobsOfPair(context.pve, props), patience);
    },
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

function stateOf(inputs: ReplicationPairInputs, job: ReplicationJob, source: string): ReplicationPairState {
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

/** A job between these servers that is marked for removal: its end would take the copy of a new job with it. */
async function leavingJobsGone(
  context: HandlerContext,
  inputs: ReplicationPairInputs,
  patience: ReplicationPatience,
): Promise<void> {
  const leaving = (await jobsOf(context.pve, inputs)).filter(
    (job) => job.remove_job !== undefined && isBetween(inputs, job),
  );
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

/** Waits for the first good run; `follows` is false for a disabled job. @throws PartlyInitialised when it did not come */
async function settle(
  context: HandlerContext,
  inputs: ReplicationPairInputs,
  job: ReplicationJob,
  patience: ReplicationPatience,
): Promise<{ outs: ReplicationPairState; follows: boolean }> {
  const { pve, progress } = context;
  const source = job.source ?? (await serverOf(pve, inputs));
  const status = await readStatus(pve, source, job.id, inputs);
  const outs = stateOf(inputs, job, source);
  if (isOn(job.disable)) {
    progress(`${await healthWarning(pve, inputs, job, source, status)}. It stays so`);
    return { outs, follows: false };
  }
  if ((status?.last_sync ?? 0) > 0) return { outs, follows: true };
  let failure: string | undefined;
  try {
    failure = await firstRun(context, inputs, job, source, status, patience);
  } catch (error) {
    // The job is there whatever happened: it must be recorded.
    failure = (error as Error).message;
  }
  if (failure === undefined) return { outs, follows: true };
  const what = `the first replication of guest ${inputs.vmid} '${inputs.guest}' to ${job.target} (job ${job.id})`;
  throw new PartlyInitialised(job.id, outs, [`${source}: ${what} is not done: ${failure}`]);
}

/** Asks for a run and waits for it; answers why there was no good one. */
async function firstRun(
  { pve, progress }: HandlerContext,
  inputs: ReplicationPairInputs,
  job: ReplicationJob,
  source: string,
  before: ReplicationJobStatus | undefined,
  patience: ReplicationPatience,
): Promise<string | undefined> {
  await pve.post(`/nodes/${source}/replication/${job.id}/schedule_now`, {}, about("start the replication of", inputs));
  const began = Date.now();
  let idleSince = began;
  let shownAt = began;
  for (;;) {
    await pve.pause(patience.poll);
    const status = await readStatus(pve, source, job.id, inputs);
    if ((status?.last_sync ?? 0) > 0) return undefined;
    if ((status?.fail_count ?? 0) > (before?.fail_count ?? 0)) {
      const fix = `mend what it names (ZFS storage on both servers, ssh between them, space), then run this again; the log: \`pvesr status\` on ${source}`;
      const log = await lastLines(pve, source, job.id);
      return `${status?.error ?? "it failed"}. Fix: ${fix}${log}`;
    }
    const now = Date.now();
    const running = status?.pid !== undefined;
    // A server runs its jobs one after the other: while another guest's first copy takes hours, ours is not late.
    const isLate = now - idleSince > patience.start * 500;
    if (running || (isLate && (await anyRuns(pve, source, inputs)))) idleSince = now;
    const isIdle = now - idleSince > patience.start * 1000;
    if (isIdle || now - began > patience.firstSync * 1000) {
      const after = `${isIdle ? "it was not begun" : "it is not done"} after ${Math.round((now - began) / 1000)} s`;
      return `${after}. Fix: look at \`pvesr status\` on ${source}, then run this again`;
    }
    if (now - shownAt > PROGRESS_SECONDS * 1000) {
      shownAt = now;
      const doing = running ? "running" : "waiting for its turn";
      progress(
        `'${inputs.guest}': first replication from ${source} to ${job.target}, ${doing}, ${Math.round((now - began) / 1000)} s`,
      );
    }
  }
}

const SHOWN_LINES = 8;

/** The last lines of a job's log, as text for an error; empty when it cannot be read: the failure itself matters more. */
async function lastLines(pve: HandlerContext["pve"], server: string, jobId: string): Promise<string> {
  try {
    const lines = await pve.get<{ t: string }[]>(`/nodes/${server}/replication/${jobId}/log`, { limit: 500 });
    const shown = lines.slice(-SHOWN_LINES).map(({ t }) => `    ${t}`);
    return shown.length === 0 ? "" : `\n  last lines of the job's log:\n${shown.join("\n")}`;
  } catch {
    return "";
  }
}

/** Whether a server is at work on any replication job. */
async function anyRuns(pve: HandlerContext["pve"], server: string, inputs: ReplicationPairInputs): Promise<boolean> {
  const asked = about("look at the other replication jobs beside", inputs);
  const jobs = await pve.get<ReplicationJobStatus[]>(`/nodes/${server}/replication`, {}, asked);
  return jobs.some((each) => each.pid !== undefined);
}
