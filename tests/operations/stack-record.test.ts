import { join } from "node:path";
import { recordActive, recordLines } from "../../operations/stack-record";
import { FakePulumi } from "./fake-pulumi";

let fake: FakePulumi;
beforeAll(() => {
  fake = new FakePulumi();
});
beforeEach(() => fake.answers({}));
afterEach(() => fake.calls());
afterAll(() => fake.remove());

test("sets the key of what is away and removes that of what is home, from any folder of the project", async () => {
  const project = join(fake.project, "below");
  const result = await recordActive(
    { "sql-erp": "spare", "dc-1": "primary" },
    { project, env: fake.env, stack: "prod" },
  );
  expect(result).toEqual({ recorded: ["dc-1", "sql-erp"], commands: [] });
  expect(fake.calls()).toEqual([
    ["config", "rm", "--path", "coldspare:active.dc-1", "--stack", "prod", "--non-interactive"],
    ["config", "set", "--path", "coldspare:active.sql-erp", "spare", "--stack", "prod", "--non-interactive"],
  ]);
  expect(recordLines(result)).toEqual(["recorded in the stack's config: dc-1, sql-erp"]);
});

test.each([
  ["named by PULUMI_STACK", { PULUMI_STACK: "lab" }, ["--stack", "lab"]],
  ["otherwise the one that is selected", {}, []],
])("the stack: %s", async (_, env, expected) => {
  await recordActive({ web: "spare" }, { project: fake.project, env: { ...fake.env, ...env } });
  expect(fake.calls()).toEqual([
    ["config", "set", "--path", "coldspare:active.web", "spare", ...expected, "--non-interactive"],
  ]);
});

test("a backend that is away costs one attempt, and what is left to type is said", async () => {
  fake.answers({ "active.b": { code: 255, stderr: "\nerror: could not reach the backend\nmore\n" } });
  const result = await recordActive({ a: "spare", b: "spare", c: "primary" }, { project: fake.project, env: fake.env });
  expect(result).toEqual({
    recorded: ["a"],
    commands: ["pulumi config set --path 'coldspare:active.b' spare", "pulumi config rm --path 'coldspare:active.c'"],
    reason: "could not reach the backend",
  });
  expect(fake.calls()).toHaveLength(2);
  expect(recordLines(result)[1]).toMatch(/^not recorded in the stack's config \(could not reach the backend\)/);
});

test.each([
  ["no pulumi in PATH", { PATH: "/nonexistent" }, undefined, /no `pulumi` in PATH/],
  ["no project", undefined, "/", /no Pulumi.yaml in \/ or above it/],
])("%s is no failure of the operation", async (_, env, project, reason) => {
  const result = await recordActive({ web: "spare" }, { project: project ?? fake.project, env: env ?? fake.env });
  expect(result.recorded).toEqual([]);
  expect(result.commands).toEqual(["pulumi config set --path 'coldspare:active.web' spare"]);
  expect(result.reason).toMatch(reason);
});

test("an answer that never comes is given up, and said", async () => {
  const engine = () => Promise.resolve({ code: 124, stdout: "", stderr: "pulumi gave no answer within 30 s" });
  const result = await recordActive({ web: "spare" }, { project: fake.project, env: fake.env, engine });
  expect(result.reason).toBe("pulumi gave no answer within 30 s");
});
