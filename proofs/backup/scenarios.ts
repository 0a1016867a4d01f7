/** Everything that the proof of backups runs, in this order. */
import type { Scenario } from "./scenario";
import { resticScenarios } from "./scenarios-restic";

export const scenarios: readonly Scenario[] = [...resticScenarios];
