/** Rotated media: which sets there are, from when on, and how old the newest medium on the shelf is at worst. */
import type { Context } from "../context";
import { parseDuration } from "../units";
import { instantOf, zoneOf } from "./local-time";
import type { RotationPlan } from "./plan";
import { offlineAges, type Rotation, rotationProblem } from "./rotation";
import type { OfflineMediumSpec } from "./schema";
import { offlineMedia } from "./subjects";

const FIRST_DAY = "2026-01-05";

/** Plans of all rotations, by target. */
export function planRotations(context: Context): Record<string, RotationPlan> {
  return Object.fromEntries(
    offlineMedia(context.spec.targets).map(([name, spec]) => [name, planRotation(context, name, spec)]),
  );
}

function planRotation(context: Context, name: string, spec: OfflineMediumSpec): RotationPlan {
  const timeZone = zoneOrUtc(context.spec.site.timeZone);
  const plan = {
    target: name,
    on: spec.on,
    copies: spec.copies,
    sizeGiB: spec.sizeGiB,
    sets: spec.rotation,
    timeZone,
    startSeconds: midnight(spec.start ?? FIRST_DAY, timeZone),
    graceSeconds: parseDuration(spec.grace),
    mountPoint: spec.mountPoint ?? `/mnt/coldspare/${name}`,
  };
  return { ...plan, ...worstAges(plan) };
}

/** A planned rotation as rotation.ts takes it. */
export function rotationOf(plan: Pick<RotationPlan, "sets" | "graceSeconds" | "timeZone" | "startSeconds">): Rotation {
  const { sets, graceSeconds, timeZone, startSeconds } = plan;
  return { sets, graceSeconds, timeZone, start: startSeconds };
}

type Ages = Pick<RotationPlan, "worstOfflineSeconds" | "worstOffSiteSeconds">;

/** Infinity for a rotation that cannot be followed, which is a finding. */
function worstAges(plan: Parameters<typeof rotationOf>[0]): Ages {
  const rotation = rotationOf(plan);
  if (rotationProblem(rotation) !== undefined) return { worstOfflineSeconds: Number.POSITIVE_INFINITY };
  const { offline, offSite } = offlineAges(rotation);
  return { worstOfflineSeconds: offline.seconds, ...(offSite && { worstOffSiteSeconds: offSite.seconds }) };
}

/** The site's time zone, or UTC in place of one that there is not, which is a finding. */
export function zoneOrUtc(timeZone: string): string {
  return isTimeZone(timeZone) ? timeZone : "UTC";
}

export function isTimeZone(timeZone: string): boolean {
  try {
    zoneOf(timeZone);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function midnight(day: string, timeZone: string): number {
  const zone = zoneOf(timeZone);
  const local = Date.parse(`${day}T00:00:00Z`) / 1000;
  // Where the clock is put forward at midnight, the day begins an hour later.
  return instantOf(zone, local) ?? local - zone.offset(local);
}
