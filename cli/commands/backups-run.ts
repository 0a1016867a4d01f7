/** `coldspare backups run` and `verify`: what a policy does by its schedule, now. */
import { keepLastGood } from "../../operations/backups/last-good";
import { readCopies } from "../../operations/backups/read-copies";
import { carryOutRuns, planRun, type RunPlan, type RunResult } from "../../operations/backups/run-policy";
import { planVerify } from "../../operations/backups/verify-policy";
import { readLive } from "../../operations/live";
import type { Finding } from "../../planning";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { painter } from "../table";
import { findingsText } from "../text";
import { runsTable } from "../text-copies";
import { requireBackups } from "./backups";

export interface BackupsRunOptions extends SiteOptions {
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
  color: boolean;
}

/** What `coldspare backups run --json` and `verify --json` print; `ok` is false exactly when the exit code is 1. */
export interface BackupsRunDocument {
  formatVersion: 1;
  site: string;
  kind: "run" | "verify";
  policy: string;
  ok: boolean;
  outcome: "done" | "planned" | "refused" | "declined" | "interrupted" | "failed";
  runs: { subject: string; server: string; title: string }[];
  results: RunResult[];
  refusals: Finding[];
}

/** Answers the exit code. What can be done is done: one guest that cannot be backed up does not keep the others back. */
export async function runOrVerify(
  kind: "run" | "verify",
  policy: string,
  options: BackupsRunOptions,
  io: Io,
): Promise<number> {
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const { operator, source, close } = await openSite(options, io, progressPrinter(io.stderr, paint));
  try {
    requireBackups(operator.manifest);
    const plan =
      kind === "run"
        ? planRun(operator, await readLive(operator), policy)
        : planVerify(operator, await readCopies(operator), policy);
    const lines = plan.runs.map(({ title }, index) => `${String(index + 1).padStart(3)}. ${title}`);
    const width = textWidth(io.stderr);
    const findings = findingsText(plan.refusals, { paint, width, source, whatIf: [] });
    io.stderr.write(`${[...lines, ...findings].join("\n")}\n`);
    const end = (outcome: BackupsRunDocument["outcome"], results: RunResult[] = []) =>
      finish(operator.manifest.site, kind, plan, outcome, results, options, io);
    if (plan.runs.length === 0) return end("refused");
    if (options.dryRun) return end(plan.refusals.length > 0 ? "refused" : "planned");
    if (!(await confirmed(kind === "run" ? "Start these?" : "Read these again?", options, io))) return end("declined");
    const { results, interrupted } = await untilSignal((stopped) => carryOutRuns(operator, plan.runs, stopped), io);
    // Schedules prune by age alone: what they must not remove is settled whenever something is known anew.
    for (const { text } of await keepLastGood(operator, (await readCopies(operator)).points))
      io.stderr.write(`${text}\n`);
    const failed = plan.refusals.length > 0 || results.some(({ ok }) => !ok);
    return end(interrupted ? "interrupted" : failed ? "failed" : "done", results);
  } finally {
    await close();
  }
}

/** The first signal ends it after what is under way. */
export async function untilSignal<T>(
  work: (stopped: () => boolean) => Promise<T>,
  io: Io,
): Promise<{ results: T; interrupted: boolean }> {
  let interrupted = false;
  const stop = () => {
    if (!interrupted) io.stderr.write("ending after this one\n");
    interrupted = true;
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    const results = await work(() => interrupted);
    return { results, interrupted };
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

function finish(
  site: string,
  kind: "run" | "verify",
  { policy, runs, refusals }: RunPlan,
  outcome: BackupsRunDocument["outcome"],
  results: RunResult[],
  options: BackupsRunOptions,
  io: Io,
): number {
  const ok = outcome === "done" || outcome === "planned";
  if (options.json) {
    const titles = runs.map(({ subject, server, title }) => ({ subject, server, title }));
    const document: BackupsRunDocument = {
      formatVersion: 1,
      site,
      kind,
      policy,
      ok,
      outcome,
      runs: titles,
      results,
      refusals,
    };
    io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  } else if (results.length > 0) {
    const paint = painter(wantsColor(options.color, io.stdout, io.env));
    io.stdout.write(`${runsTable(results, textWidth(io.stdout), paint).join("\n")}\n`);
  }
  return ok ? exitCode.fine : exitCode.errors;
}
