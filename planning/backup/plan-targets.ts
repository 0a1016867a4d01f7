/** The plan of each target: how large it is, what may be filled of it, how long a restore from it takes. */
import { type Context, own, sorted } from "../context";
import { sum } from "../units";
import { placeOf } from "./places";
import type { ForecastPlan, PolicyPlan, SubjectPlan, TargetPlan } from "./plan";
import { secondsOf, wayTo } from "./plan-policies";
import type { TargetSpec } from "./schema";

interface Size {
  sizeGiB: number;
  limitGiB: number;
  sizeSteps: string[];
}

/** Plans of all targets that are no rotation, and of storages that policies name in place of a target. */
export function planTargets(
  context: Context,
  policies: Readonly<Record<string, PolicyPlan>>,
): Record<string, TargetPlan> {
  const plans: Record<string, TargetPlan> = {};
  for (const [name, spec] of sorted(context.spec.targets))
    if (spec.kind !== "offline-medium") plans[name] = planTarget(context, name, spec, policies);
  for (const { target } of Object.values(policies))
    if (own(context.spec.targets, target) === undefined)
      plans[target] ??= planTarget(context, target, undefined, policies);
  return Object.fromEntries(sorted(plans));
}

function planTarget(
  context: Context,
  name: string,
  spec: Exclude<TargetSpec, { kind: "offline-medium" }> | undefined,
  policies: Readonly<Record<string, PolicyPlan>>,
): TargetPlan {
  const size = sizeOf(context, name, spec);
  const { server, host, location } = placeOf(context, name, spec);
  const subjects = Object.values(policies)
    .filter(({ target }) => target === name)
    .flatMap((policy) => policy.subjects);
  const forecast: ForecastPlan = { monthsGiB: [], peakGiB: 0 };
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
    ...restoreTimes(context, name, subjects),
    fits: forecast.peakGiB <= size.limitGiB,
  };
}

function sizeOf(
  context: Context,
  name: string,
  spec: Exclude<TargetSpec, { kind: "offline-medium" }> | undefined,
): Size {
  const storage = spec === undefined ? name : spec.kind === "vzdump" ? spec.storage : undefined;
  const behind = storage === undefined ? undefined : storageSize(context, storage);
  const sizeGiB = spec?.sizeGiB ?? behind?.sizeGiB ?? spec?.quotaGiB ?? 0;
  const fillLimit = spec?.fillLimit ?? behind?.fillLimit ?? 1;
  const filled = spec?.sizeGiB === undefined && behind === undefined ? sizeGiB : sizeGiB * fillLimit;
  return { sizeGiB, limitGiB: sum([Math.min(filled, spec?.quotaGiB ?? filled)]), sizeSteps: [] };
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
