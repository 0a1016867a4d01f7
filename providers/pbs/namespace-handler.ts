/** What the engine loads for this kind of resource; its name is in stored state. */
import { serve } from "../serve";
import { namespaceHandler } from "./namespace";

export const provider = serve(namespaceHandler());
