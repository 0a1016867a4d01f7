import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { loadTool } from "./load";
import { inFolder } from "./serve";

const { dependenciesAreStale, buildIsStale } = loadTool<{
  dependenciesAreStale(checkout: string): boolean;
  buildIsStale(checkout: string): boolean;
}>("checkout.mjs");
const { installPlugins, pluginScript, toolchainEnv } = loadTool<{
  installPlugins(home: string, plugins: object[]): void;
  pluginScript(node: string, main: string): string;
  toolchainEnv(options: object): Record<string, string>;
}>("home.mjs");

function put(path: string, content: string, seconds?: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  if (seconds !== undefined) utimesSync(path, seconds, seconds);
}

function lock(packages: Record<string, object>): string {
  return JSON.stringify({ packages: { "": { name: "site" }, ...packages } });
}

test.each<[string, Record<string, object> | undefined, boolean]>([
  ["nothing installed", undefined, true],
  ["as the lock file says", { "node_modules/a": { version: "1.0.0" } }, false],
  ["another version", { "node_modules/a": { version: "1.0.1" } }, true],
  ["one is missing", {}, true],
])("dependencies: %s", (_name, installed, stale) =>
  inFolder((folder) => {
    const optional = { "node_modules/other-platform": { version: "1.0.0", optional: true } };
    put(join(folder, "package-lock.json"), lock({ "node_modules/a": { version: "1.0.0" }, ...optional }));
    if (installed) put(join(folder, "node_modules/.package-lock.json"), lock(installed));
    expect(dependenciesAreStale(folder)).toBe(stale);
  }),
);

describe("the build", () => {
  const at = (folder: string, source: number, stamp?: number): void => {
    put(join(folder, "planning/plan.ts"), "", source);
    utimesSync(join(folder, "planning"), source, source);
    put(join(folder, "tests/x.test.ts"), "", source + 1000);
    if (stamp !== undefined) put(join(folder, "dist/.built"), "", stamp);
  };
  test.each<[string, number, number | undefined, boolean]>([
    ["is stale when it never succeeded", 1000, undefined, true],
    ["is fresh when it is newer than every source, whatever the tests' age", 1000, 1500, false],
    ["is stale when a source is newer", 1000, 900, true],
  ])("%s", (_name, source, stamp, stale) =>
    inFolder((folder) => {
      at(folder, source, stamp);
      expect(buildIsStale(folder)).toBe(stale);
    }),
  );
});

test("plugins lie where the engine looks first, and stay untouched when nothing changed", () =>
  inFolder((folder) => {
    const target = join(folder, "cache", "pulumi-resource-a");
    put(target, "binary");
    const plugins = [
      { name: "a", version: "1.2.3", target },
      { name: "b", version: "4.5.6", script: pluginScript("/opt/it's/node", "/x/main.cjs") },
    ];
    installPlugins(folder, plugins);
    expect(readFileSync(join(folder, "plugins/resource-a-v1.2.3/pulumi-resource-a"), "utf8")).toBe("binary");
    const script = join(folder, "plugins/resource-b-v4.5.6/pulumi-resource-b");
    expect(readFileSync(script, "utf8")).toBe(`#!/bin/sh\nexec '/opt/it'\\''s/node' '/x/main.cjs' "$@"\n`);
    const { mode, ino } = statSync(script);
    expect(mode & 0o111).toBe(0o111);
    installPlugins(folder, plugins);
    expect(statSync(script).ino).toBe(ino);
  }));

test("the engine runs with the checkout's Node.js, pinned plugins, and no downloads of its own", () => {
  const env = toolchainEnv({ checkout: "/c", binDir: "/t/bin", pulumiHome: "/h", env: { PATH: "/usr/bin" } });
  expect(env).toEqual({
    PATH: "/c/node_modules/.bin:/t/bin:/usr/bin",
    PULUMI_HOME: "/h",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    COLDSPARE_MODULES: "/c",
  });
});
