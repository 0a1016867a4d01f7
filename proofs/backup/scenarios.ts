/** Everything that the proof of backups runs, in this order. */
import type { Scenario } from "./scenario";

export const scenarios: readonly Scenario[] = [];
