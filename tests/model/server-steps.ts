/**
 * What servers do by themselves: crash, return, start a guest through the guard, renew its lease, move it behind our back; and
 * time. Every message may be lost, and every step may be the last one: that is every partition and every crash.
 */
import type { Emit, State } from "./checker";
import {
  A,
  BY,
  BY_NONE,
  byGuard,
  CONFIG,
  count,
  EPOCH,
  FRESH,
  OVER,
  PERMIT,
  PLACE,
  RUNS,
  SERVER,
  STAGE,
  START,
  START_BY,
  START_EPOCH,
  START_GOT,
  START_NEW,
  STARTING,
  UP,
  WORTH,
} from "./layout";
import { allowed, heldOff, memorySteps, spreading } from "./memory-steps";
import { endLease, endStart, leaseOf, listed, nameOf, powerOff } from "./server-state";
import { ticks } from "./time-steps";
import type { World } from "./world";

export function serverSteps(world: World, state: State, emit: Emit): void {
  for (const host of world.run.hosts) {
    if (state[UP + host]) {
      crash(world, state, host, emit);
      if (state[RUNS + host]) running(world, state, host, emit);
      else starting(world, state, host, emit);
      moved(world, state, host, emit);
      if (world.run.allows) allowed(world, state, host, emit);
    } else if (!heldOff(world, state, host)) {
      const next = state.slice();
      next[UP + host] = 1;
      emit(`${nameOf(host)} returns`, next);
    }
  }
  memorySteps(world, state, emit);
  if (world.run.fencing === "lease") ticks(world, state, emit);
}

function crash(world: World, state: State, host: number, emit: Emit): void {
  emit(`${nameOf(host)} loses power`, powerOff(world, state, host));
}

/** The guard's hook and what follows it, one message at a time. Anything may call it: a person, a command, the boot. */
function starting(world: World, state: State, host: number, emit: Emit): void {
  const stage = state[START + host];
  if (stage !== STARTING.none && world.run.fencing !== "lease") {
    const next = state.slice();
    endStart(next, host);
    emit(`${nameOf(host)}: the start fails`, next);
  }
  if (stage === STARTING.none) {
    if (state[CONFIG + host]) begin(world, state, host, emit);
  } else if (stage === STARTING.granting) granting(world, state, host, emit);
  else if (stage === STARTING.claiming) claiming(world, state, host, emit);
  else {
    const next = state.slice();
    endStart(next, host);
    next[RUNS + host] = 1;
    if (world.run.migrations) next[PLACE] = host;
    emit(`${nameOf(host)} runs the guest`, next);
    if (world.run.fencing === "lease") {
      const failed = state.slice();
      endStart(failed, host);
      endLease(failed, host);
      emit(`${nameOf(host)}: the start fails`, failed);
    }
  }
}

/** Asks the voters; any of the others may be out of reach. */
export function begin(world: World, state: State, host: number, emit: Emit): void {
  const own = 1 << host;
  const up = world.upVoters(state);
  if (!(up & own)) return;
  for (let heard = 0; heard <= up; heard++) {
    if ((heard & up) !== heard || !(heard & own)) continue;
    const verdict = world.decide(state, host, heard);
    const label = `${nameOf(host)}: guard hears ${listed(heard)}`;
    if (verdict.verdict === "pass") {
      const next = state.slice();
      next[PERMIT + host] = 0;
      next[START + host] = STARTING.passed;
      emit(`${label}, permit`, next);
    } else if (verdict.verdict === "grant" || verdict.verdict === "adopt") {
      const next = state.slice();
      if (verdict.verdict === "adopt")
        world.vote(next, host, { op: "claim", epoch: verdict.epoch, server: host, by: verdict.by });
      const beginning = world.run.voters.every((voter) => heard & (1 << voter) && state[EPOCH + voter] === 0);
      next[START_NEW + host] = beginning && world.run.voters.some((voter) => state[FRESH + voter]) ? 1 : 0;
      if (ask(world, next, host, verdict.epoch, verdict.by))
        emit(`${label}, ${verdict.verdict}s ${verdict.epoch}`, next);
    } else if (verdict.verdict === "release") {
      takeOver(world, state, host, verdict.from, verdict.epoch, label, emit);
    }
  }
}

