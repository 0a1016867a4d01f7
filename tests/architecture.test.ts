import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const root = resolve(__dirname, "..");

interface Violation {
  rule: string;
  from: string;
  to: string;
}

function violations(folder: string, entries: string[]): Violation[] {
  const result = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs"),
      "--config",
      join(root, ".dependency-cruiser.cjs"),
      "--output-type",
      "json",
      ...entries,
    ],
    { cwd: folder, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  if (!result.stdout.startsWith("{")) throw new Error(`dependency-cruiser failed: ${result.stderr}${result.stdout}`);
  const { summary } = JSON.parse(result.stdout);
  return summary.violations.map(({ rule, from, to }: { rule: { name: string }; from: string; to: string }) => ({
    rule: rule.name,
    from,
    to,
  }));
}

describe("layer arrows", () => {
  /** A project whose every arrow is forbidden but the first: the rule that must catch it stands beside it. */
  const arrows: [from: string, to: string, rule: string | undefined][] = [
    ["providers/allowed", "../planning/target", undefined],
    ["cli/allowed", "../stacks/layouts", undefined],
    ["planning/up", "../providers/target", "planning-is-lowest"],
    ["planning/pulumi", "@pulumi/pulumi", "planning-without-pulumi"],
    ["planning/reads", "node:fs", "planning-is-pure"],
    ["planning/starts", "child_process", "planning-is-pure"],
    ["providers/up", "../components/target", "providers-below-components"],
    ["components/up", "../stacks/smb-site/target", "components-below-stacks"],
    ["stacks/smb-site/lab", "../../lab/target", "stacks-are-highest"],
    ["cli/components", "../components/target", "cli-over-planning-and-clients"],
    ["cli/stack", "../stacks/smb-site/target", "cli-over-planning-and-clients"],
    ["cli/indirect", "../providers/bridged", "cli-never-reaches-pulumi"],
    ["lab/client", "../providers/target", "lab-knows-planning-only"],
    ["providers/lab", "../lab/target", "providers-below-components"],
    ["components/test", "../tests/target", "product-without-lab-and-tests"],
    ["providers/circle-a", "./circle-b", "no-circular-imports"],
    ["providers/missing", "./nowhere", "no-unresolved-imports"],
  ];
  let folder: string;
  let found: Violation[];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-arrows-"));
    const write = (path: string, text: string) => {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    };
    write("package.json", JSON.stringify({ name: "arrows", version: "1.0.0" }));
    write("tsconfig.json", JSON.stringify({ compilerOptions: { module: "node16", moduleResolution: "node16" } }));
    for (const target of ["planning", "providers", "components", "stacks/smb-site", "lab", "tests"]) {
      write(`${target}/target.ts`, "export const value = 1;\n");
    }
    write("stacks/layouts.ts", "export const value = 1;\n");
    write("providers/bridged.ts", `import * as value from "@pulumi/pulumi";\nexport { value };\n`);
    write("providers/circle-b.ts", `import { value } from "./circle-a";\nexport { value };\n`);
    for (const [from, to] of arrows) write(`${from}.ts`, `import { value } from "${to}";\nexport { value };\n`);
    write("providers/orphan.ts", "export const value = 1;\n");
    found = violations(folder, ["planning", "providers", "components", "stacks", "cli", "lab"]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(arrows)("%s -> %s: %s", (from, _to, rule) => {
    const rules = found.filter((violation) => violation.from === `${from}.ts`).map((violation) => violation.rule);
    if (rule === undefined) expect(rules).toEqual([]);
    else expect(rules).toContain(rule);
  });

  test("a file that nobody imports is left over", () => {
    expect(found).toContainEqual(expect.objectContaining({ rule: "no-orphans", from: "providers/orphan.ts" }));
  });
});
