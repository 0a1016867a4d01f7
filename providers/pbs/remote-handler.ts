/** What the engine loads for this kind of resource; its name is in stored state. */
import { serve } from "../serve";
import { remoteHandler } from "./access";

export const provider = serve(remoteHandler());
