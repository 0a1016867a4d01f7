/** The answers of the programs on the servers: one line each, `key=value` words with percent-encoded values, then `end`. Pure. */
import type { JobState, MediumState, Point } from "./copies";

export type PlainLine = Readonly<Record<string, string>>;

/** @throws Error when the last line is missing: half an answer must not be taken for all that there is */
export function plainLines(text: string): PlainLine[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.at(-1)?.trim() !== "end") throw new Error("its answer was cut off");
  return lines.slice(0, -1).map(plainLine);
}

function plainLine(line: string): PlainLine {
  const words = line
    .trim()
    .split(/\s+/)
    .flatMap((word): [string, string][] => {
      const at = word.indexOf("=");
      return at <= 0 ? [] : [[word.slice(0, at), decoded(word.slice(at + 1))]];
    });
  return Object.fromEntries(words);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A word that stands for nothing is nothing. */
function said(text: string | undefined): string | undefined {
  return text === undefined || text === "" || text === "-" ? undefined : text;
}

function numberOf(text: string | undefined): number | undefined {
  const value = Number(said(text) ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** Drops what is undefined: absent keys and undefined ones must look the same in JSON and in tests. */
function present<T extends object>(values: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

const JOB_KINDS: readonly string[] = ["restic", "media", "zfs"];
const JOB_STATES: readonly string[] = ["ok", "failed", "running", "never"];

/** A line of `status --plain`; undefined for one that is of another kind. */
export function jobState(line: PlainLine, server: string): JobState | undefined {
  const { job, kind = "", state = "" } = line;
  if (job === undefined || !JOB_KINDS.includes(kind) || !JOB_STATES.includes(state)) return undefined;
  return present<JobState>({
    name: job,
    server,
    kind: kind as JobState["kind"],
    policy: said(line.policy),
    target: said(line.target),
    state: state as JobState["state"],
    at: said(line.at),
    began: said(line.began),
    bytes: numberOf(line.bytes),
    newest: said(line.newest),
    error: said(line.error),
  });
}

/** A line of `points --plain`; undefined for one without an id, a subject or a time. */
export function pointOf(line: PlainLine, server: string, kind: Point["kind"]): Omit<Point, "policies"> | undefined {
  const { point, subject, target } = line;
  const at = said(line.at);
  if (point === undefined || subject === undefined || target === undefined || at === undefined) return undefined;
  if (Number.isNaN(Date.parse(at))) return undefined;
  const verified = line.verified === "ok" || line.verified === "failed" ? line.verified : "none";
  return present<Omit<Point, "policies">>({
    id: point,
    subject,
    target,
    kind,
    at,
    bytes: numberOf(line.bytes),
    verified,
    verifiedAt: said(line.verifiedat),
    protected: undefined,
    encrypted: undefined,
    notes: undefined,
    medium: said(line.medium),
    job: said(line.job),
    servers: [server],
    vmid: undefined,
    guestKind: undefined,
  });
}

/** A line of `media status --plain`; undefined for one that names no rotation. */
export function mediumState(line: PlainLine, server: string): MediumState | undefined {
  if (line.target === undefined) return undefined;
  return present<MediumState>({
    target: line.target,
    server,
    attached: said(line.attached),
    expected: said(line.expected),
    set: said(line.set),
    until: said(line.until),
    next: said(line.next),
    attachedAt: said(line.attachedat),
    written: said(line.written),
    freeBytes: numberOf(line.free),
    sizeBytes: numberOf(line.size),
    listEnds: said(line.listends),
    error: said(line.error),
  });
}
