/** Everything that the proof of the way in runs, in this order. */
import type { Scenario } from "./scenario";
import { importScenarios } from "./scenarios-import";
import { libraryScenarios } from "./scenarios-library";
import { liveScenarios } from "./scenarios-live";

export const scenarios: readonly Scenario[] = [...liveScenarios, ...importScenarios, ...libraryScenarios];
