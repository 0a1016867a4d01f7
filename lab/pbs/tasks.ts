import type { BackupServer } from "./backup-server";
import { messageOf } from "./errors";
import type { PbsTask } from "./types";

/** What the work of a task may do. */
export interface PbsTaskHandle {
  task: PbsTask;
  log(text: string): void;
  /** A warning: the task ends `WARNINGS: n`. */
  warn(text: string): void;
  /** The work of so many virtual seconds. @throws Error when the task was stopped or the server went down meanwhile */
  takes(seconds: number): Promise<void>;
}

export interface PbsTaskRequest {
  /** Worker type as PBS names it, e.g. `garbage_collection`. */
  type: string;
  /** What it works on; may be empty. */
  id: string;
  auth: string;
  work: (handle: PbsTaskHandle) => Promise<void> | void;
}

const KEPT_TASKS = 2000;
const STOPPED = "abort requested - aborting task";

function hex(value: number, digits = 8): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

/** systemd's escaping of a unit's name, with which PBS writes the worker's id. */
export function escapeId(id: string): string {
  return id
    .replace(/[^A-Za-z0-9:_./]|^\./g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`)
    .replaceAll("/", "-");
}

/** Registers a task; the work begins on the next turn of the event loop. */
export function startPbsTask(server: BackupServer, request: PbsTaskRequest): PbsTask {
  const { state, world } = server;
  const pid = state.nextPid;
  const taskId = state.tasks.length === 0 ? 0 : state.tasks.at(-1)!.taskId + 1;
  const starttime = world.clock.seconds();
  const pstart = 500 + Math.floor(state.bootedAt % 100000);
  const upid = `UPID:${server.name}:${hex(pid)}:${hex(pstart)}:${hex(taskId)}:${hex(starttime)}:${request.type}:${escapeId(request.id)}:${request.auth}:`;
  const task: PbsTask = {
    upid,
    pid,
    pstart,
    taskId,
    starttime,
    type: request.type,
    id: request.id,
    auth: request.auth,
    log: [],
  };
  state.tasks.push(task);
  if (state.tasks.length > KEPT_TASKS) state.tasks.splice(0, state.tasks.length - KEPT_TASKS);
  world.save();
  setImmediate(() => void run(server, request, task));
  return task;
}

async function run(server: BackupServer, request: PbsTaskRequest, task: PbsTask): Promise<void> {
  const { world } = server;
  let warnings = 0;
  const stamp = () => `${new Date(world.clock.seconds() * 1000).toISOString().slice(0, 19)}+00:00`;
  const log = (text: string) => {
    for (const line of text.split("\n")) task.log.push(`${stamp()}: ${line}`);
  };
  const end = (exitstatus: string, line: string) => {
    if (task.exitstatus !== undefined) return;
    task.exitstatus = exitstatus;
    task.endtime = world.clock.seconds();
    log(line);
    world.save();
  };
  const handle: PbsTaskHandle = {
    task,
    log,
    warn: (text) => {
      warnings++;
      log(text);
    },
    takes: async (seconds) => {
      await world.work(seconds * world.faults.slowdown);
      if (task.exitstatus !== undefined) throw new Error(STOPPED);
    },
  };
  try {
    const fault = world.faults.takeTaskFault(`pbs-${request.type}`);
    if (fault) throw new Error(fault);
    await request.work(handle);
    if (warnings > 0) end(`WARNINGS: ${warnings}`, `TASK WARNINGS: ${warnings}`);
    else end("OK", "TASK OK");
  } catch (error) {
    end(messageOf(error), `TASK ERROR: ${messageOf(error)}`);
  }
}

/** Resolves when the task has ended, however it did. */
export async function taskEnd(server: BackupServer, task: PbsTask): Promise<string> {
  while (task.exitstatus === undefined) await server.world.clock.sleep(0.5);
  return task.exitstatus;
}

/** `DELETE …/tasks/{upid}`: the worker notices when it looks up next. */
export function stopTask(server: BackupServer, task: PbsTask): void {
  if (task.exitstatus !== undefined) return;
  task.log.push("received abort request ...", `TASK ERROR: ${STOPPED}`);
  task.exitstatus = STOPPED;
  task.endtime = server.world.clock.seconds();
  server.world.save();
}

/** Every running task ends where it is: the server lost its power. */
export function interruptPbsTasks(server: BackupServer): void {
  for (const task of server.state.tasks) {
    if (task.exitstatus !== undefined) continue;
    task.exitstatus = "unknown";
    task.endtime = server.world.clock.seconds();
  }
}
