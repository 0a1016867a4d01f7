/** Runs the steps of an operation: journaled, resumable, and ended between two steps when the operator says so. */
import type { Operator, Progress } from "./context";
import type { Operation } from "./journal";

/** Why parts of an operation have failed, by part. */
export type Failures = ReadonlyMap<string, string>;

/** One thing that is done. Doing it twice does no harm. */
export interface Step {
  /** Unique within the operation, and the same when it is run again. */
  id: string;
  guest?: string;
  /** What is done, in words: `start sql-erp (113) on srv1`. */
  title: string;
  /** Estimate. */
  seconds?: number;
  /** Asked before it is run: what is so already is not done again. */
  isDone?(): Promise<boolean>;
  /** Run at each resumption, also when the journal says that it was done: what it looks at may have changed since. */
  always?: boolean;
  /** Its failure is told, and the operation goes on. */
  optional?: boolean;
  /**
   * Parts of the operation that it belongs to, its own first. After it has failed the other steps of its own part are left out,
   * those of other parts go on, and the operation fails at its end. Without parts a failure ends the operation at once.
   */
  parts?: readonly string[];
  /**
   * Why there is nothing left to do here, although it is not done: asked before the step, and once more when it failed.
   * It is then left out, and the operation goes on. Empty: for a reason that was told already.
   */
  moot?(state: { tried: boolean; failed: Failures }): Promise<string | undefined>;
  run(note: (text: string) => void, failed: Failures): Promise<void>;
}

/** The operator ended the operation between two steps. Running the same command again goes on with it. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  constructor(
    readonly operation: string,
    readonly next: string,
  ) {
    super(`${operation} stopped before '${next}'. Nothing is half done. Go on: run the same command again`);
  }
}

/** A step failed. What was done before it stays; the same command again goes on from here. */
export class StepFailed extends Error {
  override readonly name: string = "StepFailed";
  /** The operation was ended with it: there is nothing to go on with. */
  closed = false;
  constructor(
    readonly operation: string,
    readonly step: Step,
    override readonly cause: unknown,
  ) {
    super(`${step.title}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** A step did its work for some parts only; the others go on. */
export class PartsFailed extends Error {
  override readonly name = "PartsFailed";
  constructor(readonly reasons: Failures) {
    super([...reasons.values()].join("; "));
  }
}

/** Some parts of the operation failed, and everything else was done. */
export class SomeFailed extends StepFailed {
  constructor(
    readonly failures: readonly StepFailed[],
    readonly parts: readonly string[],
  ) {
    super(failures[0]!.operation, failures[0]!.step, failures[0]!.cause);
    this.message = failures.map(({ message }) => message).join("\n");
  }
}

export interface RunOptions {
  /** Steps that were done in an earlier run. */
  done?: ReadonlySet<string>;
  /** Asked between two steps. Default: whether SIGINT or SIGTERM came. */
  stopped?: () => boolean;
}

/**
 * @throws Interrupted when the operator ended it between two steps
 * @throws StepFailed for the first step that fails, is not optional and belongs to no part
 * @throws SomeFailed at the end, when parts have failed
 */
export async function runSteps(
  operator: Operator,
  operation: Operation,
  steps: readonly Step[],
  options: RunOptions = {},
): Promise<void> {
  const { done = new Set<string>() } = options;
  const letGo = operator.journal.hold(operation);
  const signals = options.stopped ? undefined : watchSignals(operator);
  const stopped = options.stopped ?? signals!.stopped;
  const failed = new Map<string, string>();
  const failures: StepFailed[] = [];
  try {
    for (const step of steps) {
      if (stopped()) throw new Interrupted(operation.id, step.title);
      if (step.parts?.some((part) => failed.has(part))) continue;
      try {
        await runStep(operator, operation, step, done.has(step.id), failed);
      } catch (error) {
        const reasons = partsOf(step, error);
        if (reasons === undefined) throw error;
        for (const [part, reason] of reasons) failed.set(part, reason);
        failures.push(error as StepFailed);
      }
      crashIfAsked(operator, step.id);
    }
    if (failures.length > 0) throw new SomeFailed(failures, [...failed.keys()]);
  } finally {
    letGo();
    signals?.forget();
  }
}

/** What a failure costs: some parts, or (undefined) the operation. */
function partsOf(step: Step, error: unknown): Failures | undefined {
  if (!(error instanceof StepFailed)) return undefined;
  if (error.cause instanceof PartsFailed) return error.cause.reasons;
  const own = step.parts?.[0];
  return own === undefined ? undefined : new Map([[own, error.message]]);
}

async function runStep(
  operator: Operator,
  operation: Operation,
  step: Step,
  wasDone: boolean,
  failed: Failures,
): Promise<void> {
  const { journal, clock } = operator;
  const tell = (state: Progress["state"], text: string) =>
    operator.say({
      at: clock.now().toISOString(),
      step: step.id,
      text,
      state,
      ...(step.guest !== undefined && { guest: step.guest }),
    });
  const about = { step: step.id, title: step.title, ...(step.guest !== undefined && { guest: step.guest }) };
  const leaveOut = async (text: string) => {
    if (text === "") return;
    tell("note", text);
    await journal.write(operation, { event: "skip", ...about, text });
  };
  const moot = await step.moot?.({ tried: false, failed });
  if (moot !== undefined) return leaveOut(moot);
  if (!step.always) {
    const isSo = step.isDone ? await step.isDone().catch(() => false) : wasDone;
    if (isSo) {
      tell("skip", step.title);
      if (!wasDone) await journal.write(operation, { event: "done", ...about, seconds: 0, text: "was so already" });
      return;
    }
  }
  tell("begin", step.title);
  await journal.write(operation, { event: "begin", ...about });
  const began = clock.now().getTime();
  const took = () => Math.round((clock.now().getTime() - began) / 100) / 10;
  const notes: string[] = [];
  try {
    await step.run((text) => {
      notes.push(text);
      tell("note", text);
    }, failed);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    await journal.write(operation, { event: "fail", ...about, seconds: took(), text });
    tell("fail", text);
    if (step.optional) return;
    const late = await step.moot?.({ tried: true, failed });
    if (late !== undefined) return leaveOut(late);
    throw new StepFailed(operation.id, step, error);
  }
  const text = notes.length > 0 ? { text: notes.join("; ") } : {};
  await journal.write(operation, { event: "done", ...about, seconds: took(), ...text });
  tell("done", step.title);
}

/** For tests of the resumption: ends this process as a power cut would. */
function crashIfAsked({ env }: Operator, step: string): void {
  if (env.COLDSPARE_CRASH_AFTER === step) process.kill(process.pid, "SIGKILL");
}

/** The first signal ends the operation after the current step, the third one at once. */
function watchSignals(operator: Operator): { stopped: () => boolean; forget: () => void } {
  let count = 0;
  const onSignal = () => {
    count++;
    if (count >= 3) process.exit(130);
    const text =
      count === 1
        ? "ending after this step; the same command goes on from there"
        : "still at this step; once more ends at once, in the middle of it";
    operator.say({ at: operator.clock.now().toISOString(), step: "interrupt", text, state: "note" });
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return {
    stopped: () => count > 0,
    forget: () => process.off("SIGINT", onSignal).off("SIGTERM", onSignal),
  };
}
