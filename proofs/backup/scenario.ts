/** What a scenario of the proof of backups is. */
import type { Listed, Run } from "../list";
import type { Chance } from "../random";

/** What the copies are made with. */
export type Part = "restic" | "media" | "zfs" | "pbs" | "vzdump" | "retention";

export interface Surroundings extends Pick<Run, "check" | "folder"> {
  chance: Chance;
  /** Faults of one kind that are made, one after another: a few in the quick cut, more with --full. */
  rounds: number;
}

export interface Scenario extends Listed {
  part: Part;
  run(surroundings: Surroundings): Promise<void>;
}
