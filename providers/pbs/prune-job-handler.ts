/** What the engine loads for this kind of resource; its name is in stored state. */
import { serve } from "../serve";
import { PRUNE_JOB } from "./jobs";
import { sectionHandler } from "./section";

export const provider = serve(sectionHandler(PRUNE_JOB));
