/**
 * What operations did, step by step: JSON lines in the operator's own folder, and a copy on every server that answers, so
 * that another person finds what the first one left open. Nothing is ever changed in it or taken out of it.
 */

import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { isAlive } from "../providers/process-alive";
import type { SshRunner } from "../providers/ssh";
import { type Clock, NODE_PROGRAM } from "./context";

/** A thing that an operator does to the site, from its plan to its end. */
export interface Operation {
  /** For example `failover-srv2-20261122T031500Z-3f1a`. */
  id: string;
  kind: string;
  /** Server or guest that it is about. */
  subject: string;
  /** Who opened it. */
  by: string;
  /** ISO time. */
  openedAt: string;
  /** What it is to do: kept so that it can be resumed as it was begun. Plain data without secrets. */
  plan: unknown;
}

/** One line of the journal. */
export type JournalLine = { at: string; operation: string } & (
  | { event: "opened"; kind: string; subject: string; by: string; plan: unknown }
  | { event: "resumed"; by: string }
  | {
      event: "begin" | "done" | "skip" | "fail";
      step: string;
      title: string;
      guest?: string;
      /** How long it took. */
      seconds?: number;
      text?: string;
    }
  | { event: "note"; text: string; guest?: string; data?: unknown }
  | { event: "closed"; outcome: "done" | "abandoned"; by: string; text?: string }
);

/** Of each member of a union, not of what they share. */
type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
export type JournalEntry = Without<JournalLine, "at" | "operation">;

/** An operation and all that is known of it. */
export interface OperationHistory extends Operation {
  lines: JournalLine[];
  /** Absent: it is open. */
  closed?: { at: string; outcome: "done" | "abandoned" };
  /** Ids of steps that were carried out. */
  done: Set<string>;
  /** `here`: begun on this machine; otherwise the server whose copy tells of it. */
  source: string;
}

export interface JournalOptions {
  /** Folder of this site's journal on the operator's machine. */
  folder: string;
  ssh: SshRunner;
  /** Servers that keep a copy. */
  servers: readonly string[];
  clock: Clock;
  /** Each line is on the disk before the next step begins. Default true; only tests are in a hurry. */
  durable?: boolean;
}

const REMOTE_SECONDS = 8;

export class Journal {
  readonly #options: JournalOptions;
  /** Servers that did not answer: asked once more when the operation ends, not at every line. */
  readonly #silent = new Set<string>();
  readonly #behind = new Map<string, string[]>();
  /** Files whose last line is known to be whole. */
  readonly #whole = new Set<string>();

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Where the lines of an operation lie on this machine. */
  fileOf(operation: string): string {
    return join(this.#options.folder, `${operation}.jsonl`);
  }

  /** Begins an operation. From now on it is open, for everybody who looks. */
  async open(kind: string, subject: string, by: string, plan: unknown): Promise<Operation> {
    const now = this.#options.clock.now();
    const stamp = now.toISOString().replace(/[-:]|\.\d+/g, "");
    // Somebody else may begin the same thing in the same second, on another machine.
    const tail = randomBytes(2).toString("hex");
    const id = `${kind}-${subject}-${stamp}-${tail}`.replace(/[^A-Za-z0-9._-]/g, "_");
    const operation: Operation = { id, kind, subject, by, openedAt: now.toISOString(), plan };
    await this.write(operation, { event: "opened", kind, subject, by, plan });
    return operation;
  }

  /** Adds a line: on this machine durably before it returns, on the servers as far as they answer. */
  async write(operation: Pick<Operation, "id">, entry: JournalEntry): Promise<void> {
    const line = JSON.stringify({ at: this.#options.clock.now().toISOString(), operation: operation.id, ...entry });
    this.append(operation.id, line);
    const closing = entry.event === "closed";
    await Promise.all(
      this.#options.servers.map((server) => {
        const waiting = this.#behind.get(server) ?? [];
        waiting.push(line);
        this.#behind.set(server, waiting);
        return this.#silent.has(server) && !closing ? undefined : this.send(server, operation.id);
      }),
    );
  }

  /**
   * Marks an operation as being carried out by this process, on this machine.
   *
   * @returns what takes the mark away
   * @throws Error when another process here is at it
   */
  hold(operation: Pick<Operation, "id">): () => void {
    const file = join(this.#options.folder, `${operation.id}.pid`);
    const holder = readHolder(file);
    if (holder !== undefined && holder.pid !== process.pid && isStill(holder))
      throw new Error(
        `${operation.id} is being carried out by another command on this machine (process ${holder.pid}): let it end first. If that process is something else: rm ${file}`,
      );
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 });
    writeFileSync(file, `${process.pid} ${birthOf(process.pid) ?? ""}\n`, { mode: 0o600 });
    return () => rmSync(file, { force: true });
  }

