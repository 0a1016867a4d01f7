/** `coldspare drill`: starts replicas in isolation, probes them, throws them away, and writes down how long it took. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Operator, Progress } from "../../operations/context";
import { type DrillResult, runDrill } from "../../operations/drill";
import { drillFacts } from "../../operations/drill-facts";
import { type DrillPlan, planDrill } from "../../operations/drill-plan";
import { type DrillReport, drillPassed, drillReportText } from "../../operations/drill-report";
import { drillUnits } from "../../operations/drill-timer";
import { readLive } from "../../operations/live";
import type { SiteManifest } from "../../planning/manifest";
import { formatDuration } from "../../planning/units";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { didYouMean } from "../suggest";
import { type Cell, type Paint, painter, renderTable } from "../table";
import { findingsText } from "../text";

export interface DrillCommandOptions extends SiteOptions {
  all?: boolean;
  name?: string;
  dryRun?: boolean;
  yes?: boolean;
  keep?: boolean;
  json?: boolean;
  report?: string;
  timer?: string;
  color: boolean;
}

/** What `coldspare drill --json` prints; `ok` is false exactly when the exit code is 1. */
export interface DrillDocument {
  formatVersion: 1;
  site: string;
  ok: boolean;
  /** `planned`: --dry-run; `refused`: nothing of it can be done; `failed`: a drill of it did not pass; `interrupted`: ended by a signal. */
  outcome: "done" | "planned" | "refused" | "declined" | "interrupted" | "failed";
  from: string;
  to: string;
  units: DrillPlan["units"];
  results: DrillResult[];
  refusals: DrillPlan["refusals"];
  warnings: DrillPlan["warnings"];
}

/** Answers the exit code. */
export async function drill(names: readonly string[], options: DrillCommandOptions, io: Io): Promise<number> {
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const say: (event: Progress) => void = progressPrinter(io.stderr, paint);
  const { operator, source, close } = await openSite(options, io, say);
  try {
    const { manifest } = operator;
    if (options.timer !== undefined) return writeTimers(manifest, options.timer, io);
    const wanted = chosenNames(manifest, names, options);
    const plan = planDrill(manifest, drillFacts(manifest, await readLive(operator)), wanted);
    io.stderr.write(`${planText(plan, paint, textWidth(io.stderr), source).join("\n")}\n`);
    const isFine = options.dryRun === true && plan.refusals.length === 0;
    if (options.dryRun || plan.units.length === 0)
      return finishWithout(operator, plan, isFine ? "planned" : "refused", options, io);
    if (!(await confirmed(`Start these drills?`, options, io)))
      return finishWithout(operator, plan, "declined", options, io);
    return await carryOut(operator, plan, options, io);
  } finally {
    await close();
  }
}

function chosenNames(manifest: SiteManifest, names: readonly string[], options: DrillCommandOptions): string[] {
  const given = [names.length > 0, options.all === true, options.name !== undefined].filter(Boolean).length;
  if (given !== 1) throw new UsageError("name guests or groups, or a drill of the site with --name, or say --all");
  if (options.name === undefined) return [...names];
  const found = manifest.drills[options.name];
  if (!found) {
    const known = Object.keys(manifest.drills);
    throw new UsageError(`--name ${options.name}: the site has no such drill${didYouMean(options.name, known)}`);
  }
  return [...found.guests];
}

/** No drill was started. */
function finishWithout(
  operator: Operator,
  plan: DrillPlan,
  outcome: "planned" | "refused" | "declined",
  options: DrillCommandOptions,
  io: Io,
): number {
  const now = operator.clock.now().toISOString();
  return finish(documentOf(operator, plan, outcome, [], now, now), options, io);
}

function finish(document: DrillDocument, { json }: DrillCommandOptions, io: Io): number {
  if (json) io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  return document.ok ? exitCode.fine : exitCode.errors;
}

