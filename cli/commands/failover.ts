/** `coldspare failover`: brings up on the spares what a server carried. */

import type { Operator } from "../../operations/context";
import { failoverSteps } from "../../operations/failover";
import { withGrantsOfNow } from "../../operations/failover-claim";
import { failoverFacts } from "../../operations/failover-facts";
import type { Taken } from "../../operations/failover-taken";
import type { OperationHistory } from "../../operations/journal";
import { type LiveSite, readLive } from "../../operations/live";
import { askSsh } from "../../operations/live-servers";
import {
  type FailoverPlan,
  type FailoverRequest,
  fencingOf,
  type GuestMove,
  planFailover,
} from "../../operations/plan-failover";
import { refusal } from "../../operations/refusals";
import { begin, givenUpOperation, openOperations, runOperation } from "../../operations/run-operation";
import { Interrupted, SomeFailed, type Step, StepFailed } from "../../operations/steps";
import type { Finding } from "../../planning";
import { list } from "../../planning/units";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { didYouMean } from "../suggest";
import { type Paint, painter } from "../table";
import { failoverPlanText, operationFindingsText, stepsText } from "../text-failover";

export interface FailoverOptions extends SiteOptions {
  guest?: string[];
  planned?: boolean;
  toPoint?: string;
  dryRun?: boolean;
  yes?: boolean;
  confirmOff?: string;
  acceptStale?: boolean;
  freshGeneration?: boolean;
  forceFence?: boolean;
  resume?: boolean;
  wait: boolean;
  json?: boolean;
  color: boolean;
}

/** What `coldspare failover --json` prints. Keys are only added; times are seconds. */
export interface FailoverReport {
  formatVersion: 1;
  /** `partial`: some guests were given to somebody else meanwhile, see `taken`; `planned`: --dry-run; `interrupted` and `failed`: run the same command again. */
  outcome: "done" | "partial" | "planned" | "refused" | "interrupted" | "failed" | "declined";
  /** Id in the journal; absent while nothing was begun. */
  operation?: string;
  resumed: boolean;
  plan: FailoverPlan;
  steps: { id: string; guest?: string; title: string; seconds?: number }[];
  refusals: Finding[];
  warnings: Finding[];
  /** Guests that were left alone, and why: their server came back in the middle and took them, or another command did. */
  taken?: Record<string, string>;
  /** Guests that could not be brought up, where others were. */
  failed?: string[];
  error?: string;
}

/** Answers the exit code. */
export async function failover(server: string, options: FailoverOptions, io: Io): Promise<number> {
  const color = wantsColor(options.color, options.json ? io.stderr : io.stdout, io.env);
  const paint = painter(color);
  const say = progressPrinter(options.json ? io.stderr : io.stdout, paint);
  const { operator, close } = await openSite(options, io, say);
  try {
    checkNames(operator, server, options.guest ?? []);
    return await new Run(operator, server, options, io, paint).go();
  } finally {
    await close();
  }
}

function checkNames({ manifest }: Operator, server: string, guests: readonly string[]): void {
  if (manifest.servers[server] === undefined)
    throw new UsageError(
      `site ${manifest.site} has no server '${server}'${didYouMean(server, Object.keys(manifest.servers))}`,
    );
  for (const guest of guests) {
    if (manifest.guests[guest] === undefined)
      throw new UsageError(
        `--guest ${guest}: there is no such guest${didYouMean(guest, Object.keys(manifest.guests))}`,
      );
  }
}

class Run {
  private report: FailoverReport | undefined;

  constructor(
    private readonly operator: Operator,
    private readonly server: string,
    private readonly options: FailoverOptions,
    private readonly io: Io,
    private readonly paint: Paint,
  ) {}

  async go(): Promise<number> {
    const { operator, server, options } = this;
    const { own: open, others } = await openOperations(operator, "failover", server, options.resume === true);
    const own = open ?? (options.resume ? await givenUpOperation(operator, "failover", server, movesOf) : undefined);
    if (own !== undefined && isSame(own, this.request())) return this.goOn(own);
    const live = await readLive(operator);
    const facts = await failoverFacts(operator, live, this.request(), open === undefined ? others : [open, ...others]);
    const { plan, refusals, warnings } = planFailover(operator.manifest, live, facts, this.request());
    const before = refusals.some(({ code }) => code === "OPERATION-NOTHING-THERE")
      ? await this.doneBefore(live)
      : undefined;
    if (before !== undefined) return this.isDone(before);
    return this.show(plan, live.at, refusals, warnings);
  }

