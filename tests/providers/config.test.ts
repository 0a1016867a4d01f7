import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectPath } from "../../providers/config";

describe("paths in the configuration", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-config-"));
    mkdirSync(join(folder, "dist/stacks"), { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("count from the folder of Pulumi.yaml, wherever the compiled program lies", () => {
    writeFileSync(join(folder, "Pulumi.yaml"), "name: x\n");
    expect(projectPath("pve-root-ca.pem", join(folder, "dist/stacks"))).toBe(join(folder, "pve-root-ca.pem"));
    expect(projectPath("/etc/ca.pem", join(folder, "dist/stacks"))).toBe("/etc/ca.pem");
  });

  test("count from the working directory where there is no project", () => {
    expect(projectPath("ca.pem", join(folder, "dist"))).toBe(join(folder, "dist/ca.pem"));
  });
});
