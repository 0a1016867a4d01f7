/** Rotated media: calendars that can be followed, sets that get their turn, swaps that are missed in time. */
import type { RotationPlan } from "../backup/plan";
import { isTimeZone, rotationOf } from "../backup/plan-rotations";
import { rotationProblem, type Swap, swaps } from "../backup/rotation";
import type { Context } from "../context";
import type { SitePlan } from "../plan";
import { formatDuration } from "../units";
import { checkSchedule } from "./recovery";

const TWO_YEARS = 2 * 366 * 86_400;

/** Checks every rotation, and the time zone that its calendar is meant in. */
export function checkRotations(context: Context, plan: SitePlan): void {
  const { timeZone } = context.spec.site;
  if (!isTimeZone(timeZone))
    context.add(
      "TIME-ZONE-UNKNOWN",
      "site.timeZone",
      `There is no time zone '${timeZone}'.`,
      "Write an IANA name, for example Europe/Paris.",
    );
  for (const rotation of Object.values(plan.backups.rotations)) checkRotation(context, plan, rotation);
}

function checkRotation(context: Context, plan: SitePlan, rotation: RotationPlan): void {
  const { target } = rotation;
  const medium = context.spec.targets[target];
  if (medium?.kind === "offline-medium" && medium.schedule !== undefined)
    checkSchedule(context, `targets.${target}.schedule`, medium.schedule, `writing of ${target}`);
  const problem = rotationProblem(rotationOf(rotation));
  if (problem !== undefined) {
    context.add(
      "ROTATION-INVALID",
      `targets.${target}.rotation`,
      `The rotation of ${target} cannot be followed: ${problem}.`,
      `Correct targets.${target}.rotation.`,
    );
    return;
  }
  const turns = swaps(rotationOf(rotation), rotation.startSeconds, rotation.startSeconds + TWO_YEARS);
  checkTurns(context, rotation, turns);
  checkGrace(context, rotation, turns);
  checkOffSite(context, plan, rotation);
}

function checkTurns(context: Context, { target, sets }: RotationPlan, turns: readonly Swap[]): void {
  for (const [index, { name }] of sets.entries()) {
    if (turns.some(({ set }) => set === name)) continue;
    context.add(
      "ROTATION-SET-IDLE",
      `targets.${target}.rotation[${index}]`,
      `Set ${name} of ${target} never gets a turn: whenever it is due, so is a set after it.`,
      "Put the rarer set last, or give them different times.",
    );
  }
}

function checkGrace(context: Context, { target, graceSeconds }: RotationPlan, turns: readonly Swap[]): void {
  const gaps = turns.slice(1).map(({ at }, index) => at - (turns[index]?.at ?? at));
  const longest = Math.max(...gaps);
  const medium = context.spec.targets[target];
  if (medium?.kind !== "offline-medium" || graceSeconds <= longest) return;
  context.add(
    "ROTATION-GRACE",
    `targets.${target}.grace`,
    `A swap of ${target} may be ${medium.grace} late, and the next one is due ${formatDuration(longest)} after it.`,
    `Shorten targets.${target}.grace to less than ${formatDuration(longest)}.`,
  );
}

function checkOffSite(context: Context, { backups }: SitePlan, { target, sets, copies }: RotationPlan): void {
  if (sets.some(({ offSite }) => offSite)) return;
  const covered = Object.values(backups.policies)
    .filter((policy) => policy.target === copies || policy.storage === copies)
    .flatMap(({ subjects }) => subjects.map(({ subject }) => subject));
  if (covered.every((subject) => backups.copies[subject]?.one)) return;
  context.add(
    "ROTATION-NEVER-OFF-SITE",
    `targets.${target}.rotation`,
    `No set of ${target} is carried out of the building, and no other copy is elsewhere.`,
    "Add a set with offSite: true, for example with a swap each month.",
  );
}
