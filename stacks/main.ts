/** The Pulumi program: reads the stack's settings and the site's specification, builds the site, exports its report. */
import { runSite } from "./run-site";

export = runSite;
