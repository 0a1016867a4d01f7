// The program of a site whose specification is a file: what `coldspare init` writes.
import { runSite } from "coldspare/stacks";

export = runSite({ siteFile: "site.yaml" });
