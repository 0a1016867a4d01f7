/** Rotated media: which sets there are, from when on, and how old the newest medium on the shelf is at worst. */
import { longestGapSeconds, parseCalendarEvent } from "../calendar";
import type { Context } from "../context";
import { parseDuration } from "../units";
import { instantOf, zoneOf } from "./local-time";
import type { RotationPlan } from "./plan";
import type { MediaSetSpec, OfflineMediumSpec } from "./schema";
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
  const offSite = spec.rotation.filter((set) => set.offSite);
  const graceSeconds = parseDuration(spec.grace);
  return {
    target: name,
    on: spec.on,
    copies: spec.copies,
    sizeGiB: spec.sizeGiB,
    sets: spec.rotation.map(({ name, media, swap, offSite }) => ({ name, media, swap, offSite })),
    timeZone,
    startSeconds: midnight(spec.start ?? FIRST_DAY, timeZone),
    graceSeconds,
    mountPoint: spec.mountPoint ?? `/mnt/coldspare/${name}`,
    worstOfflineSeconds: worst(spec.rotation),
    ...(offSite.length > 0 && { worstOffSiteSeconds: worst(offSite) }),
  };
}

function worst(sets: readonly MediaSetSpec[]): number {
  const gaps = sets.map(({ swap }) => {
    const { event } = parseCalendarEvent(swap);
    return event === undefined ? Number.POSITIVE_INFINITY : longestGapSeconds(event);
  });
  return Math.min(...gaps);
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
  const local = Date.parse(`${day}T00:00:00Z`) / 1000;
  // Where the clock is put forward at midnight, the day begins an hour later.
  return instantOf(zoneOf(timeZone), local) ?? local - zoneOf(timeZone).offset(local);
}
