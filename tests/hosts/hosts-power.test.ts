import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as https from "node:https";
import { promisify } from "node:util";
import type { LabHosts } from "../../lab/hosts";
import { bootedHosts, SITE, until, withHosts } from "./hosts-support";

withHosts("power of real hosts", () => {
  let hosts: LabHosts;
  let end: () => Promise<void>;

  beforeAll(async () => {
    ({ hosts, end } = await bootedHosts({ hosts: SITE.slice(0, 2) }));
  });
  afterAll(() => end());
  afterEach(async () => {
    hosts.bmc("srv1", {});
    await hosts.boot("srv1");
  });

  const call = (method: string, path: string, options: { body?: unknown; password?: string; host?: string } = {}) =>
    new Promise<{ status: number; body: Record<string, unknown> }>((resolve, reject) => {
      const request = https.request(`${hosts.bmcUrl(options.host ?? "srv1")}${path}`, {
        method,
        ca: fs.readFileSync(hosts.bmcCaFile()),
        auth: `admin:${options.password ?? hosts.bmcPassword()}`,
        headers: { "Content-Type": "application/json" },
        agent: false,
      });
      request.on("error", reject);
      request.on("response", (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body: text === "" ? {} : JSON.parse(text) }),
        );
      });
      request.end(options.body === undefined ? undefined : JSON.stringify(options.body));
    });
  const reset = (ResetType: string) =>
    call("POST", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", { body: { ResetType } });
  const state = async () => (await call("GET", "/redfish/v1/Systems/1")).body.PowerState;

  test("Redfish: the system is found, read, switched off and on", async () => {
    const systems = await call("GET", "/redfish/v1/Systems/");
    expect(systems.body.Members).toEqual([{ "@odata.id": "/redfish/v1/Systems/1" }]);
    expect(await state()).toBe("On");
    expect((await reset("ForceOff")).status).toBe(204);
    await until("it is off", async () => (await state()) === "Off");
    expect(hosts.isUp("srv1")).toBe(false);
    expect(hosts.isUp("srv2")).toBe(true);
    expect((await reset("On")).status).toBe(204);
    await until("it is up", () => hosts.isUp("srv1"));
    expect(await state()).toBe("On");
  });

  test("Redfish: restart and graceful shutdown", async () => {
    const id = async () => (await hosts.exec("srv1", ["cat", "/proc/sys/kernel/random/boot_id"])).stdout;
    const before = await id();
    await reset("ForceRestart");
    await until("another boot", async () => hosts.isUp("srv1") && (await id().catch(() => before)) !== before);
    await reset("GracefulShutdown");
    await until("it is off", async () => (await state()) === "Off");
  });

  test("what was said last holds, whatever was under way", async () => {
    await reset("ForceOff");
    await reset("On");
    await until("it is up", () => hosts.isUp("srv1"));
    await reset("ForceRestart");
    await reset("ForceOff");
    await until("it is off", async () => (await state()) === "Off");
    const boot = hosts.boot("srv1");
    const refused = expect(boot).rejects.toThrow(/srv1/);
    await hosts.cut("srv1");
    await refused;
    expect([await state(), hosts.isUp("srv1"), hosts.pid("srv1")]).toEqual(["Off", false, undefined]);
  });

  test("Redfish: a wrong password, a wrong type and a wrong path are refused and change nothing", async () => {
    expect((await call("GET", "/redfish/v1/Systems/1", { password: "wrong" })).status).toBe(401);
    expect((await reset("Explode")).status).toBe(400);
    expect((await call("GET", "/redfish/v1/Chassis")).status).toBe(404);
    expect((await call("GET", "/redfish/v1", { password: "wrong" })).status).toBe(200);
    expect(hosts.isUp("srv1")).toBe(true);
  });

  test("a BMC that fails: refuses, ignores, lies, is slow, is dead", async () => {
    hosts.bmc("srv1", { fault: "refuse" });
    expect((await reset("ForceOff")).status).toBe(500);
    hosts.bmc("srv1", { fault: "ignore" });
    expect((await reset("ForceOff")).status).toBe(204);
    expect(await state()).toBe("On");
    hosts.bmc("srv1", { fault: "says-off" });
    expect([await state(), hosts.isUp("srv1")]).toEqual(["Off", true]);
    hosts.bmc("srv1", { delaySeconds: 0.3 });
    const began = Date.now();
    expect(await state()).toBe("On");
    expect(Date.now() - began).toBeGreaterThanOrEqual(290);
    hosts.bmc("srv1", { fault: "dead" });
    await expect(state()).rejects.toThrow();
    hosts.bmc("srv1", { fault: "denied" });
    expect((await reset("ForceOff")).status).toBe(401);
    expect(hosts.isUp("srv1")).toBe(true);
  });

  test("a switch by command", async () => {
    const [program = "", ...words] = hosts.powerSwitch("srv1");
    const power = async (action: string) => (await promisify(execFile)(program, [...words, action])).stdout;
    expect(await power("status")).toBe("on\n");
    expect(await power("off")).toBe("off\n");
    expect(hosts.pid("srv1")).toBeUndefined();
    expect(await power("status")).toBe("off\n");
    await power("on");
    await until("it is up", () => hosts.isUp("srv1"));
    await expect(power("explode")).rejects.toThrow("usage: power-switch");
    await expect(promisify(execFile)(program, [words[0] ?? "", "nobody", "off"])).rejects.toThrow(
      "no outlet nobody: there are srv1, srv2",
    );
  });
});
