/** `coldspare backups test`: copies are started in isolation, probed, and thrown away. */
import { planTests, runTests, type TestPlan, type TestResult } from "../../operations/backups/restore-test";
import type { Finding } from "../../planning";
import { formatDuration } from "../../planning/units";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { type Cell, painter, renderTable } from "../table";
import { operationFindingsText } from "../text-failover";
import { requireBackups } from "./backups";
import { untilSignal } from "./backups-run";

export interface BackupsTestOptions extends SiteOptions {
  guest?: string[];
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
  color: boolean;
}

/** What `coldspare backups test --json` prints; `ok` is false exactly when the exit code is 1. */
export interface BackupsTestDocument {
  formatVersion: 1;
  site: string;
  policy: string;
  ok: boolean;
  outcome: "done" | "planned" | "refused" | "declined" | "interrupted" | "failed";
  tests: { guest: string; point: string; dataAt: string; server: string; vmid: number }[];
  results: TestResult[];
  refusals: Finding[];
  warnings: Finding[];
}

/** Answers the exit code. What can be tested is: a guest without a copy does not keep the others back. */
export async function backupsTest(policy: string, options: BackupsTestOptions, io: Io): Promise<number> {
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const { operator, close } = await openSite(options, io, progressPrinter(io.stderr, paint));
  try {
    requireBackups(operator.manifest);
    const plan = await planTests(operator, policy, options.guest ?? []);
    const { refusals, warnings } = plan;
    const lines = plan.tests.map(
      ({ plan: { guest, point, server, vmid } }, index) =>
        `${String(index + 1).padStart(3)}. start ${point.id} of ${guest} as ${vmid} on ${server}, in isolation, and throw it away`,
    );
    const findings = operationFindingsText([...refusals, ...warnings], textWidth(io.stderr), paint);
    io.stderr.write(`${[...lines, ...findings].join("\n")}\n`);
    const end = (outcome: BackupsTestDocument["outcome"], results: TestResult[] = []) =>
      finish(operator.manifest.site, plan, outcome, results, options, io);
    if (plan.tests.length === 0) return end("refused");
    if (options.dryRun) return end(refusals.length > 0 ? "refused" : "planned");
    if (!(await confirmed("Start these?", options, io))) return end("declined");
    const { results, interrupted } = await untilSignal((stopped) => runTests(operator, plan, stopped), io);
    const failed = refusals.length > 0 || results.some(({ ok }) => !ok);
    return end(interrupted ? "interrupted" : failed ? "failed" : "done", results);
  } finally {
    await close();
  }
}

function finish(
  site: string,
  { policy, tests, refusals, warnings }: TestPlan,
  outcome: BackupsTestDocument["outcome"],
  results: TestResult[],
  options: BackupsTestOptions,
  io: Io,
): number {
  const ok = outcome === "done" || outcome === "planned";
  if (options.json) {
    const planned = tests.map(({ plan: { guest, point, server, vmid } }) => ({
      guest,
      point: point.id,
      dataAt: point.at,
      server,
      vmid,
    }));
    const document: BackupsTestDocument = {
      formatVersion: 1,
      site,
      policy,
      ok,
      outcome,
      tests: planned,
      results,
      refusals,
      warnings,
    };
    io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  } else if (results.length > 0) io.stdout.write(`${resultsText(results, options, io).join("\n")}\n`);
  return ok ? exitCode.fine : exitCode.errors;
}

function resultsText(results: readonly TestResult[], options: BackupsTestOptions, io: Io): string[] {
  const time = (seconds: number | undefined) => (seconds === undefined ? "-" : formatDuration(Math.round(seconds)));
  const columns = [
    { title: "guest" },
    { title: "result" },
    { title: "data of" },
    { title: "restored in", align: "right" as const },
    { title: "answers after", align: "right" as const },
    { title: "probes", wrap: true },
    { title: "why", wrap: true },
  ];
  const rows = results.map((result): Cell[] => [
    result.guest,
    result.ok ? { text: "recovered", style: "green" } : { text: "FAILED", style: "red" },
    result.dataAt.slice(0, 16),
    time(result.restoreSeconds),
    time(result.answersAfterSeconds),
    result.probes.map(({ probe, ok }) => `${probe}${ok ? "" : " ✗"}`).join(", "),
    result.reason ?? "",
  ]);
  const paint = painter(wantsColor(options.color, io.stdout, io.env));
  return renderTable(columns, rows, textWidth(io.stdout), paint);
}
