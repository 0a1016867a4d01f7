import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { projectPath, sshSettingsFromConfig } from "../../providers/config";

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

describe("coldspare:ssh", () => {
  const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2VrZXlmYWtla2V5";
  const read = (value: unknown) =>
    sshSettingsFromConfig(() => (value === undefined ? undefined : JSON.stringify(value)));

  test("what is set, and a key file from the user's folder or that of Pulumi.yaml", () => {
    expect(read(undefined)).toBeUndefined();
    const hostKeys = { srv1: [KEY], "backup-1": [KEY, `${KEY} root@backup-1`] };
    expect(read({ hostKeys })).toEqual({ hostKeys });
    const all = { user: "admin", port: 2222, hosts: { srv1: "192.0.2.1:22" }, hostKeys };
    expect(read({ ...all, keyFile: "~/.ssh/site" })).toEqual({ ...all, keyFile: join(homedir(), ".ssh/site") });
    expect(read({ ...all, keyFile: "keys/site" })?.keyFile).toBe(projectPath("keys/site"));
  });

  test.each([
    ["text", /^coldspare:ssh: .*Fix: `pulumi config set --path 'coldspare:ssh\.hostKeys/],
    [{}, /coldspare:ssh\.hostKeys: /],
    [{ hostKeys: { srv1: ["AAAA"] } }, /coldspare:ssh\.hostKeys\.srv1\.0: no public host key such as/],
    [{ hostKeys: {}, port: 70000, hots: {} }, /coldspare:ssh\.port: .*; coldspare:ssh: Unrecognized key: "hots"/],
  ])("%j is refused with what to write", (value, message) => {
    expect(() => read(value)).toThrow(message);
  });
});
