/** Explores runs, replays them through the program, and says what held. */
import { type Exploration, explore } from "./checker";
import { modelOf } from "./model";
import { Book, type Replayed, replay } from "./replay";
import type { Run } from "./run";
import type { Mutation } from "./runs";

export interface Verified extends Exploration {
  run: Run;
  replayed: Replayed;
}

/** One run: everything that can happen, and the program's answers to everything that is asked in it. */
export function verify(run: Run): Verified {
  const book = new Book();
  const explored = explore(modelOf(run, book));
  return { ...explored, run, replayed: replay([book]) };
}

/** What goes wrong without a rule; `undefined` when the model does not find anything. */
export function counterExample({ run }: Mutation): { what: string; trace: string[] } | undefined {
  return explore(modelOf(run, new Book())).violations[0];
}

/** A counter-example as a person reads it. */
export function traceText({ what, trace }: { what: string; trace: string[] }): string {
  return [...trace.map((step, index) => `${String(index + 1).padStart(3)}. ${step}`), `  => ${what}`].join("\n");
}
