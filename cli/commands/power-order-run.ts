/** `coldspare shutdown` and `coldspare start`: the whole site off, and on again, in order. */
import type { Operator } from "../../operations/context";
import { readLive } from "../../operations/live";
import {
  type PlannedSitePower,
  planSiteDown,
  planSiteUp,
  type SitePowerPlan,
  sitePowerSteps,
} from "../../operations/power-order-run";
import { begin, openOperations, runOperation } from "../../operations/run-operation";
import { Interrupted, StepFailed } from "../../operations/steps";
import type { Finding } from "../../planning";
import { formatDuration } from "../../planning/units";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { painter } from "../table";
import { findingsText } from "../text";
import { type StepDocument, stepDocument } from "./failback";

export interface SitePowerOptions extends SiteOptions {
  guestsOnly?: boolean;
  /** Seconds for a guest to shut down. Default 180. */
  stopSeconds?: number;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
  color: boolean;
}

/** What `coldspare shutdown --json` and `coldspare start --json` print; `ok` is false exactly when the exit code is 1. */
export interface SitePowerDocument {
  formatVersion: 1;
  site: string;
  way: SitePowerPlan["way"];
  ok: boolean;
  dryRun: boolean;
  actions: SitePowerPlan["actions"];
  steps: StepDocument[];
  refusals: Finding[];
  warnings: Finding[];
  error?: string;
}

/** Answers the exit code. */
export async function sitePower(way: SitePowerPlan["way"], options: SitePowerOptions, io: Io): Promise<number> {
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const { operator, source, close } = await openSite(options, io, progressPrinter(io.stderr, paint));
  try {
    const { own } = await openOperations(operator, way === "down" ? "shutdown" : "start", operator.manifest.site, true);
    // What was left of it hours ago, by whomever, says nothing about now: the site is looked at anew, and only the journal goes on.
    const planned = plan(operator, way, await readLive(operator), options);
    show(operator, planned);
    const print = (rest: Pick<SitePowerDocument, "ok" | "dryRun" | "error">) => {
      if (!options.json) return;
      const { plan: made, refusals, warnings } = planned;
      const document: SitePowerDocument = {
        formatVersion: 1,
        site: operator.manifest.site,
        way,
        ...rest,
        actions: made.actions,
        steps: sitePowerSteps(operator, made).map(stepDocument),
        refusals,
        warnings,
      };
      io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    };
    if (planned.refusals.length > 0 || options.dryRun || planned.plan.actions.length === 0) {
      const ok = planned.refusals.length === 0;
      print({ ok, dryRun: options.dryRun === true });
      return ok ? exitCode.fine : exitCode.errors;
    }
    const question = way === "down" ? `Switch ${operator.manifest.site} off?` : `Switch ${operator.manifest.site} on?`;
    if (!(await confirmed(question, options, io))) return exitCode.errors;
    try {
      const { operation } = await begin(
        operator,
        way === "down" ? "shutdown" : "start",
        operator.manifest.site,
        planned.plan,
        own,
      );
      await runOperation(operator, { operation, done: new Set() }, sitePowerSteps(operator, planned.plan));
    } catch (error) {
      if (!(error instanceof Interrupted || error instanceof StepFailed)) throw error;
      io.stderr.write(`${paint("red", error.message)}\nThe same command again goes on from there.\n`);
      print({ ok: false, dryRun: false, error: error.message });
      return exitCode.errors;
    }
    print({ ok: true, dryRun: false });
    if (!options.json)
      io.stdout.write(
        way === "down"
          ? `${operator.manifest.site} is going down\n`
          : `${operator.manifest.site} is up: coldspare status\n`,
      );
    return exitCode.fine;
  } finally {
    await close();
  }

  function show({ manifest }: Operator, { plan: made, refusals, warnings }: PlannedSitePower): void {
    const width = textWidth(io.stderr);
    const steps = sitePowerSteps(operator, made);
    const lines =
      steps.length === 0
        ? [
            way === "down"
              ? `nothing of ${manifest.site} runs`
              : `everything of ${manifest.site} that starts by itself runs`,
          ]
        : steps.map(
            ({ title, seconds = 0 }, index) =>
              `${String(index + 1).padStart(3)}. ${title} (about ${formatDuration(seconds)})`,
          );
    const findings = [...refusals, ...warnings];
    if (findings.length > 0) lines.push("", ...findingsText(findings, { paint, width, source, whatIf: [] }));
    if (refusals.length > 0) lines.push("", paint("red", "nothing was changed"));
    io.stderr.write(`${lines.join("\n")}\n`);
  }
}

function plan(
  { manifest }: Operator,
  way: SitePowerPlan["way"],
  live: Parameters<typeof planSiteUp>[1],
  { guestsOnly = false, stopSeconds = 180 }: SitePowerOptions,
): PlannedSitePower {
  return way === "down"
    ? planSiteDown(manifest, live, { guestsOnly, stopSeconds })
    : planSiteUp(manifest, live, { stopSeconds });
}
