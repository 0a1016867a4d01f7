/** Which provider a guest is read by, from the package that this release depends on. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ProviderSource } from "../planning/adoption/import-file";

const PACKAGE = "@pulumi/proxmoxve";

/** Read without loading it: the package loads the engine's libraries. */
export function providerSource(): ProviderSource {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    const file = join(folder, "node_modules", PACKAGE, "package.json");
    if (existsSync(file)) {
      const { version, pulumi } = JSON.parse(readFileSync(file, "utf8")) as {
        version: string;
        pulumi: { server: string };
      };
      return { version, pluginDownloadUrl: pulumi.server };
    }
    if (folder === dirname(folder)) throw new Error(`the package ${PACKAGE} is missing: install coldspare again`);
  }
}
