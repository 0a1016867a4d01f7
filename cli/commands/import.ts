/** `coldspare import`: a running cluster becomes a project folder; or an existing specification is compared with it. */
import { resolve } from "node:path";
import { LiveSiteError } from "../../operations/live-site/error";
import { readCluster } from "../../operations/live-site/read";
import { planSite } from "../../planning";
import { compareWithCluster } from "../../planning/adoption/compare";
import { interpretCluster } from "../../planning/adoption/interpret";
import type { Interpretation } from "../../planning/adoption/interpretation";
import { hostNameForm } from "../../planning/adoption/names";
import { siteYaml } from "../../planning/adoption/site-yaml";
import type { ClusterSnapshot } from "../../planning/adoption/snapshot";
import type { PveClientOptions } from "../../providers/pve/client";
import { guestsToImport, importedProject } from "../import-project";
import { AnswerError, readState } from "../init/answers";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { liveConnection, withLiveCluster } from "../live-connection";
import { refuseUnlessEmpty, type StateChoice, writeProject } from "../project";
import { painter } from "../table";
import { comparisonText, type ImportSummary, importText } from "../text-import";
import { openPlan } from "./check";

export interface ImportOptions {
  endpoint?: string[];
  out?: string;
  site?: string;
  state?: string;
  dryRun?: boolean;
  json?: boolean;
  color: boolean;
}

interface Read {
  snapshot: ClusterSnapshot;
  connection: PveClientOptions;
  seconds: number;
}

/** Reads, interprets, plans, writes; answers the exit code. @throws UsageError */
export async function importSite(site: string | undefined, options: ImportOptions, io: Io): Promise<number> {
  const connection = liveConnection(options.endpoint ?? [], io.env);
  try {
    return site === undefined
      ? await importAnew(connection, options, io)
      : await compare(site, connection, options, io);
  } catch (error) {
    if (!(error instanceof LiveSiteError)) throw error;
    io.stderr.write(`error: ${error.message}\nNothing was written.\n`);
    return exitCode.errors;
  }
}

async function importAnew(connection: PveClientOptions, options: ImportOptions, io: Io): Promise<number> {
  const { siteName, state } = checkedOptions(options);
  const early = options.out ?? siteName;
  if (early !== undefined && !options.dryRun) refuseUnlessEmpty(early);
  const read = await readLive(connection, io);
  const { snapshot } = read;
  const interpretation = interpretCluster(snapshot, siteName === undefined ? {} : { siteName });
  refuseNothing(interpretation);
  const folder = options.out ?? interpretation.site.site.name;
  const files = importedProject({
    snapshot,
    interpretation,
    endpoints: connection.endpoints,
    ...(connection.ca !== undefined && { ca: connection.ca }),
    state,
  });
  const { findings, ok } = planSite(interpretation.site);
  if (!options.dryRun) writeProject(folder, files);
  if (options.json) {
    const written = options.dryRun ? null : resolve(folder);
    const document = {
      ...report(snapshot, interpretation),
      ok,
      findings,
      folder: written,
      files: Object.keys(files).sort(),
    };
    io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    return exitCode.fine;
  }
  const summary: ImportSummary = {
    snapshot,
    interpretation,
    findings,
    seconds: read.seconds,
    ...(options.dryRun ? { wouldBe: `${Object.keys(files).length} files in ${folder}` } : { folder }),
  };
  io.stdout.write(importText(summary, look(options, io)));
  return exitCode.fine;
}

function checkedOptions({ site, state }: ImportOptions): { siteName?: string; state: StateChoice } {
  const siteName = site === undefined ? undefined : hostNameForm(site);
  if (siteName === "") throw new UsageError(`--site ${site}: nothing of that can be a name; write letters and digits`);
  try {
    return { ...(siteName !== undefined && { siteName }), state: readState(state ?? "local") };
  } catch (error) {
    if (error instanceof AnswerError) throw new UsageError(`--state: ${error.message}`);
    throw error;
  }
}

/** A cluster of which nothing can be planned. */
function refuseNothing({ site, left }: Interpretation): void {
  if (Object.values(site.servers).some(({ roles }) => roles.includes("hypervisor"))) return;
  const why = left
    .filter(({ subject }) => subject.startsWith("server "))
    .map(({ subject, what }) => `${subject}: ${what}`);
  throw new LiveSiteError("unreachable", `no server of it can be planned with. ${why.join(". ")}`);
}

function report(snapshot: ClusterSnapshot, interpretation: Interpretation) {
  const { version, cluster, quorate, readAt } = snapshot;
  return {
    formatVersion: 1,
    source: { version, cluster: cluster ?? null, quorate, readAt },
    site: interpretation.site,
    siteText: siteYaml(interpretation),
    guests: interpretation.guests,
    left: interpretation.left,
    importFile: guestsToImport(interpretation),
  };
}

/** A specification that exists already, for example when the state was lost. */
async function compare(site: string, connection: PveClientOptions, options: ImportOptions, io: Io): Promise<number> {
  for (const [name, value] of [
    ["--out", options.out],
    ["--site", options.site],
    ["--state", options.state],
  ] as const)
    if (value !== undefined)
      throw new UsageError(`${name} is for a new site: with the specification ${site} nothing is written`);
  const { plan, source } = await openPlan(site, [], []);
  if (plan === undefined) throw new UsageError(`${source} cannot be planned: 'coldspare check ${site}' says why`);
  const { snapshot } = await readLive(connection, io);
  const parts = compareWithCluster(plan, snapshot, interpretCluster(snapshot, { siteName: plan.site.name }));
  const ok = parts.every(({ state }) => state !== "missing" && state !== "differs");
  if (options.json) {
    const { version, cluster, quorate, readAt } = snapshot;
    const document = {
      formatVersion: 1,
      source: { version, cluster: cluster ?? null, quorate, readAt },
      site: plan.site.name,
      ok,
      parts,
    };
    io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  } else io.stdout.write(comparisonText(plan.site.name, parts, look(options, io)));
  return ok ? exitCode.fine : exitCode.errors;
}

function look({ color }: ImportOptions, io: Io) {
  return { paint: painter(wantsColor(color, io.stdout, io.env)), width: textWidth(io.stdout) };
}

async function readLive(connection: PveClientOptions, io: Io): Promise<Read> {
  const begun = Date.now();
  const snapshot = await withLiveCluster(connection, io, (pve, say) => readCluster(pve, { say }));
  return { snapshot, connection, seconds: (Date.now() - begun) / 1000 };
}
