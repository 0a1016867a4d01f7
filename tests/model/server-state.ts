/** Servers: their names, and what a loss of power does to them. */
import type { State } from "./checker";
import {
  HOLD,
  HOLDER,
  NOBODY,
  OVER,
  PERMIT,
  RESTARTED,
  RUNS,
  STAGE,
  START,
  START_BY,
  START_EPOCH,
  START_GOT,
  START_NEW,
  UP,
  WORTH,
} from "./layout";
import { validity } from "./rules";
import type { World } from "./world";

const NAMES = ["A", "B", "C"];

export const nameOf = (server: number): string => NAMES[server] ?? "nobody";

/** The list of voters in a set of bits. */
export function listed(mask: number): string {
  return NAMES.filter((_, server) => mask & (1 << server)).join("");
}

/** A server without power: its processes are gone, its files stay. Its voter's clock begins anew when it returns. */
export function powerOff(world: World, state: State, host: number): State {
  const next = state.slice();
  for (const field of [UP, RUNS, PERMIT, OVER]) next[field + host] = 0;
  endStart(next, host);
  endLease(next, host);
  reboot(world, next, host);
  if (world.run.voters.length === 2 && world.run.rules.spareNotRestarted) {
    world.run.commands.forEach(({ to }, index) => {
      if (to === host && next[STAGE + index]) next[RESTARTED + index] = 1;
    });
  }
  return next;
}

export function reboot(world: World, next: State, voter: number): void {
  if (world.run.fencing !== "lease" || next[HOLDER + voter] === NOBODY) return;
  if (world.run.rules.holdAfterReboot) world.vote(next, voter, { op: "boot", term: world.run.term });
  else {
    next[HOLD + voter] = 0;
    next[HOLDER + voter] = NOBODY;
  }
}

export function endStart(next: State, host: number): void {
  for (const field of [START, START_EPOCH, START_BY, START_GOT, START_NEW]) next[field + host] = 0;
}

export function endLease(next: State, host: number): void {
  for (let voter = 0; voter < 3; voter++) next[WORTH + 3 * host + voter] = 0;
  next[OVER + host] = 0;
}

export function leaseOf(world: World, state: State, host: number): number {
  const worths = world.run.voters.map((voter) => state[WORTH + 3 * host + voter]!);
  return validity(worths);
}