  /** The same command once more, after it had ended well: what it did still stands. */
  private async doneBefore(live: LiveSite): Promise<OperationHistory | undefined> {
    const operations = await this.operator.journal.operations();
    const last = operations.find(({ kind, subject }) => kind === "failover" && subject === this.server);
    if (last?.closed?.outcome !== "done" || !isSame(last, this.request())) return undefined;
    const { moves } = last.plan as FailoverPlan;
    return moves.every(({ guest, to }) => live.guests[guest]?.activeServer === to) ? last : undefined;
  }

  private isDone(before: OperationHistory): number {
    const plan = before.plan as FailoverPlan;
    this.report = {
      formatVersion: 1,
      outcome: "done",
      operation: before.id,
      resumed: false,
      plan,
      steps: [],
      refusals: [],
      warnings: [],
    };
    const guests = plan.moves.map(({ guest, to }) => `${guest} on ${to}`).join(", ");
    this.tell([`done already, by ${before.id}: ${guests}`]);
    return this.end("done", exitCode.fine);
  }

  private request(): FailoverRequest {
    const { options, io, server } = this;
    return {
      server,
      guests: options.guest ?? [],
      planned: options.planned === true,
      ...(options.toPoint !== undefined && { toPoint: options.toPoint }),
      acceptStale: options.acceptStale === true,
      ...(options.freshGeneration && { freshGeneration: true }),
      ...(options.confirmOff !== undefined && { confirmOff: options.confirmOff }),
      willAsk: options.dryRun === true || (io.ask !== undefined && options.yes !== true),
      forceFence: options.forceFence === true,
    };
  }

  /** What was left open is finished as it was begun: the site may look otherwise now, half way through it. */
  private async goOn(begun: OperationHistory): Promise<number> {
    const { operator, options, server } = this;
    const own = await this.afterRestart(begun);
    let plan = await withGrantsOfNow(operator, own, own.plan as FailoverPlan);
    if (options.confirmOff === server) plan = { ...plan, fencing: fencingOf(operator.manifest, this.request()) };
    const needsWord =
      plan.fencing.method === "confirm" &&
      !own.done.has("fence") &&
      options.confirmOff !== server &&
      !this.request().willAsk;
    const refusals = needsWord
      ? [
          refusal(
            "OPERATION-NOT-CONFIRMED",
            server,
            `nobody has confirmed that ${server} is off now`,
            `go and see, then add --confirm-off ${server}`,
          ),
        ]
      : [];
    this.tell([`going on with ${own.id}, begun by ${own.by} at ${own.openedAt}`]);
    return this.show(plan, operator.clock.now().toISOString(), refusals, [], own);
  }

  /** With two voters a spare that was restarted meanwhile has to be sure of the other side once more. */
  private async afterRestart(own: OperationHistory): Promise<OperationHistory> {
    const plan = own.plan as FailoverPlan;
    if (plan.boots === undefined) return own;
    const boots = { ...plan.boots };
    for (const server of Object.keys(boots)) {
      const { node } = await askSsh(this.operator, server);
      if (node !== undefined) boots[server] = node.boot;
    }
    if (Object.entries(boots).every(([server, boot]) => plan.boots?.[server] === boot)) return own;
    const done = new Set([...own.done].filter((step) => step !== "fence"));
    return { ...own, plan: { ...plan, boots }, done };
  }

  private async show(
    plan: FailoverPlan,
    now: string,
    refusals: readonly Finding[],
    warnings: readonly Finding[],
    own?: OperationHistory,
  ): Promise<number> {
    const { operator, options, paint } = this;
    const width = textWidth(this.io.stdout);
    const preview = own ?? {
      id: `failover-${plan.server}`,
      kind: "failover",
      subject: plan.server,
      by: operator.by,
      openedAt: now,
      plan,
    };
    const steps = failoverSteps(operator, preview, plan, { wait: options.wait });
    this.report = {
      formatVersion: 1,
      outcome: "planned",
      resumed: own !== undefined,
      ...(own && { operation: own.id }),
      plan,
      steps: steps.map(({ id, guest, title, seconds }) => ({
        id,
        title,
        ...(guest !== undefined && { guest }),
        ...(seconds !== undefined && { seconds }),
      })),
      refusals: [...refusals],
      warnings: [...warnings],
    };
    const findings = operationFindingsText([...refusals, ...warnings], width, paint);
    const nothing = plan.moves.length === 0;
    this.tell([
      ...(nothing ? [] : failoverPlanText(plan, now, width, paint)),
      ...(findings.length > 0 ? ["", ...findings] : []),
      ...(refusals.length > 0 ? ["", "nothing was changed"] : ["", ...stepsText(steps, paint, own?.done)]),
    ]);
    if (refusals.length > 0) return this.end("refused", exitCode.errors);
    if (options.dryRun) return this.end("planned", exitCode.fine);
    if (nothing) return this.end("done", exitCode.fine);
    if (!(await this.agreed(plan, own))) return this.end("declined", exitCode.errors);
    return this.carryOut(plan, own);
  }

