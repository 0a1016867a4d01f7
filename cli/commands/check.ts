/** `coldspare check`: reads a specification, plans it, prints the plan. Loads no Pulumi and opens no connection. */
import { existsSync } from "node:fs";
import { OverrideError, parseSite, planSite } from "../../planning";
import type { Finding, PlanOptions, SitePlan } from "../../planning/plan";
import type { Side } from "../../planning/schema";
import {
  findSiteFile,
  type LoadedSite,
  layoutNames,
  loadSiteFile,
  openLayout,
  withOverrides,
} from "../../stacks/layouts";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { checkReport } from "../report";
import { didYouMean } from "../suggest";
import { painter, wrapText } from "../table";
import { findingCounts, findingsText, planText, type TextOptions } from "../text";

export interface CheckOptions {
  set?: string[];
  active?: string[];
  json?: boolean;
  quiet?: boolean;
  strict?: boolean;
  color: boolean;
}

/** Plans one site and prints it; answers the exit code. */
export async function check(site: string | undefined, options: CheckOptions, io: Io): Promise<number> {
  const { set = [], active = [] } = options;
  const { plan, findings, source, locate } = await openPlan(site, set, active);
  const report = checkReport(plan, findings, {
    source,
    strict: options.strict === true,
    locate,
  });
  if (options.json) {
    io.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  } else {
    const text: TextOptions = {
      paint: painter(wantsColor(options.color, io.stdout, io.env)),
      width: textWidth(io.stdout),
      source,
      whatIf: [
        ...set.map((assignment) => `--set ${assignment}`),
        ...active.map((assignment) => `--active ${assignment}`),
      ],
    };
    io.stdout.write(humanText(plan, report.findings, options.quiet === true, text));
  }
  return report.ok ? exitCode.fine : exitCode.errors;
}

/** A site read and planned, with the findings of both. */
export interface OpenedPlan {
  plan?: SitePlan;
  findings: readonly Finding[];
  source: string;
  locate?: LoadedSite["locate"];
}

/** Reads and plans a site. @throws UsageError, LayoutError when it cannot even be read */
export async function openPlan(
  site: string | undefined,
  set: readonly string[],
  active: readonly string[],
): Promise<OpenedPlan> {
  const { input, source, locate } = override(await openSite(site), set);
  return { ...planOf(input, active), source, ...(locate ? { locate } : {}) };
}

/** A layout's name wins over a file of the same name, which can be given as ./name. */
export async function openSite(site: string | undefined): Promise<LoadedSite> {
  if (site === undefined) {
    const file = findSiteFile(".");
    if (file !== undefined) return loadSiteFile(file);
    throw new UsageError(
      "there is no site.yaml in this folder; name a site file, or a layout:\n" +
        layoutNames.map((name) => `  coldspare check ${name}`).join("\n"),
    );
  }
  if (layoutNames.includes(site)) return openLayout(site);
  if (!existsSync(site) && !/[./\\]/.test(site)) {
    throw new UsageError(
      `there is no layout and no file '${site}'${didYouMean(site, layoutNames) || `; the layouts are ${layoutNames.join(", ")}`}`,
    );
  }
  return loadSiteFile(site);
}

function override(site: LoadedSite, overrides: readonly string[]): LoadedSite {
  try {
    return withOverrides(site, overrides);
  } catch (error) {
    if (error instanceof OverrideError) throw new UsageError(`--set ${error.message}`);
    throw error;
  }
}

function planOf(input: unknown, active: readonly string[]): { plan?: SitePlan; findings: readonly Finding[] } {
  const { spec, findings } = parseSite(input);
  if (spec === undefined) return { findings };
  const options: PlanOptions = active.length === 0 ? {} : { active: activeSides(active, Object.keys(spec.guests)) };
  const plan = planSite(spec, options);
  return { plan, findings: [...findings, ...plan.findings] };
}

function activeSides(assignments: readonly string[], guests: readonly string[]): Record<string, Side> {
  const sides: Record<string, Side> = {};
  for (const assignment of assignments) {
    const [guest = "", side = ""] = assignment.split("=", 2);
    if (!guests.includes(guest)) {
      throw new UsageError(`--active ${assignment}: there is no guest '${guest}'${didYouMean(guest, guests)}`);
    }
    if (side !== "primary" && side !== "spare") {
      throw new UsageError(`--active ${assignment}: write ${guest}=spare or ${guest}=primary`);
    }
    sides[guest] = side;
  }
  return sides;
}

function humanText(
  plan: SitePlan | undefined,
  findings: Parameters<typeof findingsText>[0],
  quiet: boolean,
  options: TextOptions,
): string {
  if (quiet || plan === undefined) {
    const lines = findingsText(findings, options);
    if (plan === undefined && !quiet) {
      const text = `${options.source} cannot be planned: ${findingCounts(findings)} in the specification`;
      lines.unshift(...wrapText(text, options.width).map((line) => options.paint("red", line)), "");
    }
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  }
  return planText(plan, findings, options);
}
