/** `coldspare restore`: a copy comes back, as the guest itself, beside it, or as files. */

import type { RestorePlan } from "../../operations/backups/plan-restore";
import { readCopies } from "../../operations/backups/read-copies";
import { type DataPlan, dataSteps, planData, runData } from "../../operations/backups/restore-data";
import { planAndRoom } from "../../operations/backups/restore-facts";
import { openRestore, restoreSteps, runRestore } from "../../operations/backups/restore-steps";
import { subjectsOf } from "../../operations/backups/subjects";
import type { Operator } from "../../operations/context";
import type { OperationHistory } from "../../operations/journal";
import { Interrupted, type Step, StepFailed } from "../../operations/steps";
import type { Finding } from "../../planning";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { didYouMean } from "../suggest";
import { type Paint, painter } from "../table";
import { operationFindingsText, stepsText } from "../text-failover";
import { restorePlanText } from "../text-restore";
import { requireBackups } from "./backups";
import { type StepDocument, stepDocument } from "./failback";

export interface RestoreOptions extends SiteOptions {
  point: string;
  to?: string;
  as?: string;
  over?: true | string;
  storage?: string;
  files?: string[];
  into?: string;
  start?: boolean;
  stopSeconds: number;
  forceStop?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
  color: boolean;
}

/** What `coldspare restore --json` and `branch --json` print, once; `ok` is false exactly when the exit code is 1. */
export interface RestoreDocument {
  formatVersion: 1;
  site: string;
  kind: "restore" | "branch";
  subject: string;
  ok: boolean;
  /** `planned`: --dry-run; `interrupted` and `failed`: run the same command again. */
  outcome: "done" | "planned" | "refused" | "declined" | "interrupted" | "failed";
  dryRun: boolean;
  /** Id of the operation that was gone on with. */
  resumed?: string;
  plan: Omit<RestorePlan, "refusals" | "warnings"> | Omit<DataPlan, "refusals" | "warnings">;
  steps: StepDocument[];
  refusals: Finding[];
  warnings: Finding[];
  error?: string;
}

/** Answers the exit code. */
export async function restore(subject: string, options: RestoreOptions, io: Io): Promise<number> {
  const over = overOf(options);
  if (over !== undefined && options.as !== undefined)
    throw new UsageError("--as restores beside what is there, so nothing is written over: leave --over out");
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const { operator, close } = await openSite(options, io, progressPrinter(io.stderr, paint));
  try {
    const { manifest } = operator;
    requireBackups(manifest);
    const isGuest = Object.hasOwn(manifest.guests, subject);
    const known = subjectsOf(manifest).map(({ name }) => name);
    if (!isGuest && !known.includes(subject))
      throw new UsageError(
        `there is no guest and no subject '${subject}'${didYouMean(subject, [...known, ...Object.keys(manifest.guests)])}`,
      );
    if (!isGuest || options.files !== undefined) return await restoreData(operator, subject, options, io, paint);
    const open = await openRestore(operator, "restore", subject);
    if (open !== undefined) return await carryOut({ operator, subject, options, io, paint }, open.plan, open);
    const plan = await planAndRoom(operator, {
      guest: subject,
      point: options.point,
      ...(options.to !== undefined && { to: options.to }),
      ...(options.as !== undefined && { as: options.as }),
      ...(over !== undefined && { over }),
      ...(options.storage !== undefined && { storage: options.storage }),
      ...(options.start !== undefined && { start: options.start }),
      stopSeconds: options.stopSeconds,
      forceStop: options.forceStop === true,
    });
    return await carryOut({ operator, subject, options, io, paint }, plan);
  } finally {
    await close();
  }
}

function overOf({ over }: RestoreOptions): "keep" | "backup" | undefined {
  if (over === undefined) return undefined;
  if (over === true || over === "keep") return "keep";
  if (over === "backup") return "backup";
  throw new UsageError(`--over ${over}: keep (as a guest of its own) or backup`);
}

/** One run of a command that restores: what every part of it needs. */
export interface RestoreCommand {
  operator: Operator;
  /** What the operation is about: the guest, or the branch. */
  subject: string;
  options: Pick<RestoreOptions, "dryRun" | "yes" | "json" | "color">;
  io: Io;
  paint: Paint;
}

