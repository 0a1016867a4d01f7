/** `coldspare maintenance`: everything away from a server, the work, everything back, as one story. */
import type { Operator } from "../../operations/context";
import type { DivergedChoice } from "../../operations/failback-plan";
import {
  leave,
  leavingSteps,
  type MaintenancePlan,
  type OpenMaintenance,
  openMaintenances,
  type PlannedWay,
  planLeaving,
  planReturning,
  returnFrom,
  returningSteps,
} from "../../operations/maintenance";
import { recordActive, recordLines } from "../../operations/stack-record";
import { Interrupted, type Step, StepFailed } from "../../operations/steps";
import type { Finding } from "../../planning";
import { list } from "../../planning/units";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { didYouMean } from "../suggest";
import { type Paint, painter } from "../table";
import { findingsText } from "../text";
import { type StepDocument, stepDocument } from "./failback";

export interface MaintenanceOptions extends SiteOptions {
  begin?: boolean;
  end?: boolean;
  status?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
  stopSeconds: number;
  /** For guests whose spare is made by restore. Default `discard`: nothing that was there did not go along. */
  diverged?: DivergedChoice;
  forceStop?: boolean;
  color: boolean;
}

/** What `coldspare maintenance --json` prints, once; `ok` is false exactly when the exit code is 1. */
export interface MaintenanceDocument {
  formatVersion: 1;
  site: string;
  server: string;
  ok: boolean;
  /** `planned`: --dry-run; `interrupted` and `failed`: run the same command again. Absent with --status. */
  outcome?: "done" | "planned" | "refused" | "declined" | "interrupted" | "failed";
  dryRun: boolean;
  /** `none`: no maintenance of this server is open. */
  phase: OpenMaintenance["phase"] | "none";
  /** Guests that were moved away for it. */
  guests: string[];
  /** Guests without a spare: a person shuts them down before the work. */
  lost: string[];
  operation?: string;
  begunBy?: string;
  begunAt?: string;
  /** Of the way that was asked for; of both, where one command led away and back. */
  steps: StepDocument[];
  refusals: Finding[];
  warnings: Finding[];
  error?: string;
}

interface Command {
  operator: Operator;
  server: string;
  options: MaintenanceOptions;
  io: Io;
  paint: Paint;
  source: string;
}

/** What the document says of a way, whatever became of it. */
type Story = Pick<MaintenanceDocument, "guests" | "lost" | "steps" | "refusals" | "warnings">;

interface Failure {
  outcome: "interrupted" | "failed";
  error: string;
}

/** Answers the exit code. */
export async function maintenance(server: string, options: MaintenanceOptions, io: Io): Promise<number> {
  if ([options.begin, options.end, options.status].filter(Boolean).length > 1) {
    throw new UsageError("give one of --begin, --end and --status");
  }
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const { operator, source, close } = await openSite(options, io, progressPrinter(io.stderr, paint));
  try {
    const servers = Object.keys(operator.manifest.servers);
    if (!servers.includes(server)) {
      throw new UsageError(`${operator.manifest.site} has no server '${server}'${didYouMean(server, servers)}`);
    }
    const command = { operator, server, options, io, paint, source };
    const open = await openNow(command);
    if (options.status) return status(command, open);
    if (options.end) return open === undefined ? nothingOpen(command) : await end(command, open);
    if (options.begin || open === undefined || open.phase === "leaving") return await begin(command, open);
    return await end(command, open);
  } finally {
    await close();
  }
}

function status(command: Command, open: OpenMaintenance | undefined): number {
  const { io, options, server } = command;
  if (options.json) print(documentOf(command, open, { ok: true }), io);
  else io.stdout.write(`${statusText(server, open)}\n`);
  return exitCode.fine;
}

function statusText(server: string, open: OpenMaintenance | undefined): string {
  if (open === undefined) return `no maintenance of ${server} is open`;
  const { operation, plan, phase } = open;
  const words = {
    leaving: `guests are being moved away, or that was left in the middle. Go on: coldspare maintenance ${server} --begin`,
    working: `${server} is free for the work. Afterwards: coldspare maintenance ${server} --end`,
    returning: `guests are coming back, or that was left in the middle. Go on: coldspare maintenance ${server} --end`,
  };
  const moved = plan.guests.length === 0 ? "nothing" : list(plan.guests);
  return `maintenance of ${server}, begun by ${operation.by} at ${operation.openedAt}, moves ${moved}\n${words[phase]}`;
}

function nothingOpen(command: Command): number {
  const error = `no maintenance of ${command.server} is open, so nothing is to be brought back. See coldspare status`;
  command.io.stderr.write(`${error}\n`);
  return finish(command, undefined, "refused", {}, error);
}

/** It is not at the point at which that could be done; the words say at which one it is. */
function notNow(command: Command, open: OpenMaintenance): number {
  const error = statusText(command.server, open);
  command.io.stderr.write(`${error}\n`);
  return finish(command, open, "refused", {}, error);
}

