import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { runSite } from "../../stacks";
import { readSettings } from "../../stacks/settings";

const complete = {
  "coldspare:endpoints": JSON.stringify({ srv1: "https://127.0.0.1:1" }),
  "coldspare:apiToken": "coldspare@pve!pulumi=8f1a",
};
const configure = (values: Record<string, string>) => pulumi.runtime.setAllConfig(values, ["coldspare:apiToken"]);

let project: string;
const home = process.cwd();

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "coldspare-project-"));
  writeFileSync(join(project, "Pulumi.yaml"), "name: mine\nruntime: nodejs\n");
  process.chdir(project);
});
afterEach(() => {
  process.chdir(home);
  rmSync(project, { recursive: true, force: true });
  configure({});
});

/** No site: the refusal names the file, and nothing is asked for or registered. */
const write = (file: string) => writeFileSync(join(project, file), "- one\n- two\n");

test.each([
  ["the option names it", { siteFile: "mine.yaml" }, { "coldspare:siteFile": "config.yaml" }, "mine.yaml"],
  ["the config names it", {}, { "coldspare:siteFile": "config.yaml" }, "config.yaml"],
  ["it lies beside Pulumi.yaml", {}, {}, "site.yaml"],
] as const)("the site file is found: %s", async (_, options, config, file) => {
  for (const each of ["mine.yaml", "config.yaml", "site.yaml"]) write(each);
  configure({ ...complete, ...config });
  await expect(runSite(options)).rejects.toThrow(`${file} is no site file`);
});

test("a layout that is named comes before a site file that is not", () => {
  write("site.yaml");
  configure({ ...complete, "coldspare:layout": "smb-site" });
  expect(readSettings()).not.toHaveProperty("siteFile");
});

test("what cannot be read is named as a person would write it", async () => {
  configure(complete);
  await expect(runSite({ siteFile: "nowhere.yaml" })).rejects.toThrow("there is no file nowhere.yaml");
});
