import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";
import { type Compiled, compileProgram, runProgram } from "./compiled";

describe("the program as a process", () => {
  let compiled: Compiled;
  let folder: string;
  beforeAll(() => {
    compiled = compileProgram();
    folder = realpathSync(mkdtempSync(join(tmpdir(), "coldspare-process-")));
  });
  afterAll(() => {
    compiled.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test("check loads no Pulumi, neither at the start nor later", () => {
    const spy = join(folder, "spy.cjs");
    writeFileSync(
      spy,
      `process.on("exit", () => {
        const loaded = Object.keys(require.cache);
        process.stderr.write(JSON.stringify({ count: loaded.length, pulumi: loaded.filter((path) => /pulumi/.test(path)) }));
      });`,
    );
    const { status, stdout, stderr } = runProgram(compiled, ["check", "smb-site"], { node: ["--require", spy] });
    const { count, pulumi } = JSON.parse(stderr);
    expect(pulumi).toEqual([]);
    expect(count).toBeGreaterThan(10);
    expect(status).toBe(0);
    expect(stdout).toContain("survives the loss of any one server");
  });

  test("exit codes reach the shell", () => {
    expect(runProgram(compiled, ["check", "smb-site-too-large", "--quiet"]).status).toBe(1);
    expect(runProgram(compiled, ["check", "nowhere"]).status).toBe(2);
    expect(runProgram(compiled, []).status).toBe(2);
  });

  test("an older Node.js is told so in one line", () => {
    const old = join(folder, "old.cjs");
    writeFileSync(old, `Object.defineProperty(process.versions, "node", { value: "20.19.0" });`);
    const { status, stdout, stderr } = runProgram(compiled, ["check", "smb-site"], { node: ["--require", old] });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^coldspare needs Node\.js 22\.12 or newer \(this is v[\d.]+\)\n$/);
  });

  test("--version, --help", () => {
    expect(runProgram(compiled, ["--version"])).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
    const { status, stdout } = runProgram(compiled, ["check", "--help"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/Examples:[\s\S]*Exit codes:\n {2}0 /);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test.each([
    [
      "site.ts",
      "interface Named { name: string }\nconst site: Named = { name: 'typed' };\nexport default { site, servers: {} };\n",
    ],
    ["named.mjs", "export const site = { site: { name: 'typed' }, servers: {} };\n"],
    ["site.cjs", "module.exports = { site: { name: 'typed' }, servers: {} };\n"],
    ["compiled.cjs", "exports.__esModule = true; exports.default = { site: { name: 'typed' }, servers: {} };\n"],
  ])("reads %s", (name, text) => {
    writeFileSync(join(folder, name), text);
    const { stdout, stderr } = runProgram(compiled, ["check", `./${name}`, "--json"], { cwd: folder });
    expect(
      stderr.replace(/.*(ExperimentalWarning|MODULE_TYPELESS|Reparsing|To eliminate|--trace-warnings).*\n/g, ""),
    ).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({ source: name, site: { name: "typed" } });
  });

  test.each([
    [
      "broken.ts",
      "export default {\n  site: { name: 'a' },\n  servers: {{},\n};\n",
      /broken\.ts cannot be loaded: line 3/,
    ],
    ["empty.mjs", "export const nothing = 1;\n", /empty\.mjs exports no site: write/],
    ["throws.mjs", "throw new Error('no such office');\n", /throws\.mjs cannot be loaded: no such office/],
  ])("explains %s", (name, text, message) => {
    writeFileSync(join(folder, name), text);
    const { status, stdout, stderr } = runProgram(compiled, ["check", `./${name}`], { cwd: folder });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });

  test("a mistake in a module is a finding, not a riddle", () => {
    writeFileSync(join(folder, "mistake.mjs"), "export default { site: { name: 'typed' }, server: {} };\n");
    const { status, stdout } = runProgram(compiled, ["check", "./mistake.mjs", "--quiet"], { cwd: folder });
    expect(status).toBe(1);
    expect(stdout).toMatch(/SPEC-UNKNOWN-KEY {2}server\n[\s\S]*'servers'/);
  });

  test("schema prints a JSON Schema that editors can use", () => {
    const { status, stdout } = runProgram(compiled, ["schema"]);
    expect(status).toBe(0);
    const schema = JSON.parse(stdout);
    expect(schema.properties.guests.additionalProperties).toBeDefined();
    expect(schema.required).toEqual(["site", "servers"]);
  });
});
