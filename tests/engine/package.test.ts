/** The package as other people get it: packed, installed outside the checkout, used by a program of their own. */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { type InstalledFile, programFiles } from "../../providers/guard/programs";
import { installInto, manifest, pack } from "./consumer";
import { checkout, EngineStack, type StateResource } from "./engine";
import { SiteLab } from "./site-lab";

jest.setTimeout(300_000);

const example = join(checkout, "examples/one-guest");
let project: string;
let tarball: string;
let site: SiteLab;
const stacks: EngineStack[] = [];

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), "coldspare-consumer-"));
  makeProject(project);
  site = await SiteLab.start();
});

afterAll(async () => {
  for (const stack of stacks) stack.remove();
  await site?.end();
  rmSync(project, { recursive: true, force: true });
});

/** A project that depends on the packed package and on the SDK alone, with the example's files. */
function makeProject(folder: string): void {
  tarball = pack(join(folder, "packed"));
  installInto(folder, tarball);
  for (const file of ["index.ts", "Pulumi.yaml", "tsconfig.json"])
    copyFileSync(join(example, file), join(folder, file));
}

/** A fresh stack of the example, with the lab's credentials where the bridged provider and ours look for them. */
async function stackOf(program: string, name: string, env: NodeJS.ProcessEnv = {}): Promise<EngineStack> {
  const stack = new EngineStack({ program, stack: name, env });
  stacks.push(stack);
  stack.trust(site.lab.caFile);
  const { endpoints, tokens, caFile } = site.lab;
  await stack.init(
    {
      "proxmoxve:endpoint": endpoints.srv1,
      "coldspare:endpoints": endpoints,
      "coldspare:caFile": caFile,
    },
    { "proxmoxve:apiToken": tokens.root, "coldspare:apiToken": tokens.root },
  );
  return stack;
}

/** Files of the installed package, as paths in it. */
const installedFiles = (): string[] =>
  readdirSync(installed(), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(installed(), join(entry.parentPath, entry.name)))
    .sort();
const installed = (...path: string[]): string => join(project, "node_modules/coldspare", ...path);

it("holds what it promises and nothing else", () => {
  expect(readdirSync(installed()).sort()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "dist",
    "docs",
    "package.json",
  ]);
  expect(
    installedFiles().filter((path) => /^dist\/(lab|tests|proofs|bench|examples|tools)\/|\.test\./.test(path)),
  ).toEqual([]);
  const tsc = join(project, "node_modules/typescript/bin/tsc");
  // The types of the package are enough for a strict program.
  execFileSync(process.execPath, [tsc, "-p", project], { stdio: "inherit" });
});

it("is no larger than a package of this kind has to be", () => {
  const packed = statSync(tarball).size;
  const unpacked = installedFiles().reduce((sum, path) => sum + statSync(installed(path)).size, 0);
  console.log(`package: ${(packed / 1e6).toFixed(1)} MB packed, ${(unpacked / 1e6).toFixed(1)} MB on disk`);
  expect(packed).toBeLessThan(4e6);
  expect(unpacked).toBeLessThan(14e6);
});

describe("what package.json exports", () => {
  const entries = Object.entries(manifest().exports).map(
    ([name, target]) => [name, typeof target === "string" ? { default: target } : target] as const,
  );
  const code = entries.filter(([name]) => !name.includes("*") && !name.endsWith(".json"));
  const specifier = (name: string) => `coldspare${name.slice(1)}`;

  it.each(entries)("%s: every target is there", (_, targets) => {
    for (const target of Object.values(targets)) {
      const [before = "", after] = target.split("*");
      const found = installedFiles().filter((path) => `./${path}`.startsWith(before) && path.endsWith(after ?? ""));
      expect(found).not.toEqual([]);
    }
  });

  it.each(code)("%s: require and import give the same names", (name) => {
    const script = `
      const required = Object.keys(require("${specifier(name)}")).sort();
      import("${specifier(name)}").then((imported) => {
        const named = Object.keys(imported).filter((key) => !["default", "module.exports", "__esModule"].includes(key)).sort();
        console.log(JSON.stringify([required, named]));
      });`;
    const out = execFileSync(process.execPath, ["-e", script], { cwd: project, encoding: "utf8" });
    const [required, named] = JSON.parse(out) as [string[], string[]];
    expect(required.length).toBeGreaterThan(0);
    expect(named).toEqual(required);
  });

  it("has types for CommonJS and for ES modules", () => {
    const use = code.map(([name], index) => `import * as e${index} from "${specifier(name)}"; void e${index};`);
    const text = `${use.join("\n")}\nimport { Site, VirtualMachine } from "coldspare"; void [Site, VirtualMachine];\n`;
    for (const file of ["types.cts", "types.mts"]) writeFileSync(join(project, file), text);
    const tsc = join(project, "node_modules/typescript/bin/tsc");
    const options = [
      "--ignoreConfig",
      "--noEmit",
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2022",
      "--types",
      "node",
    ];
    const { status, stdout } = spawnSync(process.execPath, [tsc, ...options, "types.cts", "types.mts"], {
      cwd: project,
      encoding: "utf8",
    });
    expect([status, stdout]).toEqual([0, ""]);
  });
});