/** The own vote is asked at once, the others then one by one. */
function ask(world: World, next: State, host: number, epoch: number, by: number): boolean {
  next[START + host] = STARTING.granting;
  next[START_EPOCH + host] = epoch;
  next[START_BY + host] = by;
  next[START_GOT + host] = 0;
  if (!world.run.rules.ownRecord) return true;
  if (!grant(world, next, host, host)) return false;
  finish(world, next, host);
  return true;
}

function grant(world: World, next: State, host: number, voter: number): boolean {
  const epoch = next[START_EPOCH + host]!;
  // The beginning, which a voter without memory has to be told before it grants anything.
  if (next[START_NEW + host] && next[FRESH + voter])
    world.vote(next, voter, { op: "claim", epoch, server: A, by: BY_NONE });
  const asked = { op: "grant", kind: "start", epoch, server: host, term: world.run.term } as const;
  if (!world.vote(next, voter, asked)) return false;
  // A grant on a record that somebody else claimed does not add up with the others.
  if (next[BY + voter] !== next[START_BY + host]) return true;
  next[START_GOT + host]! |= 1 << voter;
  if (world.run.fencing === "lease" && world.leased(host)) next[WORTH + 3 * host + voter] = world.run.term;
  return true;
}

function finish(world: World, next: State, host: number): void {
  const got = next[START_GOT + host]!;
  if (!world.granted(host, next[START_EPOCH + host]!, next[START_BY + host]!, got)) return;
  endStart(next, host);
  const { fencing, rules } = world.run;
  if (fencing === "lease" && rules.validAtStart && world.leased(host) && leaseOf(world, next, host) === 0)
    endLease(next, host);
  else next[START + host] = STARTING.passed;
}

function granting(world: World, state: State, host: number, emit: Emit): void {
  for (const voter of world.run.voters) {
    if (!state[UP + voter] || state[START_GOT + host]! & (1 << voter)) continue;
    const next = state.slice();
    if (!grant(world, next, host, voter)) continue;
    finish(world, next, host);
    emit(`${nameOf(host)}: ${nameOf(voter)} grants`, next);
  }
  if (world.run.fencing === "lease") giveUp(state, host, emit);
}

function giveUp(state: State, host: number, emit: Emit): void {
  const next = state.slice();
  endStart(next, host);
  endLease(next, host);
  emit(`${nameOf(host)}: guard refuses`, next);
}

/** The server that may run the guest consents, then the voters are told one by one. */
function takeOver(
  world: World,
  state: State,
  host: number,
  from: number,
  epoch: number,
  label: string,
  emit: Emit,
): void {
  const next = state.slice();
  if (epoch + 1 > world.run.epochs || !consent(world, next, from, epoch, host, byGuard(host))) return;
  next[START + host] = STARTING.claiming;
  next[START_EPOCH + host] = epoch + 1;
  next[START_BY + host] = byGuard(host);
  next[START_GOT + host] = 1 << from;
  told(world, next, host, host);
  emit(`${label}, ${nameOf(from)} releases`, next);
}

/** Asked of the server that may run the guest: it gives that up when nothing of it runs or starts there. */
export function consent(world: World, next: State, from: number, epoch: number, to: number, by: number): boolean {
  if (!world.run.hosts.includes(from) || !next[UP + from]) return false;
  const careful = world.run.rules.releaseWhenStopped;
  const strays = world.run.rules.releaseFollowsMove
    ? next[PLACE] !== to || next[CONFIG + from] === 1
    : next[CONFIG + from] === 1;
  return world.vote(next, from, {
    op: "release",
    self: from,
    epoch,
    to,
    by,
    running: careful && next[RUNS + from] === 1,
    starting: careful && !world.idle(next, from),
    kept: careful && by === byGuard(to) && strays,
  });
}

export function told(world: World, next: State, host: number, voter: number): void {
  const claim = { op: "claim", epoch: next[START_EPOCH + host]!, server: host, by: next[START_BY + host]! } as const;
  if (world.vote(next, voter, claim)) next[START_GOT + host]! |= 1 << voter;
}

