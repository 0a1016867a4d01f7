/** What copies come to: for each subject the newest good one against what was promised. Pure. */
import type { ManifestBackups } from "../../planning/backup/manifest";
import type { SiteManifest } from "../../planning/manifest";
import { type Copies, isGood, type JobState, type Point } from "./copies";
import { type Subject, subjectsOf, takenBy } from "./subjects";

/** How one subject stands with one policy, or with all of them. */
export interface Standing {
  /** ISO time of the newest good copy. */
  newestGood?: string;
  ageSeconds?: number;
  /** Where that copy is. */
  target?: string;
  promisedSeconds: number;
  /** `unknown`: none is seen, and somebody who may have one could not be asked. */
  state: "kept" | "late" | "none" | "unknown";
}

export interface SubjectSummary extends Standing {
  subject: string;
  kind: Subject["kind"];
  /** Over all targets. */
  count: number;
  good: number;
  /** Found to be broken. */
  broken: number;
  oldest?: string;
  bytes: number;
  /** Newest of the copies that were read again and found whole. */
  verifiedAt?: string;
  policies: Record<string, Standing>;
}

/** One line for each subject, by name. */
export function summarise(copies: Copies, manifest: SiteManifest): SubjectSummary[] {
  return subjectsOf(manifest).map((subject) => {
    const points = copies.points.filter((point) => point.subject === subject.name);
    const good = points.filter(isGood);
    const targets = targetsOf(subject.policies, manifest.backups!);
    const verified = good.filter((point) => point.verified === "ok");
    const oldest = points.at(-1)?.at;
    return {
      subject: subject.name,
      kind: subject.kind,
      count: points.length,
      good: good.length,
      broken: points.length - good.length,
      bytes: points.reduce((total, { bytes = 0 }) => total + bytes, 0),
      ...(oldest !== undefined && { oldest }),
      ...(verified[0] !== undefined && { verifiedAt: verified[0].verifiedAt ?? verified[0].at }),
      ...standing(copies, good, copies.jobs, subject, targets, subject.promisedSeconds),
      policies: Object.fromEntries(
        subject.policies.map((policy) => [policy, standingOf(copies, manifest, subject, policy)]),
      ),
    };
  });
}

function standingOf(copies: Copies, manifest: SiteManifest, subject: Subject, policy: string): Standing {
  const spec = manifest.backups!.policies[policy]!;
  const good = copies.points.filter(
    (point) => point.subject === subject.name && point.target === spec.target && isGood(point),
  );
  const own = good.filter(({ policies }) => policies.includes(policy));
  const jobs = copies.jobs.filter((job) => job.policy === policy);
  return standing(copies, own, jobs, subject, [spec.target], spec.recoveryPointSeconds);
}

function standing(
  { at, unasked }: Copies,
  good: readonly Point[],
  jobs: readonly JobState[],
  subject: Subject,
  targets: readonly string[],
  promisedSeconds: number,
): Standing {
  const newest = newestOf(good, jobs, subject);
  if (newest === undefined) {
    const hidden = unasked.some((each) => each.targets.some((target) => targets.includes(target)));
    return { promisedSeconds, state: hidden ? "unknown" : "none" };
  }
  const ageSeconds = Math.max(0, Math.round((Date.parse(at) - Date.parse(newest.at)) / 1000));
  const kept = ageSeconds <= promisedSeconds;
  const hidden = unasked.some((each) => each.targets.some((target) => targets.includes(target)));
  return {
    newestGood: newest.at,
    ageSeconds,
    target: newest.target,
    promisedSeconds,
    state: kept ? "kept" : hidden ? "unknown" : "late",
  };
}

/** Of points and of what jobs tell: a quick look has the latter alone for what lies in repositories. */
function newestOf(
  good: readonly Point[],
  jobs: readonly JobState[],
  { name, kind, server, policies }: Subject,
): { at: string; target: string } | undefined {
  const told =
    kind === "guest" || good.some((point) => point.kind === "restic" || point.kind === "zfs")
      ? []
      : jobs.filter(
          (job) =>
            job.newest !== undefined &&
            job.target !== undefined &&
            (job.server === server || job.kind === "zfs") &&
            job.kind !== "media" &&
            policies.includes(job.policy ?? name),
        );
  const all = [...good, ...told.map(({ newest, target }) => ({ at: newest!, target: target! }))];
  return all.reduce<{ at: string; target: string } | undefined>(
    (best, each) => (best && Date.parse(best.at) >= Date.parse(each.at) ? best : { at: each.at, target: each.target }),
    undefined,
  );
}

/** Where the copies of these policies may be: their targets, and the media that these are copied to. */
function targetsOf(policies: readonly string[], backups: ManifestBackups): string[] {
  const own = policies.flatMap((policy) => backups.policies[policy]?.target ?? []);
  const media = Object.entries(backups.rotations)
    .filter(([, { copies }]) => own.includes(copies) || own.some((name) => storageIs(backups, name, copies)))
    .map(([name]) => name);
  return [...new Set([...own, ...media])];
}

function storageIs({ targets }: ManifestBackups, name: string, storage: string): boolean {
  const target = targets[name];
  return (target?.kind === "vzdump" || target?.kind === "pbs") && target.storage === storage;
}

/** What is wrong with a subject, in words; empty: nothing. */
export function standingProblem({ state, ageSeconds, promisedSeconds }: Standing, words: Words): string | undefined {
  if (state === "kept") return undefined;
  if (state === "none") return "there is no good copy";
  if (state === "unknown") return "whether there is a good copy cannot be seen at present";
  return `its newest good copy is ${words.duration(ageSeconds ?? 0)} old, promised are ${words.duration(promisedSeconds)}`;
}

interface Words {
  duration(seconds: number): string;
}

/** Subjects of one policy, for commands that act on it. */
export function subjectsOfPolicy(manifest: SiteManifest, policy: string): string[] {
  const spec = manifest.backups?.policies[policy];
  return spec === undefined ? [] : takenBy(manifest, spec).map(({ name }) => name);
}
