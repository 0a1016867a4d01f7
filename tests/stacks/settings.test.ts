import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { readSettings, secretFromConfig } from "../../stacks/settings";

const complete = {
  endpoints: JSON.stringify({ srv1: "https://192.168.10.11:8006" }),
  apiToken: "coldspare@pve!pulumi=8f1a",
};

/** The stack's configuration, as the engine hands it over. */
function configure(values: Record<string, string>): void {
  const entries = Object.entries(values).map(([key, value]) => [`coldspare:${key}`, value]);
  pulumi.runtime.setAllConfig(Object.fromEntries(entries), ["coldspare:apiToken"]);
}

function refusal(values: Record<string, string>): Error {
  configure(values);
  try {
    readSettings();
  } catch (error) {
    return error as Error;
  }
  throw new Error("the settings were taken");
}

afterEach(() => configure({}));

test("what is not set has a default", () => {
  configure(complete);
  const { apiToken, ...settings } = readSettings();
  expect(settings).toEqual({
    layout: "smb-site",
    endpoints: { srv1: "https://192.168.10.11:8006" },
    fingerprints: {},
    active: {},
    protect: true,
  });
  expect(pulumi.Output.isInstance(apiToken)).toBe(true);
});

test("the token is a secret", async () => {
  configure(complete);
  await expect(pulumi.isSecret(readSettings().apiToken)).resolves.toBe(true);
});

test("what is set is taken over", () => {
  configure({
    ...complete,
    layout: "smb-site-too-large",
    ca: "PEM",
    fingerprints: JSON.stringify({ srv1: "AA:BB" }),
    active: JSON.stringify({ "sql-erp": "spare", "dc-1": "primary" }),
    protect: "false",
    refreshToken: "2026-11-22",
    ssh: JSON.stringify({ port: 2222, hostKeys: { srv1: ["ssh-ed25519 AAAA"] } }),
  });
  expect(readSettings()).toMatchObject({
    layout: "smb-site-too-large",
    ca: "PEM",
    fingerprints: { srv1: "AA:BB" },
    active: { "sql-erp": "spare", "dc-1": "primary" },
    protect: false,
    refreshToken: "2026-11-22",
    ssh: { port: 2222, hostKeys: { srv1: ["ssh-ed25519 AAAA"] } },
  });
});

test.each([
  ["no endpoint", {}, /endpoints is not set\.\n {2}fix: pulumi config set --path 'coldspare:endpoints\.srv1' https:/],
  ["an empty list of endpoints", { endpoints: "{}" }, /endpoints is not set/],
  ["no token", { endpoints: complete.endpoints }, /apiToken is not set\.\n {2}fix: pulumi config set --secret /],
  [
    "a side that does not exist",
    { ...complete, active: '{"sql-erp":"sapre"}' },
    /active\.sql-erp is 'sapre', .*\n {2}fix: pulumi config set --path 'coldspare:active\.sql-erp' spare/,
  ],
  [
    "a way over SSH without host keys",
    { ...complete, ssh: '{"user":"root"}' },
    /coldspare:ssh\.hostKeys.*pulumi config set/s,
  ],
  ["a CA file that is not there", { ...complete, caFile: "/nowhere/ca.pem" }, /\/nowhere\/ca\.pem/],
])("%s is said, with what to type", (_case, values, message) => {
  const error = refusal(values as unknown as Record<string, string>);
  expect(error.message).toMatch(message);
  // A RunError is shown without a stack trace.
  expect(pulumi.RunError.isInstance(error)).toBe(true);
  expect(error.message).not.toContain("8f1a");
});

test("the CA is read from its file", () => {
  const folder = mkdtempSync(join(tmpdir(), "coldspare-settings-"));
  try {
    writeFileSync(join(folder, "ca.pem"), "-----BEGIN CERTIFICATE-----\n");
    configure({ ...complete, caFile: join(folder, "ca.pem") });
    expect(readSettings().ca).toContain("BEGIN CERTIFICATE");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a secret of the specification is what the configuration says, if it says anything", async () => {
  configure({ "docker-1-password": "hunter2" });
  const secret = secretFromConfig("docker-1-password");
  await expect(new Promise((resolve) => secret?.apply(resolve))).resolves.toBe("hunter2");
  expect(secretFromConfig("other-password")).toBeUndefined();
});
