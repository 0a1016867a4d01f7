/**
 * What servers do by themselves: crash, return, start a guest through the guard, renew its lease, move it behind our back; and
 * time. Every message may be lost, and every step may be the last one: that is every partition and every crash.
 */
import type { Emit, State } from "./checker";
import {
  ALLOWS,
  BY,
  BY_ALLOW,
  byGuard,
  CONFIG,
  count,
  EPOCH,
  FRESH,
  HOLD,
  HOLDER,
  NOBODY,
  OVER,
  PERMIT,
  REINSTALLS,
  RESTARTED,
  RUNS,
  SERVER,
  STAGE,
  START,
  START_BY,
  START_EPOCH,
  START_GOT,
  STARTING,
  TICKED,
  UP,
  WAIT,
  WORTH,
} from "./layout";
import { validity } from "./rules";
import type { World } from "./world";

const NAMES = ["A", "B", "C"];
/** The operator's clock, behind those of the servers. */
const OPERATOR = 3;
/** Instead of a holder: a voter that was installed anew does not know to whom it granted. */
const UNKNOWN = 4;
export const nameOf = (server: number): string => NAMES[server] ?? "nobody";

/** The list of voters in a set of bits. */
function listed(mask: number): string {
  return NAMES.filter((_, server) => mask & (1 << server)).join("");
}

