/** The operator's commands, step by step; each may end (crash) after any step and be given again under the same name. */
import type { Emit, State } from "./checker";
import {
  BY,
  BY_ALLOW,
  byCommand,
  CONFIG,
  count,
  EPOCH,
  FRESH,
  HOLD,
  HOLDER,
  LATE_EPOCH,
  LATE_SERVER,
  MASK,
  MEMO,
  NOBODY,
  PERMIT,
  PLACE,
  QUIET,
  RESTARTED,
  RUNS,
  SERVER,
  STAGE,
  TARGET,
  UP,
  WAIT,
} from "./layout";
import type { Command } from "./run";
import { nameOf, powerOff } from "./server-state";
import { consent } from "./server-steps";
import type { World } from "./world";

/** Where a command is. */
export const AT = {
  idle: 0,
  read: 1,
  confirmed: 2,
  blocking: 3,
  blocked: 4,
  waiting: 5,
  claiming: 6,
  claimed: 7,
} as const;

export function commandSteps(world: World, state: State, emit: Emit): void {
  world.run.commands.forEach((command, index) => {
    const stage = state[STAGE + index]!;
    const say = (text: string, next: State) =>
      emit(`${index + 1} (${command.kind} ${nameOf(command.from)}-${nameOf(command.to)}): ${text}`, next);
    const step = new CommandStep(world, command, index, state, say);
    if (stage !== AT.idle) step.crash();
    step.arriveLate();
    if (stage === AT.idle) step.read();
    else if (command.kind === "planned") planned(step, stage);
    else failover(step, stage);
  });
}

function failover(step: CommandStep, stage: number): void {
  const { fencing } = step.world.run;
  if (stage === AT.read && fencing === "confirm") step.confirm();
  if (stage === AT.read && fencing !== "confirm") step.begin(AT.blocking, "begins to block");
  if (stage === AT.confirmed) step.begin(AT.blocking, "begins to block");
  if (stage === AT.blocking) step.block();
  if (stage === AT.blocked) step.fence();
  if (stage === AT.waiting) step.waited();
  if (stage === AT.claiming) step.claim();
  if (stage === AT.claimed) step.prepare();
}

function planned(step: CommandStep, stage: number): void {
  if (stage === AT.read) step.stopGuest();
  if (stage === AT.confirmed) step.release();
  if (stage === AT.claiming) step.claim();
  if (stage === AT.claimed) step.prepare();
}

class CommandStep {
  private readonly by: number;

  constructor(
    readonly world: World,
    private readonly command: Command,
    private readonly index: number,
    private readonly state: State,
    private readonly say: (text: string, next: State) => void,
  ) {
    this.by = byCommand(index);
  }

  private next(stage: number): State {
    const next = this.state.slice();
    next[STAGE + this.index] = stage;
    return next;
  }

  private ended(): State {
    const next = this.next(AT.idle);
    for (const field of [TARGET, MASK, QUIET, RESTARTED, WAIT]) next[field + this.index] = 0;
    return next;
  }

  /** It crashed, or stopped because of what it saw. */
  crash(): void {
    this.say("ends early", this.ended());
    const { index, state, command, world } = this;
    const claiming = state[STAGE + index] === AT.claiming;
    if (!world.run.lateClaims || (state[STAGE + index] !== AT.blocking && !claiming)) return;
    const next = this.ended();
    next[LATE_EPOCH + index] = state[TARGET + index]!;
    next[LATE_SERVER + index] = claiming ? command.to : this.firstClaim;
    this.say("ends early, with a claim on its way", next);
  }

  arriveLate(): void {
    const { index, state, world } = this;
    const [epoch, server] = [state[LATE_EPOCH + index]!, state[LATE_SERVER + index]!];
    if (epoch === 0) return;
    for (const voter of world.run.voters) {
      if (!state[UP + voter]) continue;
      const next = state.slice();
      next[LATE_EPOCH + index] = 0;
      next[LATE_SERVER + index] = 0;
      if (world.vote(next, voter, { op: "claim", epoch, server, by: this.by }))
        this.say(`a late claim reaches ${nameOf(voter)}`, next);
    }
  }

