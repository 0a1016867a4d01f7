/** The package as other people get it: packed, installed outside the checkout, used by a program of their own. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type InstalledFile, programFiles } from "../../providers/guard/programs";
import { checkout, EngineStack, type StateResource } from "./engine";
import { SiteLab } from "./site-lab";

jest.setTimeout(300_000);

const example = join(checkout, "examples/one-guest");
let project: string;
let site: SiteLab;
const stacks: EngineStack[] = [];

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), "coldspare-consumer-"));
  installInto(project);
  site = await SiteLab.start();
});

afterAll(async () => {
  for (const stack of stacks) stack.remove();
  await site?.end();
  rmSync(project, { recursive: true, force: true });
});

/** A project that depends on the packed package and on the SDK alone. */
function installInto(folder: string): void {
  const run = (command: string, args: string[], cwd: string) =>
    execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const packed = join(folder, "packed");
  mkdirSync(packed);
  run("npm", ["pack", "--pack-destination", packed, "--silent"], checkout);
  const tarball = readdirSync(packed)[0] ?? "";
  const { devDependencies } = require("../../package.json") as { devDependencies: Record<string, string> };
  const dependencies = { coldspare: `file:packed/${tarball}`, "@pulumi/pulumi": devDependencies["@pulumi/pulumi"] };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, dependencies }));
  for (const file of ["index.ts", "Pulumi.yaml", "tsconfig.json"])
    copyFileSync(join(example, file), join(folder, file));
  run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--silent"], folder);
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

it("holds what it promises and nothing else", () => {
  const installed = join(project, "node_modules/coldspare");
  expect(readdirSync(installed).sort()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "dist",
    "docs",
    "package.json",
  ]);
  expect(readdirSync(join(installed, "dist"))).not.toContain("lab");
  const tsc = join(project, "node_modules/typescript/bin/tsc");
  // The types of the package are enough for a strict program.
  execFileSync(process.execPath, [tsc, "-p", project], { stdio: "inherit" });
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