  /** Everything that this machine and the servers know, newest first; equal operations once. */
  async operations(options: { remote?: boolean } = {}): Promise<OperationHistory[]> {
    const found = new Map<string, OperationHistory>();
    const keep = (lines: JournalLine[], source: string) => {
      for (const history of histories(lines, source)) {
        const known = found.get(history.id);
        // Whoever resumed it elsewhere has written more of it there.
        if (known === undefined || known.lines.length < history.lines.length) found.set(history.id, history);
      }
    };
    keep(
      this.localIds().flatMap((id) => parseLines(readFileSync(this.fileOf(id), "utf8"))),
      "here",
    );
    if (options.remote !== false) {
      const { ssh, servers } = this.#options;
      const answers = await Promise.allSettled(
        servers.map((server) => ssh.run(server, [NODE_PROGRAM, "journal", "list"], { timeoutSeconds: REMOTE_SECONDS })),
      );
      answers.forEach((answer, index) => {
        if (answer.status === "fulfilled" && answer.value.code === 0)
          keep(parseLines(answer.value.stdout), servers[index]!);
      });
    }
    return [...found.values()].sort((a, b) => (a.openedAt < b.openedAt ? 1 : -1));
  }

  /** Operations that were begun and not ended, newest first. */
  async openOperations(): Promise<OperationHistory[]> {
    return (await this.operations()).filter(({ closed }) => closed === undefined);
  }

  private localIds(): string[] {
    try {
      return readdirSync(this.#options.folder)
        .filter((name) => name.endsWith(".jsonl"))
        .map((name) => name.slice(0, -".jsonl".length))
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  private append(id: string, line: string): void {
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 });
    const name = this.fileOf(id);
    const file = openSync(name, "a", 0o600);
    try {
      // A crash in the middle of a line must not spoil the next one.
      const gap = this.#whole.has(name) || endsInNewline(name) ? "" : "\n";
      appendFileSync(file, `${gap}${line}\n`);
      if (this.#options.durable !== false) fsyncSync(file);
      this.#whole.add(name);
    } finally {
      closeSync(file);
    }
  }

  private async send(server: string, id: string): Promise<void> {
    const lines = this.#behind.get(server) ?? [];
    this.#behind.set(server, []);
    try {
      const answer = await this.#options.ssh.run(server, [NODE_PROGRAM, "journal", "append", id], {
        input: lines.map((line) => `${line}\n`).join(""),
        timeoutSeconds: REMOTE_SECONDS,
      });
      if (answer.code !== 0) throw new Error(answer.stderr);
      this.#silent.delete(server);
    } catch {
      this.#silent.add(server);
      this.#behind.set(server, [...lines, ...(this.#behind.get(server) ?? [])]);
    }
  }
}

interface Holder {
  pid: number;
  /** When it was started, where the system tells. */
  birth?: string;
}

function readHolder(file: string): Holder | undefined {
  try {
    const [pid, birth] = readFileSync(file, "utf8").trim().split(" ");
    return Number(pid) > 0 ? { pid: Number(pid), ...(birth && { birth }) } : undefined;
  } catch {
    return undefined;
  }
}

/** Ids of processes come again, above all after a restart of the machine. */
function isStill({ pid, birth }: Holder): boolean {
  if (!isAlive(pid)) return false;
  const now = birthOf(pid);
  return birth === undefined || now === undefined || birth === now;
}

/** Linux: the kernel's boot and the process's start in it. */
function birthOf(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second word is the program's name, in brackets, and may hold anything.
    const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return `${boot}/${started}`;
  } catch {
    return undefined;
  }
}

function endsInNewline(file: string): boolean {
  const text = readFileSync(file, "utf8");
  return text === "" || text.endsWith("\n");
}

/** Lines that are no JSON (a crash in the middle of one) are left out. */
function parseLines(text: string): JournalLine[] {
  return text.split("\n").flatMap((line) => {
    try {
      const value = JSON.parse(line) as JournalLine;
      return typeof value.operation === "string" && typeof value.event === "string" ? [value] : [];
    } catch {
      return [];
    }
  });
}

/** What the lines come to, one for each operation. */
export function histories(lines: readonly JournalLine[], source: string): OperationHistory[] {
  const byId = new Map<string, OperationHistory>();
  for (const line of lines) {
    if (line.event === "opened") {
      const { operation: id, kind, subject, by, at, plan } = line;
      byId.set(id, { id, kind, subject, by, openedAt: at, plan, lines: [], done: new Set(), source });
    }
    const history = byId.get(line.operation);
    if (history === undefined) continue;
    history.lines.push(line);
    if (line.event === "done") history.done.add(line.step);
    if (line.event === "closed") history.closed = { at: line.at, outcome: line.outcome };
    if (line.event === "resumed") delete history.closed;
  }
  return [...byId.values()];
}
