/** What a stack exports of its copies: plain data, for people, pictures and monitoring. Sizes in GiB, times in seconds. */
import type { BackupsPlan, CopiesPlan, PolicyPlan, RotationPlan, TargetPlan } from "./plan";

export interface BackupsReport {
  policies: Record<
    string,
    {
      target: string;
      subjects: string[];
      /** Age of the newest copy at worst; absent when no copy is ever made. */
      recoveryPointSeconds?: number;
      promisedSeconds?: number;
    }
  >;
  targets: Record<
    string,
    Pick<
      TargetPlan,
      "kind" | "server" | "host" | "location" | "sizeGiB" | "limitGiB" | "quotaGiB" | "allocatedGiB" | "fits"
    > & {
      /** Space used at the end of each of the next 12 months. */
      monthsGiB: number[];
      peakGiB: number;
      /** Absent: not within 12 months. */
      fillsAfterDays?: number;
      restoreAllSeconds: number;
    }
  >;
  /** 3-2-1-1-0 by subject. */
  copies: Record<string, Omit<CopiesPlan, "subject" | "copies"> & { count: number }>;
  rotations: Record<
    string,
    Pick<RotationPlan, "on" | "copies"> & {
      media: string[];
      /** Age of the newest medium on the shelf at worst; absent when there is never one. */
      worstOfflineSeconds?: number;
      worstOffSiteSeconds?: number;
    }
  >;
}

/** The plan of all copies in the shape that stacks export. */
export function backupsReport({ policies, targets, copies, rotations }: BackupsPlan): BackupsReport {
  return {
    policies: mapValues(policies, policyReport),
    targets: mapValues(targets, targetReport),
    copies: mapValues(copies, ({ subject: _, copies, ...lines }) => ({ count: copies.length, ...lines })),
    rotations: mapValues(rotations, rotationReport),
  };
}

function mapValues<A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

function policyReport(policy: PolicyPlan): BackupsReport["policies"][string] {
  const { target, subjects, recoveryPointSeconds, promisedSeconds } = policy;
  return {
    target,
    subjects: subjects.map(({ subject }) => subject),
    ...(Number.isFinite(recoveryPointSeconds) && { recoveryPointSeconds }),
    ...(promisedSeconds !== undefined && { promisedSeconds }),
  };
}

function targetReport(plan: TargetPlan): BackupsReport["targets"][string] {
  const { spec: _, name: __, sizeSteps: ___, forecast, longestRestore: ____, ...facts } = plan;
  const { monthsGiB, peakGiB, fillsAfterDays } = forecast;
  return { ...facts, monthsGiB, peakGiB, ...(fillsAfterDays !== undefined && { fillsAfterDays }) };
}

function rotationReport(plan: RotationPlan): BackupsReport["rotations"][string] {
  const { on, copies, sets, worstOfflineSeconds, worstOffSiteSeconds } = plan;
  return {
    on,
    copies,
    media: sets.flatMap(({ media }) => media),
    ...(Number.isFinite(worstOfflineSeconds) && { worstOfflineSeconds }),
    ...(worstOffSiteSeconds !== undefined && Number.isFinite(worstOffSiteSeconds) && { worstOffSiteSeconds }),
  };
}