it("leads from its code and types to something real", () => {
  const files = new Set(installedFiles());
  const broken = [...files].filter((path) => {
    if (!/\.(js|d\.ts)$/.test(path)) return false;
    const map = /\/\/# sourceMappingURL=(.*)$/m.exec(readFileSync(installed(path), "utf8"))?.[1];
    if (map === undefined) return false;
    const mapPath = join(dirname(path), map);
    if (!files.has(mapPath)) return true;
    const { sources, sourcesContent } = JSON.parse(readFileSync(installed(mapPath), "utf8"));
    return sources.some((source: string, index: number) =>
      sourcesContent?.[index] == null ? !files.has(join(dirname(path), source)) : false,
    );
  });
  expect(broken).toEqual([]);
  // The comments are where an editor shows them.
  expect(readFileSync(installed("dist/components/virtual-machine.d.ts"), "utf8")).toContain("a powered-off replica");
});

it("shows its TypeScript in stack traces", () => {
  const script = 'require("coldspare/planning").siteManifest(undefined)';
  const { stderr } = spawnSync(process.execPath, ["--enable-source-maps", "-e", script], {
    cwd: project,
    encoding: "utf8",
  });
  expect(stderr).toMatch(/planning\/[a-z-]+\.ts:\d+/);
});

it("brings the provider package under the name that it is imported by, which names its plugin", () => {
  const { name, version, pulumi } = JSON.parse(
    readFileSync(join(project, "node_modules/@pulumi/proxmoxve/package.json"), "utf8"),
  );
  const versions = JSON.parse(readFileSync(join(checkout, "tools/toolchain/versions.json"), "utf8"));
  expect([name, version]).toEqual(["@muhlba91/pulumi-proxmoxve", versions.proxmoxve.version]);
  // From here the official language host learns which plugin to install, and from where.
  expect(pulumi).toMatchObject({ resource: true, name: "proxmoxve", version });
  expect(pulumi.server).toMatch(/^github:/);
});

it("brings the programs for servers as they are in the checkout", () => {
  const programs = join(project, "node_modules/coldspare/dist/providers/guard/programs.js");
  const installed: InstalledFile[] = require(programs).programFiles(true);
  expect(installed.map(({ path }) => path)).toContain("/usr/local/lib/coldspare/Coldspare/Decisions.pm");
  expect(installed).toEqual(programFiles(true));
});

it("answers 'coldspare check' from the installed package", () => {
  const bin = join(project, "node_modules/.bin/coldspare");
  const answer = JSON.parse(execFileSync(bin, ["check", "smb-site", "--json"], { cwd: project, encoding: "utf8" }));
  expect(answer.ok).toBe(true);
  expect(answer.guests["sql-erp"].spare).toBe("srv1");
});

it("previews and brings up a guest with its spare, with the handlers of the installed package", async () => {
  const stack = await stackOf(project, "consumer");
  const preview = await stack.preview();
  expect(preview.log).toContain("SITE-PARTIAL");
  expect(preview.code).toBe(0);
  const up = await stack.up();
  if (up.code !== 0) throw new Error(up.log);
  expect(await stack.outputs()).toMatchObject({ guestId: 500, primary: "srv1", spare: "srv2" });
  const again = await stack.up("--refresh");
  expect(again.steps).toEqual([]);
  const { resources } = await stack.state();
  const pair = resources.find(({ type }: StateResource) => type.endsWith("ReplicationPair"));
  expect(pair?.outputs).toMatchObject({ jobId: "500-0", source: "srv1", target: "srv2" });
});

it("takes over a guest that exists: imported with nothing changed in it, and its replication job adopted", async () => {
  const before = await site.pve.get<Record<string, unknown>>("/nodes/srv1/qemu/500/config");
  await site.control("POST", "/calls/reset");
  const stack = await stackOf(project, "taken-over", { COLDSPARE_EXAMPLE_IMPORT: "srv1/500" });
  const up = await stack.up();
  if (up.code !== 0) throw new Error(up.log);
  expect(up.changes.import).toBe(1);
  const { calls } = await site.control<{ calls: Record<string, number> }>("GET", "/calls");
  // The provider writes the configuration once more after an import, with the same values.
  const changing = Object.keys(calls).filter((call) => !call.startsWith("GET"));
  expect(changing.filter((call) => call !== "PUT /nodes/{node}/qemu/{vmid}/config")).toEqual([]);
  expect(await site.pve.get("/nodes/srv1/qemu/500/config")).toEqual(before);
  expect((await stack.up("--refresh")).steps).toEqual([]);
});
