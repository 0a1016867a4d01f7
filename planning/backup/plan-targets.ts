/** The plan of each target: how large it is, what may be filled of it, how long a restore from it takes. */
import { type Context, own, sorted } from "../context";
import { sum } from "../units";
import { placeOf } from "./places";
import type { SubjectPlan, TargetPlan } from "./plan";
import { planForecast, type Stored } from "./plan-forecast";
import { type PlannedPolicy, secondsOf, wayTo } from "./plan-policies";
import { explainRaid, raidProblem, usableGiB } from "./raid";
import type { DiskLayoutSpec, TargetSpec } from "./schema";

type SizedTarget = Exclude<TargetSpec, { kind: "offline-medium" }>;

interface Size {
  sizeGiB: number;
  limitGiB: number;
  sizeSteps: string[];
}

/** Plans of all targets that are no rotation, and of storages that policies name in place of a target. */
export function planTargets(
  context: Context,
  policies: Readonly<Record<string, PlannedPolicy>>,
): Record<string, TargetPlan> {
  const plans: Record<string, TargetPlan> = {};
  for (const [name, spec] of sorted(context.spec.targets))
    if (spec.kind !== "offline-medium") plans[name] = planTarget(context, name, spec, policies);
  for (const { target } of Object.values(policies).map(({ plan }) => plan))
    if (own(context.spec.targets, target) === undefined)
      plans[target] ??= planTarget(context, target, undefined, policies);
  return Object.fromEntries(sorted(plans));
}

function planTarget(
  context: Context,
  name: string,
  spec: SizedTarget | undefined,
  policies: Readonly<Record<string, PlannedPolicy>>,
): TargetPlan {
  const size = sizeOf(context, name, spec);
  const { server, host, location } = placeOf(context, name, spec);
  const stored = storedOn(context, name, policies);
  const forecast = planForecast(context, spec?.kind ?? "vzdump", stored, size.limitGiB);
  return {
    name,
    kind: spec?.kind ?? "vzdump",
    ...(spec && { spec }),
    ...(server !== undefined && { server }),
    ...(host !== undefined && { host }),
    ...(location !== undefined && { location }),
    ...size,
    ...(spec?.quotaGiB !== undefined && { quotaGiB: spec.quotaGiB }),
    allocatedGiB: size.sizeGiB * (spec?.storedCopies ?? 1),
    forecast,
    ...restoreTimes(
      context,
      name,
      stored.map(({ subject }) => subject),
    ),
    fits: forecast.fillsAfterDays === undefined,
  };
}

/** What lies on a target: of its own policies, or of those of the target that it is a copy of. */
function storedOn(context: Context, name: string, policies: Readonly<Record<string, PlannedPolicy>>): Stored[] {
  const source = sourceOf(context, name);
  return Object.values(policies)
    .filter(({ plan }) => plan.target === source)
    .flatMap(({ plan, forecast }) =>
      plan.subjects.flatMap((subject, index) => {
        const simulated = forecast[index];
        return simulated === undefined ? [] : [{ policy: plan.name, subject, forecast: simulated }];
      }),
    );
}

/** The target whose policies fill a target: through sync jobs back to where backups are written. */
function sourceOf(context: Context, name: string): string {
  const seen = new Set<string>();
  let source = name;
  for (;;) {
    const spec = own(context.spec.targets, source);
    const from = spec?.kind === "pbs" ? spec.syncFrom?.target : undefined;
    if (from === undefined || seen.has(from)) return source;
    seen.add(from);
    source = from;
  }
}

function sizeOf(context: Context, name: string, spec: SizedTarget | undefined): Size {
  const storage = spec === undefined ? name : spec.kind === "vzdump" ? spec.storage : undefined;
  const behind = storage === undefined ? undefined : storageSize(context, storage);
  const disks = spec?.disks !== undefined && raidProblem(spec.disks) === undefined ? spec.disks : undefined;
  const sizeGiB = spec?.sizeGiB ?? (disks && sum([usableGiB(disks)])) ?? behind?.sizeGiB ?? spec?.quotaGiB ?? 0;
  const isQuotaAlone = spec?.sizeGiB === undefined && disks === undefined && behind === undefined;
  const filled = isQuotaAlone ? sizeGiB : sizeGiB * (spec?.fillLimit ?? behind?.fillLimit ?? 1);
  const limitGiB = sum([Math.min(filled, spec?.quotaGiB ?? filled)]);
  return { sizeGiB, limitGiB, sizeSteps: disks ? stepsOf(disks, spec?.fillLimit) : [] };
}

function stepsOf(disks: DiskLayoutSpec, fillLimit: number | undefined): string[] {
  return explainRaid(disks, fillLimit === undefined ? {} : { fillLimit });
}

/** Size and fill limit of a storage: a shared one, or the smallest local one of that id. */
function storageSize(context: Context, storage: string): { sizeGiB: number; fillLimit: number } | undefined {
  const shared = own(context.spec.storages, storage);
  if (shared !== undefined) return shared;
  const local = context.servers.flatMap(({ spec }) => own(spec.storages, storage) ?? []);
  return local.toSorted((one, other) => one.sizeGiB - other.sizeGiB)[0];
}

function restoreTimes(
  context: Context,
  target: string,
  all: readonly SubjectPlan[],
): Pick<TargetPlan, "restoreAllSeconds" | "longestRestore"> {
  const way = wayTo(context, target);
  const subjects = [...new Map(all.map((each) => [each.subject, each])).values()];
  const loads = subjects.map(({ subject, usedGiB, firstGiB }) => ({ subject, read: usedGiB, sent: firstGiB }));
  const restores = loads.map(({ subject, ...load }) => ({ subject, seconds: secondsOf(load, way) }));
  const longest = restores.toSorted((one, other) => other.seconds - one.seconds)[0];
  return {
    restoreAllSeconds: secondsOf(
      { read: sum(loads.map(({ read }) => read)), sent: sum(loads.map(({ sent }) => sent)) },
      way,
    ),
    ...(longest && { longestRestore: longest }),
  };
}
