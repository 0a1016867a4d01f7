/**
 * A small explicit-state model checker: breadth first, so that a counter-example is as short as one can be; every state once
 * (by its bytes); each transition is checked as well as each state; and backwards from the good states, which states have no
 * way to one of them (dead ends).
 */

/** A state is a row of numbers below 16, of even length; see layout.ts for what stands where. */
export type State = Uint8Array;

export type Emit = (label: string, next: State) => void;

export interface System {
  initial: readonly State[];
  /** Calls `emit` for everything that can happen next. `next` must be a new row. */
  successors(state: State, emit: Emit): void;
  /** What is wrong with this transition, if anything. */
  judge(from: State, to: State, label: string): string | undefined;
  /** States from which a good one must stay within reach; and good ones. */
  good?(state: State): boolean;
  /** States too close to the bound of what is explored (epochs) to be asked for progress. */
  excused?(state: State): boolean;
}

export interface Violation {
  what: string;
  /** One step a line, from the initial state. */
  trace: string[];
}

export interface Exploration {
  states: number;
  transitions: number;
  /** Steps of the longest shortest way to a state. */
  depth: number;
  violations: Violation[];
  /** States that were not asked for progress. */
  excused: number;
  /** False when the limit of states was reached first. */
  complete: boolean;
  seconds: number;
}

class Numbers {
  private values = new Int32Array(1 << 16);
  length = 0;

  push(value: number): void {
    if (this.length === this.values.length) {
      const more = new Int32Array(this.length * 2);
      more.set(this.values);
      this.values = more;
    }
    this.values[this.length++] = value;
  }

  at(index: number): number {
    return this.values[index]!;
  }
}

/** Two numbers to a letter: all are below 16, and short strings of one-byte letters are what a Map is fastest with. */
function keyOf(state: State): string {
  const letters = new Array<number>(state.length >> 1);
  for (let i = 0; i < letters.length; i++) letters[i] = (state[2 * i]! << 4) | state[2 * i + 1]!;
  return String.fromCharCode.apply(null, letters);
}

function stateOf(key: string): State {
  const state = new Uint8Array(key.length * 2);
  for (let i = 0; i < key.length; i++) {
    const letter = key.charCodeAt(i);
    state[2 * i] = letter >> 4;
    state[2 * i + 1] = letter & 15;
  }
  return state;
}

/** Explores everything reachable, or as much as `limit` states. Ends at the first violation. */
export function explore(system: System, limit = 20_000_000): Exploration {
  const started = Date.now();
  const index = new Map<string, number>();
  const keys: string[] = [];
  const parents = new Numbers();
  const steps = new Numbers();
  const depths = new Numbers();
  const labels = new Map<string, number>();
  const names: string[] = [];
  const edgesFrom = new Numbers();
  const edgesTo = new Numbers();
  const violations: Violation[] = [];
  let transitions = 0;
  let current = -1;
  let from: State = new Uint8Array();
  let depth = 0;

  const nameOf = (label: string): number => {
    let id = labels.get(label);
    if (id === undefined) {
      id = names.length;
      labels.set(label, id);
      names.push(label);
    }
    return id;
  };
  const traceOf = (id: number, last: string[]): string[] => {
    const trace = [...last];
    for (let at = id; parents.at(at) >= 0; at = parents.at(at)) trace.unshift(names[steps.at(at)]!);
    return trace;
  };
  const add = (key: string, label: number): number => {
    const id = keys.length;
    index.set(key, id);
    keys.push(key);
    parents.push(current);
    steps.push(label);
    depth = current < 0 ? 0 : depths.at(current) + 1;
    depths.push(depth);
    return id;
  };
  const emit: Emit = (label, next) => {
    transitions++;
    const key = keyOf(next);
    let id = index.get(key);
    if (id === undefined) id = add(key, nameOf(label));
    edgesFrom.push(current);
    edgesTo.push(id);
    if (violations.length > 0) return;
    const what = system.judge(from, next, label);
    if (what !== undefined) violations.push({ what, trace: traceOf(current, [label]) });
  };

  for (const state of system.initial) add(keyOf(state), -1);
  for (current = 0; current < keys.length && keys.length <= limit && violations.length === 0; current++) {
    from = stateOf(keys[current]!);
    system.successors(from, emit);
  }
  const complete = current === keys.length;
  let excused = 0;
  if (complete && violations.length === 0 && system.good) {
    const stuck = deadEnds(keys, edgesFrom, edgesTo, system);
    excused = stuck.excused;
    if (stuck.first >= 0)
      violations.push({ what: `a dead end (${stuck.count} in all)`, trace: traceOf(stuck.first, []) });
  }
  const seconds = (Date.now() - started) / 1000;
  return { states: keys.length, transitions, depth, violations, excused, complete, seconds };
}

/** States from which no way leads to a good one: found backwards from the good ones. */
function deadEnds(
  keys: readonly string[],
  edgesFrom: Numbers,
  edgesTo: Numbers,
  system: System,
): { first: number; count: number; excused: number } {
  const starts = new Int32Array(keys.length + 1);
  for (let i = 0; i < edgesTo.length; i++) starts[edgesTo.at(i) + 1]!++;
  for (let i = 0; i < keys.length; i++) starts[i + 1]! += starts[i]!;
  const filled = starts.slice();
  const back = new Int32Array(edgesTo.length);
  for (let i = 0; i < edgesTo.length; i++) back[filled[edgesTo.at(i)]!++] = edgesFrom.at(i);
  const reached = new Uint8Array(keys.length);
  const queue: number[] = [];
  for (let id = 0; id < keys.length; id++) {
    if (system.good!(stateOf(keys[id]!))) {
      reached[id] = 1;
      queue.push(id);
    }
  }
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (let i = starts[id]!; i < starts[id + 1]!; i++) {
      const before = back[i]!;
      if (reached[before]) continue;
      reached[before] = 1;
      queue.push(before);
    }
  }
  const result = { first: -1, count: 0, excused: 0 };
  for (let id = 0; id < keys.length; id++) {
    if (reached[id]) continue;
    if (system.excused?.(stateOf(keys[id]!))) result.excused++;
    else {
      if (result.first < 0) result.first = id;
      result.count++;
    }
  }
  return result;
}
