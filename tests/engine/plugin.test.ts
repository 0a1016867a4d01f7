/** The plugin, as programs in YAML and Python use it: installed with the package, run by the real engine against the lab. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { parse, stringify } from "yaml";
import { installedModules, projectFrom } from "./consumer";
import { checkout, EngineStack, toolchainEnvironment } from "./engine";
import { SiteLab } from "./site-lab";

jest.setTimeout(300_000);

const toolchain = toolchainEnvironment();
const python = pythonWithSdk();
const yamlHost = (toolchain.PATH ?? "").split(delimiter).some((dir) => existsSync(join(dir, "pulumi-language-yaml")));
const left: (() => void)[] = [];
let modules: string;
let site: SiteLab;

beforeAll(async () => {
  modules = installedModules();
  site = await SiteLab.start();
});
afterAll(async () => {
  for (const remove of left) remove();
  await site?.end();
});

/** Made by `npm test`; see tools/lib/languages.mjs. */
function pythonWithSdk(): string | undefined {
  const { pulumi } = JSON.parse(readFileSync(join(checkout, "tools/toolchain/versions.json"), "utf8"));
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const path = join(cache, "coldspare/python", `pulumi-${pulumi.version}`, "bin/python");
  return existsSync(path) ? path : undefined;
}

/** A test that says why it does not run. */
function where(possible: boolean, why: string) {
  if (!possible) console.warn(`not run: ${why}`);
  return possible ? it : it.skip;
}

async function stackOf(project: string): Promise<EngineStack> {
  const stack = new EngineStack({ program: project, folder: project, stack: "plugin" }, toolchain);
  left.push(() => rmSync(project, { recursive: true, force: true }));
  stack.trust(site.lab.caFile);
  const { endpoints, tokens, caFile } = site.lab;
  await stack.init(
    {
      "proxmoxve:endpoint": endpoints.srv1,
      "coldspare:endpoints": endpoints,
      "coldspare:caFile": caFile,
      "coldspare:protect": false,
    },
    { "proxmoxve:apiToken": tokens.root, "coldspare:apiToken": tokens.root },
  );
  return stack;
}

const example = (name: string) => projectFrom(join(checkout, "examples", name), modules);

it("tells the engine the schema that is recorded", async () => {
  const project = example("yaml");
  const stack = new EngineStack({ program: project, folder: project }, toolchain);
  left.push(() => stack.remove());
  const told = execFileSync("pulumi", ["package", "get-schema", "./node_modules/coldspare/dist/plugin"], {
    cwd: project,
    env: stack.environment(),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  // tests/tools/package-plugin.test.ts records it.
  const recorded = JSON.parse(readFileSync(join(checkout, "tests/fixtures/plugin-schema.json"), "utf8"));
  const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
  expect(JSON.parse(told)).toEqual({ ...recorded, version });
});

describe("a program in YAML", () => {
  const test = where(yamlHost, "the YAML language host is not there (npm test makes it)");

  test("brings a guest up with its spare and finds nothing to change then", async () => {
    const stack = await stackOf(example("yaml"));
    const up = await stack.up();
    if (up.code !== 0) throw new Error(up.log);
    expect(up.log).toContain("SITE-PARTIAL");
    expect(await stack.outputs()).toEqual({ guestId: 570, spare: "srv2" });
    const [guest] = await site.pve.get<{ name: string; node: string }[]>("/cluster/resources", { type: "vm" });
    expect(guest).toMatchObject({ name: "sql", node: "srv1" });
    const again = await stack.up("--refresh");
    expect([again.code, again.steps]).toEqual([0, []]);
  });

  /** Of a guest that is made in the same program. */
  const output = "$" + "{other.guestId}";

  test.each<[string, object, RegExp]>([
    ["a name that does not exist", { cpus: 2 }, /cpus/],
    ["a value that another resource makes", { memoryGiB: output }, /memoryGiB/],
    ["an argument that the plan refuses", { disks: [{ sizeGiB: -1, storage: "tank" }] }, /sizeGiB/],
  ])("is told what is wrong: %s", async (_, change, message) => {
    const project = example("yaml");
    const program = parse(readFileSync(join(project, "Pulumi.yaml"), "utf8"));
    program.resources.other = structuredClone(program.resources.sql);
    program.resources.other.properties.id = 571;
    Object.assign(program.resources.sql.properties, change);
    writeFileSync(join(project, "Pulumi.yaml"), stringify(program));
    const preview = await (await stackOf(project)).preview();
    expect(preview.code).not.toBe(0);
    expect(preview.log).toMatch(message);
    expect(preview.steps.filter((step) => step.endsWith("::sql-vm"))).toEqual([]);
  });
});

describe("a program in Python", () => {
  const test = where(python !== undefined, "Pulumi's SDK for Python is not there (npm test installs it)");

  /** The lab answers in this process: it must not wait for the program without listening. */
  async function run(command: "preview" | "up", stack: EngineStack, project: string) {
    const inline = join(checkout, "tests/engine/programs/inline.py");
    const child = spawn(python ?? "", [inline, command, project, "plugin"], {
      env: stack.environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [answer, log] = [text(child.stdout), text(child.stderr)];
    const code = await new Promise<number | null>((done) => child.once("close", done));
    const said = await answer;
    return { code, answer: said === "" ? undefined : JSON.parse(said), log: said + (await log) };
  }

  test("previews a whole site, which is compared with the servers, and brings it up", async () => {
    const project = example("python");
    const stack = await stackOf(project);
    const preview = await run("preview", stack, project);
    if (preview.code !== 0) throw new Error(preview.log);
    expect(preview.answer.create).toBeGreaterThan(5);
    const up = await run("up", stack, project);
    if (up.code !== 0) throw new Error(up.log);
    expect(up.answer.guests.mail).toMatchObject({ primary: "srv1", spare: "srv2" });
    expect(up.answer.manifest.site).toBeDefined();
    const again = await run("preview", stack, project);
    expect(Object.keys(again.answer)).toEqual(["same"]);
  });

  test("is told every mistake at once, before anything is made", async () => {
    const project = example("python");
    const file = join(project, "site.yaml");
    writeFileSync(
      file,
      readFileSync(file, "utf8").replace("on: srv2", "on: srv9").replace("sizeGiB: 60", "sizeGiB: 6e6"),
    );
    const preview = await run("preview", await stackOf(project), project);
    expect(preview.code).not.toBe(0);
    expect(preview.log).toContain("Site branch cannot be built as it is specified");
    expect(preview.log).toContain("srv9");
  });
});
