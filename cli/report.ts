/** What `coldspare check --json` prints. Keys are only ever added; `formatVersion` grows when one changes or goes. */
import { orderFindings } from "../planning/findings";
import type { Estimate, Finding, GuestAddress, LossPlan, SitePlan, StorageUsage, Usage } from "../planning/plan";
import type { Duty, Fencing, GuestSpec, ReplicaMethod, Side } from "../planning/schema";
import type { SourcePosition } from "../stacks/layouts";

/** A finding with the place of its subject in the site file, where that is known. */
export interface ReportedFinding extends Finding {
  at?: SourcePosition;
}

export interface ReportedGuest {
  kind: GuestSpec["kind"];
  id: number;
  duty: Duty | null;
  /** The server it normally runs on. */
  primary: string;
  /** The server that keeps its cold replica; null: none does. */
  spare: string | null;
  activeSide: Side;
  /** The server it runs on now. */
  activeServer: string;
  cores: number;
  memoryGiB: number;
  method: ReplicaMethod | null;
  /** Calendar event of the refresh. */
  schedule: string | null;
  /** Guest ids of the two standby copies ('restore' only). */
  standbyIds: [number, number] | null;
  /** Recovery point and recovery time: computed, promised if the specification promises one, and where it comes from. */
  rpo: Estimate | null;
  rto: Estimate | null;
  addresses: GuestAddress[];
}

export interface ReportedServer {
  roles: string[];
  primaries: string[];
  spares: string[];
  capacity: { before: Usage; afterLossOf: Record<string, Usage> };
}

/** Sizes are GiB, times are seconds. `ok` is false exactly when the exit code is 1. */
export interface CheckReport {
  formatVersion: 1;
  /** Name of the layout or the site file. */
  source: string;
  /** null: the specification is too broken to be planned, and the findings say why. */
  site: { name: string; cluster: string | null; domain: string | null; fencing: Fencing } | null;
  ok: boolean;
  /** Errors first, then warnings, then notes. */
  findings: ReportedFinding[];
  guests: Record<string, ReportedGuest>;
  servers: Record<string, ReportedServer>;
  storages: StorageUsage[];
  /** By the server that is lost. */
  losses: Record<string, LossPlan>;
  siteLoss: SitePlan["siteLoss"] | null;
}

export interface ReportContext {
  source: string;
  /** Warnings count as errors. */
  strict: boolean;
  locate?: ((path: string) => SourcePosition | undefined) | undefined;
}

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
    site: plan === undefined ? null : siteOf(plan),
    ok: plan !== undefined && !findings.some(failing),
    findings: orderFindings(findings).map((finding) => {
      const at = context.locate?.(finding.subject);
      return at === undefined ? { ...finding } : { ...finding, at };
    }),
    guests: mapValues(plan?.guests ?? {}, reportGuest),
    servers: mapValues(plan?.servers ?? {}, ({ roles, primaries, spares, capacity }) => ({
      roles,
      primaries,
      spares,
      capacity,
    })),
    storages: plan?.storages ?? [],
    losses: plan?.losses ?? {},
    siteLoss: plan?.siteLoss ?? null,
  };
}

function siteOf(plan: SitePlan): CheckReport["site"] {
  const { name, cluster, domain, fencing } = plan.site;
  return { name, cluster: cluster ?? null, domain: domain ?? null, fencing };
}

function reportGuest(guest: SitePlan["guests"][string]): ReportedGuest {
  const { replica, spec } = guest;
  return {
    kind: guest.kind,
    id: guest.id,
    duty: guest.duty ?? null,
    primary: guest.primary,
    spare: guest.spare ?? null,
    activeSide: guest.activeSide,
    activeServer: guest.activeServer,
    cores: spec.cores,
    memoryGiB: spec.memoryGiB,
    method: replica?.method ?? null,
    schedule: replica?.schedule ?? null,
    standbyIds: replica?.standbyIds ?? null,
    rpo: replica?.recoveryPoint ?? null,
    rto: replica?.recoveryTime ?? null,
    addresses: guest.addresses,
  };
}

function mapValues<T, R>(record: Record<string, T>, convert: (value: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, convert(value)]));
}
