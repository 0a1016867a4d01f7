/** The site of a run: votes as the rules have them, noted for the replay. */
import type { State } from "./checker";
import {
  BY,
  CHANGED,
  COUNTED,
  count,
  EPOCH,
  FRESH,
  HOLD,
  HOLDER,
  NOBODY,
  PERMIT,
  SERVER,
  START,
  UP,
} from "./layout";
import type { Book } from "./replay";
import { type Answer, apply, decide, type Operation, type Verdict } from "./rules";
import type { Run } from "./run";

export class World {
  constructor(
    readonly run: Run,
    readonly book: Book,
  ) {}

  get majority(): number {
    return Math.floor(this.run.voters.length / 2) + 1;
  }

  /** So many voters that the others are no majority. */
  get blocking(): number {
    return this.run.voters.length - this.majority + 1;
  }

  /** One operation on the vote of a server, in place. True when it is accepted. */
  vote(state: State, voter: number, operation: Operation): boolean {
    const before = {
      epoch: state[EPOCH + voter]!,
      server: state[SERVER + voter]!,
      by: state[BY + voter]!,
      fresh: state[FRESH + voter] === 1,
      holder: state[HOLDER + voter]!,
      hold: state[HOLD + voter]!,
    };
    const { verdict, state: after, counts } = apply(before, operation);
    this.book.noteApply(before, operation, verdict, after, counts);
    if (verdict !== "ok") return false;
    state[EPOCH + voter] = after.epoch;
    state[SERVER + voter] = after.server;
    state[BY + voter] = after.by;
    state[FRESH + voter] = after.fresh ? 1 : 0;
    if (this.run.fencing === "lease") {
      state[HOLDER + voter] = after.holder;
      state[HOLD + voter] = after.hold;
    }
    if (counts > 0) this.countUp(state, voter);
    return true;
  }

  /** The counter itself is of no interest, only whether a command would see that it has changed. */
  private countUp(state: State, voter: number): void {
    for (let command = 0; command < this.run.commands.length; command++) {
      if (state[COUNTED + command]! & (1 << voter)) state[CHANGED + command]! |= 1 << voter;
    }
  }

  /** May `self` start the guest, when these voters (bits) answer? */
  decide(state: State, self: number, heard: number): Verdict {
    const answers: Answer[] = [];
    for (const voter of this.run.voters) {
      if (heard & (1 << voter)) answers.push(this.answerOf(state, voter));
    }
    return this.verdict(self, answers, "read", state[PERMIT + self] === 1);
  }

  /** Is a start granted, when these voters (bits) granted it? */
  granted(state: State, self: number, epoch: number, by: number, granted: number): boolean {
    if (!this.run.rules.ownRecord) return count(granted & ~(1 << self)) >= 1;
    if (!this.run.rules.identicalMajority) return count(granted) >= 1;
    const answers: Answer[] = [];
    for (const voter of this.run.voters) {
      if (granted & (1 << voter)) answers.push({ voter, epoch, server: self, by, fresh: false });
    }
    return this.verdict(self, answers, "granted", false).verdict === "start";
  }

  private verdict(self: number, answers: Answer[], stage: "read" | "granted", permit: boolean): Verdict {
    const { rules, voters } = this.run;
    const question = { self, voters, stage, answers, permit };
    if (rules.identicalMajority && rules.doubtFresh) return this.book.decide(question);
    if (!rules.identicalMajority && stage === "read") return loneHighest(self, answers);
    return decide({ ...question, answers: answers.map((answer) => ({ ...answer, fresh: false })) });
  }

  private answerOf(state: State, voter: number): Answer {
    return {
      voter,
      epoch: state[EPOCH + voter]!,
      server: state[SERVER + voter]!,
      by: state[BY + voter]!,
      fresh: state[FRESH + voter] === 1,
    };
  }

  /** Servers (bits) of voters that are up; whether a question reaches them is another matter. */
  upVoters(state: State): number {
    let mask = 0;
    for (const voter of this.run.voters) if (state[UP + voter]) mask |= 1 << voter;
    return mask;
  }

  /** The server that a majority of the records names, `undefined` when there is no such majority. */
  named(state: State): number | undefined {
    const { voters } = this.run;
    for (const voter of voters) {
      let same = 0;
      for (const other of voters) {
        if (
          state[EPOCH + voter] === state[EPOCH + other] &&
          state[SERVER + voter] === state[SERVER + other] &&
          state[BY + voter] === state[BY + other]
        )
          same++;
      }
      if (same >= this.majority) return state[SERVER + voter]!;
    }
    return undefined;
  }

  /** Nothing of the guest starts there. */
  idle(state: State, server: number): boolean {
    return state[START + server] === 0;
  }
}

/** What a guard without majorities would do: believe whoever has the highest epoch. */
function loneHighest(self: number, answers: readonly Answer[]): Verdict {
  const highest = answers.reduce((a, b) => (b.epoch > a.epoch ? b : a));
  if (highest.server === NOBODY) return { verdict: "refuse", reason: "blocked" };
  if (highest.server !== self) return { verdict: "release", from: highest.server, epoch: highest.epoch };
  const own = answers.find(({ voter }) => voter === self);
  const verdict = own && own.epoch === highest.epoch && own.server === self ? "grant" : "adopt";
  return { verdict, epoch: highest.epoch, by: highest.by };
}
