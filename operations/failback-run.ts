/** Carrying a failback or a commit out: opened in the journal, resumed where it was left, closed when all is done. */
import type { Operator } from "./context";
import { returnSteps } from "./failback";
import type { ReturnGuest, ReturnPlan } from "./failback-plan";
import type { Operation, OperationHistory } from "./journal";
import { runSteps } from "./steps";

/**
 * The operation of this kind about any of these guests or servers that was begun and not ended, by whomever.
 *
 * @param subjects As the person typed them; none: any.
 */
export async function openReturn(
  operator: Operator,
  kind: ReturnPlan["kind"],
  subjects: readonly string[],
): Promise<(OperationHistory & { plan: ReturnPlan }) | undefined> {
  const open = await operator.journal.openOperations();
  return open.filter(isReturn).find((operation) => operation.kind === kind && concerns(operation, subjects));
}

function isReturn(operation: OperationHistory): operation is OperationHistory & { plan: ReturnPlan } {
  const plan = operation.plan as Partial<ReturnPlan> | null;
  return (
    typeof plan === "object" && Array.isArray(plan?.guests) && (plan.kind === "failback" || plan.kind === "commit")
  );
}

function concerns({ subject, plan }: OperationHistory & { plan: ReturnPlan }, subjects: readonly string[]): boolean {
  if (subjects.length === 0) return true;
  const known = new Set([...subject.split("+"), ...plan.guests.flatMap(({ guest, home }) => [guest, home])]);
  return subjects.some((each) => known.has(each));
}

export interface ReturnRun {
  /** Goes on with this one. */
  open?: OperationHistory & { plan: ReturnPlan };
  stopped?: () => boolean;
}

/**
 * Runs the plan; with `open`, the plan that was begun. Answers the guests that are where they belong now.
 *
 * @throws Interrupted, StepFailed: the operation stays open, and the same command goes on with it
 */
export async function runReturn(operator: Operator, plan: ReturnPlan, run: ReturnRun = {}): Promise<ReturnGuest[]> {
  const { journal, by } = operator;
  const operation: Operation = run.open ?? (await journal.open(plan.kind, plan.subject, by, plain(plan)));
  if (run.open !== undefined) await journal.write(operation, { event: "resumed", by });
  const guests = (run.open?.plan ?? plan).guests;
  await runSteps(operator, operation, returnSteps(operator, operation, run.open?.plan ?? plan), {
    ...(run.open !== undefined && { done: run.open.done }),
    ...(run.stopped !== undefined && { stopped: run.stopped }),
  });
  await journal.write(operation, { event: "closed", outcome: "done", by });
  return guests;
}

/** Findings were shown; in the journal stands what is done. */
function plain({ refusals: _refusals, warnings: _warnings, ...plan }: ReturnPlan): ReturnPlan {
  return { ...plan, refusals: [], warnings: [] };
}
