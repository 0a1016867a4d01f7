/** The plan of all copies: what is backed up, where it goes, what stands for what. */
import type { Context } from "../context";
import { planCopies } from "./copies";
import type { BackupsPlan, PolicyPlan } from "./plan";
import { planForecast } from "./plan-forecast";
import { type PlannedPolicy, planPolicies } from "./plan-policies";
import { planRotations } from "./plan-rotations";
import { planTargets } from "./plan-targets";

/** @param ids Guest ids by guest. */
export function planBackups(context: Context, ids: Readonly<Record<string, number>>): BackupsPlan {
  const planned = planPolicies(context, ids);
  const policies = Object.fromEntries(
    Object.entries(planned).map(([name, policy]) => [name, withQuota(context, policy)]),
  );
  return {
    policies,
    targets: planTargets(context, planned),
    copies: planCopies(context, policies),
    rotations: planRotations(context),
  };
}

/** A quota of a policy's own is compared with its own copies, whatever else lies on the target. */
function withQuota(context: Context, { plan, forecast }: PlannedPolicy): PolicyPlan {
  const { quotaGiB } = plan.spec;
  if (quotaGiB === undefined) return plan;
  const stored = plan.subjects.flatMap((subject, index) => {
    const simulated = forecast[index];
    return simulated === undefined ? [] : [{ policy: plan.name, subject, forecast: simulated }];
  });
  return { ...plan, forecast: planForecast(context, plan.kind, stored, quotaGiB) };
}
