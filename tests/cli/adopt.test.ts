/** `coldspare adopt` at the command line, with a Pulumi that answers what it is told. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakePulumi } from "../operations/fake-pulumi";
import { coldspare } from "./run";

const VM = "proxmoxve:index/vmLegacy:VmLegacy";
const urn = `urn:pulumi:prod::site::coldspare:index:Site$${VM}::web-vm`;
const imported = { op: "import", urn, newState: { type: VM, custom: true, importID: "srv1/100" } };
const differing = {
  op: "update",
  urn,
  newState: { type: VM, custom: true, inputs: { memory: { dedicated: 8192 } } },
  oldState: { inputs: { memory: { dedicated: 4096 } } },
  detailedDiff: { "memory.dedicated": { kind: "update" } },
};
const state = JSON.stringify({ version: 3, deployment: {} });

let pulumi: FakePulumi;
beforeEach(() => {
  pulumi = new FakePulumi();
});
afterEach(() => pulumi.remove());

const answers = (steps: unknown[]) =>
  pulumi.answers({
    "stack export": { stdout: state },
    preview: { stdout: JSON.stringify({ steps }) },
    up: { stdout: "done" },
  });
const run = (...args: string[]) => coldspare(["adopt", pulumi.project, "--stack", "prod", ...args], pulumi.env);
const commands = () => pulumi.calls().map(([command]) => command);

it("shows with --dry-run what would be taken over, and runs nothing", async () => {
  answers([imported]);
  const { code, out, err } = await run("--dry-run");
  expect(code).toBe(0);
  expect(out).toBe("");
  expect(err).toContain("exists, and is taken over as it is:");
  expect(err).toMatch(/web-vm\s+srv1\/100/);
  expect(err).toContain("nothing was changed (--dry-run)");
  expect(commands()).toEqual(["stack", "preview"]);
});

it("prints one document with --json", async () => {
  answers([imported]);
  const { code, out } = await run("--dry-run", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual({
    formatVersion: 1,
    outcome: "declined",
    imports: [{ urn, name: "web-vm", id: "srv1/100" }],
    creates: [],
    completes: [],
    refusals: [],
  });
});

it("refuses what would change, says what to write, and runs nothing even with --yes", async () => {
  answers([imported, differing]);
  const { code, err } = await run("--yes");
  expect(code).toBe(1);
  expect(err).toContain("OPERATION-ADOPT-CHANGES");
  expect(err).toContain("4096 there, 8192 in the site file");
  expect(err).toContain("nothing was changed");
  expect(commands()).toEqual(["stack", "preview"]);
});

it("has nothing to do where all is in the stack", async () => {
  answers([]);
  const { code, err } = await run("--yes");
  expect(code).toBe(0);
  expect(err).toContain("there is nothing to take over");
});

it("asks before anything is read, where nobody can be asked", async () => {
  const { code, err } = await run();
  expect(code).toBe(2);
  expect(err).toContain("there is no terminal to ask at");
  expect(pulumi.calls()).toEqual([]);
});

it("takes a file of the project for its folder, and says where there is none", async () => {
  answers([]);
  const file = join(pulumi.project, "site.yaml");
  writeFileSync(file, "");
  expect((await coldspare(["adopt", file, "--yes"], pulumi.env)).code).toBe(0);
  const nowhere = await coldspare(["adopt", join(pulumi.project, "gone"), "--yes"], pulumi.env);
  expect(nowhere.code).toBe(2);
  expect(nowhere.err).toContain("does not exist");
  const outside = await coldspare(["adopt", pulumi.folder, "--yes"], pulumi.env);
  expect(outside.code).toBe(2);
  expect(outside.err).toContain("there is no Pulumi.yaml");
});

it("says why pulumi could not be read", async () => {
  pulumi.answers({ "stack export": { stderr: "error: no stack named 'prod' found", code: 255 } });
  const { code, err } = await run("--yes");
  expect(code).toBe(1);
  expect(err.replace(/\s+/g, " ")).toContain("no stack named 'prod' found");
});
