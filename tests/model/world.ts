/** The site of a run: votes as the rules have them, noted for the replay. */
import type { State } from "./checker";
import { BY, count, EPOCH, FRESH, HOLD, HOLDER, NOBODY, PERMIT, QUIET, SERVER, START, UP } from "./layout";
import type { Book } from "./replay";
import { type Answer, apply, decide, type Operation, type Verdict } from "./rules";
import type { Run } from "./run";

export class World {
  constructor(
    readonly run: Run,
    readonly book: Book,
  ) {}

  /**
   * Is it of interest how long this server may run the guest? Only where a command fences it; where none does, it may run for
   * ever, which is worse than what the real one does.
   */
  leased(server: number): boolean {
    return this.run.commands.some(({ kind, from }) => kind === "failover" && from === server);
  }

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
    if (operation.op === "grant" && !this.run.rules.doubtFresh) before.fresh = false;
    const { verdict, state: after, counts } = apply(before, operation);
    this.book.noteApply(before, operation, verdict, after, counts);
    if (verdict !== "ok") return false;
    if (after.epoch !== before.epoch && this.run.rules.permitOfRecord) state[PERMIT + voter] = 0;
    state[EPOCH + voter] = after.epoch;
    state[SERVER + voter] = after.server;
    state[BY + voter] = after.by;
    state[FRESH + voter] = after.fresh ? 1 : 0;
    if (this.run.fencing === "lease" && (operation.op !== "grant" || this.leased(operation.server))) {
      state[HOLDER + voter] = after.holder;
      state[HOLD + voter] = after.hold;
    }
    if (counts > 0) this.countUp(state, voter);
    return true;
  }

  /** The counter itself is of no interest, only whether a command would see that it has changed. */
  private countUp(state: State, voter: number): void {
    for (let command = 0; command < this.run.commands.length; command++) {
      state[QUIET + command]! &= ~(1 << voter);
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
  granted(self: number, epoch: number, by: number, granted: number): boolean {
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

  /** One of the voters whose records are those of a majority, `undefined` when there is no such majority. */
  agreedBy(state: State): number | undefined {
    const { voters } = this.run;
    const same = (a: number, b: number) =>
      [EPOCH, SERVER, BY].every((field) => state[field + a] === state[field + b]) &&
      !state[FRESH + a] &&
      !state[FRESH + b];
    return voters.find((voter) => voters.filter((other) => same(voter, other)).length >= this.majority);
  }

  /** The server that a majority of the records names. */
  named(state: State): number | undefined {
    const voter = this.agreedBy(state);
    return voter === undefined ? undefined : state[SERVER + voter];
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
