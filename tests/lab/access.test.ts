import * as fs from "node:fs";
import * as path from "node:path";
import * as tls from "node:tls";
import { TrialLab } from "./trial-lab";

let lab: TrialLab;
beforeAll(async () => {
  lab = await TrialLab.start();
});
afterAll(() => lab.remove());

describe("who may call", () => {
  it("refuses a call without credentials, with a wrong token and with a wrong password", async () => {
    const none = await lab.call("srv1", "GET", "/version", undefined, {});
    expect([none.status, none.reason, none.body]).toEqual([401, "No ticket", ""]);
    const bad = await lab.call("srv1", "GET", "/version", undefined, {
      Authorization: "PVEAPIToken=root@pam!lab=wrong",
    });
    expect([bad.status, bad.reason]).toEqual([401, "Authentication failed!"]);
    const login = await lab.call("srv1", "POST", "/access/ticket", { username: "root@pam", password: "wrong" }, {});
    expect([login.status, login.reason]).toEqual([401, "authentication failure"]);
  });

  it("gives a ticket for the password, and wants the CSRF token for changes", async () => {
    const form = { username: "root@pam", password: lab.lab.tokens.rootPassword };
    const { data } = (await lab.call("srv1", "POST", "/access/ticket", form, {})).body;
    const headers = { Cookie: `PVEAuthCookie=${encodeURIComponent(data.ticket)}` };
    expect((await lab.call("srv1", "GET", "/version", undefined, headers)).status).toBe(200);
    const refused = await lab.call("srv1", "POST", "/pools", { poolid: "a" }, headers);
    expect([refused.status, refused.reason]).toEqual([401, "Permission denied - invalid csrf token"]);
    const allowed = await lab.call(
      "srv1",
      "POST",
      "/pools",
      { poolid: "a" },
      { ...headers, CSRFPreventionToken: data.CSRFPreventionToken },
    );
    expect(allowed.status).toBe(200);
  });

  it("lets a token with separated privileges do only what it was given", async () => {
    await lab.createVm("srv1", 100);
    await lab.ask("srv1", "POST", "/access/users", { userid: "ops@pve" });
    const { value } = await lab.ask("srv1", "POST", "/access/users/ops@pve/token/t", {});
    const headers = { Authorization: `PVEAPIToken=ops@pve!t=${value}` };
    for (const [type, id] of [
      ["users", "ops@pve"],
      ["tokens", "ops@pve!t"],
    ] as const)
      await lab.ask("srv1", "PUT", "/access/acl", { path: "/vms/100", roles: "PVEAuditor", [type]: id });
    expect((await lab.call("srv1", "GET", "/nodes/srv1/qemu/100/config", undefined, headers)).status).toBe(200);
    const start = await lab.call("srv1", "POST", "/nodes/srv1/qemu/100/status/start", {}, headers);
    expect([start.status, start.reason]).toEqual([403, "Permission check failed (/vms/100, VM.PowerMgmt)"]);
    await lab.ask("srv1", "PUT", "/access/acl", { path: "/vms", roles: "PVEVMAdmin", users: "ops@pve" });
    // The user now may; the token still lacks it.
    expect((await lab.call("srv1", "POST", "/nodes/srv1/qemu/100/status/start", {}, headers)).status).toBe(403);
  });

  it("names what is missing to create and to change a guest", async () => {
    await lab.ask("srv1", "POST", "/access/roles", {
      roleid: "Maker",
      privs: "VM.Allocate,VM.Audit,VM.Config.Options",
    });
    await lab.ask("srv1", "POST", "/access/users", { userid: "maker@pve" });
    await lab.ask("srv1", "PUT", "/access/acl", { path: "/vms", roles: "Maker", users: "maker@pve" });
    const { value } = await lab.ask("srv1", "POST", "/access/users/maker@pve/token/t", { privsep: 0 });
    const headers = { Authorization: `PVEAPIToken=maker@pve!t=${value}` };
    const reason = async (method: string, call: string, form: Record<string, string | number>) =>
      (await lab.call("srv1", method, call, form, headers)).reason;
    expect(await reason("POST", "/nodes/srv1/qemu", { vmid: 130, scsi0: "tank:1" })).toBe(
      "Permission check failed (/storage/tank, Datastore.AllocateSpace)",
    );
    expect(await reason("POST", "/nodes/srv1/qemu", { vmid: 130, net0: "virtio,bridge=vmbr0" })).toBe(
      "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)",
    );
    expect(await reason("PUT", "/nodes/srv1/qemu/100/config", { onboot: 1 })).toBe("OK");
    expect(await reason("PUT", "/nodes/srv1/qemu/100/config", { memory: 1024 })).toBe(
      "Permission check failed (/vms/100, VM.Config.Memory)",
    );
  });

  it("tells what a token may do on one path, and on every path that has an entry", async () => {
    await lab.ask("srv1", "POST", "/access/users", { userid: "starter@pve" });
    const { value } = await lab.ask("srv1", "POST", "/access/users/starter@pve/token/t", { privsep: 1 });
    await lab.ask("srv1", "POST", "/access/roles", { roleid: "Starter", privs: "VM.PowerMgmt" });
    const entry = { path: "/vms/100", roles: "Starter", users: "starter@pve", tokens: "starter@pve!t" };
    await lab.ask("srv1", "PUT", "/access/acl", entry);
    const headers = { Authorization: `PVEAPIToken=starter@pve!t=${value}` };
    const permissions = async (query: Record<string, string>) =>
      (await lab.call("srv1", "GET", "/access/permissions", query, headers)).body.data;
    expect(await permissions({ path: "/vms/100" })).toEqual({ "/vms/100": { "VM.PowerMgmt": 1 } });
    expect(await permissions({ path: "/vms/101" })).toEqual({ "/vms/101": {} });
    expect(await permissions({})).toEqual({ "/vms/100": { "VM.PowerMgmt": 1 } });
  });

  it("keeps what stays with root from root's own token", async () => {
    const answer = await lab.call("srv1", "PUT", "/nodes/srv1/qemu/100/config", { lock: "backup" });
    expect([answer.status, answer.reason]).toEqual([500, "only root can set 'lock' config"]);
  });

  it("refuses the control interface without its token", async () => {
    await expect(lab.control("GET", "/", undefined, "wrong")).rejects.toThrow("control token is missing or wrong");
  });
});

