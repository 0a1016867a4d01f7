/** A new site from nothing, and the package in other people's programs. */
import { existsSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { installedModules, projectFrom, SDK } from "../../tests/engine/consumer";
import { checkout, EngineStack, toolchainEnvironment } from "../../tests/engine/engine";
import type { LiveCluster } from "../../tests/live/clusters";
import { withCluster } from "./cluster";
import { coldspare, type Scenario } from "./scenario";

const fromNothing: Scenario = {
  name: "coldspare init: five answers, and the folder passes its own check",
  part: "empty",
  quick: true,
  run: async ({ check, folder }) => {
    const site = join(folder, "office");
    const run = await coldspare(["init", site, "--yes"]);
    check.that("it writes the folder", run.code === 0, `${run.stdout}\n${run.stderr}`);
    const planned = await coldspare(["check", site, "--json"]);
    check.that("the site passes its own check", planned.code === 0, planned.stdout);
    const report = JSON.parse(planned.stdout || "{}") as { losses?: Record<string, { survives: boolean }> };
    const losses = Object.entries(report.losses ?? {});
    check.that(
      "it survives the loss of any one server",
      losses.length >= 2 && losses.every(([, { survives }]) => survives),
      JSON.stringify(losses),
    );
    const again = await coldspare(["init", site, "--yes"]);
    check.that("a second time it is refused", again.code === 2 && /empty/.test(again.stderr), again.stderr);
  },
};

const consumers = (
  name: string,
  example: string,
  sdk: keyof typeof SDK,
  whyNot?: () => string | undefined,
): Scenario => ({
  name,
  part: "library",
  quick: false,
  ...(whyNot && { whyNot }),
  run: ({ check }) =>
    withCluster("smb", async (cluster) => {
      const project = projectFrom(join(checkout, "examples", example), installedModules(SDK[sdk]));
      const stack = new EngineStack({ program: project, folder: project, stack: "consumer" });
      try {
        await configure(stack, cluster);
        const preview = await stack.preview();
        check.that("the engine previews it", preview.code === 0, preview.log);
        check.that("it would make something", (preview.changes.create ?? 0) > 1, JSON.stringify(preview.changes));
        check.figure(`SDK ${SDK[sdk]}, preview ${preview.seconds.toFixed(1)} s`);
      } finally {
        stack.remove();
        rmSync(project, { recursive: true, force: true });
      }
    }),
});

async function configure(stack: EngineStack, cluster: LiveCluster): Promise<void> {
  stack.trust(cluster.caFile);
  const endpoint = Object.values(cluster.endpoints)[0];
  const token = await cluster.auditor();
  const plain = {
    "proxmoxve:endpoint": endpoint,
    "coldspare:endpoints": cluster.endpoints,
    "coldspare:caFile": cluster.caFile,
  };
  await stack.init(plain, { "proxmoxve:apiToken": token, "coldspare:apiToken": token });
}

function withoutYaml(): string | undefined {
  const path = (toolchainEnvironment().PATH ?? "").split(delimiter);
  const found = path.some((folder) => existsSync(join(folder, "pulumi-language-yaml")));
  return found ? undefined : "the YAML language host is not there (npm test makes it)";
}

export const libraryScenarios: readonly Scenario[] = [
  fromNothing,
  consumers("the packed package in a TypeScript project elsewhere", "one-guest", "newest"),
  consumers("the same as a CommonJS program", "commonjs", "newest"),
  consumers("the same as an ES module, with the oldest SDK that is allowed", "es-module", "oldest"),
  consumers("the plugin in a YAML program", "yaml", "newest", withoutYaml),
];