  /** Reads the records and the counters of grants at every voter that it reaches. */
  read(): void {
    const up = this.world.upVoters(this.state);
    // Its boot id is read too: whether it has restarted since can be told only of a server that answers now.
    if (this.world.run.voters.length === 2 && !this.state[UP + this.command.to]) return;
    if (!this.liesHere(this.state)) return;
    const needed = this.command.kind === "planned" ? this.world.majority : this.world.blocking;
    for (let heard = 1; heard <= up; heard++) {
      if ((heard & up) === heard && count(heard) >= needed) this.readAt(heard);
    }
  }

  private readAt(heard: number): void {
    const { command, index, state, world } = this;
    let epoch = 0;
    let mine = false;
    for (const voter of world.run.voters) {
      if (!(heard & (1 << voter)) || state[EPOCH + voter]! < epoch) continue;
      const higher = state[EPOCH + voter]! > epoch;
      epoch = state[EPOCH + voter]!;
      mine = (higher || mine) && state[SERVER + voter] === this.firstClaim && state[BY + voter] === this.by;
    }
    const next = this.next(AT.read);
    // Its own block, of the time before it crashed, it goes on with.
    next[TARGET + index] = mine && epoch > 0 ? epoch : epoch + 1;
    if (next[TARGET + index]! + 1 > world.run.epochs) return;
    if (command.kind === "failover" && world.run.fencing === "confirm") {
      next[QUIET + index] = heard;
      if (!world.run.rules.countedOnly) next[MEMO + index] = heard;
    }
    this.say(`reads ${["A", "B", "C"].filter((_, voter) => heard & (1 << voter)).join("")}`, next);
  }

  private get firstClaim(): number {
    if (this.command.kind === "planned") return this.command.to;
    return this.world.run.rules.blockNamesNobody ? NOBODY : this.command.to;
  }

  /** A person says: it is off now, and nobody has switched it on since I looked. */
  confirm(): void {
    const { command, state, world } = this;
    const before = !world.run.rules.confirmAgain && state[MEMO + this.index] === 1;
    if (state[UP + command.from] && !before) return;
    const next = this.next(AT.confirmed);
    if (!world.run.rules.confirmAgain) next[MEMO + this.index] = 1;
    this.say(
      before ? "takes the word of the time before" : `a person confirms that ${nameOf(command.from)} is off`,
      next,
    );
  }

  begin(stage: number, text: string): void {
    const { rules, fencing } = this.world.run;
    const fenceFirst = !rules.blockFirst && fencing === "power";
    this.say(text, fenceFirst ? this.poweredOff(stage) : this.next(stage));
  }

  private poweredOff(stage: number): State {
    const next = powerOff(this.world, this.state, this.command.from);
    next[STAGE + this.index] = stage;
    return next;
  }

  /** One voter after the other. A voter that denies it ends the command; one that does not answer is left out. */
  block(): void {
    this.claimEach(this.state[TARGET + this.index]!, this.firstClaim, "blocks at");
    if (count(this.state[MASK + this.index]!) < this.world.blocking) return;
    const { fencing, rules } = this.world.run;
    const compared = rules.countedOnly ? this.state[MASK + this.index]! : this.state[MEMO + this.index]!;
    const grantedSince = this.state[MASK + this.index]! & compared & ~this.state[QUIET + this.index]!;
    if (fencing === "confirm" && rules.compareGrants && grantedSince) return;
    const next = this.next(AT.blocked);
    next[QUIET + this.index] = 0;
    if (fencing !== "lease") next[MASK + this.index] = 0;
    this.say("has blocked", next);
  }

  private claimEach(epoch: number, server: number, text: string): void {
    const mask = this.state[MASK + this.index]!;
    for (const voter of this.world.run.voters) {
      if (!this.state[UP + voter] || mask & (1 << voter)) continue;
      const next = this.state.slice();
      if (this.world.vote(next, voter, { op: "claim", epoch, server, by: this.by })) {
        next[MASK + this.index] = mask | (1 << voter);
        this.say(`${text} ${nameOf(voter)}`, next);
      }
    }
  }

