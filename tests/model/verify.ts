/** Explores runs, and says what held. */
import { type Exploration, explore } from "./checker";
import { modelOf } from "./model";
import { Book } from "./replay";
import type { Run } from "./run";
import type { Mutation } from "./runs";

export interface Verified extends Exploration {
  run: Run;
  /** What the rules were asked. */
  book: Book;
}

/** One run: everything that can happen. */
export function verify(run: Run): Verified {
  const book = new Book();
  return { ...explore(modelOf(run, book)), run, book };
}

/** What goes wrong without a rule; `undefined` when the model does not find anything. */
export function counterExample({ run }: Mutation): { what: string; trace: string[] } | undefined {
  return explore(modelOf(run, new Book())).violations[0];
}

/** A counter-example as a person reads it. */
export function traceText({ what, trace }: { what: string; trace: string[] }): string {
  return [...trace.map((step, index) => `${String(index + 1).padStart(3)}. ${step}`), `  => ${what}`].join("\n");
}
