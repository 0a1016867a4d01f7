/** What happens to the memory of voters: restarts, new installations, learning, and what a person allows. */
import type { Emit, State } from "./checker";
import {
  BY,
  BY_ALLOW,
  EPOCH,
  FRESH,
  HOLD,
  HOLDER,
  NOBODY,
  PERMIT,
  REINSTALLS,
  SERVER,
  STAGE,
  START,
  UP,
  WORD,
} from "./layout";
import { nameOf, reboot } from "./server-state";
import type { World } from "./world";

/** Instead of a holder: a voter that was installed anew does not know to whom it granted. */
const UNKNOWN = 4;

export function memorySteps(world: World, state: State, emit: Emit): void {
  for (const voter of world.run.voters) {
    if (world.run.fencing === "lease" && !world.run.hosts.includes(voter)) restart(world, state, voter, emit);
    if (state[REINSTALLS]! > 0 && !state[FRESH + voter]) reinstalled(world, state, voter, emit);
    learning(world, state, voter, emit);
  }
}

function restart(world: World, state: State, voter: number, emit: Emit): void {
  const next = state.slice();
  reboot(world, next, voter);
  emit(`${nameOf(voter)} restarts`, next);
}

/** It forgets everything; a hypervisor loses its guests with it. */
function reinstalled(world: World, state: State, voter: number, emit: Emit): void {
  const host = world.run.hosts.includes(voter);
  if (host && state[UP + voter]) return;
  if (world.run.rules.reinstallAtRest && !atRest(world, state, voter)) return;
  const next = state.slice();
  for (const field of [EPOCH, SERVER, BY, PERMIT]) next[field + voter] = 0;
  const held = world.run.fencing === "lease" && world.run.rules.holdAfterReinstall;
  next[HOLDER + voter] = held ? UNKNOWN : NOBODY;
  next[HOLD + voter] = held ? world.run.term : 0;
  next[FRESH + voter] = 1;
  next[REINSTALLS]! -= 1;
  emit(`${nameOf(voter)} is installed anew`, next);
}

/** All voters that are up agree, and are a majority; nothing is under way. */
function atRest(world: World, state: State, voter: number): boolean {
  const { voters, hosts, commands } = world.run;
  const first = world.agreedBy(state);
  if (first === undefined) return false;
  const up = [...voters.filter((each) => state[UP + each]), voter];
  const agreed = up.every((each) => [EPOCH, SERVER, BY].every((field) => state[field + each] === state[field + first]));
  return agreed && hosts.every((host) => !state[START + host]) && commands.every((_, index) => !state[STAGE + index]);
}

/** A round of an agent's reconcile: a voter that lags behind is told what a majority holds; one without memory the newest. */
function learning(world: World, state: State, voter: number, emit: Emit): void {
  if (!state[UP + voter]) return;
  const { voters } = world.run;
  let teacher = world.agreedBy(state);
  if (state[FRESH + voter]) {
    if (voters.some((each) => !state[UP + each])) return;
    const remembering = voters.filter((each) => !state[FRESH + each]);
    teacher = remembering.reduce((a, b) => (state[EPOCH + b]! > state[EPOCH + a]! ? b : a), remembering[0] ?? voter);
  }
  if (teacher === undefined || (!state[FRESH + voter] && state[EPOCH + teacher]! <= state[EPOCH + voter]!)) return;
  const next = state.slice();
  const [epoch, server, by] = [state[EPOCH + teacher]!, state[SERVER + teacher]!, state[BY + teacher]!];
  if (world.vote(next, voter, { op: "claim", epoch, server, by })) emit(`${nameOf(voter)} learns the record`, next);
}

/** A person says on a server that the other side is off: the own record, as many others as can be told, and a permit. */
export function allowed(world: World, state: State, host: number, emit: Emit): void {
  if (world.run.hosts.some((other) => other !== host && state[UP + other])) return;
  const epoch = Math.max(...world.run.voters.map((voter) => (state[UP + voter] ? state[EPOCH + voter]! : 0))) + 1;
  if (epoch > world.run.epochs) return;
  const next = state.slice();
  world.vote(next, host, { op: "claim", epoch, server: host, by: BY_ALLOW });
  next[PERMIT + host] = 1;
  if (world.run.word !== "off now") next[WORD + host] = 1;
  emit(`a person allows the start on ${nameOf(host)}`, next);
}

/** The person keeps the word that the other side stays off until the voters know. */
export function heldOff(world: World, state: State, host: number): boolean {
  return world.run.hosts.some((other) => other !== host && state[WORD + other] === 1);
}

/** Once a majority names the server that was allowed to start it, the word is kept. */
export function wordKept(world: World, next: State): void {
  for (const host of world.run.hosts) if (next[WORD + host] && world.named(next) === host) next[WORD + host] = 0;
}

/** As long as it runs what a person allowed, the agent tells the others of that record. */
export function spreading(world: World, state: State, host: number, emit: Emit): void {
  if (!world.run.rules.spreadAllowed || state[BY + host] !== BY_ALLOW || state[SERVER + host] !== host) return;
  for (const voter of world.run.voters) {
    if (voter === host || !state[UP + voter]) continue;
    const next = state.slice();
    const told = world.vote(next, voter, { op: "claim", epoch: state[EPOCH + host]!, server: host, by: BY_ALLOW });
    if (told) emit(`${nameOf(host)}: agent tells ${nameOf(voter)} of the permission`, next);
  }
}
