/** `coldspare failback` and `coldspare commit`: the plan, one question, progress, and what is left to type. */
import { readFileSync, writeFileSync } from "node:fs";
import { commitSiteFile, type SiteFileChange } from "../../operations/commit-site-file";
import type { Operator } from "../../operations/context";
import { returnSteps } from "../../operations/failback";
import { type DivergedChoice, planReturn, type ReturnPlan } from "../../operations/failback-plan";
import { roomForOldData } from "../../operations/failback-room";
import { openReturn, runReturn } from "../../operations/failback-run";
import { readLive } from "../../operations/live";
import { manifestFindings } from "../../operations/manifest-age";
import { type RecordResult, recordActive, recordLines } from "../../operations/stack-record";
import { Interrupted, type Step, StepFailed } from "../../operations/steps";
import type { Finding } from "../../planning";
import { formatDuration } from "../../planning/units";
import { findSiteFile } from "../../stacks/layouts";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { type Cell, type Paint, painter, renderTable } from "../table";
import { findingsText } from "../text";

export interface ReturnCommandOptions extends SiteOptions {
  diverged?: DivergedChoice;
  stopSeconds: number;
  forceStop?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
  color: boolean;
  project?: string;
  stack?: string;
  /** Commit only: the site file, and whether it is written. */
  siteFile?: string;
  write?: boolean;
}

/** A step of a plan, for programs. */
export interface StepDocument {
  id: string;
  guest?: string;
  title: string;
  /** Estimate. */
  seconds?: number;
}

export const stepDocument = ({ id, guest, title, seconds }: Step): StepDocument => ({
  id,
  ...(guest !== undefined && { guest }),
  title,
  ...(seconds !== undefined && { seconds }),
});

/** What `coldspare failback --json` and `coldspare commit --json` print; `ok` is false exactly when the exit code is 1. */
export interface ReturnDocument {
  formatVersion: 1;
  site: string;
  kind: ReturnPlan["kind"];
  /** `planned`: --dry-run; `interrupted` and `failed`: run the same command again. */
  outcome: "done" | "planned" | "refused" | "declined" | "interrupted" | "failed";
  ok: boolean;
  dryRun: boolean;
  /** Id of the operation that was gone on with. */
  resumed?: string;
  guests: ReturnPlan["guests"];
  steps: StepDocument[];
  refusals: Finding[];
  warnings: Finding[];
  /** Why it ended before its end. */
  error?: string;
  recorded?: RecordResult;
  siteFile?: { file: string; written: boolean; diff: string[] };
}

type Open = NonNullable<Awaited<ReturnType<typeof openReturn>>>;

/** One run of the command: what every part of it needs. */
interface Command {
  kind: ReturnPlan["kind"];
  operator: Operator;
  options: ReturnCommandOptions;
  io: Io;
  paint: Paint;
  source: string;
}

/** Answers the exit code. */
export async function comeBack(
  kind: ReturnPlan["kind"],
  subjects: readonly string[],
  options: ReturnCommandOptions,
  io: Io,
): Promise<number> {
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const { operator, source, close } = await openSite(options, io, progressPrinter(io.stderr, paint));
  try {
    const command = { kind, operator, options, io, paint, source };
    const open = await openReturn(operator, kind, subjects);
    return open === undefined ? await begin(command, subjects) : await goOn(command, open);
  } finally {
    await close();
  }
}

async function begin(command: Command, subjects: readonly string[]): Promise<number> {
  const { kind, operator, options, io } = command;
  const { manifest } = operator;
  const { stopSeconds, forceStop = false, diverged, dryRun = false } = options;
  const request = { kind, subjects, stopSeconds, forceStop, ...(diverged !== undefined && { diverged }) };
  const live = await readLive(operator);
  const plan = planReturn(manifest, live, request);
  plan.refusals.push(...manifestFindings(manifest, live));
  for (const finding of plan.refusals.length > 0 ? [] : await roomForOldData(operator, plan)) {
    (finding.severity === "error" ? plan.refusals : plan.warnings).push(finding);
  }
  const siteFile = kind === "commit" && plan.guests.length > 0 ? siteFileOf(command, plan) : undefined;
  plan.refusals.push(...(siteFile?.change.refusals ?? []));
  showPlan(command, plan, siteFile);
  if (plan.refusals.length > 0 || dryRun) {
    const ok = plan.refusals.length === 0;
    const outcome = ok ? "planned" : "refused";
    if (options.json) print(documentOf(command, plan, { outcome, ok, dryRun }), io);
    return ok ? exitCode.fine : exitCode.errors;
  }
  if (!(await confirmed(questionOf(plan), options, io))) return declined(command, plan);
  return carryOut(command, plan, undefined, siteFile);
}

