import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One recorded call to the real API. */
export interface RecordedCall {
  /** Order over all files of one recording. */
  seq: number;
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Without `/api2/json`, encoded as it was sent. */
  path: string;
  query: Record<string, string>;
  /** Form body as sent. */
  form?: string;
  status: number;
  /** HTTP reason phrase. */
  reason: string;
  /** Real milliseconds until the answer. */
  ms: number;
  /** Body as JSON; an empty text when there was none. */
  answer: unknown;
}

/** An answer of the lab, in the same form. */
export interface Answer {
  status: number;
  reason: string;
  answer: unknown;
}

const FOLDER = join(__dirname, "..", "..", "recordings");

/** Names of all recordings, without `.jsonl`, in order. */
export function recordingNames(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => name.replace(/\.jsonl$/, ""))
    .sort();
}

/** Calls of one recording. @param name - without `.jsonl` */
export function loadRecording(name: string): RecordedCall[] {
  const lines = readFileSync(join(FOLDER, `${name}.jsonl`), "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as RecordedCall);
}

/** Calls that are replayed as one: a client that asked for the same thing until it changed. */
export interface Step {
  calls: RecordedCall[];
  /** `task`: polls of one task's status; `poll`: the same GET several times in a row; `call`: everything else. */
  kind: "call" | "task" | "poll";
}

const TASK_STATUS = /^\/nodes\/[^/]+\/tasks\/[^/]+\/status$/;

/** Groups a recording's calls into steps. */
export function steps(calls: RecordedCall[]): Step[] {
  const result: Step[] = [];
  for (const call of calls) {
    const last = result.at(-1);
    const isTask = call.method === "GET" && TASK_STATUS.test(call.path);
    if (last && call.method === "GET" && isSameRequest(last.calls[0] as RecordedCall, call)) {
      last.calls.push(call);
      if (last.kind === "call") last.kind = "poll";
    } else result.push({ calls: [call], kind: isTask ? "task" : "call" });
  }
  return result;
}

function isSameRequest(a: RecordedCall, b: RecordedCall): boolean {
  return a.method === b.method && a.path === b.path && JSON.stringify(a.query) === JSON.stringify(b.query);
}
