import type { Domain } from "./domain";
import { ApiError } from "./errors";
import type { Task } from "./state";

/** What the work of a task may do. */
export interface TaskHandle {
  task: Task;
  log(...lines: string[]): void;
  /** A warning: the task ends `WARNINGS: n`. */
  warn(text: string): void;
  /** The work of so many virtual seconds; a lab whose tasks are quick does it in less. */
  takes(seconds: number): Promise<void>;
  /** Lets so many virtual seconds pass, however quick the lab's tasks are. */
  waits(seconds: number): Promise<void>;
}

export interface TaskRequest {
  node: string;
  /** Worker type as PVE names it, e.g. `qmcreate`. */
  type: string;
  /** Guest id, storage or other subject; may be empty. */
  id: string;
  /** Who asked: `root@pam` or `root@pam!token`. */
  user: string;
  /** Shortest time the task runs, in virtual seconds. */
  seconds?: number;
  work: (handle: TaskHandle) => Promise<void> | void;
  /** Undoes what the call prepared, when a fault ends the task before its work begins. */
  cleanUp?: () => void;
}

/** What a killed worker leaves as its last word; it cleans nothing up, so locks stay. */
const KILLED = "interrupted by signal";

const KEPT_TASKS = 2000;

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, "0");
}

/** Registers a task; the work begins on the next turn of the event loop. Returns the UPID. */
export function startTask(domain: Domain, request: TaskRequest): string {
  const { clock } = domain.world;
  const node = domain.nodeState(request.node);
  const pid = node.nextPid++;
  const starttime = clock.seconds();
  const pstart = Math.max(1, Math.floor((clock.now() - node.bootedAt) * 100)) + 500;
  const [user, tokenid] = request.user.split("!") as [string, string | undefined];
  const upid = `UPID:${request.node}:${hex(pid)}:${hex(pstart)}:${hex(starttime)}:${request.type}:${request.id}:${request.user}:`;
  const task: Task = {
    upid,
    node: request.node,
    pid,
    pstart,
    starttime,
    type: request.type,
    id: request.id,
    user,
    ...(tokenid ? { tokenid } : {}),
    log: [],
  };
  domain.state.tasks.push(task);
  if (domain.state.tasks.length > KEPT_TASKS) domain.state.tasks.splice(0, domain.state.tasks.length - KEPT_TASKS);
  domain.save();
  setImmediate(() => void run(domain, request, task));
  return upid;
}

async function run(domain: Domain, request: TaskRequest, task: Task): Promise<void> {
  const { clock } = domain.world;
  let warnings = 0;
  const passed = async (time: Promise<void>) => {
    await time;
    if (task.exitstatus !== undefined) throw new Error(KILLED);
  };
  const handle: TaskHandle = {
    task,
    log: (...lines) => void task.log.push(...lines),
    warn: (text) => {
      warnings++;
      task.log.push(`WARN: ${text}`);
    },
    takes: (seconds) => passed(domain.world.work(seconds * domain.world.faults.slowdown)),
    waits: (seconds) => passed(clock.sleep(seconds)),
  };
  const end = (exitstatus: string, line: string) => {
    if (task.exitstatus !== undefined) return;
    task.exitstatus = exitstatus;
    task.endtime = clock.seconds();
    task.log.push(line);
    domain.save();
  };
  try {
    const fault = domain.world.faults.takeTaskFault(request.type);
    if (fault) {
      if (fault !== KILLED) request.cleanUp?.();
      throw new Error(fault);
    }
    if (request.seconds) await handle.takes(request.seconds);
    await request.work(handle);
    if (warnings > 0) end(`WARNINGS: ${warnings}`, `TASK WARNINGS: ${warnings}`);
    else end("OK", "TASK OK");
  } catch (error) {
    const text = error instanceof ApiError ? error.reason : error instanceof Error ? error.message : String(error);
    end(text, `TASK ERROR: ${text}`);
  }
}

/** What every answer about a task says. */
function taskFacts(task: Task): Record<string, unknown> {
  return {
    upid: task.upid,
    node: task.node,
    pid: task.pid,
    pstart: task.pstart,
    starttime: task.starttime,
    type: task.type,
    id: task.id,
    user: task.user,
    ...(task.tokenid ? { tokenid: task.tokenid } : {}),
  };
}

/** What `/nodes/{node}/tasks/{upid}/status` answers. */
export function taskStatus(task: Task): Record<string, unknown> {
  return {
    ...taskFacts(task),
    status: task.exitstatus === undefined ? "running" : "stopped",
    ...(task.exitstatus === undefined ? {} : { exitstatus: task.exitstatus }),
  };
}

/** A task as the lists of tasks show it. */
export function taskListed(task: Task): Record<string, unknown> {
  return {
    ...taskFacts(task),
    ...(task.endtime === undefined ? {} : { endtime: task.endtime }),
    ...(task.exitstatus === undefined ? {} : { status: task.exitstatus }),
  };
}

/** Ends every running task of a node: the node went down, or the lab was stopped while they ran. */
export function interruptTasks(domain: Domain, node: string, at: number): void {
  for (const task of domain.state.tasks) {
    if (task.node !== node || task.exitstatus !== undefined) continue;
    task.exitstatus = "unexpected status";
    task.endtime = at;
  }
}