function claiming(world: World, state: State, host: number, emit: Emit): void {
  const got = state[START_GOT + host]!;
  for (const voter of world.run.voters) {
    if (!state[UP + voter] || got & (1 << voter)) continue;
    const next = state.slice();
    told(world, next, host, voter);
    if (next[START_GOT + host] !== got) emit(`${nameOf(host)}: tells ${nameOf(voter)}`, next);
  }
  if (count(got) >= world.majority && got & (1 << host)) {
    const next = state.slice();
    if (ask(world, next, host, state[START_EPOCH + host]!, state[START_BY + host]!))
      emit(`${nameOf(host)}: asks grants`, next);
  }
  if (world.run.fencing === "lease") giveUp(state, host, emit);
}

function running(world: World, state: State, host: number, emit: Emit): void {
  const next = state.slice();
  next[RUNS + host] = 0;
  endLease(next, host);
  emit(`${nameOf(host)} stops the guest`, next);
  if (world.run.fencing === "lease" && world.leased(host)) renewing(world, state, host, emit);
  reconciling(world, state, host, emit);
  spreading(world, state, host, emit);
}

/** The agent renews at each voter by itself; an answer that comes late is worth less, so at once is the worst case. */
function renewing(world: World, state: State, host: number, emit: Emit): void {
  for (const voter of world.run.voters) {
    if (!state[UP + voter] || state[SERVER + voter] !== host) continue;
    const next = state.slice();
    const { term } = world.run;
    world.vote(next, voter, { op: "grant", kind: "renew", epoch: state[EPOCH + voter]!, server: host, term });
    next[WORTH + 3 * host + voter] = term;
    if (leaseOf(world, next, host) > 0) next[OVER + host] = 0;
    emit(`${nameOf(host)}: ${nameOf(voter)} renews`, next);
  }
}

/** After a migration behind our back the agent asks the old side for its consent, and tells the voters. */
function reconciling(world: World, state: State, host: number, emit: Emit): void {
  if (!world.run.migrations) return;
  const up = world.upVoters(state);
  const verdict = world.decide(state, host, up);
  if (verdict.verdict !== "release" || verdict.epoch + 1 > world.run.epochs) return;
  const consented = state.slice();
  const by = byGuard(host);
  if (!consent(world, consented, verdict.from, verdict.epoch, host, by)) return;
  world.vote(consented, host, { op: "claim", epoch: verdict.epoch + 1, server: host, by });
  emit(`${nameOf(host)}: agent has ${nameOf(verdict.from)}'s consent`, consented);
  for (const voter of world.run.voters) {
    if (voter === host || voter === verdict.from || !state[UP + voter]) continue;
    const next = consented.slice();
    world.vote(next, voter, { op: "claim", epoch: verdict.epoch + 1, server: host, by });
    emit(`${nameOf(host)}: agent has ${nameOf(verdict.from)}'s consent and tells ${nameOf(voter)}`, next);
  }
}

/** A command runs, or the voters name neither the server that it is on nor the one that it is brought back to. */
function underWay(world: World, state: State, from: number, to: number): boolean {
  const named = world.named(state);
  return (named !== from && named !== to) || world.run.commands.some((_, index) => state[STAGE + index]);
}

/** PVE's own migration, live or offline: the configuration goes along. It needs both servers and the cluster. */
function moved(world: World, state: State, from: number, emit: Emit): void {
  if (!world.run.migrations || !state[CONFIG + from]) return;
  // An old configuration that a server still shows is none that Proxmox VE would move; one that never ran is of no interest.
  if (state[PLACE] !== from) return;
  for (const to of world.run.hosts) {
    if (world.run.migrationsWait && underWay(world, state, from, to)) continue;
    if (to === from || !state[UP + to] || state[RUNS + to] || !world.idle(state, to) || !world.idle(state, from))
      continue;
    const next = state.slice();
    next[CONFIG + from] = 0;
    next[CONFIG + to] = 1;
    next[PLACE] = to;
    next[RUNS + to] = state[RUNS + from]!;
    next[RUNS + from] = 0;
    endLease(next, from);
    // Nobody has granted it there: it has one term to get that in order.
    if (next[RUNS + to] && world.run.fencing === "lease" && world.leased(to))
      for (const voter of world.run.voters) next[WORTH + 3 * to + voter] = world.run.term;
    emit(`somebody migrates it from ${nameOf(from)} to ${nameOf(to)}`, next);
  }
}
