/** What `coldspare check --json` prints: the shape that stacks export, and the verdict. Keys are only ever added. */
import { orderFindings } from "../planning/findings";
import type { Finding, SitePlan } from "../planning/plan";
import { type SiteReport, siteReport } from "../planning/report";
import type { SourcePosition } from "../stacks/layouts";

/** A finding with the place of its subject in the site file, where that is known. */
export interface ReportedFinding extends Finding {
  at?: SourcePosition;
}

/** Sizes are GiB, times are seconds. */
export interface CheckReport extends Omit<SiteReport, "site" | "siteLoss" | "findings"> {
  /** Grows when a key changes its meaning or goes. */
  formatVersion: 1;
  /** Name of the layout or the site file. */
  source: string;
  /** False exactly when the exit code is 1. */
  ok: boolean;
  /** null: the specification is too broken to be planned, and the findings say why. */
  site: SiteReport["site"] | null;
  /** Errors first, then warnings, then notes. */
  findings: ReportedFinding[];
  siteLoss: SiteReport["siteLoss"] | null;
}

export interface ReportContext {
  source: string;
  /** Warnings count as errors. */
  strict: boolean;
  locate?: ((path: string) => SourcePosition | undefined) | undefined;
}

const nothingPlanned = {
  site: null,
  guests: {},
  servers: {},
  storages: [],
  backups: { policies: {}, targets: {}, copies: {}, rotations: {} },
  losses: {},
  siteLoss: null,
  devices: {},
} as const satisfies Partial<Record<keyof SiteReport, unknown>>;

/** The report of a plan, or of the findings alone where there is no plan. */
export function checkReport(
  plan: SitePlan | undefined,
  findings: readonly Finding[],
  context: ReportContext,
): CheckReport {
  const failing = (finding: Finding) =>
    finding.severity === "error" || (context.strict && finding.severity === "warning");
  return {
    formatVersion: 1,
    source: context.source,
    ok: plan !== undefined && !findings.some(failing),
    ...(plan === undefined ? { ...nothingPlanned, storages: [] } : siteReport(plan)),
    findings: orderFindings(findings).map((finding) => {
      const at = context.locate?.(finding.subject);
      return at === undefined ? { ...finding } : { ...finding, at };
    }),
  };
}