  /** The one question. Where a person's word is the fencing, the word is the server's name. */
  private async agreed(plan: FailoverPlan, own?: OperationHistory): Promise<boolean> {
    const { io, options, server } = this;
    const bySight = plan.fencing.method === "confirm" && options.confirmOff !== server && !own?.done.has("fence");
    if (!bySight || io.ask === undefined) return confirmed("Do this?", { yes: options.yes === true }, io);
    const word = await io.ask(
      `A server that is only cut off still runs its guests. Did you see that ${server} is off? Type its name to go on: `,
    );
    if (word.trim() === server) return true;
    io.stderr.write("nothing was changed\n");
    return false;
  }

  private async carryOut(plan: FailoverPlan, own?: OperationHistory): Promise<number> {
    const { operator, options, paint } = this;
    const begun = await begin(operator, "failover", plan.server, plan, own);
    const taken: Taken = new Map();
    const steps: Step[] = failoverSteps(operator, begun.operation, plan, { wait: options.wait, taken });
    const { id } = begun.operation;
    this.report!.operation = id;
    try {
      await runOperation(operator, begun, steps);
    } catch (error) {
      if (!(error instanceof Interrupted || error instanceof StepFailed)) throw error;
      this.noteTaken(taken);
      if (error instanceof Interrupted) return this.end("interrupted", exitCode.errors, error.message);
      if (error instanceof SomeFailed)
        this.report!.failed = movesOf(plan).filter((guest) => error.parts.includes(guest));
      return this.end("failed", exitCode.errors, failureText(error, plan, taken));
    }
    this.noteTaken(taken);
    const moved = plan.moves.filter(({ guest }) => !taken.has(guest));
    const guests = moved.map(({ guest, to }) => `${guest} on ${to}`).join(", ");
    this.tell([
      "",
      ...(moved.length > 0 ? [paint("green", `done: ${guests}`)] : []),
      ...[...taken.values()].map(({ text }) => paint("yellow", text)),
      ...(taken.size > 0
        ? ["`coldspare status` shows them; with --planned a server that is alive can be emptied"]
        : []),
      `journal: coldspare journal ${id}`,
    ]);
    return taken.size === 0 ? this.end("done", exitCode.fine) : this.end("partial", exitCode.errors);
  }

  private noteTaken(taken: Taken): void {
    if (taken.size > 0) this.report!.taken = Object.fromEntries([...taken].map(([guest, { text }]) => [guest, text]));
  }

  private tell(lines: readonly string[]): void {
    if (!this.options.json && lines.length > 0) this.io.stdout.write(`${lines.join("\n")}\n`);
  }

  private end(outcome: FailoverReport["outcome"], code: number, error?: string): number {
    if (error !== undefined) this.io.stderr.write(`${this.paint("red", "stopped:")} ${error}\n`);
    if (this.options.json) {
      const report = { ...this.report, outcome, ...(error !== undefined && { error }) };
      this.io.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    }
    return code;
  }
}

const movesOf = (plan: unknown) => (plan as FailoverPlan).moves.map(({ guest }) => guest);

/** What went wrong, what is up all the same, and what to do. */
function failureText(error: StepFailed, { moves }: FailoverPlan, taken: Taken): string {
  const again = error.closed
    ? "Nothing was changed."
    : `What was done stays done; the same command goes on from here. (${error.operation})`;
  if (!(error instanceof SomeFailed)) return `${error.message}\n${again}`;
  const isOut = ({ guest, group }: GuestMove) => error.parts.includes(guest) || error.parts.includes(`group ${group}`);
  const up = moves.filter((move) => !isOut(move) && !taken.has(move.guest)).map(({ guest }) => guest);
  const others = up.length > 0 ? `${list(up)} ${up.length === 1 ? "was" : "were"} brought up all the same.\n` : "";
  return `${error.message}\n${others}${again}`;
}

/** Whether an open failover is what is asked for now: the same kind of switch, of the same guests if they are named. */
function isSame({ plan }: OperationHistory, { planned, guests }: FailoverRequest): boolean {
  const { moves, planned: wasPlanned } = plan as FailoverPlan;
  if (wasPlanned !== planned) return false;
  if (guests.length === 0) return true;
  const named = moves.map(({ guest }) => guest);
  return guests.every((guest) => named.includes(guest)) && named.every((guest) => guests.includes(guest));
}
