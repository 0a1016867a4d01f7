import { join } from "node:path";
import { loadTool } from "./load";
import { inFolder } from "./serve";

interface GoError extends Error {
  advice: string;
  unusable: boolean;
}
const { neededGo, missingGo, explainGoVersion, explainFailure } = loadTool<{
  neededGo(goMod: string): string;
  missingGo(needed: string): GoError;
  explainGoVersion(output: string, needed: string): GoError | undefined;
  explainFailure(error: { message: string; output: string }, needed: string): GoError;
}>("go.mjs");
const { ensureToolchain } = loadTool<{
  ensureToolchain(options: object): Promise<{ ok: boolean; missing: string[]; advice: string; noWay: boolean }>;
}>("toolchain.mjs");

test("the needed Go is what go.mod says", () => {
  expect(neededGo("module example.com/x\n\ngo 1.26.0\n\nrequire (\n)\n")).toBe("1.26.0");
});

test("without Go it says which one to install, and what else would do", () => {
  const { message, advice, unusable } = missingGo("1.26.0");
  expect(message).toBe("Go was not found");
  expect(advice).toContain("Install Go 1.26.0 or newer");
  expect(advice).toContain("get.pulumi.com");
  expect(unusable).toBe(true);
});

test("a Go that is too old is named with the needed one and with what keeps it old", () => {
  const output = "go: go.mod requires go >= 1.26.0 (running go 1.19.8; GOTOOLCHAIN=local)\n";
  const error = explainGoVersion(output, "1.26.0");
  expect(error?.message).toBe("Go 1.19.8 is too old: 1.26.0 is needed");
  expect(error?.advice).toContain("GOTOOLCHAIN=local keeps Go from fetching a newer one");
  expect(explainGoVersion("something else", "1.26.0")).toBeUndefined();
});

test.each([
  ["/usr/lib: no space left on device", "the disk is full"],
  ["compile: signal: killed", "the compiler ran out of memory"],
  ['Get "https://proxy.example/x": dial tcp: lookup proxy.example: no such host', "Go modules cannot be fetched"],
])("%s is explained as: %s", (output, message) => {
  expect(explainFailure({ message: "go build ended with 1", output }, "1.26.0").message).toContain(message);
});

test("with neither downloads nor Go, each missing part is named and nothing hangs", () =>
  inFolder(async (folder) => {
    const env = { XDG_CACHE_HOME: join(folder, "cache"), COLDSPARE_GO: join(folder, "go") };
    const log = Object.assign(() => {}, { status: () => {} });
    const result = await ensureToolchain({ checkout: folder, mode: "build", env, log });
    expect(result.ok).toBe(false);
    expect(result.noWay).toBe(true);
    expect(result.missing).toEqual([
      "Pulumi CLI (the engine) and Node.js language host 3.259.0",
      "Proxmox VE provider plugin 8.6.0",
    ]);
    expect(result.advice).toContain("Go was not found");
  }));

test("an unknown way is a wrong usage", async () => {
  const result = await ensureToolchain({ checkout: "/nowhere", env: { COLDSPARE_TOOLCHAIN: "guess" } });
  expect(result).toMatchObject({ ok: false, advice: expect.stringContaining("use one of auto, download, build") });
});
