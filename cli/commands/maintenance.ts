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

/** What `coldspare maintenance --json` prints; `ok` is false exactly when the exit code is 1. */
export interface MaintenanceDocument {
  formatVersion: 1;
  site: string;
  server: string;
  ok: boolean;
  dryRun: boolean;
  /** `none`: no maintenance of this server is open. */
  phase: OpenMaintenance["phase"] | "none";
  /** Guests that were moved away for it. */
  guests: string[];
  operation?: string;
  begunBy?: string;
  begunAt?: string;
  /** Of the way that was asked for. */
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
    const open = (await openMaintenances(operator)).find(({ plan }) => plan.server === server);
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
  const { server, io, options } = command;
  io.stderr.write(`no maintenance of ${server} is open, so nothing is to be brought back. See coldspare status\n`);
  if (options.json) print(documentOf(command, undefined, { ok: false }), io);
  return exitCode.errors;
}

async function begin(command: Command, open: OpenMaintenance | undefined): Promise<number> {
  const { operator, server, options, io } = command;
  if (open !== undefined && open.phase !== "leaving") {
    io.stderr.write(`${statusText(server, open)}\n`);
    return exitCode.errors;
  }
  const planned: { plan: MaintenancePlan; refusals: Finding[]; warnings: Finding[] } =
    open === undefined ? await planLeaving(operator, server) : { plan: open.plan, refusals: [], warnings: [] };
  const { plan, refusals, warnings } = planned;
  const operation = open?.operation ?? emptyOperation(server, plan);
  const steps = leavingSteps(operator, operation, plan);
  show(command, `away from ${server}: ${list(plan.guests) || "nothing"}`, steps, planned);
  if (plan.away.lost.length > 0) {
    io.stderr.write(`without a spare, shut down by you before the work: ${list(plan.away.lost)}\n`);
  }
  if (refusals.length > 0 || options.dryRun) {
    if (options.json)
      print(
        documentOf(command, open, {
          ok: refusals.length === 0,
          refusals,
          warnings,
          guests: plan.guests,
          steps: steps.map(stepDocument),
        }),
        io,
      );
    return refusals.length === 0 ? exitCode.fine : exitCode.errors;
  }
  if (!(await confirmed(open === undefined ? `Free ${server} for work?` : "Go on?", options, io)))
    return exitCode.errors;
  const failure = await carriedOut(command, () => leave(operator, plan, open));
  const now = (await openMaintenances(operator)).find((each) => each.plan.server === server);
  if (options.json)
    print(
      documentOf(command, now, { ok: failure === undefined, ...(failure !== undefined && { error: failure }) }),
      io,
    );
  else if (failure === undefined) io.stdout.write(`${statusText(server, now)}\n`);
  if (failure !== undefined) return exitCode.errors;
  return options.begin || now === undefined || io.ask === undefined || options.yes
    ? exitCode.fine
    : waitForWork(command, now);
}

/** On a terminal the story goes on when the person says so; leaving it open is as good. */
async function waitForWork(command: Command, open: OpenMaintenance): Promise<number> {
  const answer = (await command.io.ask!("Now do your work. When it is done, type 'done'; or 'later': "))
    .trim()
    .toLowerCase();
  return answer === "done" ? end(command, open) : exitCode.fine;
}

async function end(command: Command, open: OpenMaintenance): Promise<number> {
  const { operator, server, options, io } = command;
  if (open.phase === "leaving") {
    io.stderr.write(`${statusText(server, open)}\n`);
    return exitCode.errors;
  }
  const { stopSeconds, forceStop = false, diverged } = options;
  const planned: PlannedWay =
    open.back === undefined
      ? await planReturning(operator, open.plan, { stopSeconds, forceStop, ...(diverged && { diverged }) })
      : { ...open.back, refusals: [], warnings: [] };
  const { refusals, warnings } = planned;
  const steps = returningSteps(operator, open.operation, planned);
  show(command, `back to ${server}`, steps, planned);
  if (refusals.length > 0 || options.dryRun) {
    const found = { ok: refusals.length === 0, refusals, warnings, steps: steps.map(stepDocument) };
    if (options.json) print(documentOf(command, open, found), io);
    return refusals.length === 0 ? exitCode.fine : exitCode.errors;
  }
  if (!(await confirmed(`Bring them back to ${server}?`, options, io))) return exitCode.errors;
  const failure = await carriedOut(command, () => returnFrom(operator, open, planned));
  if (failure === undefined) await record(command, planned);
  if (options.json) {
    const phase = failure === undefined ? undefined : open;
    print(
      documentOf(command, phase, { ok: failure === undefined, ...(failure !== undefined && { error: failure }) }),
      io,
    );
  } else if (failure === undefined) io.stdout.write(`the maintenance of ${server} is ended\n`);
  return failure === undefined ? exitCode.fine : exitCode.errors;
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

async function carriedOut({ io, paint }: Command, work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof Interrupted || error instanceof StepFailed)) throw error;
    io.stderr.write(`${paint("red", error.message)}\nThe same command again goes on from there.\n`);
    return error.message;
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
  rest: Pick<MaintenanceDocument, "ok"> &
    Partial<Pick<MaintenanceDocument, "refusals" | "warnings" | "error" | "guests" | "steps">>,
): MaintenanceDocument {
  return {
    formatVersion: 1,
    site: operator.manifest.site,
    server,
    dryRun: options.dryRun === true,
    phase: open?.phase ?? "none",
    guests: open?.plan.guests ?? [],
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
