import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commitSiteFile } from "../../operations/commit-site-file";
import { planSite, type SiteSpec, siteManifest } from "../../planning";
import { loadLayout } from "../../stacks/layouts";

const text = readFileSync(join(__dirname, "../../stacks/smb-site/site.yaml"), "utf8");
const manifest = () => siteManifest(planSite(loadLayout("smb-site") as SiteSpec), { endpoints: {} });

test("two words change, and nothing else: comments, order and layout stay", () => {
  const { text: changed, diff, refusals } = commitSiteFile(text, manifest(), ["files-1"]);
  expect(refusals).toEqual([]);
  expect(diff).toHaveLength(4);
  expect(diff[0]).toMatch(/^ *\d+ - {5}on: srv1$/);
  expect(diff[1]).toMatch(/^ *\d+ \+ {5}on: srv2$/);
  expect(diff[3]).toContain("coldReplica: { on: srv1, method: storage-replication");
  const [before, after] = [text.split("\n"), changed!.split("\n")];
  expect(after).toHaveLength(before.length);
  expect(after.filter((line, index) => line !== before[index])).toHaveLength(2);
});

test("done already: nothing changes", () => {
  const { text: changed } = commitSiteFile(text, manifest(), ["files-1"]);
  expect(commitSiteFile(changed!, manifest(), ["files-1"])).toEqual({ text: changed, diff: [], refusals: [] });
});

test.each([
  [
    "a merge key",
    text
      .replace("  files-1:\n", "  files-1:\n    <<: { on: srv1 }\n")
      .replace(/(files-1:[\s\S]*?\n) {4}on: srv1\n/, "$1"),
  ],
  ["other words", text.replace(/(files-1:[\s\S]*?\n) {4}on: srv1\n/, "$1    on: srv9\n")],
])("%s is left to a person", (_, broken) => {
  const { text: changed, refusals } = commitSiteFile(broken, manifest(), ["files-1"]);
  expect(changed).toBeUndefined();
  expect(refusals[0]).toMatchObject({ code: "OPERATION-COMMIT-SITE-FILE", subject: "files-1" });
  expect(refusals[0]?.fix).toContain("guests.files-1.on becomes srv2");
});

test("other networks on the spare are no matter of two words", () => {
  const changed = manifest();
  changed.guests["files-1"]!.spareNetworks = changed.guests["files-1"]!.networks;
  const { refusals } = commitSiteFile(text, changed, ["files-1"]);
  expect(refusals.map(({ code }) => code)).toEqual(["OPERATION-COMMIT-SITE-FILE"]);
});

test("a site that would have errors afterwards is not written", () => {
  const full = text.replace(/(sql-erp:[\s\S]*?memoryGiB: )8/, "$19").replace(/(files-1:[\s\S]*?memoryGiB: )4/, "$140");
  const { text: changed, refusals } = commitSiteFile(full, manifest(), ["files-1"]);
  expect(changed).toBeUndefined();
  expect(refusals.some(({ code }) => code.startsWith("CAPACITY"))).toBe(true);
});
