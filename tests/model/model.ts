/**
 * The model of a run: what can happen, what must never be, and where one must always be able to get. The rules are those of
 * docs/guard.md; each file says which part of them it holds.
 *
 * What is abstracted, and why it hides nothing:
 * - One guest; guests do not touch each other's records.
 * - A partition is that messages between two parties are lost. Here every single message may be lost (the step does not
 *   happen, or an answer is not among those heard): that contains every partition, also one-sided ones.
 * - A crash of a command is that it ends after any step (in some runs with a claim still on its way); it is given again under
 *   the same name. A crash of a server takes its
 *   processes, starts, permits and leases, and leaves its files.
 * - The counters of grants are kept as what a command can see of them: has this one changed since I read it?
 * - Clocks: each ticks once in a round, in any order; so two of them differ by up to two ticks over any time. Grants are
 *   answered at once: an answer that comes late is worth less time.
 * - The server that a command never fences is given no lease: it may run for ever, which is worse.
 *
 * What it assumes, and does not show:
 * - A person who says that a server is off is right at that moment; it may be switched on in the next. Power control that
 *   reads 'off' is right.
 * - Proxmox VE moves only the configuration of a guest that does not run, or runs it live on exactly one side, and every server
 *   in the cluster sees where a configuration lies.
 * - A voter is installed anew only while the others agree and nothing is under way, and that takes longer than a term.
 * - With more than two servers to run on, nobody migrates the guest by hand while a command is under way.
 */
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
