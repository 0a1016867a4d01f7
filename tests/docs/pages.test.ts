/** Pages that are made from the code say what the code says. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { renderedPages } from "../../tools/reference/pages";

const checkout = resolve(__dirname, "../..");

it("is not behind the code: `npm run docs` writes what is there", async () => {
  const pages = await renderedPages(checkout);
  const stale = Object.entries(pages).filter(([path, text]) => readFileSync(join(checkout, path), "utf8") !== text);
  expect(stale.map(([path]) => path)).toEqual([]);
});

it("knows every section of the specification, every command and every component", async () => {
  const pages = await renderedPages(checkout);
  for (const section of ["`servers.<name>`", "`guests.<name> (kind: vm)`", "`targets.<name> (kind: pbs)`"])
    expect(pages["docs/reference/specification.md"]).toContain(`## ${section}\n`);
  for (const command of ["check", "failover", "media swap"])
    expect(pages["docs/reference/commands.md"]).toContain(`## coldspare ${command}\n`);
  for (const component of ["Site", "VirtualMachine", "Container", "BackupTarget"])
    expect(pages["docs/reference/library.md"]).toContain(`### ${component}\n`);
});
