/** `coldspare undo`: gives up a failover, and what was written on the spare with it. */

import type { Operator } from "../../operations/context";
import { concerns, guestsOf } from "../../operations/failover-facts";
import type { OperationHistory } from "../../operations/journal";
import { readLive } from "../../operations/live";
import { manifestFindings } from "../../operations/manifest-age";
import { planUndo, type UndoPlan } from "../../operations/plan-undo";
import { begin, openOperations, runOperation } from "../../operations/run-operation";
import { Interrupted, StepFailed } from "../../operations/steps";
import { undoSteps } from "../../operations/undo";
import type { Finding } from "../../planning";
import { formatDuration } from "../../planning/units";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { didYouMean } from "../suggest";
import { type Paint, painter, renderTable } from "../table";
import { operationFindingsText, stepsText } from "../text-failover";

export interface UndoOptions extends SiteOptions {
  acceptLoss?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  resume?: boolean;
  json?: boolean;
  color: boolean;
}

/** What `coldspare undo --json` prints. Keys are only added. */
export interface UndoReport {
  formatVersion: 1;
  outcome: "done" | "planned" | "refused" | "interrupted" | "failed" | "declined";
  operation?: string;
  plan: UndoPlan;
  steps: { id: string; guest?: string; title: string }[];
  refusals: Finding[];
  error?: string;
}

export async function undo(what: string, options: UndoOptions, io: Io): Promise<number> {
  const paint = painter(wantsColor(options.color, options.json ? io.stderr : io.stdout, io.env));
  const { operator, close } = await openSite(options, io, progressPrinter(options.json ? io.stderr : io.stdout, paint));
  try {
    const { servers, guests } = operator.manifest;
    const known = [...Object.keys(guests), ...Object.keys(servers)];
    if (!known.includes(what))
      throw new UsageError(
        `site ${operator.manifest.site} has no guest and no server '${what}'${didYouMean(what, known)}`,
      );
    return await run(operator, what, options, io, paint);
  } finally {
    await close();
  }
}

async function run(operator: Operator, what: string, options: UndoOptions, io: Io, paint: Paint): Promise<number> {
  const { own, others } = await openOperations(operator, "undo", what, options.resume === true);
  const live = await readLive(operator);
  const asks = options.dryRun === true || (io.ask !== undefined && options.yes !== true);
  const request = { what, acceptLoss: options.acceptLoss === true || asks };
  const named = new Set(operator.manifest.guests[what] ? [what] : guestsAtHomeOn(operator, what));
  const ended = others.filter((each) => each.kind === "failover" && concerns(each, named));
  const strangers = ended.filter(({ by }) => by !== operator.by && options.resume !== true);
  const open = [...others.filter((each) => !ended.includes(each) && concerns(each, named)), ...strangers];
  const planned = own
    ? { plan: own.plan as UndoPlan, refusals: [] }
    : planUndo(operator.manifest, live, { open, manifest: manifestFindings(operator.manifest, live) }, request);
  const { plan, refusals } = planned;
  const preview = own ?? { id: `undo-${what}`, kind: "undo", subject: what, by: operator.by, openedAt: live.at, plan };
  const steps = undoSteps(operator, preview, plan);
  const report: UndoReport = {
    formatVersion: 1,
    outcome: "planned",
    ...(own && { operation: own.id }),
    plan,
    steps: steps.map(({ id, title, guest }) => ({ id, title, ...(guest !== undefined && { guest }) })),
    refusals,
  };
  const end = (outcome: UndoReport["outcome"], code: number, error?: string): number => {
    if (error !== undefined) io.stderr.write(`${paint("red", "stopped:")} ${error}\n`);
    if (options.json)
      io.stdout.write(`${JSON.stringify({ ...report, outcome, ...(error !== undefined && { error }) }, null, 2)}\n`);
    return code;
  };
  const tell = (lines: readonly string[]) => {
    if (!options.json) io.stdout.write(`${lines.join("\n")}\n`);
  };
  const width = textWidth(io.stdout);
  tell([
    ...(own ? [`going on with ${own.id}`] : []),
    ...planText(plan, live.at, width, paint),
    ...(refusals.length > 0
      ? ["", ...operationFindingsText(refusals, width, paint), "", "nothing was changed"]
      : ["", ...stepsText(steps, paint, own?.done)]),
  ]);
  if (refusals.length > 0) return end("refused", exitCode.errors);
  if (options.dryRun) return end("planned", exitCode.fine);
  if (!(await agreed(plan, options, io))) return end("declined", exitCode.errors);
  const begun = await begin(operator, "undo", what, plan, own);
  report.operation = begun.operation.id;
  await endSwitches(operator, ended, named, begun.operation.id);
  try {
    await runOperation(operator, begun, undoSteps(operator, begun.operation, plan));
  } catch (error) {
    if (error instanceof Interrupted) return end("interrupted", exitCode.errors, error.message);
    if (!(error instanceof StepFailed)) throw error;
    return end(
      "failed",
      exitCode.errors,
      `${error.message}\nThe same command goes on from here. (${begun.operation.id})`,
    );
  }
  tell(["", paint("green", `done: ${plan.moves.map(({ guest, primary }) => `${guest} on ${primary}`).join(", ")}`)]);
  return end("done", exitCode.fine);
}

function guestsAtHomeOn({ manifest }: Operator, server: string): string[] {
  return Object.values(manifest.guests)
    .filter(({ primary }) => primary === server)
    .map(({ name }) => name);
}

/** Switches of which all guests are undone are not to be gone on with; of others the rest can still be brought up. */
async function endSwitches(
  operator: Operator,
  switches: readonly OperationHistory[],
  undone: ReadonlySet<string>,
  by: string,
): Promise<void> {
  for (const each of switches) {
    if (!guestsOf(each.plan)?.every((guest) => undone.has(guest))) continue;
    await operator.journal.write(each, {
      event: "closed",
      outcome: "abandoned",
      by: operator.by,
      text: `undone by ${by}`,
    });
  }
}

async function agreed(plan: UndoPlan, options: UndoOptions, io: Io): Promise<boolean> {
  const loses = plan.moves.some(({ lostSince }) => lostSince !== undefined);
  if (!loses || options.acceptLoss || io.ask === undefined)
    return confirmed("Do this?", { yes: options.yes === true }, io);
  const word = await io.ask("What was written on the spare is thrown away. Type 'throw away' to go on: ");
  if (word.trim().toLowerCase() === "throw away") return true;
  io.stderr.write("nothing was changed\n");
  return false;
}

function planText(plan: UndoPlan, now: string, width: number, paint: Paint): string[] {
  if (plan.moves.length === 0) return [];
  const columns = [{ title: "guest" }, { title: "from" }, { title: "to" }, { title: "lost", wrap: true }];
  const rows = plan.moves.map(({ guest, spare, primary, lostSince }) => [
    guest,
    spare,
    primary,
    lostSince === undefined
      ? "nothing: its spare was never started"
      : { text: lossText(lostSince, now), style: "red" as const },
  ]);
  return [paint("bold", `Undo of ${plan.what}, site ${plan.site}`), "", ...renderTable(columns, rows, width, paint)];
}

function lossText(since: string, now: string): string {
  const age = (Date.parse(now) - Date.parse(since)) / 1000;
  return Number.isFinite(age)
    ? `what was written since ${since} (${formatDuration(Math.max(0, age))})`
    : "all that was written on the spare";
}
