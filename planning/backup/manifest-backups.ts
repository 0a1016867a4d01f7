/** The part of a site's manifest about copies: targets, policies and rotations as servers and commands need them. */
import type { SitePlan } from "../plan";
import type { SiteSpec } from "../schema";
import { parseDuration } from "../units";
import type { ManifestBackups, ManifestPolicy, ManifestRotation, ManifestTarget } from "./manifest";
import { MEDIA_SCHEDULE } from "./media-age";
import { mediaSource } from "./media-source";
import type { PolicyPlan, RotationPlan, TargetPlan } from "./plan";
import { zoneOrUtc } from "./plan-rotations";
import { resticRepository } from "./repository";
import type { PbsTargetSpec, ResticTargetSpec, ZfsTargetSpec } from "./schema";
import { storageOf } from "./subjects";

/** Of a planned site; undefined when it has neither policies nor targets. */
export function manifestBackups({ backups, spec }: SitePlan): ManifestBackups | undefined {
  const { policies, targets, rotations } = backups;
  if ([policies, targets, rotations].every((part) => Object.keys(part).length === 0)) return undefined;
  return {
    timeZone: zoneOrUtc(spec.site.timeZone),
    targets: {
      ...mapValues(targets, (target) => manifestTarget(spec, target)),
      ...mapValues(rotations, (rotation) => mediumTarget(spec, rotation)),
    },
    policies: mapValues(runnable(policies), manifestPolicy),
    rotations: mapValues(followed(rotations), (rotation) => manifestRotation(spec, rotation)),
    ...(spec.policies.mail && { mail: spec.policies.mail }),
  };
}

/** A policy whose schedule is none, or ends, never runs: it is a finding, and JSON has no number for its age. */
function runnable(policies: Record<string, PolicyPlan>): Record<string, PolicyPlan> {
  return Object.fromEntries(
    Object.entries(policies).filter(([, { recoveryPointSeconds }]) => Number.isFinite(recoveryPointSeconds)),
  );
}

/** A rotation that nobody can follow is a finding, and JSON has no number for the age of its media. */
function followed(rotations: Record<string, RotationPlan>): Record<string, RotationPlan> {
  return Object.fromEntries(
    Object.entries(rotations).filter(([, { worstOfflineSeconds }]) => Number.isFinite(worstOfflineSeconds)),
  );
}

function mapValues<A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

function manifestTarget(spec: SiteSpec, plan: TargetPlan): ManifestTarget {
  const common = { ...(plan.location !== undefined && { location: plan.location }), limitGiB: plan.limitGiB };
  const target = plan.spec;
  switch (target?.kind) {
    case "pbs":
      return { ...common, ...pbsTarget(spec, plan.name, target) };
    case "zfs-receiver":
      return { ...common, ...zfsTarget(spec, target) };
    case "restic":
      return { ...common, ...resticTarget(spec, target) };
    default:
      return { ...common, kind: "vzdump", storage: target?.kind === "vzdump" ? target.storage : plan.name };
  }
}

type Of<K extends ManifestTarget["kind"]> = Omit<Extract<ManifestTarget, { kind: K }>, "location" | "limitGiB">;

function pbsTarget(spec: SiteSpec, name: string, target: PbsTargetSpec): Of<"pbs"> {
  const { on, port, datastore, namespace, fingerprint, encryption, syncFrom } = target;
  return {
    kind: "pbs",
    ...(on !== undefined && { on }),
    host: hostOf(spec, target),
    port,
    datastore,
    ...(namespace !== undefined && { namespace }),
    ...(fingerprint !== undefined && { fingerprint }),
    storage: storageOf(name, target) ?? name,
    encrypted: encryption === "client",
    ...(syncFrom && { syncFrom: syncFrom.target }),
  };
}

