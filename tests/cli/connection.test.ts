import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectionFrom } from "../../cli/connection";

const token = "coldspare@pve!timer=6f1c3a52-secret";
const servers = ["srv1", "srv2"];

describe("how a command reaches Proxmox VE", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-connection-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("endpoints from options win over the environment, the rest comes from there", () => {
    const ca = join(folder, "ca.pem");
    writeFileSync(ca, "PEM");
    const env = {
      COLDSPARE_API_TOKEN: token,
      COLDSPARE_CA_FILE: ca,
      COLDSPARE_ENDPOINTS: '{"srv2":"https://10.0.0.2:8006"}',
      COLDSPARE_FINGERPRINTS: '{"srv2":"AB:CD"}',
    };
    const rest = { apiToken: token, ca: "PEM", fingerprints: { srv2: "AB:CD" } };
    expect(connectionFrom([], servers, env)).toEqual({ endpoints: { srv2: "https://10.0.0.2:8006" }, ...rest });
    expect(connectionFrom(["srv1=https://10.0.0.1:8006"], servers, env)).toEqual({
      endpoints: { srv1: "https://10.0.0.1:8006" },
      ...rest,
    });
  });

  test("the token may lie in a file", () => {
    const file = join(folder, "token");
    writeFileSync(file, `${token}\n`);
    const env = { COLDSPARE_API_TOKEN_FILE: file };
    expect(connectionFrom(["srv1=https://10.0.0.1:8006"], servers, env).apiToken).toBe(token);
  });

  test.each<[string, string[], Record<string, string>, RegExp]>([
    ["no endpoint", [], {}, /add --endpoint srv1=https:\/\/ADDRESS:8006/],
    ["an unknown server", ["srv3=https://10.0.0.3:8006"], {}, /no hypervisor 'srv3'; did you mean 'srv/],
    ["plain HTTP", ["srv1=http://10.0.0.1:8006"], {}, /write https:/],
    ["no assignment", ["https//10.0.0.1"], {}, /write SERVER=https/],
    ["broken JSON", [], { COLDSPARE_ENDPOINTS: "{srv1" }, /COLDSPARE_ENDPOINTS is no JSON object/],
    [
      "a list",
      [],
      { COLDSPARE_ENDPOINTS: '["https://10.0.0.1"]' },
      /COLDSPARE_ENDPOINTS is no JSON object|no hypervisor/,
    ],
    ["a missing CA", ["srv1=https://a:8006"], { COLDSPARE_CA_FILE: "/nowhere.pem" }, /\/nowhere\.pem.*ENOENT/],
  ])("%s", (_name, endpoints, env, message) => {
    expect(() => connectionFrom(endpoints, servers, { COLDSPARE_API_TOKEN: token, ...env })).toThrow(message);
  });

  test("no token, or one that is none: the message does not repeat it", () => {
    const endpoints = ["srv1=https://10.0.0.1:8006"];
    expect(() => connectionFrom(endpoints, servers, {})).toThrow(/COLDSPARE_API_TOKEN is not set/);
    const wrong = { COLDSPARE_API_TOKEN: "hunter2" };
    expect(() => connectionFrom(endpoints, servers, wrong)).toThrow(/user@realm!name=secret$/);
    expect(() => connectionFrom(endpoints, servers, wrong)).not.toThrow(/hunter2/);
  });
});
