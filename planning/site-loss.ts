/** Everything at the site is gone at once: what is left is on the medium that lay on the shelf, and in copies elsewhere. */
import { ageWhenDetached, MEDIA_SCHEDULE, writeEvent } from "./backup/media-age";
import type { BackupsPlan, PolicyPlan, RotationPlan, SubjectPlan } from "./backup/plan";
import { secondsOf } from "./backup/plan-policies";
import { rotationOf } from "./backup/plan-rotations";
import type { Context } from "./context";
import type { SitePlan } from "./plan";
import { eventOf } from "./recovery";
import { byName, formatDuration, list, sum } from "./units";

interface Medium {
  name: string;
  plan: RotationPlan;
  /** Names of the subjects whose copies it holds. */
  covered: Set<string>;
  /** Age of what it holds when it is taken off. */
  contentSeconds: number;
  worst: number;
}

const OPENING = "If everything at this site is lost at once";

/** What the newest off-line medium holds, how old it is at worst, and what lies elsewhere. */
export function planSiteLoss(context: Context, backups: BackupsPlan): SitePlan["siteLoss"] {
  const best = mediaOf(context, backups)[0];
  const elsewhere = elsewhereText(backups);
  if (best === undefined || !Number.isFinite(best.worst)) {
    const why =
      best === undefined ? "no off-line medium is planned" : `no backup reaches off-line medium '${best.name}'`;
    const left = elsewhere === "" ? `, nothing is left: ${why}.` : `: ${why}.${elsewhere}`;
    return { ...(best && { medium: best.name }), text: `${OPENING}${left}` };
  }
  const missing = Object.keys(backups.copies).filter((subject) => !best.covered.has(subject));
  const uncovered = context.guests.map(({ name }) => name).filter((name) => !Object.hasOwn(backups.copies, name));
  const lost = [...missing, ...uncovered].sort(byName);
  return {
    medium: best.name,
    worstCaseLossSeconds: best.worst,
    ...(best.plan.worstOffSiteSeconds !== undefined && {
      worstCaseOffSiteSeconds: best.plan.worstOffSiteSeconds + best.contentSeconds,
    }),
    text:
      `${OPENING}, off-line medium '${best.name}' is left: at worst ${formatDuration(best.worst)} old ` +
      `(${stepsText(context, backups, best)}). ${placesText(best)}` +
      (lost.length === 0 ? "" : ` Not on it${elsewhere === "" ? ", and lost for good" : ""}: ${list(lost)}.`) +
      elsewhere,
  };
}

/** Rotated media, the youngest content first. */
function mediaOf(context: Context, backups: BackupsPlan): Medium[] {
  return Object.values(backups.rotations)
    .map((plan) => mediumOf(context, backups, plan))
    .sort((a, b) => a.worst - b.worst || b.covered.size - a.covered.size || byName(a.name, b.name));
}

function mediumOf(context: Context, backups: BackupsPlan, plan: RotationPlan): Medium {
  const policies = writers(backups, plan);
  const covered = new Set(policies.flatMap(({ subjects }) => subjects.map(({ subject }) => subject)));
  const contentSeconds = contentAge(context, policies, plan);
  return { name: plan.target, plan, covered, contentSeconds, worst: plan.worstOfflineSeconds + contentSeconds };
}

/** The policies whose copies a medium holds. */
function writers({ policies }: BackupsPlan, { copies }: RotationPlan): PolicyPlan[] {
  return Object.values(policies).filter(({ target, storage }) => target === copies || storage === copies);
}

/** A subject is as young as the policy that comes round most often leaves it; the medium as old as its oldest subject. */
function contentAge(context: Context, policies: readonly PolicyPlan[], plan: RotationPlan): number {
  const medium = context.spec.targets[plan.target];
  const write = writeEvent(medium?.kind === "offline-medium" ? medium.schedule : undefined);
  if (write === undefined || !Number.isFinite(plan.worstOfflineSeconds)) return Number.POSITIVE_INFINITY;
  const writeSeconds = copySeconds(context, policies);
  const ways = new Map<string, PolicyPlan[]>();
  for (const policy of policies)
    for (const { subject } of policy.subjects) ways.set(subject, [...(ways.get(subject) ?? []), policy]);
  // Subjects of the same policies have the same age, and a site has few combinations.
  const combinations = new Map([...ways.values()].map((by) => [by.map(({ name }) => name).join(), by]));
  const ages = [...combinations.values()].map((by) => {
    const runs = by.flatMap(({ spec, laterRunSeconds }) => {
      const event = eventOf(spec.schedule);
      return event === undefined || event.years ? [] : [{ event, seconds: laterRunSeconds }];
    });
    return runs.length === 0 ? Number.POSITIVE_INFINITY : ageWhenDetached(rotationOf(plan), runs, write, writeSeconds);
  });
  return ages.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...ages);
}

/** A night's archives are read from the storage and written to the medium. */
function copySeconds(context: Context, policies: readonly PolicyPlan[]): number {
  const subjects = new Map<string, SubjectPlan>();
  for (const policy of policies) for (const subject of policy.subjects) subjects.set(subject.subject, subject);
  const gib = sum([...subjects.values()].map(({ firstGiB }) => firstGiB));
  return secondsOf(
    { read: gib, sent: 0 },
    { link: Number.POSITIVE_INFINITY, storage: context.spec.policies.restoreMBps },
  );
}

function stepsText(context: Context, backups: BackupsPlan, { plan, contentSeconds }: Medium): string {
  const medium = context.spec.targets[plan.target];
  const write = (medium?.kind === "offline-medium" ? medium.schedule : undefined) ?? MEDIA_SCHEDULE;
  const schedules = [...new Set(writers(backups, plan).map(({ spec }) => `'${spec.schedule}'`))];
  return (
    `${formatDuration(plan.worstOfflineSeconds)} from the detachment of a medium to that of the next one + up to ` +
    `${formatDuration(contentSeconds)} that its content is old when it is detached: backups at ${list(schedules)} to ` +
    `${plan.copies}, copied to the medium at '${write}'; a swap that is late adds its delay`
  );
}

function placesText({ plan, contentSeconds }: Medium): string {
  const media = plan.sets.flatMap(({ media }) => media).length;
  const away = plan.sets.filter(({ offSite }) => offSite).map(({ name }) => name);
  const burns = `Of its ${media} media the one attached to ${plan.on} burns too, and `;
  if (away.length === 0 || plan.worstOffSiteSeconds === undefined)
    return `${burns}the others survive only where they are kept away from the site.`;
  const age = plan.worstOffSiteSeconds + contentSeconds;
  return (
    `${burns}those on the shelf survive only where that is not in the building. ` +
    `Off site are the media of ${list(away)}: the newest of them is at worst ${formatDuration(age)} old.`
  );
}

/** Copies on hosts that are no servers of this site, whatever happens to the site. */
function elsewhereText({ policies, targets }: BackupsPlan): string {
  const parts = Object.values(policies).flatMap(({ target, subjects, recoveryPointSeconds }) => {
    const host = targets[target]?.host;
    if (host === undefined || subjects.length === 0 || !Number.isFinite(recoveryPointSeconds)) return [];
    const what = subjects.length > 5 ? `${subjects.length} subjects` : list(subjects.map(({ subject }) => subject));
    return [`${what} on ${target} (${host}), at worst ${formatDuration(recoveryPointSeconds)} old`];
  });
  return parts.length === 0 ? "" : ` On hosts elsewhere are ${parts.join("; ")}.`;
}
