/** Tasks: PVE answers a long call with the id of a task, and what matters is how that ends. */
import type { PveClient } from "./client";
import { type CallContext, PveError } from "./errors";

/** How to wait for a task. */
export interface TaskOptions {
  /** What the task does, for the error. */
  about?: CallContext;
  /** The call that started it, for the error. */
  call?: string;
  /** Seconds to wait at most. Default: no limit; the task's own log shows progress. */
  timeoutSeconds?: number;
  /** Called with the newest line of the log, at most every ten seconds, while the task runs. */
  onProgress?: (line: string) => void;
}

interface WaitOptions extends TaskOptions {
  maxPollSeconds: number;
  tokenId: string;
  redact: (text: string) => string;
  pause: (seconds: number) => Promise<void>;
}

interface TaskStatus {
  status: "running" | "stopped";
  exitstatus?: string;
}

interface LogLine {
  n: number;
  t: string;
}

const SHOWN_LINES = 8;
const PROGRESS_SECONDS = 10;

/** Waits until a task has ended. @throws PveError when it failed or took too long */
export async function waitForTask(client: PveClient, node: string, upid: string, options: WaitOptions): Promise<void> {
  const path = `/nodes/${node}/tasks/${upid}`;
  const about = options.about ?? {};
  const started = Date.now();
  let shownAt = started;
  for (let poll = Math.min(0.1, options.maxPollSeconds); ; poll = Math.min(poll * 1.5, options.maxPollSeconds)) {
    const task = await client.get<TaskStatus>(`${path}/status`, {}, about);
    if (task.status !== "running") return finish(client, node, path, task.exitstatus ?? "unknown", options);
    const now = Date.now();
    if (options.timeoutSeconds !== undefined && now - started > options.timeoutSeconds * 1000) {
      throw failed(
        node,
        options,
        `the task still runs after ${options.timeoutSeconds} s (${upid.split(":")[5] ?? "task"})`,
        {
          log: await lastLines(client, path, options),
          fix: `look at the task on ${node}; when it has ended, run this again`,
        },
      );
    }
    if (options.onProgress && now - shownAt > PROGRESS_SECONDS * 1000) {
      shownAt = now;
      const line = (await lastLines(client, path, options)).at(-1);
      if (line !== undefined) options.onProgress(line);
    }
    await options.pause(poll);
  }
}

async function finish(
  client: PveClient,
  node: string,
  path: string,
  exit: string,
  options: WaitOptions,
): Promise<void> {
  if (exit === "OK" || exit.startsWith("WARNINGS")) return;
  const log = await lastLines(client, path, options);
  throw failed(node, options, exit, { log });
}

function failed(node: string, options: WaitOptions, reason: string, more: { log: string[]; fix?: string }): PveError {
  const { about = {}, call = "task" } = options;
  return new PveError({
    ...about,
    server: node,
    call,
    status: 200,
    reason: options.redact(reason),
    tokenId: options.tokenId,
    ...more,
  });
}

/** The last lines of a task's log; none when it cannot be read: the failure itself matters more. */
async function lastLines(client: PveClient, path: string, options: WaitOptions): Promise<string[]> {
  try {
    const first = await client.get<LogLine[]>(`${path}/log`, { limit: 500 });
    const lines = first.length < 500 ? first : await client.get<LogLine[]>(`${path}/log`, { start: 500, limit: 5000 });
    return lines.slice(-SHOWN_LINES).map((line) => options.redact(line.t));
  } catch {
    return [];
  }
}
