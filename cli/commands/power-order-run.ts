/** `coldspare shutdown` and `coldspare start`: the whole site off, and on again, in order. */
import type { Operator } from "../../operations/context";
import type { OperationHistory } from "../../operations/journal";
import { readLive } from "../../operations/live";
import { type PlannedSitePower, planSiteDown, planSiteUp, type SitePowerPlan } from "../../operations/plan-site-power";
import { mayNotSwitchOff, runSitePower, sitePowerSteps } from "../../operations/power-order-run";
import { begin, openOperations } from "../../operations/run-operation";
import { Interrupted, SomeFailed, StepFailed } from "../../operations/steps";
import type { Finding } from "../../planning";
import { formatDuration } from "../../planning/units";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { type Paint, painter } from "../table";
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
  /** `partial`: what is in `failed` did not come about, and everything else was done; `planned`: --dry-run. */
  outcome: "done" | "partial" | "planned" | "refused" | "interrupted" | "failed" | "declined";
  ok: boolean;
  dryRun: boolean;
  actions: SitePowerPlan["actions"];
  steps: StepDocument[];
  refusals: Finding[];
  warnings: Finding[];
  /** Ids of the steps that failed. */
  failed?: string[];
  error?: string;
}

const KIND = { down: "shutdown", up: "start" } as const;

/** Answers the exit code. */
export async function sitePower(way: SitePowerPlan["way"], options: SitePowerOptions, io: Io): Promise<number> {
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const { operator, source, close } = await openSite(options, io, progressPrinter(io.stderr, paint));
  try {
    const { own } = await openOperations(operator, KIND[way], operator.manifest.site, true);
    // What was left of it hours ago, by whomever, says nothing about now: the site is looked at anew, and only the journal goes on.
    const planned = await plan(operator, way, options);
    return await new Run(operator, source, planned, options, io, paint).go(own);
  } finally {
    await close();
  }
}

async function plan(
  operator: Operator,
  way: SitePowerPlan["way"],
  { guestsOnly = false, stopSeconds = 180 }: SitePowerOptions,
): Promise<PlannedSitePower> {
  const live = await readLive(operator);
  if (way === "up") return planSiteUp(operator.manifest, live, { stopSeconds });
  const lacking = guestsOnly ? [] : await mayNotSwitchOff(operator, live);
  return planSiteDown(operator.manifest, live, { guestsOnly, stopSeconds, mayNotSwitchOff: lacking });
}

class Run {
  constructor(
    private readonly operator: Operator,
    private readonly source: string,
    private readonly planned: PlannedSitePower,
    private readonly options: SitePowerOptions,
    private readonly io: Io,
    private readonly paint: Paint,
  ) {}

  async go(own: OperationHistory | undefined): Promise<number> {
    const { options, io, planned } = this;
    const { manifest } = this.operator;
    this.show();
    if (planned.refusals.length > 0) return this.end("refused");
    if (options.dryRun) return this.end("planned");
    if (planned.plan.actions.length === 0) return this.end("done");
    const question = planned.plan.way === "down" ? `Switch ${manifest.site} off?` : `Switch ${manifest.site} on?`;
    if (!(await confirmed(question, options, io))) return this.end("declined");
    return this.carryOut(own);
  }

  private async carryOut(own: OperationHistory | undefined): Promise<number> {
    const { operator, planned, options, io } = this;
    const { way } = planned.plan;
    const { site } = operator.manifest;
    try {
      const { operation } = await begin(operator, KIND[way], site, planned.plan, own);
      await runSitePower(operator, { operation, done: new Set() }, sitePowerSteps(operator, planned.plan));
    } catch (error) {
      if (!(error instanceof Interrupted || error instanceof StepFailed)) throw error;
      return this.stopped(error);
    }
    if (!options.json) io.stdout.write(way === "down" ? this.goingDown() : `${site} is up: coldspare status\n`);
    return this.end("done");
  }

  private goingDown(): string {
    const { site } = this.operator.manifest;
    return this.planned.plan.guestsOnly ? `the guests of ${site} are off\n` : `${site} is going down\n`;
  }

  private stopped(error: Interrupted | StepFailed): number {
    const { io, paint, planned } = this;
    if (!(error instanceof SomeFailed)) {
      io.stderr.write(`${paint("red", error.message)}\nThe same command again goes on from there.\n`);
      return this.end(error instanceof Interrupted ? "interrupted" : "failed", { error: error.message });
    }
    const lines = error.failures.map(({ message }) => `  ${message}`);
    const count = lines.length === 1 ? "One step has failed" : `${lines.length} steps have failed`;
    io.stderr.write(
      `${paint("red", `${count}, everything else was done:`)}\n${lines.join("\n")}\n` +
        `The same command again looks anew and does what is left: coldspare ${KIND[planned.plan.way]}\n`,
    );
    return this.end("partial", { error: error.message, failed: error.failures.map(({ step }) => step.id) });
  }

  private end(outcome: SitePowerDocument["outcome"], rest: Pick<SitePowerDocument, "error" | "failed"> = {}): number {
    const { operator, planned, options, io } = this;
    const { plan: made, refusals, warnings } = planned;
    const ok = outcome === "done" || outcome === "planned";
    if (options.json) {
      const document: SitePowerDocument = {
        formatVersion: 1,
        site: operator.manifest.site,
        way: made.way,
        outcome,
        ok,
        dryRun: options.dryRun === true,
        actions: made.actions,
        steps: sitePowerSteps(operator, made).map(stepDocument),
        refusals,
        warnings,
        ...rest,
      };
      io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    }
    return ok ? exitCode.fine : exitCode.errors;
  }

  private show(): void {
    const { io, paint, planned, source } = this;
    const { plan: made, refusals, warnings } = planned;
    const steps = sitePowerSteps(this.operator, made);
    const lines = steps.map(
      ({ title, seconds = 0 }, index) =>
        `${String(index + 1).padStart(3)}. ${title} (about ${formatDuration(seconds)})`,
    );
    if (lines.length === 0) lines.push(this.nothing());
    const findings = [...refusals, ...warnings];
    if (findings.length > 0)
      lines.push("", ...findingsText(findings, { paint, width: textWidth(io.stderr), source, whatIf: [] }));
    if (refusals.length > 0) lines.push("", paint("red", "nothing was changed"));
    io.stderr.write(`${lines.join("\n")}\n`);
  }

  private nothing(): string {
    const { site } = this.operator.manifest;
    if (this.planned.plan.way === "up") return `everything of ${site} that starts by itself runs`;
    return this.planned.warnings.length > 0 ? `nothing of ${site} is seen to run` : `nothing of ${site} runs`;
  }
}
