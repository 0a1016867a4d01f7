/** Tasks of Proxmox Backup Server: a long call answers with the id of a task, and what matters is how that ends. */
import type { CallContext } from "../http/errors";
import type { PbsError } from "./errors";

/** How to wait for a task. */
export interface PbsTaskOptions {
  /** What the task does, for the error. */
  about?: CallContext;
  /** The call that started it, for the error. */
  call?: string;
  /** Seconds to wait at most. Default: no limit; the task's own log shows progress. */
  timeoutSeconds?: number;
  /** Called with the newest line of the log, at most every `progressSeconds`, while the task runs. */
  onProgress?: (line: string) => void;
  /** Default 10. */
  progressSeconds?: number;
}

/** What waiting needs of the client. */
interface Waiting {
  read: <T>(path: string, query: Readonly<Record<string, number>>) => Promise<T>;
  fail: (reason: string, log: string[], fix?: string) => PbsError;
  redact: (text: string) => string;
  pause: (seconds: number) => Promise<void>;
  maxPollSeconds: number;
}

const SHOWN_LINES = 8;

/** Waits until a task has ended. @throws PbsError when it failed or took too long */
export async function waitForTask(upid: string, options: PbsTaskOptions, waiting: Waiting): Promise<void> {
  const path = `/nodes/localhost/tasks/${encodeURIComponent(upid)}`;
  const { maxPollSeconds } = waiting;
  const progressMs = (options.progressSeconds ?? 10) * 1000;
  const log = new TaskLog(path, waiting);
  const started = Date.now();
  let shownAt = started;
  for (let poll = Math.min(0.1, maxPollSeconds); ; poll = Math.min(poll * 1.5, maxPollSeconds)) {
    const task = await waiting.read<{ status: string; exitstatus?: string }>(`${path}/status`, {});
    if (task.status !== "running") {
      const exit = task.exitstatus ?? "unknown";
      if (exit === "OK" || exit.startsWith("WARNINGS")) return;
      throw waiting.fail(waiting.redact(exit), await log.last());
    }
    const now = Date.now();
    if (options.timeoutSeconds !== undefined && now - started > options.timeoutSeconds * 1000) {
      throw waiting.fail(
        `the task still runs after ${options.timeoutSeconds} s (${upid.split(":")[6] ?? "task"})`,
        await log.last(),
        "look at the task (Administration > Tasks); when it has ended, run this again",
      );
    }
    if (options.onProgress && now - shownAt >= progressMs) {
      shownAt = now;
      const line = (await log.last()).at(-1);
      if (line !== undefined) options.onProgress(line);
    }
    await waiting.pause(poll);
  }
}

/** The log of a task, read on from where it was read last: that of a verification has a line per snapshot. */
class TaskLog {
  private seen = 0;
  private lines: string[] = [];

  constructor(
    private readonly path: string,
    private readonly waiting: Waiting,
  ) {}

  /** The last lines; those known so far when it cannot be read: the failure itself matters more. */
  async last(): Promise<string[]> {
    try {
      const fresh = await this.waiting.read<{ n: number; t: string }[]>(`${this.path}/log`, {
        start: this.seen,
        limit: 5000,
      });
      const texts = fresh.map(({ t }) => this.waiting.redact(t));
      this.seen += fresh.length;
      this.lines = [...this.lines, ...texts].slice(-SHOWN_LINES);
    } catch {
      // Nothing is lost: the lines so far are shown.
    }
    return this.lines;
  }
}
