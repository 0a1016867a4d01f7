/** `coldspare check --live`: reads a running cluster with GET alone, and says what would be lost with each server. */
import { existsSync, writeFileSync } from "node:fs";
import { readCopies } from "../../operations/live-site/copies";
import { LiveSiteError } from "../../operations/live-site/error";
import { readCluster } from "../../operations/live-site/read";
import { planSite } from "../../planning";
import { interpretCluster } from "../../planning/adoption/interpret";
import { liveReport } from "../../planning/adoption/live-report";
import type { LiveReport } from "../../planning/adoption/live-types";
import type { PveClientOptions } from "../../providers/pve/client";
import { liveHtml } from "../html-live";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { liveConnection, withLiveCluster } from "../live-connection";
import { painter } from "../table";
import { liveText } from "../text-live";

export interface CheckLiveOptions {
  live?: boolean;
  endpoint?: string[];
  html?: string;
  json?: boolean;
  quiet?: boolean;
  strict?: boolean;
  set?: string[];
  active?: string[];
  color: boolean;
}

/** Reads, reports; answers the exit code. @throws UsageError */
export async function checkLive(site: string | undefined, options: CheckLiveOptions, io: Io): Promise<number> {
  refuseSpecification(site, options);
  const connection = liveConnection(options.endpoint ?? [], io.env);
  let report: LiveReport;
  try {
    report = await readReport(connection, io);
  } catch (error) {
    if (!(error instanceof LiveSiteError)) throw error;
    io.stderr.write(`error: ${error.message}\n`);
    return exitCode.usage;
  }
  const bad = options.strict === true && report.findings.some(({ severity }) => severity === "warning");
  const ok = report.ok && !bad;
  if (options.html !== undefined) writeHtml(options.html, report, io);
  if (options.json) io.stdout.write(`${JSON.stringify({ ...report, ok }, null, 2)}\n`);
  else {
    const paint = painter(wantsColor(options.color, io.stdout, io.env));
    io.stdout.write(liveText(report, { paint, width: textWidth(io.stdout), findingsOnly: options.quiet === true }));
  }
  return ok ? exitCode.fine : exitCode.errors;
}

function refuseSpecification(site: string | undefined, { set, active }: CheckLiveOptions): void {
  if (site !== undefined)
    throw new UsageError(
      `--live looks at a running cluster and takes no specification: leave ${site} out; \`coldspare import ${site}\` compares the two`,
    );
  const assumed = [...(set === undefined ? [] : ["--set"]), ...(active === undefined ? [] : ["--active"])];
  if (assumed.length > 0)
    throw new UsageError(`${assumed.join(" and ")}: --live tells what is so, and assumes nothing; leave it out`);
}

async function readReport(connection: PveClientOptions, io: Io): Promise<LiveReport> {
  return withLiveCluster(connection, io, async (pve, say) => {
    const snapshot = await readCluster(pve, { say });
    const copies = await readCopies(pve, snapshot, { say });
    const interpretation = interpretCluster(snapshot);
    return liveReport(snapshot, interpretation, planSite(interpretation.site), copies);
  });
}

/** A page that is there already is one of an earlier day, and is replaced. */
function writeHtml(file: string, report: LiveReport, io: Io): void {
  const was = existsSync(file);
  try {
    writeFileSync(file, liveHtml(report));
  } catch (error) {
    throw new UsageError(`--html ${file}: it cannot be written (${(error as NodeJS.ErrnoException).code ?? error})`);
  }
  io.stderr.write(`${was ? "Replaced" : "Wrote"} ${file}\n`);
}
