/** Everything at the site is gone at once: what is left is on the medium that lay on the shelf. */
import type { RotationPlan } from "./backup/plan";
import { offlineMedia, policyStorage } from "./backup/subjects";
import { longestGapSeconds } from "./calendar";
import type { Context } from "./context";
import type { SitePlan } from "./plan";
import { eventOf, jobSeconds } from "./recovery";
import { guestsOf } from "./storage";
import { byName, formatDuration, list } from "./units";

/** What the newest off-line medium holds, and how old it is at worst. */
export function planSiteLoss(
  context: Context,
  rotations: Readonly<Record<string, RotationPlan>>,
): SitePlan["siteLoss"] {
  const media = offlineMedia(context.spec.targets)
    .map(([name, target]) => {
      const policies = Object.values(context.spec.backups).filter(
        (policy) => policyStorage(context.spec.targets, policy) === target.copies,
      );
      const covered = new Set(policies.flatMap((policy) => guestsOf(context, policy)));
      // A guest is as old as the policy that comes round last leaves it.
      const gaps = [...covered].map((guest) =>
        Math.min(
          ...policies
            .filter((policy) => guestsOf(context, policy).includes(guest))
            .map((policy) => gapOf(policy.schedule) + jobSeconds(context, policy)),
        ),
      );
      const swapSeconds = rotations[name]?.worstOfflineSeconds ?? Number.POSITIVE_INFINITY;
      const gapSeconds = gaps.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...gaps);
      return { name, target, swapSeconds, gapSeconds, covered, worst: swapSeconds + gapSeconds };
    })
    .sort((a, b) => a.worst - b.worst || b.covered.size - a.covered.size || byName(a.name, b.name));
  const best = media[0];
  if (best === undefined || !Number.isFinite(best.worst))
    return {
      ...(best && { medium: best.name }),
      text:
        best === undefined
          ? "If everything at this site is lost at once, nothing is left: no off-line medium is planned."
          : `If everything at this site is lost at once, nothing is left: no backup reaches off-line medium '${best.name}'.`,
    };
  const missing = context.guests.map(({ name }) => name).filter((name) => !best.covered.has(name));
  const { copies, on, rotation } = best.target;
  return {
    medium: best.name,
    worstCaseLossSeconds: best.worst,
    text:
      `If everything at this site is lost at once, off-line medium '${best.name}' is left: at worst ` +
      `${formatDuration(best.worst)} old (${formatDuration(best.swapSeconds)} between two swaps, and up to ${formatDuration(best.gapSeconds)} from ` +
      `the start of a backup to the end of the next one on ${copies}, if each is copied to the medium at once). Of its ${rotation.flatMap(({ media }) => media).length} media the one attached to ${on} burns too, and the others survive only ` +
      `where they are kept away from the site.` +
      (missing.length === 0 ? "" : ` Not on it, and lost for good: ${list(missing)}.`),
  };
}

function gapOf(schedule: string): number {
  const event = eventOf(schedule);
  return event === undefined ? Number.POSITIVE_INFINITY : longestGapSeconds(event);
}
