/** Copies as part of the site's status: age against promise, failed runs, how full targets get, and the media. Pure. */
import type { ManifestBackups, ManifestPolicy } from "../../planning/backup/manifest";
import type { SiteManifest } from "../../planning/manifest";
import { formatDuration, formatGiB } from "../../planning/units";
import { type Copies, isGood, type JobState, type Point } from "./copies";
import { type RotationView, siteLossNow } from "./media";
import { type SubjectSummary, standingProblem, summarise } from "./summary";
import { type LastTest, testProblems } from "./test-results";

/** How full a target is, and when it will be. */
export interface TargetStatus {
  target: string;
  server: string;
  usedGiB: number;
  limitGiB: number;
  /** Days until the limit, if copies go on coming as they do and the rules remove as they say. Absent: not foreseen, or not known. */
  fillsAfterDays?: number;
}

/** Under `backups` of `coldspare status --json`; absent where the site has no policies. Times are ISO texts and seconds. */
export interface BackupStatus {
  ok: boolean;
  subjects: SubjectSummary[];
  /** Runs that failed and were not followed by a good one. */
  failed: Pick<JobState, "name" | "server" | "kind" | "at" | "error">[];
  targets: TargetStatus[];
  rotations: RotationView[];
  /** The newest content of any medium that is not attached: what the site would lose with everything on line. */
  siteLoss?: { target: string; medium: string; ageSeconds: number };
  /** Copies of each policy that were read again last. */
  verified: Record<string, string | undefined>;
  /** The last test restore of each guest that ever had one. */
  tests: Record<string, LastTest>;
  /** What is to be looked at, in words. */
  problems: string[];
}

const GIB = 1024 ** 3;
const DAY = 86_400;

export function backupStatus(
  manifest: SiteManifest,
  copies: Copies,
  rotations: RotationView[],
  tests: Record<string, LastTest> = {},
): BackupStatus {
  const backups = manifest.backups!;
  const subjects = summarise(copies, manifest);
  const failed = copies.jobs.filter(({ state }) => state === "failed");
  const targets = targetStates(backups, copies);
  const loss = siteLossNow(rotations);
  const problems = [
    ...subjects.flatMap(subjectProblems),
    ...failed.map(
      ({ name, server, error }) => `${name}: its last run on ${server} failed: ${error ?? "no reason is given"}`,
    ),
    ...targets.flatMap(targetProblems),
    ...rotations.flatMap(rotationProblems),
    ...testProblems(manifest, tests),
    ...copies.unasked.map(({ reason, targets: names }) => `copies on ${names.join(", ")} are not seen: ${reason}`),
  ];
  return {
    ok: problems.length === 0,
    subjects,
    failed: failed.map(({ name, server, kind, at, error }) => ({
      name,
      server,
      kind,
      ...(at !== undefined && { at }),
      ...(error !== undefined && { error }),
    })),
    targets,
    rotations,
    ...(loss && { siteLoss: loss }),
    verified: Object.fromEntries(Object.keys(backups.policies).map((policy) => [policy, lastVerified(copies, policy)])),
    tests,
    problems,
  };
}

function subjectProblems({ subject, policies, broken }: SubjectSummary): string[] {
  const found = Object.entries(policies).flatMap(([policy, standing]) => {
    const problem = standingProblem(standing, { duration: formatDuration });
    return problem === undefined ? [] : [`${subject}: ${problem} (policy ${policy})`];
  });
  const bad =
    broken > 0 ? [`${subject}: ${broken === 1 ? "a copy was" : `${broken} copies were`} found to be broken`] : [];
  return [...found, ...bad];
}

function lastVerified({ points }: Copies, policy: string): string | undefined {
  const times = points
    .filter((point) => point.policies.includes(policy) && point.verified === "ok")
    .map(({ verifiedAt, at }) => verifiedAt ?? at);
  return times.sort().at(-1);
}

