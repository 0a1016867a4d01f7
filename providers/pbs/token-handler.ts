/** What the engine loads for this kind of resource; its name is in stored state. */
import { serve } from "../serve";
import { tokenHandler } from "./token";

export const provider = serve(tokenHandler());
