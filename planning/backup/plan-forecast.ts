/** The space that a target's copies take over the next 12 months, by simulating their retention. */
import type { Context } from "../context";
import { eventOf } from "../recovery";
import { keptCopies } from "../storage";
import { type ForecastInput, type ForecastSubject, largestKeep, simulateTarget } from "./forecast-core";
import type { ForecastPlan, SubjectPlan } from "./plan";
import { ruleOf } from "./plan-policies";
import { zoneOrUtc } from "./plan-rotations";
import { KEEP_RULES, type Keep } from "./retention";
import type { TargetSpec } from "./schema";

const DAY = 86_400;
/** A Monday; only distances count, no clock is read. */
const START = Date.UTC(2026, 0, 5) / 1000;

/** A subject on a target, and the policy that writes it there. */
export interface Stored {
  policy: string;
  subject: SubjectPlan;
  forecast: ForecastSubject;
}

/** @param limitGiB What may be filled; 0: unknown. */
export function planForecast(
  context: Context,
  kind: TargetSpec["kind"],
  stored: readonly Stored[],
  limitGiB: number,
): ForecastPlan {
  // A schedule that is none, or ends, is a finding; nothing is said of its copies.
  const running = stored.filter(({ forecast }) => eventOf(forecast.schedule) !== undefined);
  const counted = onePerSubject(kind, running);
  const input: ForecastInput = {
    rule: ruleOf(kind),
    subjects: counted.map(({ forecast }) => forecast),
    from: START,
    timeZone: zoneOrUtc(context.spec.site.timeZone),
    ...(limitGiB > 0 && { limitGiB }),
  };
  const { months, peakGiB, fillsAt } = simulateTarget(input);
  const largest = fillsAt === undefined ? undefined : largestOf(input, counted);
  return {
    monthsGiB: months,
    peakGiB,
    ...(fillsAt !== undefined && { fillsAfterDays: Math.max(1, Math.ceil((fillsAt - START) / DAY)) }),
    ...(largest && { largestKeep: largest }),
  };
}

/**
 * On Proxmox's storages all backups of a guest are one group, which the runs of each policy prune: the copies of two
 * policies do not add up, and the more generous one counts.
 */
function onePerSubject(kind: TargetSpec["kind"], stored: readonly Stored[]): Stored[] {
  if (kind !== "pbs" && kind !== "vzdump") return [...stored];
  const found = new Map<string, Stored>();
  const copies = ({ forecast }: Stored) => keptCopies(forecast.keep) ?? Number.POSITIVE_INFINITY;
  for (const each of stored) {
    const known = found.get(each.subject.subject);
    if (known === undefined || copies(each) > copies(known)) found.set(each.subject.subject, each);
  }
  return [...found.values()];
}

/** The largest retention that fits, of the policy that takes the most room. */
function largestOf(input: ForecastInput, stored: readonly Stored[]): ForecastPlan["largestKeep"] {
  const found = largestKeep(input);
  if (found === undefined) return undefined;
  const sizes = new Map<string, number>();
  for (const { policy, subject, forecast } of stored) {
    const copies = keptCopies(forecast.keep) ?? 1;
    sizes.set(policy, (sizes.get(policy) ?? 0) + subject.firstGiB + subject.dailyGiB * copies);
  }
  const policy = [...sizes].toSorted(([, one], [, other]) => other - one)[0]?.[0];
  const keep = stored.find((each) => each.policy === policy)?.forecast.keep;
  if (policy === undefined || keep === undefined) return undefined;
  const scaled = found.keeps.find(({ given }) => sameKeep(given, keep))?.largest;
  return scaled && { policy, keep: scaled };
}

function sameKeep(one: Keep, other: Keep): boolean {
  return KEEP_RULES.every((rule) => (one[rule] ?? 0) === (other[rule] ?? 0));
}
