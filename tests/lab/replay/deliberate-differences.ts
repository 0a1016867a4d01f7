import type { Difference } from "./compare";

/** A point in which the lab answers otherwise than the real API on purpose, and why. */
export interface DeliberateDifference {
  /** Recording without `.jsonl`; `*` for all. */
  file: string;
  /** Calls of that file; absent for all. */
  seq?: number[];
  /** Where in the answer: a name as in {@link Difference}, `*` in it stands for any text. */
  what: string;
  /** Why it stays so. */
  why: string;
}

/** All of them. An entry that no longer matches anything fails the replay: the list only shrinks by being true. */
export const deliberateDifferences: DeliberateDifference[] = [];

/** The entry that covers a difference. */
export function reasonFor(difference: Difference, list = deliberateDifferences): DeliberateDifference | undefined {
  return list.find(
    (entry) =>
      (entry.file === "*" || entry.file === difference.file) &&
      (entry.seq === undefined || entry.seq.includes(difference.seq)) &&
      pattern(entry.what).test(difference.what),
  );
}

function pattern(what: string): RegExp {
  return new RegExp(
    `^${what
      .split("*")
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")}$`,
  );
}
