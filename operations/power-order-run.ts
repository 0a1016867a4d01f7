/** Switching a whole site off and on, in order: what `power-order` prints, done. */
import type { Operator } from "./context";
import type { LiveSite } from "./live-types";
import type { SitePowerPlan } from "./plan-site-power";
import { downSteps } from "./power-down-steps";
import { upSteps } from "./power-up-steps";
import { privilegesOn } from "./privileges";
import { type Begun, runOperation } from "./run-operation";
import { SomeFailed, type Step } from "./steps";

/** The steps of either way. */
export function sitePowerSteps(operator: Operator, plan: SitePowerPlan): Step[] {
  return plan.way === "down" ? downSteps(operator, plan) : upSteps(operator, plan);
}

/**
 * Runs them. Where parts failed and everything else was done the operation is closed all the same: the next run looks at the
 * site anew, and an open operation would keep back the `coldspare failover` that is the way out.
 *
 * @throws SomeFailed @throws StepFailed @throws Interrupted
 */
export async function runSitePower(operator: Operator, begun: Begun, steps: readonly Step[]): Promise<void> {
  try {
    await runOperation(operator, begun, steps);
  } catch (error) {
    if (!(error instanceof SomeFailed)) throw error;
    error.closed = true;
    await operator.journal.write(begun.operation, {
      event: "closed",
      outcome: "abandoned",
      by: operator.by,
      text: error.message,
    });
    throw error;
  }
}

/** Hypervisors that this token may not switch off. One that could not be asked is not among them. */
export async function mayNotSwitchOff(operator: Operator, { servers }: LiveSite): Promise<string[]> {
  const asked = Object.values(servers).filter(({ hypervisor, api }) => hypervisor && api === "up");
  const lacking = await Promise.all(
    asked.map(async ({ name }) => {
      const held = await privilegesOn(operator.pveAt(name) ?? operator.pve, `/nodes/${name}`);
      return held === undefined || held.has("Sys.PowerMgmt") ? [] : [name];
    }),
  );
  return lacking.flat();
}
