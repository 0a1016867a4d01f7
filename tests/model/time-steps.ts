/** Time, and what ends by it: holds at the voters, leases on the servers, margins of the commands. */
import type { Emit, State } from "./checker";
import { HOLD, HOLDER, NOBODY, OVER, RUNS, START, STARTING, TICKED, UP, WAIT, WORTH } from "./layout";
import { endLease, endStart, leaseOf, nameOf } from "./server-state";
import type { World } from "./world";

/** The operator's clock, behind those of the servers. */
const OPERATOR = 3;

/**
 * Each clock ticks once in a round, in any order: between two events one clock may tick twice while another does not. A clock
 * whose ticks nobody counts just now takes no part; it may tick at once when they begin to count, which is the worst case.
 */
export function ticks(world: World, state: State, emit: Emit): void {
  const { run } = world;
  const counting = [0, 1, 2].some((each) => state[HOLD + each] || state[OVER + each] || state[WAIT + each]);
  if (!counting && !run.hosts.some((host) => state[RUNS + host] || state[START + host])) return;
  const clocks = run.voters.filter(
    (voter) => state[UP + voter] && (state[HOLD + voter] || (run.hosts.includes(voter) && world.leased(voter))),
  );
  if (run.commands.some((_, command) => state[WAIT + command])) clocks.push(OPERATOR);
  const newRound = clocks.every((clock) => state[TICKED + clock]);
  for (const clock of clocks) {
    if (state[TICKED + clock] && !newRound) continue;
    const next = state.slice();
    if (newRound) next.fill(0, TICKED, TICKED + 4);
    next[TICKED + clock] = 1;
    if (clock === OPERATOR) for (let command = 0; command < run.commands.length; command++) tickWait(next, command);
    else tick(world, next, clock);
    rest(world, next);
    emit(clock === OPERATOR ? "the operator's clock ticks" : `${nameOf(clock)}'s clock ticks`, next);
  }
}

/** Clocks that take no part from here on. */
function rest(world: World, next: State): void {
  const { run } = world;
  for (const voter of run.voters) {
    if (!next[HOLD + voter] && !(run.hosts.includes(voter) && world.leased(voter))) next[TICKED + voter] = 0;
  }
  if (!run.commands.some((_, command) => next[WAIT + command])) next[TICKED + OPERATOR] = 0;
}

function tickWait(next: State, command: number): void {
  if (next[WAIT + command]! > 0) next[WAIT + command]! -= 1;
}

function tick(world: World, next: State, server: number): void {
  if (next[HOLD + server]! > 0) {
    next[HOLD + server]! -= 1;
    if (next[HOLD + server] === 0) next[HOLDER + server] = NOBODY;
  }
  if (!world.run.hosts.includes(server) || !world.leased(server)) return;
  const passed = next[START + server] === STARTING.passed && world.run.rules.startEndsWithLease;
  const alive = next[RUNS + server] === 1 || passed;
  const valid = leaseOf(world, next, server) > 0;
  for (const voter of world.run.voters) {
    const at = WORTH + 3 * server + voter;
    if (next[at]! > 0) next[at]! -= 1;
  }
  if (!alive || valid) return;
  // Past its validity: the agent stops it, or the watchdog the whole server, before `overrun` ticks are over.
  if (next[OVER + server]! < world.run.overrun) next[OVER + server]! += 1;
  else {
    next[RUNS + server] = 0;
    endStart(next, server);
    endLease(next, server);
  }
}
