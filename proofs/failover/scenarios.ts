/** The fault suite: every scenario of the proof, in the order of the table. */

import type { Scenario } from "./scenario";
import { crashScenarios } from "./scenarios-crash";
import { lossScenarios } from "./scenarios-loss";
import { powerScenarios } from "./scenarios-power";
import { refusalScenarios } from "./scenarios-refusals";
import { returnScenarios } from "./scenarios-return";
import { splitScenarios } from "./scenarios-split";

export const scenarios: Scenario[] = [
  ...lossScenarios,
  ...splitScenarios,
  ...crashScenarios,
  ...returnScenarios,
  ...powerScenarios,
  ...refusalScenarios,
];
