/** Everything that the proof of backups runs, in this order. */
import type { Scenario } from "./scenario";
import { mediaScenarios } from "./scenarios-media";
import { pbsScenarios } from "./scenarios-pbs";
import { resticScenarios } from "./scenarios-restic";
import { zfsScenarios } from "./scenarios-zfs";

export const scenarios: readonly Scenario[] = [...resticScenarios, ...mediaScenarios, ...zfsScenarios, ...pbsScenarios];