function zfsTarget(spec: SiteSpec, target: ZfsTargetSpec): Of<"zfs-receiver"> {
  const { on, port, user, hostKeys, dataset, direction, raw, rateMBps, pruner } = target;
  return {
    kind: "zfs-receiver",
    ...(on !== undefined && { on }),
    host: hostOf(spec, target),
    port,
    user,
    hostKeys,
    dataset,
    direction,
    raw,
    ...(rateMBps !== undefined && { rateMBps }),
    pruner,
  };
}

function resticTarget(spec: SiteSpec, target: ResticTargetSpec): Of<"restic"> {
  const { backend, passwordSecret, appendOnly, pruneOn, rateMBps } = target;
  return {
    kind: "restic",
    repository: resticRepository(backend, (host) => hostOf(spec, host)),
    backend,
    passwordSecret,
    appendOnly,
    ...(pruneOn !== undefined && { pruneOn }),
    ...(rateMBps !== undefined && { rateMBps }),
  };
}

/** Where other servers reach it: the address of a server of the site, or the host that was given. */
function hostOf(spec: SiteSpec, { on, host }: { on?: string | undefined; host?: string | undefined }): string {
  if (on === undefined) return host ?? "";
  const server = Object.hasOwn(spec.servers, on) ? spec.servers[on] : undefined;
  return server?.address ?? server?.address6 ?? on;
}

function mediumTarget(spec: SiteSpec, { on, copies, sizeGiB, mountPoint }: RotationPlan): ManifestTarget {
  const location = spec.servers[on]?.location;
  return {
    ...(location !== undefined && { location }),
    limitGiB: sizeGiB,
    kind: "offline-medium",
    on,
    copies,
    sizeGiB,
    mountPoint,
  };
}

function manifestPolicy({ spec, target, subjects, promisedSeconds, recoveryPointSeconds }: PolicyPlan): ManifestPolicy {
  const { schedule, keep, hooks, bandwidthMBps, immutableFor, verify, notify } = spec;
  return {
    target,
    schedule,
    keep,
    guests: subjects.filter(({ kind }) => kind === "guest").map(({ subject }) => subject),
    folders: spec.folders.map(({ server, paths, exclude }) => ({ server, paths, exclude })),
    volumes: spec.volumes.map(({ server, volume }) => ({ server, volume })),
    datasets: spec.datasets.map(({ server, dataset, recursive, encrypted }) => ({
      server,
      dataset,
      recursive,
      encrypted,
    })),
    hooks,
    ...(bandwidthMBps !== undefined && { bandwidthMBps }),
    ...(immutableFor !== undefined && { immutableSeconds: parseDuration(immutableFor) }),
    ...(verify.reread !== undefined && { reread: verify.reread }),
    ...(verify.testRestore && { testRestore: testRestore(verify.testRestore, subjects) }),
    notify,
    recoveryPointSeconds: promisedSeconds ?? recoveryPointSeconds,
  };
}

function testRestore(
  { schedule, guests, on }: NonNullable<PolicyPlan["spec"]["verify"]["testRestore"]>,
  subjects: PolicyPlan["subjects"],
): NonNullable<ManifestPolicy["testRestore"]> {
  const all = subjects.filter(({ kind }) => kind === "guest").map(({ subject }) => subject);
  return { schedule, guests: guests ?? all, ...(on !== undefined && { on }) };
}

function manifestRotation(spec: SiteSpec, plan: RotationPlan): ManifestRotation {
  const { target, on, copies, mountPoint, sets, startSeconds, graceSeconds } = plan;
  const medium = spec.targets[target];
  const { keep, schedule, carrier } = medium?.kind === "offline-medium" ? medium : {};
  const source = mediaSource(spec, on, copies);
  return {
    on,
    copies,
    ...(source !== undefined && { source }),
    mountPoint,
    sets,
    startSeconds,
    graceSeconds,
    ...(keep && { keep }),
    schedule: schedule ?? MEDIA_SCHEDULE,
    ...(carrier !== undefined && { carrier }),
    worstOfflineSeconds: plan.worstOfflineSeconds,
    ...(plan.worstOffSiteSeconds !== undefined && { worstOffSiteSeconds: plan.worstOffSiteSeconds }),
  };
}
