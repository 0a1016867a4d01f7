/** All checks of a plan. Each adds its findings to the context and none stops the others. */
import type { Context } from "../context";
import type { SitePlan } from "../plan";

export function runChecks(context: Context, plan: SitePlan): void {
  void context;
  void plan;
}
