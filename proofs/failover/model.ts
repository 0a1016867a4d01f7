/** The model of guard, lease and commands, as rows of the proof's table. */
import { replay, replayRenewals } from "../../tests/model/replay";
import { FULL, MUTATIONS, QUICK, SLOW_MUTATIONS } from "../../tests/model/runs";
import { counterExample, traceText, type Verified, verify } from "../../tests/model/verify";
import type { Claim } from "../check";

export interface ModelResult {
  name: string;
  fencing: string;
  states: number;
  transitions: number;
  /** Steps of the longest shortest way to a state. */
  depth: number;
  /** Counter-examples, each a trace of steps. */
  violations: string[];
  /** Distinct questions that the guard's own program was asked. */
  replayed: number;
  seconds: number;
  claims: Claim[];
}

/**
 * Explores the model exhaustively within the bounds of each run, replays what it asks through `guard/coldspare-node`, and
 * switches its rules off one by one. `full`: wider bounds, minutes instead of seconds.
 */
export function exploreAll({ full }: { full: boolean }): ModelResult[] {
  const results = (full ? FULL : QUICK).map((run) => resultOf(verify(run)));
  return [...results, renewals(), mutations(full)];
}

function resultOf({
  run,
  states,
  transitions,
  depth,
  violations,
  complete,
  excused,
  seconds,
  book,
}: Verified): ModelResult {
  const replayed = replay([book]);
  const traces = violations.map(traceText);
  const wrong = (dead: boolean) => violations.some(({ what }) => what.startsWith("a dead end") === dead);
  const claim = (text: string, ok: boolean, seen = traces.join("\n")): Claim => ({ text, ok, ...(!ok && { seen }) });
  return {
    name: run.name,
    fencing: run.fencing,
    states,
    transitions,
    depth,
    violations: traces,
    replayed: replayed.asked,
    seconds,
    claims: [
      claim(
        `no state with two active, no voter with two records of one epoch, no start of what belongs to the other side`,
        complete && !wrong(false),
      ),
      claim(
        `a way to one running side from every state (${excused} at the bound of epochs not asked)`,
        complete && !wrong(true),
      ),
      claim(
        `the guard answers ${replayed.asked} questions as the model does`,
        replayed.differences.length === 0,
        replayed.differences.slice(0, 3).join("\n"),
      ),
    ],
  };
}

function renewals(): ModelResult {
  const started = Date.now();
  const { asked, differences } = replayRenewals();
  const claim = {
    text: `the guard works out ${asked} renewals as the model does`,
    ok: differences.length === 0,
    ...(differences.length > 0 && { seen: differences.slice(0, 3).join("\n") }),
  };
  return {
    ...EMPTY,
    name: "how long a lease lasts",
    fencing: "lease",
    replayed: asked,
    seconds: (Date.now() - started) / 1000,
    claims: [claim],
  };
}

const EMPTY = { states: 0, transitions: 0, depth: 0, violations: [], replayed: 0 };

function mutations(full: boolean): ModelResult {
  const started = Date.now();
  const result: ModelResult = {
    ...EMPTY,
    name: "each rule switched off is missed",
    fencing: "all",
    seconds: 0,
    claims: [],
  };
  for (const mutation of full ? [...MUTATIONS, ...SLOW_MUTATIONS] : MUTATIONS) {
    const found = counterExample(mutation);
    const steps = found === undefined ? "" : `: after ${found.trace.length} steps ${found.what}`;
    result.claims.push({ text: `without ${mutation.without}${steps}`, ok: found !== undefined });
    result.depth = Math.max(result.depth, found?.trace.length ?? 0);
  }
  result.seconds = (Date.now() - started) / 1000;
  return result;
}