function targetStates(backups: ManifestBackups, copies: Copies): TargetStatus[] {
  return copies.fills.map(({ target, server, usedGiB, limitGiB, totalGiB }) => {
    const limit = limitGiB > 0 ? limitGiB : totalGiB;
    const days = fillsAfterDays(backups, copies, target, usedGiB, limit);
    return { target, server, usedGiB, limitGiB: limit, ...(days !== undefined && { fillsAfterDays: days }) };
  });
}

/**
 * Each subject grows by its copies until its rules remove as much as comes. Only for archives: what a backup server or a
 * repository takes for one more copy does not follow from the copies' sizes.
 */
function fillsAfterDays(
  backups: ManifestBackups,
  { points }: Copies,
  target: string,
  usedGiB: number,
  limitGiB: number,
): number | undefined {
  if (usedGiB >= limitGiB) return 0;
  if (backups.targets[target]?.kind !== "vzdump") return undefined;
  const growths = Object.values(backups.policies)
    .filter((policy) => policy.target === target)
    .flatMap((policy) =>
      policy.guests.flatMap(
        (guest) =>
          growthOf(
            policy,
            points.filter((each) => each.subject === guest && each.target === target),
          ) ?? [],
      ),
    );
  // Day by day, as each stops growing at a time of its own.
  let used = usedGiB;
  for (let day = 1; day <= 366; day++) {
    for (const { perDayGiB, leftGiB } of growths)
      used += Math.max(0, Math.min(perDayGiB, leftGiB - perDayGiB * (day - 1)));
    if (used >= limitGiB) return day;
  }
  return undefined;
}

/** What comes each day, and how much until as many are there as are kept. */
function growthOf(
  { keep }: ManifestPolicy,
  points: readonly Point[],
): { perDayGiB: number; leftGiB: number } | undefined {
  const good = points.filter(isGood);
  if (good.length < 2) return undefined;
  const times = good.map(({ at }) => Date.parse(at) / 1000).sort((a, b) => a - b);
  const gap = (times.at(-1)! - times[0]!) / (times.length - 1);
  const mean = good.reduce((sum, { bytes = 0 }) => sum + bytes, 0) / good.length / GIB;
  const kept = Object.values(keep).reduce((sum: number, count) => sum + (count ?? 0), 0);
  if (gap <= 0 || kept === 0) return undefined;
  return { perDayGiB: (mean * DAY) / gap, leftGiB: Math.max(0, kept - good.length) * mean };
}

/** Days of warning before a target is full. */
const SOON_DAYS = 30;

function targetProblems({ target, server, usedGiB, limitGiB, fillsAfterDays: days }: TargetStatus): string[] {
  if (days === undefined || days > SOON_DAYS) return [];
  const how = `${formatGiB(usedGiB)} of ${formatGiB(limitGiB)}`;
  return days === 0
    ? [`${target}: full as seen from ${server}: ${how} may be used. Keep fewer copies, or make room`]
    : [`${target}: full in ${days} days as copies come now: ${how} are used. Keep fewer copies, or make room`];
}

function rotationProblems(view: RotationView): string[] {
  const { target, state, text, error, offline, worstOfflineSeconds, listEnds } = view;
  const late =
    state === "overdue" || state === "wrong" || state === "foreign" || state === "unknown"
      ? [`${target}: ${text}`]
      : [];
  const old =
    offline === undefined
      ? [`${target}: no medium that is not attached is known to hold a copy: with everything on line all would be lost`]
      : offline.ageSeconds > worstOfflineSeconds
        ? [
            `${target}: the newest off-line medium, ${offline.medium}, is of ${formatDuration(offline.ageSeconds)} ago, planned are at most ${formatDuration(worstOfflineSeconds)}`,
          ]
        : [];
  return [
    ...late,
    ...(state === "unknown" ? [] : old),
    ...(error === undefined || error === "" ? [] : [`${target}: ${error}`]),
    ...(listEnds === undefined ? [] : [`${target}: its server's list of swaps ends at ${listEnds}: run \`pulumi up\``]),
  ];
}
