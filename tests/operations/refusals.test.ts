import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { operationFindings } from "../../operations/refusals";

const root = join(__dirname, "../..");
const sources = ["operations", "operations/backups", "cli/commands"].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".ts") && !name.startsWith("refusals"))
    .map((name) => readFileSync(join(root, folder, name), "utf8")),
);

test("every refusal of an operation is documented, and every documented one is used", () => {
  const used = new Set(
    sources.flatMap((text) => text.match(/"OPERATION-[A-Z-]+"/g) ?? []).map((code) => code.slice(1, -1)),
  );
  expect([...used].sort()).toEqual(Object.keys(operationFindings).sort());
});