/** Shows the plan, asks once, carries it out, and says what came of it. */
export async function carryOut(command: RestoreCommand, plan: RestorePlan, open?: OperationHistory): Promise<number> {
  const { operator, options, io, paint, subject } = command;
  const steps = restoreSteps(operator, plan);
  const now = operator.clock.now().toISOString();
  if (open !== undefined)
    io.stderr.write(
      `${open.id} was begun by ${open.by} at ${open.openedAt}; ${open.done.size} of its steps are done. It goes on.\n`,
    );
  io.stderr.write(`${restorePlanText(plan, steps, now, textWidth(io.stderr), paint, open?.done).join("\n")}\n`);
  const end = (outcome: RestoreDocument["outcome"], error?: string) =>
    finish(command, { plan, steps }, outcome, open?.id, error);
  if (open === undefined && plan.refusals.length > 0) return end("refused");
  if (options.dryRun) return end("planned");
  if (!(await confirmed(open === undefined ? questionOf(plan) : "Go on?", options, io))) return end("declined");
  const failure = await tried(command, () => runRestore(operator, plan, subject, open));
  if (failure !== undefined) return end(failure.outcome, failure.error);
  if (!options.json) io.stdout.write(`${doneText(plan)}\n`);
  return end("done");
}

function questionOf({ kind, existing, name, server }: RestorePlan): string {
  if (kind === "branch") return `Make ${name} on ${server}?`;
  return existing === undefined
    ? `Restore ${name} on ${server}?`
    : `Write over ${existing.name} on ${server}, once it is kept?`;
}

function doneText({ kind, name, vmid, server, start, point, existing }: RestorePlan): string {
  const kept =
    existing === undefined
      ? ""
      : existing.keep === "keep"
        ? `; what was there is ${existing.keptName} (${existing.keptId})`
        : `; what was there is in a protected backup on ${existing.backupStorage}`;
  return `${kind === "branch" ? "branch" : "restored"}: ${name} (${vmid}) on ${server}, data of ${point.at}, ${start ? "started" : "powered off"}${kept}`;
}

interface Failure {
  outcome: "interrupted" | "failed";
  error: string;
}

async function tried(
  { io, paint }: Pick<RestoreCommand, "io" | "paint">,
  work: () => Promise<void>,
): Promise<Failure | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof Interrupted || error instanceof StepFailed)) throw error;
    const goesOn =
      error instanceof StepFailed ? "\nMend it, then run the same command again: it goes on from there." : "";
    io.stderr.write(`${paint("red", error.message)}${goesOn}\n`);
    return { outcome: error instanceof Interrupted ? "interrupted" : "failed", error: error.message };
  }
}

interface Planned {
  plan: RestorePlan | DataPlan;
  steps: readonly Step[];
}

function finish(
  { operator, options, io, subject }: RestoreCommand,
  { plan: planned, steps }: Planned,
  outcome: RestoreDocument["outcome"],
  resumed?: string,
  error?: string,
): number {
  const ok = outcome === "done" || outcome === "planned";
  const { refusals, warnings, ...plan } = planned;
  const document: RestoreDocument = {
    formatVersion: 1,
    site: operator.manifest.site,
    kind: plan.kind,
    subject,
    ok,
    outcome,
    dryRun: options.dryRun === true,
    ...(resumed !== undefined && { resumed }),
    plan,
    steps: steps.map(stepDocument),
    refusals,
    warnings,
    ...(error !== undefined && { error }),
  };
  if (options.json) io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  return ok ? exitCode.fine : exitCode.errors;
}

/** Folders, volumes, data sets, and single files. */
async function restoreData(
  operator: Operator,
  subject: string,
  options: RestoreOptions,
  io: Io,
  paint: Paint,
): Promise<number> {
  if (options.into === undefined)
    throw new UsageError("say with --into where it goes: a folder on its server, or for a data set a new data set");
  for (const key of ["to", "as", "over", "storage", "start"] as const)
    if (options[key] !== undefined) throw new UsageError(`--${key} is for guests as a whole`);
  const plan = planData(operator.manifest, await readCopies(operator), {
    subject,
    point: options.point,
    into: options.into,
    files: options.files ?? [],
  });
  const command = { operator, subject, options, io, paint };
  const steps = dataSteps(operator, plan);
  const width = textWidth(io.stderr);
  const findings = operationFindingsText([...plan.refusals, ...plan.warnings], width, paint);
  const shown = plan.refusals.length === 0 ? stepsText(steps, paint) : [];
  io.stderr.write(`${[...shown, ...findings].join("\n")}\n`);
  if (plan.refusals.length > 0) return finish(command, { plan, steps }, "refused");
  if (options.dryRun) return finish(command, { plan, steps }, "planned");
  if (!(await confirmed(`Restore it into ${plan.into} on ${placeOf(plan)}?`, options, io)))
    return finish(command, { plan, steps }, "declined");
  const failure = await tried(command, () => runData(operator, plan));
  if (failure !== undefined) return finish(command, { plan, steps }, failure.outcome, undefined, failure.error);
  if (!options.json)
    io.stdout.write(`restored: ${subject} as of ${plan.point!.at} into ${plan.into} on ${placeOf(plan)}\n`);
  return finish(command, { plan, steps }, "done");
}

function placeOf({ downloads, server }: DataPlan): string {
  return downloads.length > 0 ? "this machine" : server;
}
