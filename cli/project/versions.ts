/** Versions for a new project, from this package's own package.json. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ProjectVersions } from "./options";

interface Package {
  version: string;
  engines: { node: string };
  dependencies: { typescript: string };
  peerDependencies: { "@pulumi/pulumi": string };
}

/** What this release was made and tested with. */
export function packageVersions(): ProjectVersions {
  // From the sources, and from dist/.
  const file = [join(__dirname, "../../package.json"), join(__dirname, "../../../package.json")].find(existsSync);
  if (file === undefined) throw new Error("coldspare's own package.json is missing: install it again");
  const { version, engines, dependencies, peerDependencies } = JSON.parse(readFileSync(file, "utf8")) as Package;
  return {
    coldspare: `^${version}`,
    pulumi: peerDependencies["@pulumi/pulumi"],
    typescript: dependencies.typescript,
    node: engines.node,
  };
}
