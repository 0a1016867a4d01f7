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
export const deliberateDifferences: DeliberateDifference[] = [
  {
    file: "19-bridge",
    seq: [472],
    what: "data[eno1]",
    why: "The recorded node was a network namespace without a network card; a node of the lab has one, as real servers do.",
  },
  {
    file: "19-bridge",
    seq: [473],
    what: "*",
    why:
      "The recorded node had Debian's ifupdown2, which PVE refuses to reload with; the lab's nodes have PVE's own, so the " +
      "reload starts a task. That case is a check of the plan where the node can be read.",
  },
  {
    file: "39-failover-by-config-move",
    seq: [726],
    what: "data[*].guest",
    why:
      "For one call after a configuration was moved PVE answered the guest's id as text, from then on (733) as a number: " +
      "an accident of Perl's scalars, which the lab does not imitate.",
  },
];

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