async function begin(command: Command, open: OpenMaintenance | undefined): Promise<number> {
  const { operator, server, options, io } = command;
  if (open !== undefined && open.phase !== "leaving") return notNow(command, open);
  const planned: { plan: MaintenancePlan; refusals: Finding[]; warnings: Finding[] } =
    open === undefined ? await planLeaving(operator, server) : { plan: open.plan, refusals: [], warnings: [] };
  const { plan, refusals, warnings } = planned;
  const { guests } = plan;
  const { lost } = plan.away;
  const steps = leavingSteps(operator, open?.operation ?? emptyOperation(server, plan), plan);
  const story: Story = { guests, lost, steps: steps.map(stepDocument), refusals, warnings };
  show(command, `away from ${server}: ${list(guests) || "nothing"}`, steps, planned);
  if (lost.length > 0) io.stderr.write(`without a spare, shut down by you before the work: ${list(lost)}\n`);
  if (refusals.length > 0) return finish(command, open, "refused", story);
  if (options.dryRun) return finish(command, open, "planned", story);
  if (!(await confirmed(open === undefined ? `Free ${server} for work?` : "Go on?", options, io)))
    return finish(command, open, "declined", story);
  const failure = await carriedOut(command, () => leave(operator, plan, open));
  const now = await openNow(command);
  if (failure !== undefined) return finish(command, now, failure.outcome, story, failure.error);
  if (!options.json) io.stdout.write(`${statusText(server, now)}\n`);
  const waits = !options.begin && now !== undefined && io.ask !== undefined && !options.yes;
  return waits && (await workIsDone(io)) ? end(command, now, story) : finish(command, now, "done", story);
}

/** On a terminal the story goes on when the person says so; leaving it open is as good. */
async function workIsDone(io: Io): Promise<boolean> {
  const answer = await io.ask!("Now do your work. When it is done, type 'done'; or 'later': ");
  return answer.trim().toLowerCase() === "done";
}

/** @param before The way away, when this command has led it. */
async function end(command: Command, open: OpenMaintenance, before?: Story): Promise<number> {
  const { operator, server, options, io } = command;
  if (open.phase === "leaving") return notNow(command, open);
  const { stopSeconds, forceStop = false, diverged } = options;
  const planned: PlannedWay =
    open.back === undefined
      ? await planReturning(operator, open.plan, { stopSeconds, forceStop, ...(diverged && { diverged }) })
      : { ...open.back, refusals: [], warnings: [] };
  const { refusals } = planned;
  const steps = returningSteps(operator, open.operation, planned);
  const story = {
    steps: [...(before?.steps ?? []), ...steps.map(stepDocument)],
    refusals,
    warnings: [...(before?.warnings ?? []), ...planned.warnings],
  };
  show(command, `back to ${server}`, steps, planned);
  if (refusals.length > 0) return finish(command, open, "refused", story);
  if (options.dryRun) return finish(command, open, "planned", story);
  if (!(await confirmed(`Bring them back to ${server}?`, options, io))) return finish(command, open, "declined", story);
  const failure = await carriedOut(command, () => returnFrom(operator, open, planned));
  if (failure !== undefined) return finish(command, await openNow(command), failure.outcome, story, failure.error);
  await record(command, planned);
  if (!options.json) io.stdout.write(`the maintenance of ${server} is ended\n`);
  const { guests, away } = open.plan;
  return finish(command, undefined, "done", { guests, lost: away.lost, ...story });
}

async function openNow({ operator, server }: Command): Promise<OpenMaintenance | undefined> {
  return (await openMaintenances(operator)).find(({ plan }) => plan.server === server);
}

/** Prints the one document, and answers the exit code. */
function finish(
  command: Command,
  open: OpenMaintenance | undefined,
  outcome: NonNullable<MaintenanceDocument["outcome"]>,
  story: Partial<Story>,
  error?: string,
): number {
  const ok = outcome === "done" || outcome === "planned";
  if (command.options.json)
    print(documentOf(command, open, { ok, outcome, ...story, ...(error !== undefined && { error }) }), command.io);
  return ok ? exitCode.fine : exitCode.errors;
}

async function record({ io, server }: Command, { home }: PlannedWay): Promise<void> {
  const sides = Object.fromEntries((home?.guests ?? []).map(({ guest }) => [guest, "primary" as const]));
  const lines = recordLines(await recordActive(sides, { env: io.env }));
  io.stderr.write(
    [...lines, `next, with the stack: pulumi up --refresh (after the work on ${server})`]
      .map((line) => `${line}\n`)
      .join(""),
  );
}

async function carriedOut({ io, paint }: Command, work: () => Promise<void>): Promise<Failure | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof Interrupted || error instanceof StepFailed)) throw error;
    io.stderr.write(`${paint("red", error.message)}\nThe same command again goes on from there.\n`);
    return { outcome: error instanceof Interrupted ? "interrupted" : "failed", error: error.message };
  }
}

function emptyOperation(server: string, plan: MaintenancePlan) {
  return { id: "plan", kind: "maintenance", subject: server, by: "", openedAt: "", plan };
}

function show(
  { io, paint, source }: Command,
  title: string,
  steps: readonly Step[],
  { refusals, warnings }: { refusals: Finding[]; warnings: Finding[] },
): void {
  const width = textWidth(io.stderr);
  const lines = [
    paint("bold", title),
    ...steps.map((step, index) => `${String(index + 1).padStart(3)}. ${step.title}`),
  ];
  const findings = [...refusals, ...warnings];
  if (findings.length > 0) lines.push("", ...findingsText(findings, { paint, width, source, whatIf: [] }));
  if (refusals.length > 0) lines.push("", paint("red", "nothing was changed"));
  io.stderr.write(`${lines.join("\n")}\n`);
}

function documentOf(
  { operator, server, options }: Command,
  open: OpenMaintenance | undefined,
  rest: Pick<MaintenanceDocument, "ok"> & Partial<Pick<MaintenanceDocument, "outcome" | "error"> & Story>,
): MaintenanceDocument {
  return {
    formatVersion: 1,
    site: operator.manifest.site,
    server,
    dryRun: options.dryRun === true,
    phase: open?.phase ?? "none",
    guests: open?.plan.guests ?? [],
    lost: open?.plan.away.lost ?? [],
    ...(open && { operation: open.operation.id, begunBy: open.operation.by, begunAt: open.operation.openedAt }),
    steps: [],
    refusals: [],
    warnings: [],
    ...rest,
  };
}

function print(document: MaintenanceDocument, io: Io): void {
  io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}