  fence(): void {
    const { fencing, rules } = this.world.run;
    if (fencing === "confirm") this.fenced(this.next(AT.claiming), "goes on");
    if (fencing === "power") {
      const next = rules.blockFirst ? this.poweredOff(AT.claiming) : this.next(AT.claiming);
      this.fenced(next, `powers ${nameOf(this.command.from)} off`);
    }
    if (fencing === "lease" && (this.holdsAreOver() || !rules.waitForHolds)) {
      const next = this.next(AT.waiting);
      next[WAIT + this.index] = this.world.run.margin;
      this.say("sees the holds end", next);
    }
  }

  /** At every voter of the blocked majority; a hold of whomever, also of nobody knows whom. */
  private holdsAreOver(): boolean {
    return this.world.run.voters.every((voter) => {
      if (!(this.state[MASK + this.index]! & (1 << voter))) return true;
      return (
        this.state[UP + voter] === 1 &&
        (this.state[HOLD + voter] === 0 || this.state[HOLDER + voter] === this.command.to)
      );
    });
  }

  waited(): void {
    if (this.state[WAIT + this.index] === 0) this.fenced(this.next(AT.claiming), "has waited the margin");
  }

  /** What was moved to a third server is not off because the old one is. */
  private liesHere(state: State): boolean {
    const { from, to } = this.command;
    return !this.world.run.rules.lookWhereItRuns || state[PLACE] === from || state[PLACE] === to;
  }

  private fenced(next: State, text: string): void {
    if (!this.liesHere(next)) return;
    next[TARGET + this.index]! += 1;
    next[MASK + this.index] = 0;
    this.say(text, next);
  }

  /** Now for the server that shall run it. */
  claim(): void {
    const { index, state, world, command } = this;
    if (state[RESTARTED + index]) return;
    this.claimEach(state[TARGET + index]!, command.to, "claims at");
    const needed = command.kind === "planned" ? world.majority : world.blocking;
    if (count(state[MASK + index]!) >= needed && state[MASK + index]! & (1 << command.to))
      this.say("has claimed", this.next(AT.claimed));
  }

  /** Configuration and, where two voters cannot be a majority without the dead one, the permit; then it asks for the start. */
  prepare(): void {
    const { command, state } = this;
    if (!state[UP + command.to] || state[RESTARTED + this.index]) return;
    const next = this.ended();
    if (command.kind === "planned") {
      // Proxmox VE moves the configuration of a stopped guest, from where it is.
      if (!state[CONFIG + command.to] && (!state[UP + command.from] || state[RUNS + command.from])) return;
      if (!this.world.run.standby) next[CONFIG + command.from] = 0;
    } else {
      if (this.world.run.rules.lookWhereItRuns && state[RUNS + command.from]) return;
      if (!this.allow(next)) return;
    }
    next[CONFIG + command.to] = 1;
    this.say(`hands over to ${nameOf(command.to)}`, next);
  }

  /** Where two voters cannot be a majority without the dead one: `coldspare-node allow`. */
  private allow(next: State): boolean {
    const { command, index, state, world } = this;
    if (count(state[MASK + index]!) >= world.majority) return true;
    const claimed = state[EPOCH + command.to] === state[TARGET + index] && state[BY + command.to] === this.by;
    if (world.run.rules.permitOnOwnClaim && !claimed) return false;
    const epoch = state[EPOCH + command.to]! + 1;
    if (epoch > world.run.epochs) return false;
    world.vote(next, command.to, { op: "claim", epoch, server: command.to, by: BY_ALLOW });
    next[PERMIT + command.to] = 1;
    return true;
  }

  /** planned: the guest is shut down first. */
  stopGuest(): void {
    if (!this.state[UP + this.command.from]) return;
    const next = this.next(AT.confirmed);
    next[RUNS + this.command.from] = 0;
    this.say("shuts the guest down", next);
  }

  /** planned: the old side consents. */
  release(): void {
    const { command, index, state, world } = this;
    const next = this.next(AT.claiming);
    if (
      state[FRESH + command.from] ||
      !consent(world, next, command.from, state[TARGET + index]! - 1, command.to, this.by)
    )
      return;
    next[MASK + index] = 1 << command.from;
    this.say(`${nameOf(command.from)} releases`, next);
  }
}
