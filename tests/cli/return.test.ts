import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../cli/program";
import { planSite, type SiteSpec, siteManifest } from "../../planning";
import { manifestText } from "../../planning/manifest-text";
import { loadLayout } from "../../stacks/layouts";
import { FakePulumi } from "../operations/fake-pulumi";
import { coldspare } from "./run";

let folder: string;
let fake: FakePulumi;
let env: Record<string, string>;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "coldspare-return-cli-"));
  fake = new FakePulumi();
  // Nobody listens there: a site whose servers are all dead, which costs no time on this machine.
  const endpoints = { srv1: "https://127.0.0.1:1", srv2: "https://127.0.0.1:1" };
  const manifest = join(folder, "site.json");
  writeFileSync(manifest, manifestText(siteManifest(planSite(loadLayout("smb-site") as SiteSpec), { endpoints })));
  env = {
    ...fake.env,
    HOME: folder,
    COLDSPARE_STATE: join(folder, "state"),
    COLDSPARE_MANIFEST: manifest,
    COLDSPARE_API_TOKEN: "coldspare@pve!cli=00000000-0000-0000-0000-000000000000",
  };
});
afterAll(() => {
  fake.remove();
  rmSync(folder, { recursive: true });
});

test.each([
  [["failback"], /missing required argument 'guest\|server'/],
  [["failback", "sql-erp", "--diverged", "burn"], /Allowed choices are discard, keep, extract/],
  [["failback", "sql-erp", "--stop-seconds", "soon"], /write whole seconds/],
  [["maintenance", "srv2", "--begin", "--end"], /give one of --begin, --end and --status/],
  [["maintenance", "srv3"], /smb has no server 'srv3'; did you mean 'srv1'\?/],
  [["up", "--yes", "--project", "/"], /no Pulumi.yaml in this folder or above it/],
])("%j is wrong use", async (args, message) => {
  const { code, out, err } = await coldspare(args, env);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(message);
});

test.each(["failback", "commit"])(
  "%s with every server dead: all refusals at once, and JSON says the same",
  async (kind) => {
    const { code, out, err } = await coldspare(
      [kind, "sql-erp", "nothing", "--json", "--diverged", "keep", "--yes"],
      env,
    );
    const document = JSON.parse(out);
    expect(document).toMatchObject({ formatVersion: 1, site: "smb", kind, ok: false, guests: [] });
    expect(document.refusals.map((each: { code: string }) => each.code)).toEqual([
      "OPERATION-SIDE-UNKNOWN",
      "OPERATION-UNKNOWN-GUEST",
    ]);
    expect(code).toBe(1);
    expect(err).toMatch(/nothing was changed/);
    expect(out + err).not.toContain("00000000-0000");
  },
);

test("maintenance: nothing is open, and a site without servers is not left", async () => {
  const status = await coldspare(["maintenance", "srv2", "--status"], env);
  expect(status).toMatchObject({ code: 0, out: "no maintenance of srv2 is open\n" });
  expect(await coldspare(["maintenance", "srv2", "--end"], env)).toMatchObject({ code: 1, out: "" });
  const begin = await coldspare(["maintenance", "srv2", "--begin", "--yes", "--json"], env);
  expect(begin.code).toBe(1);
  expect(JSON.parse(begin.out)).toMatchObject({ ok: false, phase: "none", server: "srv2" });
});

test("shutdown of a site that is off has nothing to do; start waits for buttons that somebody presses", async () => {
  const down = await coldspare(["shutdown", "--dry-run", "--guests-only", "--json"], env);
  expect(JSON.parse(down.out)).toMatchObject({ way: "down", ok: true, actions: [] });
  const up = await coldspare(["start", "--dry-run", "--json"], env);
  const { actions, warnings } = JSON.parse(up.out);
  expect(
    actions.filter(({ kind }: { kind: string }) => kind === "server").map(({ server }: { server: string }) => server),
  ).toEqual(["srv2", "srv1"]);
  expect(warnings.map(({ code }: { code: string }) => code)).toEqual(["OPERATION-SWITCH-ON", "OPERATION-SWITCH-ON"]);
});

test("start: who says no gets the report, with --json, and nothing is changed", async () => {
  let out = "";
  const stdout = { isTTY: false, write: (text: string) => (out += text) };
  const stderr = { isTTY: true, write: () => "" };
  const code = await run(["start", "--json"], { stdout, stderr, env, ask: async () => "no" });
  expect(JSON.parse(out)).toMatchObject({ formatVersion: 1, way: "up", outcome: "declined", ok: false });
  expect(code).toBe(1);
});

test("up without a hypervisor that answers is refused before Pulumi is asked for anything but its state", async () => {
  fake.answers({ "stack export": { stdout: JSON.stringify({ deployment: { resources: [] } }) } });
  const { code, err } = await coldspare(["up", "--project", fake.project, "--stack", "prod", "--", "--yes"], env);
  expect(code).toBe(1);
  expect(err).toMatch(/OPERATION-UP-NO-SERVER/);
  expect(err).toMatch(/pulumi up was not run/);
  expect(fake.calls()).toEqual([["stack", "export", "--non-interactive", "--stack", "prod"]]);
});

test.each(["failback", "commit", "maintenance", "shutdown", "start", "up", "runbook", "power-order"])(
  "%s has help with examples",
  async (command) => {
    const { code, out } = await coldspare([command, "--help"]);
    expect(code).toBe(0);
    expect(out).toMatch(/Examples:\n {2}coldspare /);
  },
);