describe("the lab's folder", () => {
  it("keeps keys and tokens from everybody else", () => {
    for (const file of ["ca.key", "server.key", "tokens.json", "control-token"])
      expect(fs.statSync(path.join(lab.folder, file)).mode & 0o777).toBe(0o600);
  });

  it("shows a certificate that only the lab's CA vouches for", async () => {
    const port = Number(new URL(lab.lab.endpoints.srv1!).port);
    const authorized = (ca?: Buffer) =>
      new Promise<boolean>((resolve) => {
        const socket = tls.connect(
          { port, host: "127.0.0.1", servername: "localhost", rejectUnauthorized: true, ...(ca ? { ca } : {}) },
          () => {
            resolve(socket.authorized);
            socket.destroy();
          },
        );
        socket.on("error", () => resolve(false));
      });
    expect(await authorized(fs.readFileSync(lab.lab.caFile))).toBe(true);
    expect(await authorized()).toBe(false);
  });
});

describe("what is wrong with a call", () => {
  it("names an unknown path, an unknown node and an unknown storage as PVE does", async () => {
    expect((await lab.call("srv1", "GET", "/nope")).reason).toBe("Method 'GET /nope' not implemented");
    expect((await lab.call("srv1", "GET", "/nodes/nope/qemu")).reason).toMatch(/^hostname lookup 'nope' failed/);
    expect((await lab.call("srv1", "GET", "/nodes/srv1/storage/nope/content")).reason).toBe(
      "storage 'nope' does not exist",
    );
  });
});
