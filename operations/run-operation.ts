/** Begins an operation or goes on with one that was left open, runs its steps, and ends it in the journal. */
import { ClaimLost } from "./claims";
import type { Operator } from "./context";
import type { Operation, OperationHistory } from "./journal";
import { type RunOptions, runSteps, SomeFailed, type Step, StepFailed } from "./steps";
import { claimText, readVoters, recordsOf } from "./voters";

/** Open operations of the site: the one that this command goes on with, and the others. */
export interface OpenOperations {
  own?: OperationHistory;
  others: OperationHistory[];
}

/**
 * The same operator goes on with what he left open by giving the same command; another one has to say so (`resume`).
 */
export async function openOperations(
  operator: Operator,
  kind: string,
  subject: string,
  resume: boolean,
): Promise<OpenOperations> {
  const open = await operator.journal.openOperations();
  const own = open.find(
    (each) => each.kind === kind && each.subject === subject && (resume || each.by === operator.by),
  );
  return { ...(own && { own }), others: open.filter((each) => each !== own) };
}

/** The newest operation that was given up while voters still hold what it claimed: it can be taken up again. */
export async function givenUpOperation(
  operator: Operator,
  kind: string,
  subject: string,
  guestsOf: (plan: unknown) => readonly string[],
): Promise<OperationHistory | undefined> {
  const closed = (await operator.journal.operations()).filter(
    (each) => each.kind === kind && each.subject === subject && each.closed?.outcome === "abandoned",
  );
  for (const each of closed) {
    const guests = guestsOf(each.plan).flatMap((name) => operator.manifest.guests[name] ?? []);
    const readings = await readVoters(operator, guests);
    const by = claimText(each);
    if (guests.some((guest) => recordsOf(guest, readings).some(({ record }) => record.by === by))) return each;
  }
  return undefined;
}

/** The steps that an operation has done, for {@link runOperation}. */
export interface Begun {
  operation: Operation;
  done: ReadonlySet<string>;
}

/** Opens a new operation, or notes that an open one goes on. */
export async function begin(
  operator: Operator,
  kind: string,
  subject: string,
  plan: unknown,
  own?: OperationHistory,
): Promise<Begun> {
  if (own === undefined) {
    return { operation: await operator.journal.open(kind, subject, operator.by, plan), done: new Set() };
  }
  await operator.journal.write(own, { event: "resumed", by: operator.by });
  return { operation: own, done: own.done };
}

/**
 * Runs the steps and closes the operation. One that lost its guests to a quicker command before it had done anything is
 * closed, too: there is nothing to go on with.
 */
export async function runOperation(
  operator: Operator,
  { operation, done }: Begun,
  steps: readonly Step[],
  options: Omit<RunOptions, "done"> = {},
): Promise<void> {
  try {
    await runSteps(operator, operation, steps, { ...options, done });
  } catch (error) {
    // Where only some parts failed, the others were done: that is something to go on with.
    const isWhole = error instanceof StepFailed && !(error instanceof SomeFailed);
    if (isWhole && error.cause instanceof ClaimLost && error.cause.harmless && done.size === 0) {
      error.closed = true;
      await operator.journal.write(operation, {
        event: "closed",
        outcome: "abandoned",
        by: operator.by,
        text: error.message,
      });
    }
    throw error;
  }
  await operator.journal.write(operation, { event: "closed", outcome: "done", by: operator.by });
}

/** What another operator types to go on with an operation. */
export function goOnWith({ kind, subject, plan }: Pick<Operation, "kind" | "subject" | "plan">): string {
  if (kind === "failover") {
    const planned = typeof plan === "object" && plan !== null && Reflect.get(plan, "planned") === true;
    return `coldspare failover ${subject}${planned ? " --planned" : ""} --resume`;
  }
  if (kind === "undo") return `coldspare undo ${subject} --resume`;
  // These go on with what is open, whoever began it.
  if (kind === "shutdown" || kind === "start") return `coldspare ${kind}`;
  return `coldspare ${kind} ${subject.split("+").join(" ")}`;
}
