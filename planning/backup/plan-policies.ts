/** The plan of each policy: what it backs up, how long its runs take, how old its newest copy is at worst. */
import { longestGapSeconds } from "../calendar";
import { type Context, own, sorted } from "../context";
import { eventOf } from "../recovery";
import { MB_PER_GIB, parseDuration, sum } from "../units";
import type { ForecastSubject } from "./forecast-core";
import type { PolicyPlan, SubjectPlan } from "./plan";
import { planSubjects } from "./plan-subjects";
import type { RetentionRule } from "./retention";
import type { BackupPolicySpec, TargetSpec } from "./schema";
import { policyTarget, storageOf } from "./subjects";

const DAY = 86_400;

/** A policy in the plan, and its subjects as the simulation of its target takes them. */
export interface PlannedPolicy {
  plan: PolicyPlan;
  forecast: ForecastSubject[];
}

/** Whose rules remove old copies on a target of a kind. */
export function ruleOf(kind: TargetSpec["kind"]): RetentionRule {
  if (kind === "zfs-receiver") return "zfs";
  return kind === "pbs" || kind === "restic" ? kind : "vzdump";
}

/** Plans of all policies whose target is known, by name. @param ids Guest ids by guest. */
export function planPolicies(context: Context, ids: Readonly<Record<string, number>>): Record<string, PlannedPolicy> {
  const plans: Record<string, PlannedPolicy> = {};
  for (const [name, spec] of sorted(context.spec.backups)) {
    const plan = planPolicy(context, name, spec, ids);
    if (plan !== undefined) plans[name] = plan;
  }
  return plans;
}

function planPolicy(
  context: Context,
  name: string,
  spec: BackupPolicySpec,
  ids: Readonly<Record<string, number>>,
): PlannedPolicy | undefined {
  const target = policyTarget(context.spec.targets, spec);
  if (target === undefined) return undefined;
  const kind = target.spec?.kind ?? "vzdump";
  const storage = target.spec === undefined ? spec.storage : storageOf(target.name, target.spec);
  const sized = planSubjects(context, spec, ruleOf(kind), ids);
  const subjects = sized.map(({ plan }) => plan);
  const event = eventOf(spec.schedule);
  const gap = event === undefined ? Number.POSITIVE_INFINITY : longestGapSeconds(event);
  const way = wayTo(context, target.name, spec);
  const first = runSeconds(subjects, way, whole);
  const later = kind === "vzdump" ? first : runSeconds(subjects, way, (subject) => changed(subject, gap));
  const plan: PolicyPlan = {
    name,
    spec,
    target: target.name,
    kind,
    ...(storage !== undefined && { storage }),
    keep: spec.keep,
    subjects,
    recoveryPointSeconds: gap + later,
    ...(spec.recoveryPoint !== undefined && { promisedSeconds: parseDuration(spec.recoveryPoint) }),
    firstRunSeconds: first,
    laterRunSeconds: later,
  };
  return { plan, forecast: sized.map(({ forecast }) => forecast) };
}

/** What a run reads, and what of it travels. GiB. */
interface Load {
  read: number;
  sent: number;
}

/** Rates in MB/s: of the way to the target, and of the disks there. */
export interface Way {
  link: number;
  storage: number;
}

/** How fast a policy's runs reach their target. */
export function wayTo({ spec }: Context, target: string, policy?: BackupPolicySpec): Way {
  const found = own(spec.targets, target);
  const linkMbps =
    (found === undefined || found.kind === "offline-medium" ? undefined : found.linkMbps) ?? spec.policies.linkMbps;
  const limits = [linkMbps / 8, rateOf(found), policy?.bandwidthMBps].filter((rate) => rate !== undefined);
  return { link: Math.min(...limits), storage: spec.policies.restoreMBps };
}

function rateOf(target: TargetSpec | undefined): number | undefined {
  return target?.kind === "restic" || target?.kind === "zfs-receiver" ? target.rateMBps : undefined;
}

function whole({ usedGiB, firstGiB }: SubjectPlan): Load {
  return { read: usedGiB, sent: firstGiB };
}

/** What a run carries after a gap; never more than everything. */
function changed({ usedGiB, firstGiB, dailyGiB }: SubjectPlan, gapSeconds: number): Load {
  const sent = Math.min(firstGiB, (dailyGiB * gapSeconds) / DAY);
  return { read: firstGiB === 0 ? 0 : (usedGiB * sent) / firstGiB, sent };
}

/** Subjects are backed up one after another; each as fast as the slower of link and storage. */
function runSeconds(subjects: readonly SubjectPlan[], way: Way, load: (subject: SubjectPlan) => Load): number {
  const loads = subjects.map(load);
  return secondsOf({ read: sum(loads.map(({ read }) => read)), sent: sum(loads.map(({ sent }) => sent)) }, way);
}

/** Seconds to move something, and to read or write it where it is. */
export function secondsOf({ read, sent }: Load, { link, storage }: Way): number {
  return Math.ceil(Math.max((sent * MB_PER_GIB) / link, (read * MB_PER_GIB) / storage));
}
