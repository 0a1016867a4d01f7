import { isRecord } from "./identities";
import type { Answer, RecordedCall } from "./recording";

/** One point in which the lab answered otherwise than the real API. */
export interface Difference {
  file: string;
  seq: number;
  /** `GET /nodes/pve1/qemu/300/config` */
  call: string;
  /** Where: `status`, `reason`, `data.memory`, `data[qemu/300].maxdisk`, `errors.vmid`. */
  what: string;
  expected: string;
  actual: string;
}

/** A difference before it is known in which call. */
export type Mismatch = Pick<Difference, "what" | "expected" | "actual">;

/** Texts that are made up on each run. */
const FREE_TEXTS = new Set(["digest", "ssl_fingerprint", "repoid", "tokenid", "changes"]);
/** Figures that are measured or counted on each run. (`cpu` of a configuration is a text, and is compared.) */
const FREE_NUMBERS = new Set([
  ...["pid", "pstart", "starttime", "endtime", "ctime", "uptime", "duration"],
  ...["cpu", "mem", "memhost", "disk", "netin", "netout", "diskread", "diskwrite", "used"],
  ...["pressurecpusome", "pressurecpufull", "pressureiosome", "pressureiofull", "pressurememorysome"],
  "pressurememoryfull",
]);
/** Times of which only 'never' or 'at some time' is compared. */
const TIMES = new Set(["last_sync", "last_try"]);
/** Sizes that belong to the hardware of a node or to the packer of a backup. */
const HARDWARE = new Set(["maxcpu", "maxmem", "maxdisk"]);

/** What names an element of a list, so that the order does not matter. */
const NAMES = ["id", "volid", "upid", "sid", "group", "poolid", "iface", "storage", "name", "cidr", "pos"];

/**
 * Compares an answer with the recorded one: status, reason phrase, keys and types everywhere, values where they do not
 * depend on the run. Texts are compared after made-up parts (task ids, addresses, times, checksums) are blanked.
 */
export function compareAnswers(recorded: RecordedCall, actual: Answer): Mismatch[] {
  const found: Mismatch[] = [];
  if (recorded.status !== actual.status) found.push(mismatch("status", recorded.status, actual.status));
  if (plain(recorded.reason) !== plain(actual.reason)) found.push(mismatch("reason", recorded.reason, actual.reason));
  if (found.length > 0 && recorded.status < 400 !== actual.status < 400) return found;
  if (isLog(recorded.path)) compareLogs(recorded.answer, actual.answer, found);
  else compareValues(recorded.answer, actual.answer, "", found);
  return found;
}

function isLog(path: string): boolean {
  return /^\/nodes\/[^/]+\/(tasks|replication)\/[^/]+\/log$/.test(path);
}

