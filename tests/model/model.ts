/** The model of a run: what can happen, what must never be, and where one must always be able to get. */
import type { Emit, System } from "./checker";
import { commandSteps } from "./command-steps";
import { BY, beginning, EPOCH, FRESH, REINSTALLS, RUNS, SERVER, START, STARTING } from "./layout";
import { wordKept } from "./memory-steps";
import type { Book } from "./replay";
import type { Run } from "./run";
import { nameOf } from "./server-state";
import { serverSteps } from "./server-steps";
import { World } from "./world";

export function modelOf(run: Run, book: Book): System {
  const world = new World(run, book);
  const first = beginning(run.voters, run.fresh, run.standby);
  first[REINSTALLS] = run.reinstalls;
  return {
    initial: [first],
    successors(state, emit) {
      const step: Emit = (label, next) => {
        if (run.allows) wordKept(world, next);
        emit(label, next);
      };
      serverSteps(world, state, step);
      commandSteps(world, state, step);
    },
    judge(from, to) {
      if (to[RUNS]! + to[RUNS + 1]! + to[RUNS + 2]! > 1) {
        return `two active: ${run.hosts
          .filter((host) => to[RUNS + host])
          .map(nameOf)
          .join(" and ")}`;
      }
      for (const voter of run.voters) {
        if (to[FRESH + voter] || from[FRESH + voter]) continue;
        const same = to[SERVER + voter] === from[SERVER + voter] && to[BY + voter] === from[BY + voter];
        const [before, after] = [from[EPOCH + voter]!, to[EPOCH + voter]!];
        if (after < before) return `the record of ${nameOf(voter)} goes back`;
        if (after === before && !same) return `${nameOf(voter)} accepts two records of epoch ${after}`;
      }
      for (const host of run.hosts) {
        if (to[START + host] !== STARTING.granting || from[START + host] !== STARTING.none) continue;
        const named = world.named(from);
        if (named !== undefined && named !== host)
          return `${nameOf(host)} begins to start what belongs to ${nameOf(named)}`;
      }
      return undefined;
    },
    /** Exactly one runs, and it is the one that the voters name. */
    good(state) {
      const running = run.hosts.filter((host) => state[RUNS + host]);
      return running.length === 1 && world.named(state) === running[0];
    },
    /** A command needs two more epochs than there are. */
    excused(state) {
      return run.voters.some((voter) => state[EPOCH + voter]! > run.epochs - 2);
    },
  };
}
