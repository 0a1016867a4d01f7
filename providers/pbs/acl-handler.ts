/** What the engine loads for this kind of resource; its name is in stored state. */
import { serve } from "../serve";
import { aclHandler } from "./acl";

export const provider = serve(aclHandler());