export function serverSteps(world: World, state: State, emit: Emit): void {
  for (const host of world.run.hosts) {
    if (state[UP + host]) {
      crash(world, state, host, emit);
      if (state[RUNS + host]) running(world, state, host, emit);
      else starting(world, state, host, emit);
      moved(world, state, host, emit);
      if (state[ALLOWS]! > 0) allowed(world, state, host, emit);
    } else if (!heldOff(world, state, host)) {
      const next = state.slice();
      next[UP + host] = 1;
      emit(`${nameOf(host)} returns`, next);
    }
  }
  for (const voter of world.run.voters) {
    if (world.run.fencing === "lease" && !world.run.hosts.includes(voter)) restart(world, state, voter, emit);
    if (state[REINSTALLS]! > 0 && !state[FRESH + voter]) reinstalled(world, state, voter, emit);
    learning(world, state, voter, emit);
  }
  if (world.run.fencing === "lease") ticks(world, state, emit);
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

function crash(world: World, state: State, host: number, emit: Emit): void {
  emit(`${nameOf(host)} loses power`, powerOff(world, state, host));
}

function restart(world: World, state: State, voter: number, emit: Emit): void {
  const next = state.slice();
  reboot(world, next, voter);
  emit(`${nameOf(voter)} restarts`, next);
}

function reboot(world: World, next: State, voter: number): void {
  if (world.run.fencing !== "lease" || next[HOLDER + voter] === NOBODY) return;
  if (world.run.rules.holdAfterReboot) world.vote(next, voter, { op: "boot", term: world.run.term });
  else {
    next[HOLD + voter] = 0;
    next[HOLDER + voter] = NOBODY;
  }
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
function allowed(world: World, state: State, host: number, emit: Emit): void {
  if (world.run.hosts.some((other) => other !== host && state[UP + other])) return;
  const epoch = Math.max(...world.run.voters.map((voter) => (state[UP + voter] ? state[EPOCH + voter]! : 0))) + 1;
  if (epoch > world.run.epochs) return;
  const next = state.slice();
  world.vote(next, host, { op: "claim", epoch, server: host, by: BY_ALLOW });
  next[PERMIT + host] = 1;
  next[ALLOWS]! -= 1;
  emit(`a person allows the start on ${nameOf(host)}`, next);
}

/** The person keeps the word that the other side stays off until the voters know. */
function heldOff(world: World, state: State, host: number): boolean {
  if (world.run.word === "off now") return false;
  return world.run.hosts.some(
    (other) => other !== host && state[BY + other] === BY_ALLOW && world.named(state) !== other,
  );
}

/** As long as it runs what a person allowed, the agent tells the others of that record. */
function spreading(world: World, state: State, host: number, emit: Emit): void {
  if (!world.run.rules.spreadAllowed || state[BY + host] !== BY_ALLOW || state[SERVER + host] !== host) return;
  for (const voter of world.run.voters) {
    if (voter === host || !state[UP + voter]) continue;
    const next = state.slice();
    const told = world.vote(next, voter, { op: "claim", epoch: state[EPOCH + host]!, server: host, by: BY_ALLOW });
    if (told) emit(`${nameOf(host)}: agent tells ${nameOf(voter)} of the permission`, next);
  }
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
function begin(world: World, state: State, host: number, emit: Emit): void {
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
  if (!world.granted(next, host, next[START_EPOCH + host]!, next[START_BY + host]!, got)) return;
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
  return world.vote(next, from, {
    op: "release",
    self: from,
    epoch,
    to,
    by,
    running: careful && next[RUNS + from] === 1,
    starting: careful && !world.idle(next, from),
    kept: careful && by === byGuard(to) && next[CONFIG + from] === 1,
  });
}

function told(world: World, next: State, host: number, voter: number): void {
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

function endStart(next: State, host: number): void {
  for (const field of [START, START_EPOCH, START_BY, START_GOT]) next[field + host] = 0;
}

function endLease(next: State, host: number): void {
  for (let voter = 0; voter < 3; voter++) next[WORTH + 3 * host + voter] = 0;
  next[OVER + host] = 0;
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

export function leaseOf(world: World, state: State, host: number): number {
  const worths = world.run.voters.map((voter) => state[WORTH + 3 * host + voter]!);
  return validity(worths);
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

/** PVE's own migration, live or offline: the configuration goes along. It needs both servers and the cluster. */
function moved(world: World, state: State, from: number, emit: Emit): void {
  if (!world.run.migrations || !state[CONFIG + from]) return;
  for (const to of world.run.hosts) {
    if (to === from || !state[UP + to] || state[RUNS + to] || !world.idle(state, to) || !world.idle(state, from))
      continue;
    const next = state.slice();
    next[CONFIG + from] = 0;
    next[CONFIG + to] = 1;
    next[RUNS + to] = state[RUNS + from]!;
    next[RUNS + from] = 0;
    endLease(next, from);
    // Nobody has granted it there: it has one term to get that in order.
    if (next[RUNS + to] && world.run.fencing === "lease" && world.leased(to))
      for (const voter of world.run.voters) next[WORTH + 3 * to + voter] = world.run.term;
    emit(`somebody migrates it from ${nameOf(from)} to ${nameOf(to)}`, next);
  }
}

/**
 * Each clock ticks once in a round, in any order: between two events one clock may tick twice while another does not. A clock
 * whose ticks nobody counts just now takes no part; it may tick at once when they begin to count, which is the worst case.
 */
function ticks(world: World, state: State, emit: Emit): void {
  const { run } = world;
  const counting = [0, 1, 2].some((each) => state[HOLD + each] || state[OVER + each] || state[WAIT + each]);
  if (!counting && !run.hosts.some((host) => state[RUNS + host] || state[START + host])) return;
  const clocks = run.voters.filter((voter) => (run.hosts.includes(voter) ? state[UP + voter] : state[HOLD + voter]));
  if (run.commands.some((_, command) => state[WAIT + command])) clocks.push(OPERATOR);
  const newRound = clocks.every((clock) => state[TICKED + clock]);
  for (const clock of clocks) {
    if (state[TICKED + clock] && !newRound) continue;
    const next = state.slice();
    if (newRound) next.fill(0, TICKED, TICKED + 4);
    next[TICKED + clock] = 1;
    if (clock === OPERATOR) run.commands.forEach((_, command) => tickWait(next, command));
    else tick(world, next, clock);
    emit(clock === OPERATOR ? "the operator's clock ticks" : `${nameOf(clock)}'s clock ticks`, next);
  }
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