/** Lines of a log that tell of speeds, of the packer, of the mail system or of the temporary place of a restore. */
const INCIDENTAL = [
  /\d%|bytes \(|records (in|out)$|transferred|estimated size|TIME +SENT|sparse|space reduction/,
  /kvm (to execute|after) backup|backup via QMP|started backup task|starting new backup job/,
  /restore vma archive|CTIME:|email address|could not notify/,
];

function compareLogs(recorded: unknown, actual: unknown, found: Mismatch[]): void {
  const [ours, theirs] = [logLines(actual), logLines(recorded)];
  if (ours === undefined || theirs === undefined) {
    compareValues(recorded, actual, "", found);
    return;
  }
  if (blank(ours.at(-1)) !== blank(theirs.at(-1)))
    found.push(mismatch("last line of the log", theirs.at(-1), ours.at(-1)));
  // The packer of the recordings says some lines twice.
  const telling = (lines: string[]) =>
    lines.filter((line, index) => !INCIDENTAL.some((one) => one.test(line)) && line !== lines[index - 1]).map(blank);
  const [said, wanted] = [telling(ours.slice(0, -1)), telling(theirs.slice(0, -1))];
  if (said.join("\n") !== wanted.join("\n"))
    found.push(mismatch("lines of the log", wanted.join("; "), said.join("; ")));
}

// Durations and sizes of a log differ from run to run.
function blank(line: string | undefined): string {
  return plain(line).replace(/\d+(\.\d+)?/g, "#");
}

function logLines(log: unknown): string[] | undefined {
  if (!isRecord(log) || typeof log.total !== "number" || !Array.isArray(log.data)) return undefined;
  const lines = log.data.map((line: unknown) => (isRecord(line) && typeof line.n === "number" ? line.t : undefined));
  return lines.length > 0 && lines.every((line) => typeof line === "string") ? (lines as string[]) : undefined;
}

function compareValues(recorded: unknown, actual: unknown, path: string, found: Mismatch[]): void {
  if (typeOf(recorded) !== typeOf(actual)) {
    found.push(mismatch(path || "body", recorded, actual));
  } else if (Array.isArray(recorded) && Array.isArray(actual)) {
    compareLists(recorded, actual, path, found);
  } else if (isRecord(recorded) && isRecord(actual)) {
    for (const key of [...new Set([...Object.keys(recorded), ...Object.keys(actual)])].sort()) {
      const at = path === "" ? key : `${path}.${key}`;
      if (!(key in actual)) found.push(mismatch(at, recorded[key], undefined));
      else if (!(key in recorded)) found.push(mismatch(at, undefined, actual[key]));
      else if (!isFree(key, recorded)) compareValues(recorded[key], actual[key], at, found);
      else if (typeOf(recorded[key]) !== typeOf(actual[key])) found.push(mismatch(at, recorded[key], actual[key]));
    }
  } else if (isTime(path)) {
    if ((recorded === 0) !== (actual === 0)) found.push(mismatch(path, recorded, actual));
  } else if (plain(recorded) !== plain(actual)) found.push(mismatch(path || "body", recorded, actual));
}

function isFree(key: string, owner: Record<string, unknown>): boolean {
  if (typeof owner[key] === "number" ? FREE_NUMBERS.has(key) : FREE_TEXTS.has(key)) return true;
  if (owner.type === "node" && HARDWARE.has(key)) return true;
  // A schedule's next time is free once it is a time; what follows from 'never' is the same on every run.
  if (key === "next_sync") return Number(owner.last_sync) > 0 || Number(owner.last_try) > 0;
  return key === "size" && owner.content === "backup";
}

function isTime(path: string): boolean {
  return TIMES.has(path.slice(path.lastIndexOf(".") + 1));
}

function compareLists(recorded: unknown[], actual: unknown[], path: string, found: Mismatch[]): void {
  const ours = byName(actual);
  const theirs = byName(recorded);
  for (const [name, item] of theirs) {
    if (!ours.has(name)) found.push(mismatch(`${path}[${name}]`, item, undefined));
    else compareValues(item, ours.get(name), `${path}[${name}]`, found);
  }
  for (const [name, item] of ours) if (!theirs.has(name)) found.push(mismatch(`${path}[${name}]`, undefined, item));
}

function byName(list: unknown[]): Map<string, unknown> {
  const result = new Map<string, unknown>();
  for (const [index, item] of list.entries()) {
    const key = isRecord(item)
      ? NAMES.find((name) => typeof item[name] === "string" || typeof item[name] === "number")
      : undefined;
    const name = key === undefined ? String(index) : plain((item as Record<string, unknown>)[key]);
    result.set(result.has(name) ? `${name}#${index}` : name, item);
  }
  return result;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "list" : typeof value;
}

/** A value as text, without the parts that differ on each run. */
export function plain(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value) ?? "undefined";
  return value
    .replace(/UPID:([A-Za-z0-9-]+):[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:/g, "UPID:$1:")
    .replace(/\broot@pam![a-z]+/g, "root@pam!<token>")
    .replace(/\b[0-9A-F]{2}(:[0-9A-F]{2}){5}\b/gi, "<mac>")
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, "<uuid>")
    .replace(/\b[0-9a-f]{40}\b/g, "<digest>")
    .replace(/\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d/g, "<time>")
    .replace(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d/g, "<time>")
    .replace(/\b1[5-9]\d{8}\b/g, "<epoch>")
    .replace(/\(duration \d\d:\d\d:\d\d\)/g, "(duration <time>)")
    .replace(/\.conf\.tmp\.\d+/g, ".conf.tmp.<pid>")
    .replace(/\b10\.\d+\.\d+\.\d+\b/g, "<node address>")
    .trimEnd();
}

function mismatch(what: string, expected: unknown, actual: unknown): Mismatch {
  return { what, expected: short(expected), actual: short(actual) };
}

function short(value: unknown): string {
  const text =
    value === undefined
      ? "nothing"
      : typeof value === "string"
        ? `'${value.trimEnd()}'`
        : (JSON.stringify(value) ?? "");
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