async function carryOut(operator: Operator, plan: DrillPlan, options: DrillCommandOptions, io: Io): Promise<number> {
  let stopped = false;
  const stop = () => {
    if (!stopped) io.stderr.write("ending after this step, and removing the copies\n");
    stopped = true;
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  const from = operator.clock.now().toISOString();
  try {
    const results = await runDrill(operator, plan, { keep: options.keep === true, stopped: () => stopped });
    const to = operator.clock.now().toISOString();
    const report = { ...reportOf(operator, plan, results), from, to };
    const outcome = stopped ? "interrupted" : drillPassed(report) ? "done" : "failed";
    if (options.report !== undefined) io.stderr.write(`report: ${writeReport(options.report, report)}\n`);
    if (!options.json)
      io.stdout.write(resultText(results, textWidth(io.stdout), painter(wantsColor(options.color, io.stdout, io.env))));
    return finish(documentOf(operator, plan, outcome, results, from, to), options, io);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

function documentOf(
  { manifest: { site } }: Operator,
  { units, refusals, warnings }: DrillPlan,
  outcome: DrillDocument["outcome"],
  results: DrillResult[],
  from: string,
  to: string,
): DrillDocument {
  const ok = outcome === "done" || outcome === "planned";
  return { formatVersion: 1, site, ok, outcome, from, to, units, results, refusals, warnings };
}

function reportOf(
  { manifest: { site }, by }: Operator,
  { refusals }: DrillPlan,
  results: DrillResult[],
): Omit<DrillReport, "from" | "to"> {
  return { site, by, results, refused: refusals.map(({ subject, message }) => ({ subject, message })) };
}

/** `drill-<site>-<date>T<time>.md`, so that no report takes the place of another. */
function writeReport(folder: string, report: DrillReport): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `drill-${report.site}-${report.from.slice(0, 19).replaceAll(":", "")}.md`);
  writeFileSync(file, drillReportText(report));
  return file;
}

function planText(plan: DrillPlan, paint: Paint, width: number, source: string): string[] {
  const columns = [
    { title: "drill" },
    { title: "guest" },
    { title: "on" },
    { title: "from", wrap: true },
    { title: "copy", align: "right" as const },
    { title: "probes", wrap: true },
  ];
  const rows = plan.units.flatMap((unit) =>
    unit.copies.map((copy): Cell[] => [
      unit.name,
      copy.guest,
      unit.server,
      copy.from === "standby" ? `standby ${copy.standbyId}` : "its replicated volumes",
      String(copy.drillId),
      copy.probes.length === 0 ? { text: "none", style: "yellow" } : String(copy.probes.length),
    ]),
  );
  const findings = findingsText([...plan.refusals, ...plan.warnings], { paint, width, source, whatIf: [] });
  const table = rows.length === 0 ? ["no drill can be done"] : renderTable(columns, rows, width, paint);
  return [...table, ...(findings.length > 0 ? ["", ...findings] : [])];
}

function resultText(results: readonly DrillResult[], width: number, paint: Paint): string {
  const columns = [
    { title: "guest" },
    { title: "result" },
    { title: "answers after", align: "right" as const },
    { title: "recovery time", align: "right" as const },
    { title: "promised", align: "right" as const },
    { title: "data of", wrap: true },
    { title: "why", wrap: true },
  ];
  const time = (seconds: number | undefined) => (seconds === undefined ? "-" : formatDuration(Math.round(seconds)));
  const rows = results.map((result): Cell[] => [
    result.guest,
    result.ok ? { text: "recovered", style: "green" } : { text: "FAILED", style: "red" },
    time(result.answersAfterSeconds),
    time(result.recoveryTimeSeconds),
    time(result.recoveryTimePromisedSeconds),
    result.recoveryPoint ?? "-",
    result.reason ?? "",
  ]);
  return `${renderTable(columns, rows, width, paint).join("\n")}\n`;
}

/** Writes the units of every drill with a schedule into a folder, or prints them (`-`). */
function writeTimers(manifest: SiteManifest, folder: string, io: Io): number {
  const drills = Object.entries(manifest.drills).filter(([, { schedule }]) => schedule !== undefined);
  if (drills.length === 0)
    throw new UsageError(`${manifest.site} has no drill with a schedule; write one under 'drills:'`);
  for (const [name, each] of drills) {
    for (const [file, text] of Object.entries(drillUnits(manifest, name, each))) {
      if (folder === "-") io.stdout.write(`# ${file}\n${text}\n`);
      else {
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, file), text);
        io.stderr.write(`${join(folder, file)}\n`);
      }
    }
  }
  const timers = drills.map(([name]) => `coldspare-drill-${manifest.site}-${name}.timer`).join(" ");
  io.stderr.write(`then: systemctl daemon-reload && systemctl enable --now ${timers}\n`);
  return exitCode.fine;
}
