import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadTool } from "./load";

interface Part {
  version: string;
  official?: string;
  checksums?: string;
  module?: string;
  note?: string;
}
const { loadVersions, platformOf, expand, NEEDED } = loadTool<{
  loadVersions(): Record<string, Part>;
  platformOf(platform: string, arch: string): Record<string, string>;
  expand(template: string, version: string, platform: object): string;
  NEEDED: string[];
}>("versions.mjs");
const { toolchainKey } = loadTool<{ toolchainKey(platform: object): string }>("store.mjs");

const root = join(__dirname, "..", "..");
const versions = loadVersions();
const dependencies = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).dependencies as Record<
  string,
  string
>;

test.each([
  ["proxmoxve", "@pulumi/proxmoxve"],
  ["random", "@pulumi/random"],
])("the plugin %s is the one that %s asks for", (plugin, dependency) => {
  expect(dependencies[dependency]?.replace(/^.*@/, "")).toBe(versions[plugin]?.version);
});

test("what is built here is pinned to the same versions", () => {
  const goMod = (module: string): string => readFileSync(join(root, "tools/toolchain", module, "go.mod"), "utf8");
  const engine = versions.pulumi?.version;
  expect(engine).toBe(versions["language-nodejs"]?.version);
  expect(goMod("engine")).toContain(`github.com/pulumi/pulumi/pkg/v3 v${engine}`);
  expect(goMod("engine")).toContain(`github.com/pulumi/pulumi/sdk/v3 v${engine}`);
  const provider = readFileSync(join(root, "tools/toolchain/proxmoxve/main.go"), "utf8");
  expect(provider).toContain(`var version = "${versions.proxmoxve?.version}"`);
});

test("the addresses of a release are complete on every platform", () => {
  for (const [os, arch] of [
    ["linux", "x64"],
    ["linux", "arm64"],
    ["darwin", "x64"],
    ["darwin", "arm64"],
  ] as const) {
    for (const name of NEEDED) {
      const { official, checksums, version } = versions[name] as Part;
      for (const template of [official, checksums]) {
        if (template) expect(new URL(expand(template, version, platformOf(os, arch))).protocol).toBe("https:");
      }
    }
  }
  const { official, version } = versions.pulumi as Part;
  expect(expand(official as string, version, platformOf("linux", "x64"))).toBe(
    "https://get.pulumi.com/releases/sdk/pulumi-v3.259.0-linux-x64.tar.gz",
  );
  expect(expand(versions.proxmoxve?.official as string, "8.6.0", platformOf("darwin", "arm64"))).toBe(
    "https://github.com/muhlba91/pulumi-proxmoxve/releases/download/v8.6.0/pulumi-resource-proxmoxve-v8.6.0-darwin-arm64.tar.gz",
  );
  expect(() => expand("{nope}", "1", {})).toThrow("unknown placeholder {nope}");
});

test("an unsupported platform is told what to use", () => {
  expect(() => platformOf("win32", "x64")).toThrow("install WSL 2");
  expect(() => platformOf("linux", "ia32")).toThrow("use Linux or macOS on x64 or arm64");
});

test("platforms do not share a cache", () => {
  const keys = [toolchainKey(platformOf("linux", "x64")), toolchainKey(platformOf("linux", "arm64"))];
  expect(new Set(keys).size).toBe(2);
  expect(toolchainKey(platformOf("linux", "x64"))).toBe(keys[0]);
});
