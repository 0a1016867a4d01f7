// The groups in which the toolchain is fetched or built: what is downloaded together is obtained together.
import { join } from "node:path";
import { placeScript } from "./home.mjs";
import { verifyCli, verifyLanguageHost, verifyPlugin, verifyTokens } from "./verify.mjs";

const DYNAMIC_PROVIDER = "pulumi-resource-pulumi-nodejs";

/**
 * Dynamic providers run from the program's own @pulumi/pulumi. Programs that are given inline have no folder of their
 * own: the checkout's modules serve them.
 */
const DYNAMIC_PROVIDER_SCRIPT = `#!/bin/sh
main=$(node -p 'require.resolve("@pulumi/pulumi/cmd/dynamic-provider", { paths: [process.cwd(), process.env.COLDSPARE_MODULES].filter(Boolean) })') || exit 1
exec node "$main" "$@"
`;

/**
 * @returns the groups; each has `names` (parts of the manifest), `wanted` (files), `dir` and `paths` (in the store), how
 *   to build it if it can be built, and how to check it
 */
export function toolchainGroups(versions) {
  const engine = versions.pulumi;
  const host = versions["language-nodejs"];
  return [
    {
      names: ["pulumi", "language-nodejs"],
      what: `${engine.what} and ${host.what} ${engine.version}`,
      part: engine,
      dir: "bin",
      files: ["pulumi", "pulumi-language-nodejs", DYNAMIC_PROVIDER],
      // What the publisher's archive holds beside them, for programs in other languages; languages.mjs sees to it otherwise.
      bundled: ["pulumi-language-yaml", "pulumi-language-python", "pulumi-language-python-exec"],
      build: {
        module: engine.module,
        programs: { pulumi: engine.package, "pulumi-language-nodejs": host.package },
        // A module build does not know its version; the engine and the Automation API both ask for it.
        ldflags: `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${engine.version}`,
      },
      finish: (dir) => placeScript(join(dir, DYNAMIC_PROVIDER), DYNAMIC_PROVIDER_SCRIPT),
      verify: async (dir) => {
        await verifyCli(dir, engine.version);
        await verifyLanguageHost(dir);
      },
    },
    plugin("proxmoxve", versions.proxmoxve),
    plugin("random", versions.random),
  ];
}

function plugin(name, part) {
  const file = `pulumi-resource-${name}`;
  return {
    names: [name],
    what: `${part.what} ${part.version}`,
    part,
    dir: join("plugins", name),
    files: [file],
    script: part.script,
    build: part.module && { module: part.module, programs: { [file]: part.package }, ldflags: "" },
    verify: async (dir, way) => {
      await verifyPlugin(join(dir, file), name, part.version);
      if (way === "build" && part.tokens) await verifyTokens(join(dir, file), part.tokens);
    },
  };
}
