/**
 * The rules of docs/guard.md, written a second time and independently of the program, as functions of plain values. Whatever the
 * model asks of them is noted, and put to the real program afterwards: see replay.ts.
 */
import { NOBODY } from "./layout";

export interface VoterState {
  epoch: number;
  server: number;
  by: number;
  fresh: boolean;
  holder: number;
  /** Ticks left. */
  hold: number;
}

export type Operation =
  | { op: "read" }
  | { op: "claim"; epoch: number; server: number; by: number }
  | { op: "grant"; kind: "start" | "renew"; epoch: number; server: number; term: number }
  | {
      op: "release";
      self: number;
      epoch: number;
      to: number;
      by: number;
      running: boolean;
      starting: boolean;
      kept: boolean;
    }
  | { op: "boot"; term: number };

export interface Applied {
  verdict: "ok" | "denied" | "refused";
  state: VoterState;
  /** What is added to the counter of grants. */
  counts: 0 | 1;
}

/** One operation on one voter's record. */
export function apply(state: VoterState, operation: Operation): Applied {
  const no = (verdict: "denied" | "refused"): Applied => ({ verdict, state, counts: 0 });
  const yes = (change: Partial<VoterState>, counts: 0 | 1 = 0): Applied => ({
    verdict: "ok",
    state: { ...state, fresh: false, ...change },
    counts,
  });
  switch (operation.op) {
    case "read":
      return { verdict: "ok", state, counts: 0 };
    case "claim": {
      const { epoch, server, by } = operation;
      const identical = epoch === state.epoch && server === state.server && by === state.by;
      return state.fresh || identical || epoch > state.epoch ? yes({ epoch, server, by }) : no("denied");
    }
    case "grant": {
      const { epoch, server, term, kind } = operation;
      if (state.fresh || server === NOBODY || state.epoch !== epoch || state.server !== server) return no("denied");
      return yes({ holder: server, hold: term }, kind === "start" ? 1 : 0);
    }
    case "release": {
      const { self, epoch, to, by, running, starting, kept } = operation;
      if (state.epoch === epoch + 1 && state.server === to && state.by === by)
        return { verdict: "ok", state, counts: 0 };
      if (state.epoch !== epoch || state.server !== self || running || starting || kept) return no("refused");
      return yes({ epoch: epoch + 1, server: to, by });
    }
    case "boot":
      return {
        verdict: "ok",
        state: { ...state, hold: state.holder === NOBODY ? 0 : operation.term },
        counts: 0,
      };
  }
}

/** What a voter answered to `read`, `claim` or `grant`. */
export interface Answer {
  voter: number;
  epoch: number;
  server: number;
  by: number;
  fresh: boolean;
}

export interface Question {
  self: number;
  voters: readonly number[];
  stage: "read" | "granted";
  answers: readonly Answer[];
  known?: boolean;
  migrated?: boolean;
  backup?: boolean;
  permit?: boolean;
  otherRuns?: boolean;
  agentDead?: boolean;
}

export type Verdict =
  | { verdict: "pass"; reason: "unknown" | "migration" | "backup" | "permit" }
  | { verdict: "adopt" | "grant" | "start"; epoch: number; by: number }
  | { verdict: "release"; from: number; epoch: number }
  | { verdict: "refuse"; reason: string };

const refuse = (reason: string): Verdict => ({ verdict: "refuse", reason });

/** May this server start the guest? */
export function decide(question: Question): Verdict {
  if (question.known === false) return { verdict: "pass", reason: "unknown" };
  if (question.migrated) return { verdict: "pass", reason: "migration" };
  if (question.backup) return { verdict: "pass", reason: "backup" };
  if (question.otherRuns) return refuse("other-id");
  if (question.agentDead) return refuse("no-agent");
  const verdict = byVotes(question);
  return verdict.verdict === "refuse" && question.permit ? { verdict: "pass", reason: "permit" } : verdict;
}

function byVotes({ self, voters, stage, answers }: Question): Verdict {
  if (!voters.includes(self)) return refuse("no-voter");
  const heard = answers.filter(({ voter }) => voters.includes(voter));
  const agreed = agreedRecord(voters, heard);
  const own = heard.find(({ voter }) => voter === self);
  if (stage === "granted") {
    return agreed?.server === self && agreed.holders.includes(self)
      ? { verdict: "start", epoch: agreed.epoch, by: agreed.by }
      : refuse("not-granted");
  }
  if (!own) return refuse("self");
  if (!agreed) {
    if (heard.length * 2 <= voters.length) return refuse("silent");
    return refuse(heard.some(({ fresh }) => fresh) ? "fresh" : "split");
  }
  if (agreed.server === NOBODY) return refuse("blocked");
  if (agreed.server !== self) return { verdict: "release", from: agreed.server, epoch: agreed.epoch };
  if (agreed.holders.includes(self)) return { verdict: "grant", epoch: agreed.epoch, by: agreed.by };
  return own.fresh || own.epoch < agreed.epoch
    ? { verdict: "adopt", epoch: agreed.epoch, by: agreed.by }
    : refuse("ahead");
}

/** The record that more than half of all voters hold identically. Voters without memory count only when nobody has any. */
function agreedRecord(
  voters: readonly number[],
  heard: readonly Answer[],
): { epoch: number; server: number; by: number; holders: number[] } | undefined {
  const nobodyRemembers = heard.length === voters.length && heard.every(({ epoch }) => epoch === 0);
  const counted = heard.filter(({ fresh }) => !fresh || nobodyRemembers);
  for (const { epoch, server, by } of counted) {
    const same = counted.filter((each) => each.epoch === epoch && each.server === server && each.by === by);
    if (same.length * 2 > voters.length) return { epoch, server, by, holders: same.map(({ voter }) => voter) };
  }
  return undefined;
}

/** How long a guest may run: the k-th largest of what the voters' grants are worth, k the majority. */
export function validity(worths: readonly number[]): number {
  const sorted = [...worths].sort((a, b) => b - a);
  return sorted[Math.floor(worths.length / 2)] ?? 0;
}
