/** The plan of all copies: what is backed up, where it goes, what stands for what. */
import type { Context } from "../context";
import { planCopies } from "./copies";
import type { BackupsPlan } from "./plan";
import { planPolicies } from "./plan-policies";
import { planRotations } from "./plan-rotations";
import { planTargets } from "./plan-targets";

/** @param ids Guest ids by guest. */
export function planBackups(context: Context, ids: Readonly<Record<string, number>>): BackupsPlan {
  const planned = planPolicies(context, ids);
  const policies = Object.fromEntries(Object.entries(planned).map(([name, { plan }]) => [name, plan]));
  return {
    policies,
    targets: planTargets(context, planned),
    copies: planCopies(context, policies),
    rotations: planRotations(context),
  };
}
