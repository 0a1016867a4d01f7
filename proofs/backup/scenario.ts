/** What a scenario of the proof of backups is. */
import type { Check } from "../check";
import type { Chance } from "../random";

/** What the copies are made with. */
export type Part = "restic" | "media" | "zfs" | "pbs" | "vzdump" | "retention";

export interface Surroundings {
  check: Check;
  chance: Chance;
  /** Faults of one kind that are made, one after another: a few in the quick cut, more with --full. */
  rounds: number;
  /** An empty folder of this scenario's own. */
  folder: string;
}

export interface Scenario {
  name: string;
  part: Part;
  /** In the cut that `npm test` runs. */
  quick: boolean;
  /** Why it cannot run here; it is then named, and with CI set counted as failed. */
  whyNot?(): string | undefined;
  run(surroundings: Surroundings): Promise<void>;
}
