import { compareAnswers, type Difference, type Mismatch } from "./compare";
import { Identities } from "./identities";
import { type Answer, loadRecording, type RecordedCall, type Step, steps } from "./recording";

/** What calls are replayed against. */
export interface Target {
  /**
   * @param path - without `/api2/json`, encoded
   * @param heldBack - the server waits before it answers, so time must pass meanwhile
   */
  send(
    method: string,
    path: string,
    query: Record<string, string>,
    form: string | undefined,
    heldBack?: boolean,
  ): Promise<Answer>;
  /** Lets time pass, in the target's seconds. */
  advance(seconds: number): Promise<void>;
}

/** Outcome of one file. */
export interface ReplayResult {
  /** Recorded calls that were replayed (polls counted as recorded). */
  calls: number;
  differences: Difference[];
}

/** Longest time that a task or a poll loop of a recording may take in the lab, in its own seconds. */
const PATIENCE_SECONDS = 300;
/** Between two polls: close together at first, because most tasks are short, then further apart. */
const pollSeconds = (waited: number) => (waited < 5 ? 0.5 : 4);
/** An answer that took the real API so long was held back: it tried to get a lock without quorum, or to reach a server. */
const HELD_BACK_MS = 1000;

/** Replays recordings against one target; names made up by the server are carried from answer to request. */
export class Player {
  private readonly identities = new Identities();

  constructor(private readonly target: Target) {}

  /**
   * Replays all calls of a recording in order.
   *
   * @param before - called with the number of each call (the first one of a poll loop) before it is sent
   */
  async play(file: string, before?: (seq: number) => Promise<void>): Promise<ReplayResult> {
    const calls = loadRecording(file);
    const differences: Difference[] = [];
    for (const step of steps(calls)) {
      await before?.((step.calls[0] as RecordedCall).seq);
      differences.push(...(await this.playStep(file, step)));
    }
    return { calls: calls.length, differences };
  }

  private async playStep(file: string, step: Step): Promise<Difference[]> {
    const first = step.calls[0] as RecordedCall;
    const last = step.calls.at(-1) as RecordedCall;
    const found = step.kind === "call" ? await this.playCall(first) : await this.playUntil(first, last);
    const seq = step.kind === "call" ? first.seq : last.seq;
    return found.map((one) => ({
      file,
      seq,
      call: `${first.method} ${first.path.replace(/UPID:[^/]*/, "UPID")}`,
      ...one,
    }));
  }

  private async playCall(call: RecordedCall): Promise<Mismatch[]> {
    const answer = await this.send(call);
    return compareAnswers(call, answer);
  }

  /** How often a client had to ask depends on the speed of both sides; what it saw at the end does not. */
  private async playUntil(first: RecordedCall, last: RecordedCall): Promise<Mismatch[]> {
    let answer = await this.send(first);
    const early = first === last || isEqual(last, answer) || hasEnded(answer) ? [] : compareAnswers(first, answer);
    let waited = 0;
    while (waited < PATIENCE_SECONDS && !isEqual(last, answer) && !hasEnded(answer)) {
      const pause = pollSeconds(waited);
      await this.target.advance(pause);
      waited += pause;
      answer = await this.send(last);
    }
    return [...early, ...compareAnswers(last, answer)].filter(
      (one, index, all) => all.findIndex((other) => other.what === one.what && other.actual === one.actual) === index,
    );
  }

  private async send(call: RecordedCall): Promise<Answer> {
    const translate = (text: string) => this.identities.translate(text);
    const query = Object.fromEntries(Object.entries(call.query).map(([key, value]) => [key, translate(value)]));
    const form = call.form === undefined ? undefined : translate(call.form);
    const answer = await this.target.send(call.method, translate(call.path), query, form, call.ms > HELD_BACK_MS);
    this.identities.learn(call.answer, answer.answer);
    return answer;
  }
}

function isEqual(recorded: RecordedCall, answer: Answer): boolean {
  return compareAnswers(recorded, answer).length === 0;
}

// A task that has ended changes no more: waiting on would only hide a wrong end.
function hasEnded(answer: Answer): boolean {
  const data = (answer.answer as { data?: { upid?: unknown; status?: unknown } } | null)?.data;
  return data?.upid !== undefined && data.status === "stopped";
}
