/** `coldspare runbook`: the paper for the wall. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { runbook as runbookOf } from "../../operations/runbook";
import { toHtml, toMarkdown } from "../../operations/runbook-document";
import { type SiteManifest, siteManifest } from "../../planning/manifest";
import { ManifestError, parseManifest } from "../../planning/manifest-text";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { didYouMean } from "../suggest";
import { painter } from "../table";
import { findingsText } from "../text";
import { openPlan } from "./check";

export interface RunbookCommandOptions {
  manifest?: string;
  server?: string;
  html?: boolean;
  out?: string;
  date?: string;
  color: boolean;
}

/** Writes the runbook and answers the exit code. */
export async function runbook(site: string | undefined, options: RunbookCommandOptions, io: Io): Promise<number> {
  const manifest = await manifestFor(site, options, io, "no runbook is written");
  if (manifest === undefined) return exitCode.errors;
  const { server, date = new Date().toISOString().slice(0, 10) } = options;
  const servers = Object.keys(manifest.servers);
  if (server !== undefined && !servers.includes(server)) {
    throw new UsageError(`--server ${server}: ${manifest.site} has no such server${didYouMean(server, servers)}`);
  }
  const blocks = runbookOf(manifest, { date, ...(server === undefined ? {} : { server }) });
  write(options.html ? toHtml(blocks) : toMarkdown(blocks), options.out, io);
  return exitCode.fine;
}

/**
 * The manifest that a file holds, or that a site's plan gives; undefined when the plan has errors, which are shown.
 *
 * @param refused What does not happen then, for the person.
 */
export async function manifestFor(
  site: string | undefined,
  { manifest: file, color }: Pick<RunbookCommandOptions, "manifest" | "color">,
  io: Io,
  refused: string,
): Promise<SiteManifest | undefined> {
  if (file !== undefined && site !== undefined) {
    throw new UsageError("give a site or --manifest, not both: each of them says what the site is");
  }
  if (file !== undefined) return readManifest(file);
  const { plan, findings, source } = await openPlan(site, [], []);
  const errors = findings.filter(({ severity }) => severity === "error");
  if (plan !== undefined && errors.length === 0) return siteManifest(plan, { endpoints: {} });
  const paint = painter(wantsColor(color, io.stderr, io.env));
  const lines = findingsText(errors, { paint, width: textWidth(io.stderr), source, whatIf: [] });
  io.stderr.write(`${source} has errors, so ${refused}\n${lines.join("\n")}\n`);
  return undefined;
}

function readManifest(file: string): SiteManifest {
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new UsageError(`--manifest ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
  try {
    return parseManifest(text);
  } catch (error) {
    if (error instanceof ManifestError) throw new UsageError(`--manifest ${file}: ${error.message}`);
    throw error;
  }
}

/** Into a file, or to where the output goes. */
export function write(text: string, file: string | undefined, io: Io): void {
  if (file === undefined) {
    io.stdout.write(text);
    return;
  }
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`--out ${file} cannot be written: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
  io.stderr.write(`written: ${file}\n`);
}
