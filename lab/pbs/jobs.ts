import { nextEvent } from "../schedule";
import type { BackupServer } from "./backup-server";
import { messageOf, notFound } from "./errors";
import { startGarbageCollection } from "./gc";
import { keepOptions, pruneNamespace } from "./prune";
import { pull } from "./sync";
import { startPbsTask, taskEnd } from "./tasks";
import type { JobKind, JobState, PbsTask, Section } from "./types";
import { startVerification } from "./verify";

export function jobKey(kind: JobKind | "gc", id: string): string {
  return `${kind}:${id}`;
}

/** The schedule counts from now: the job is new, or its schedule is. */
export function restartSchedule(server: BackupServer, key: string): void {
  server.state.jobStates[key] = { ...server.state.jobStates[key], since: server.world.clock.now() };
}

/** Runs a job now, whoever asks. */
export function runJob(server: BackupServer, kind: JobKind, id: string, auth: string): PbsTask {
  const job = server.state.jobs[kind][id];
  if (!job) throw notFound(`no such job '${id}'`);
  return watched(server, jobKey(kind, id), STARTERS[kind](server, id, job, auth));
}

export function runGarbageCollection(server: BackupServer, store: string, auth: string): PbsTask {
  return watched(server, jobKey("gc", store), startGarbageCollection(server.datastore(store), auth));
}

const STARTERS: Record<JobKind, (server: BackupServer, id: string, job: Section, auth: string) => PbsTask> = {
  prune: (server, _id, job, auth) => {
    const store = server.datastore(job.store ?? "");
    const depth = job["max-depth"];
    return startPbsTask(server, {
      type: "prunejob",
      id: job.ns ? `${job.store}:${job.ns}` : (job.store ?? ""),
      auth,
      work: (handle) =>
        pruneNamespace(
          store,
          { ns: job.ns ?? "", keep: keepOptions(job), ...(depth === undefined ? {} : { depth: Number(depth) }) },
          handle,
        ),
    });
  },
  verification: (server, id, job, auth) => {
    const depth = job["max-depth"];
    const outdated = job["outdated-after"];
    return startVerification(
      server.datastore(job.store ?? ""),
      {
        ns: job.ns ?? "",
        ignoreVerified: job["ignore-verified"] !== "0",
        ...(depth === undefined ? {} : { depth: Number(depth) }),
        ...(outdated === undefined ? {} : { outdatedAfterDays: Number(outdated) }),
      },
      auth,
      { type: "verificationjob", id: `${job.store}:${id}` },
    );
  },
  sync: (server, id, job, auth) => {
    const parts = [job.remote ?? "-", job["remote-store"], job.store, job.ns ?? "", id];
    return startPbsTask(server, {
      type: "syncjob",
      id: parts.join(":"),
      auth,
      work: (handle) => pull(server, job, handle),
    });
  },
};

/** Notes how the job's task ends. */
function watched(server: BackupServer, key: string, task: PbsTask): PbsTask {
  server.state.jobStates[key] = { ...server.state.jobStates[key], since: task.starttime, upid: task.upid };
  void taskEnd(server, task).then((state) => {
    const current = server.state.jobStates[key];
    if (current?.upid === task.upid) Object.assign(current, { endtime: task.endtime, state });
    server.world.save();
  });
  return task;
}

/** What the lists of jobs say about the last and the next run. */
export function jobStatus(server: BackupServer, key: string, schedule: string | undefined): Record<string, unknown> {
  const state: JobState | undefined = server.state.jobStates[key];
  const next = schedule ? nextEvent(schedule, state?.since ?? server.world.clock.now()) : undefined;
  return {
    ...(next === undefined ? {} : { "next-run": next }),
    ...(state?.upid ? { "last-run-upid": state.upid } : {}),
    ...(state?.endtime === undefined ? {} : { "last-run-endtime": state.endtime }),
    ...(state?.state === undefined ? {} : { "last-run-state": state.state }),
  };
}

/** What is due by its schedule, looked at once a virtual minute. What fell into a time without power runs afterwards, once. */
export function schedulerMinute(server: BackupServer): void {
  if (!server.up) return;
  for (const [name, section] of Object.entries(server.state.datastores)) {
    if (!isDue(server, jobKey("gc", name), section["gc-schedule"])) continue;
    attempt(server, () => runGarbageCollection(server, name, "root@pam"), "garbage_collection", name);
  }
  for (const kind of ["prune", "verification", "sync"] as const)
    for (const [id, job] of Object.entries(server.state.jobs[kind])) {
      if (job.disable === "1" || !isDue(server, jobKey(kind, id), job.schedule)) continue;
      attempt(server, () => runJob(server, kind, id, "root@pam"), `${kind}job`, id);
    }
}

function isDue(server: BackupServer, key: string, schedule: string | undefined): boolean {
  if (!schedule) return false;
  server.state.jobStates[key] ??= { since: server.world.clock.now() };
  const state = server.state.jobStates[key];
  const due = nextEvent(schedule, state.since);
  if (due === undefined || due > server.world.clock.now()) return false;
  const running = server.state.tasks.find(({ upid }) => upid === state.upid);
  if (running && running.exitstatus === undefined) return false;
  state.since = server.world.clock.now();
  return true;
}

/** A job that cannot even begin (its datastore is not there) leaves a task that says why. */
function attempt(server: BackupServer, start: () => PbsTask, type: string, id: string): void {
  try {
    start();
  } catch (error) {
    startPbsTask(server, {
      type,
      id,
      auth: "root@pam",
      work: () => {
        throw new Error(`unable to start job - ${messageOf(error)}`);
      },
    });
  }
}