function questionOf({ kind, guests }: ReturnPlan): string {
  if (kind === "commit") return "Make this their home?";
  return guests.every(({ stays }) => stays) ? "Replicate them again?" : "Bring them home?";
}

function declined(command: Command, plan: ReturnPlan, open?: Open): number {
  const resumed = open && { resumed: open.id };
  const rest = { outcome: "declined", ok: false, dryRun: false, ...resumed } as const;
  if (command.options.json) print(documentOf(command, plan, rest), command.io);
  return exitCode.errors;
}

async function goOn(command: Command, begun: Open): Promise<number> {
  const { io, options } = command;
  // How a guest is stopped may be said anew: that is what a failed stop asks for.
  const open = { ...begun, plan: patienceOf(begun.plan, options) };
  const { id, by, openedAt, done, plan } = open;
  io.stderr.write(`${id} was begun by ${by} at ${openedAt}; ${done.size} of its steps are done. It goes on.\n`);
  const siteFile = command.kind === "commit" ? siteFileOf(command, plan) : undefined;
  showPlan(command, plan, siteFile, done);
  if (options.dryRun) {
    if (options.json) print(documentOf(command, plan, { outcome: "planned", ok: true, dryRun: true, resumed: id }), io);
    return exitCode.fine;
  }
  if (!(await confirmed("Go on?", options, io))) return declined(command, plan, open);
  return carryOut(command, plan, open, siteFile);
}

async function carryOut(
  command: Command,
  plan: ReturnPlan,
  open: Open | undefined,
  siteFile: SiteFile | undefined,
): Promise<number> {
  const { operator, options, io } = command;
  const resumed = open && { resumed: open.id };
  try {
    await runReturn(operator, plan, open === undefined ? {} : { open });
  } catch (error) {
    if (!(error instanceof Interrupted || error instanceof StepFailed)) throw error;
    const goesOn =
      error instanceof StepFailed ? "\nMend it, then run the same command again: it goes on from there." : "";
    io.stderr.write(`${command.paint("red", error.message)}${goesOn}\n`);
    const outcome = error instanceof Interrupted ? "interrupted" : "failed";
    const rest = { outcome, ok: false, dryRun: false, ...resumed, error: error.message } as const;
    if (options.json) print(documentOf(command, plan, rest), io);
    return exitCode.errors;
  }
  const recorded = await recordActive(Object.fromEntries(plan.guests.map(({ guest }) => [guest, "primary" as const])), {
    env: io.env,
    ...(options.project !== undefined && { project: options.project }),
    ...(options.stack !== undefined && { stack: options.stack }),
  });
  const written = siteFile === undefined ? undefined : writeSiteFile(siteFile, options);
  const lines = [...recordLines(recorded), ...siteFileLines(siteFile, written), ...nextLines(plan)];
  io.stderr.write(lines.map((line) => `${line}\n`).join(""));
  if (options.json) {
    const file = written && { siteFile: { ...written, diff: siteFile!.change.diff } };
    print(
      { ...documentOf(command, plan, { outcome: "done", ok: true, dryRun: false, ...resumed }), recorded, ...file },
      io,
    );
  } else io.stdout.write(`${doneLine(command.kind, plan)}\n`);
  return exitCode.fine;
}

function doneLine(kind: ReturnPlan["kind"], { guests }: ReturnPlan): string {
  const word = kind === "failback" ? "home again" : "at home now";
  const moved = guests.filter(({ stays }) => !stays);
  const places = moved.map(({ guest, home, away }) => `${guest} on ${kind === "failback" ? home : away}`);
  const copies = guests.filter(({ stays }) => stays).map(({ guest, home }) => `${guest} to ${home}`);
  return [
    ...(places.length > 0 ? [`${word}: ${places.join(", ")}`] : []),
    ...(copies.length > 0 ? [`replicated again: ${copies.join(", ")}`] : []),
  ].join("\n");
}

/** The provider asks the server that the state remembers, so the state has to be read anew. */
function nextLines({ kind, guests }: ReturnPlan): string[] {
  if (guests.every(({ stays }) => stays)) return [];
  const first = kind === "commit" ? "when the site file is changed, " : "";
  return [`next, ${first}with the stack: pulumi up --refresh`];
}

function patienceOf(plan: ReturnPlan, { stopSeconds, forceStop = plan.forceStop }: ReturnCommandOptions): ReturnPlan {
  return { ...plan, stopSeconds, forceStop };
}

interface SiteFile {
  file: string;
  change: SiteFileChange;
}

/** The file that `--site-file` names, or the one of this folder; without any, what to change is said in words. */
function siteFileOf({ operator: { manifest }, options }: Command, plan: ReturnPlan): SiteFile | undefined {
  const file = options.siteFile ?? findSiteFile(options.project ?? ".");
  if (file === undefined || !/\.(ya?ml|json)$/.test(file)) {
    if (options.write) throw new UsageError("--write changes a site file in YAML: name it with --site-file");
    return undefined;
  }
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`--site-file ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
  const change = commitSiteFile(
    text,
    manifest,
    plan.guests.map(({ guest }) => guest),
  );
  // Without --write a person changes the file: what cannot be done by itself is no reason to refuse the rest.
  return { file, change: options.write ? change : { ...change, refusals: [] } };
}

function writeSiteFile(
  { file, change }: SiteFile,
  { write }: ReturnCommandOptions,
): { file: string; written: boolean } {
  if (!write || change.text === undefined) return { file, written: false };
  writeFileSync(file, change.text);
  return { file, written: true };
}

function siteFileLines(siteFile: SiteFile | undefined, written: { written: boolean } | undefined): string[] {
  if (siteFile === undefined || siteFile.change.diff.length === 0) return [];
  if (written?.written) return [`changed: ${siteFile.file}`];
  return [`still to be changed in ${siteFile.file} (or by --write):`, ...siteFile.change.diff];
}

function showPlan(
  command: Command,
  plan: ReturnPlan,
  siteFile: SiteFile | undefined,
  done?: ReadonlySet<string>,
): void {
  const { kind, io, paint, source } = command;
  const width = textWidth(io.stderr);
  const lines: string[] = [];
  if (plan.guests.length > 0) {
    const columns = [
      { title: "guest" },
      { title: "is on" },
      { title: kind === "failback" ? "comes to" : "stays on" },
      { title: "by" },
      { title: "what only the old side has", wrap: true },
    ];
    const rows = plan.guests.map((each): Cell[] => [
      each.guest,
      `${each.away} (${each.activeId})`,
      placeOf(kind, each),
      each.method,
      divergedText(each),
    ]);
    lines.push(...renderTable(columns, rows, width, paint), "", ...stepLines(command, plan, done));
  }
  if (siteFile !== undefined && siteFile.change.diff.length > 0) {
    lines.push("", `${siteFile.file}:`, ...siteFile.change.diff);
  }
  const findings = [...plan.refusals, ...plan.warnings];
  if (findings.length > 0) lines.push("", ...findingsText(findings, { paint, width, source, whatIf: [] }));
  if (plan.refusals.length > 0) lines.push("", paint("red", "nothing was changed"));
  io.stderr.write(`${lines.join("\n")}\n`);
}

function placeOf(kind: ReturnPlan["kind"], { home, away, vmid, stays }: ReturnPlan["guests"][number]): string {
  if (stays) return "stays there";
  return `${kind === "failback" ? home : away} (${vmid})`;
}

function divergedText({ diverged, home, divergedId, guest }: ReturnPlan["guests"][number]): string {
  if (diverged === "none") return "nothing";
  if (diverged === "discard") return `is thrown away on ${home}`;
  return `is kept as ${guest}-diverged (${divergedId}) on ${home}`;
}

/** As they would be run; nothing is asked of anybody until they are. */
function stepsOf({ operator }: Command, plan: ReturnPlan): Step[] {
  const operation = { id: "plan", kind: plan.kind, subject: plan.subject, by: "", openedAt: "", plan };
  return returnSteps(operator, operation, plan);
}

function stepLines(command: Command, plan: ReturnPlan, done: ReadonlySet<string> = new Set()): string[] {
  return stepsOf(command, plan).map(({ id, title, seconds }, index) => {
    const estimate = done.has(id) ? "done" : seconds === undefined ? "" : `about ${formatDuration(seconds)}`;
    return `${String(index + 1).padStart(3)}. ${title}${estimate === "" ? "" : ` (${estimate})`}`;
  });
}

function documentOf(
  command: Command,
  plan: ReturnPlan,
  rest: Pick<ReturnDocument, "outcome" | "ok" | "dryRun"> & Partial<Pick<ReturnDocument, "resumed" | "error">>,
): ReturnDocument {
  const { kind, operator } = command;
  const { guests, refusals, warnings } = plan;
  const steps = stepsOf(command, plan).map(stepDocument);
  return { formatVersion: 1, site: operator.manifest.site, kind, ...rest, guests, steps, refusals, warnings };
}

function print(document: ReturnDocument, io: Io): void {
  io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}
