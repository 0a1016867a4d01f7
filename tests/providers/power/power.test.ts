import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ManifestPower } from "../../../planning";
import { PowerError, powerOf } from "../../../providers/power";
import { type FakeAnswer, type FakeRequest, makeCertificate, startFake } from "../fake-server";

const PASSWORD = "correct-horse-bat";
const SYSTEM = "/redfish/v1/Systems/1";
const RESET = `${SYSTEM}/Actions/ComputerSystem.Reset`;
const QUICK = { timeoutSeconds: 0.3, pollSeconds: 0.01 };
const secret = (name: string) => (name === "bmc" ? PASSWORD : undefined);

let end: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const each of end) await each();
  end = [];
});

const failure = (work: Promise<unknown>): Promise<PowerError> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: unknown) => {
      expect(error).toBeInstanceOf(PowerError);
      expect((error as Error).message).not.toContain(PASSWORD);
      return error as PowerError;
    },
  );

describe("Redfish", () => {
  /** A BMC in the words of the standard; `answer` first, for what goes otherwise. */
  async function bmc(
    answer: (request: FakeRequest, machine: { state: string; orders: string[] }) => FakeAnswer | undefined = () =>
      undefined,
  ) {
    const machine = { state: "On", orders: [] as string[] };
    const json = (value: unknown): FakeAnswer => ({ body: JSON.stringify(value) });
    const fake = await startFake((request) => {
      const special = answer(request, machine);
      if (special) return special;
      const wanted = `Basic ${Buffer.from(`admin:${PASSWORD}`).toString("base64")}`;
      if (request.authorization !== wanted) return { status: 401, body: "{}" };
      if (request.path === "/redfish/v1/") return json({ Systems: { "@odata.id": "/redfish/v1/Systems" } });
      if (request.path === "/redfish/v1/Systems") return json({ Members: [{ "@odata.id": SYSTEM }] });
      if (request.path === SYSTEM) {
        const reset = { target: RESET, "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "GracefulShutdown"] };
        return json({ PowerState: machine.state, Actions: { "#ComputerSystem.Reset": reset } });
      }
      if (request.path === RESET && request.method === "POST") {
        const type = JSON.parse(Object.keys(request.form)[0] ?? "{}").ResetType as string;
        machine.orders.push(type);
        machine.state = type === "ForceOff" ? "Off" : "On";
        return { status: 204 };
      }
      return { status: 404, body: "{}" };
    });
    end.push(() => fake.close());
    const power: ManifestPower = {
      kind: "redfish",
      url: fake.url,
      username: "admin",
      passwordSecret: "bmc",
      ca: fake.pem,
    };
    return {
      power,
      machine,
      fake,
      srv: (more: Partial<typeof power> = {}) => powerOf("srv2", { ...power, ...more } as ManifestPower, secret, QUICK),
    };
  }

  test("off and on, each read back", async () => {
    const { srv, machine } = await bmc();
    expect(await srv().state()).toBe("on");
    await srv().off();
    expect(machine).toEqual({ state: "Off", orders: ["ForceOff"] });
    expect(await srv().state()).toBe("off");
    // It is told so again: what it says may be wrong.
    await srv().off();
    await srv().on();
    await srv().on();
    expect(machine).toEqual({ state: "On", orders: ["ForceOff", "ForceOff", "On"] });
  });

  test("waits while it takes effect, and does not believe the first reading alone", async () => {
    const readings = ["On", "PoweringOff", "Off", "On", "Off", "Off"];
    const { power } = await bmc((request, machine) => {
      if (request.path === SYSTEM && machine.orders.length > 0) machine.state = readings.shift() ?? "Off";
      return undefined;
    });
    await powerOf("srv2", power, secret, { timeoutSeconds: 20, pollSeconds: 0.01 }).off();
    expect(readings).toEqual([]);
  });

  test("a BMC that accepts and does nothing", async () => {
    const { srv } = await bmc((request) => (request.path === RESET ? { status: 204 } : undefined));
    const error = await failure(srv().off());
    expect(error).toMatchObject({ server: "srv2", known: "on" });
    expect(error.message).toMatch(
      /^srv2: it was told to go off, which was accepted, and 0\.3 s later it is not said to be off; it was last said to be on\. Fix: go and see.*nothing of it may run elsewhere$/,
    );
  });

  test("a BMC that refuses says why; one that refuses and is off is off", async () => {
    const body = JSON.stringify({
      error: { message: "general", "@Message.ExtendedInfo": [{ Message: `Not now, ${PASSWORD}.` }] },
    });
    const refusing = await bmc((request) => (request.path === RESET ? { status: 409, body } : undefined));
    const error = await failure(refusing.srv().off());
    expect(error).toMatchObject({ known: "on" });
    expect(error.reason).toContain(`refuses POST ${RESET} (HTTP 409: Not now, ***)`);
    refusing.machine.state = "Off";
    await refusing.srv().off();
  });

  test("a BMC that stops answering leaves the state unknown, or what it said last", async () => {
    const mute = await bmc((request) => (request.method === "POST" ? { cut: true } : undefined));
    expect(await failure(mute.srv().off())).toMatchObject({ known: "on" });
    const dead = await bmc(() => ({ cut: true }));
    const error = await failure(dead.srv().off());
    expect(error.known).toBe("unknown");
    expect(error.message).toContain("whether it is on or off is not known. Fix: look at the BMC's network and plug");
    await failure(dead.srv().state());
  });

  test("the wrong password, a stranger's certificate, and an address without TLS", async () => {
    const { srv, power } = await bmc();
    const wrong = powerOf("srv2", { ...power, username: "nobody" } as ManifestPower, secret, QUICK);
    expect((await failure(wrong.state())).reason).toMatch(/does not let 'nobody' in \(HTTP 401\)/);
    const { cert } = await makeCertificate();
    const stranger = await failure(srv({ ca: cert }).off());
    expect(stranger.reason).toContain("shows a certificate that is not trusted");
    expect(stranger.fix).toContain("servers.*.power.ca");
    expect((await failure((async () => srv({ url: "http://127.0.0.1:1" }).state())())).reason).toContain(
      "no https:// address",
    );
  });

  test("the right one of several systems, by its id or path, and its allowed values by reference", async () => {
    const other = "/redfish/v1/Systems/2";
    const { srv, machine } = await bmc((request) => {
      if (request.path === "/redfish/v1/Systems") {
        return { body: JSON.stringify({ Members: [{ "@odata.id": SYSTEM }, { "@odata.id": other }] }) };
      }
      if (request.path === other) {
        return {
          body: JSON.stringify({
            PowerState: "On",
            Actions: { "#ComputerSystem.Reset": { target: RESET, "@Redfish.ActionInfo": "/info" } },
          }),
        };
      }
      if (request.path === "/info") {
        return { body: JSON.stringify({ Parameters: [{ Name: "ResetType", AllowableValues: ["GracefulShutdown"] }] }) };
      }
      return undefined;
    });
    expect((await failure(srv().state())).message).toMatch(/has 2 systems \(.*1, .*2\).*servers\.\*\.power\.system/);
    expect((await failure(srv({ system: "3" }).state())).message).toContain("has no system '3'");
    await srv({ system: "1" }).off();
    await srv({ system: SYSTEM }).off();
    expect(machine.orders).toEqual(["ForceOff", "ForceOff"]);
    // Asking the operating system is not switching it off.
    expect((await failure(srv({ system: "2" }).off())).reason).toContain(
      "cannot do ForceOff (it can: GracefulShutdown)",
    );
  });

  test("the password goes to no other place", async () => {
    const { srv } = await bmc((request) =>
      request.path === "/redfish/v1/"
        ? { body: JSON.stringify({ Systems: { "@odata.id": "https://127.0.0.1:1/x" } }) }
        : undefined,
    );
    expect((await failure(srv().state())).reason).toContain("points to https://127.0.0.1:1");
  });

  test("a password that nobody gave is asked for by its name", () => {
    const power: ManifestPower = {
      kind: "redfish",
      url: "https://127.0.0.1:1",
      username: "admin",
      passwordSecret: "bmc-srv2",
    };
    expect(() => powerOf("srv2", power, secret)).toThrow(/set COLDSPARE_SECRET_BMC_SRV2, or put it under 'secrets'/);
  });
});

describe("programs", () => {
  let folder: string;
  const pathBefore = process.env.PATH;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-power-"));
    writeFileSync(join(folder, "state"), "on");
    process.env.PATH = `${folder}:${pathBefore}`;
    end.push(() => {
      process.env.PATH = pathBefore;
      rmSync(folder, { recursive: true, force: true });
    });
  });
  const program = (name: string, text: string): string => {
    writeFileSync(join(folder, name), `#!/bin/sh\ncd ${folder}\n${text}`);
    chmodSync(join(folder, name), 0o755);
    return join(folder, name);
  };

  test("ipmitool gets the password by a file that is gone afterwards", async () => {
    program(
      "ipmitool",
      `echo "$*" >> calls
while [ "$1" != -f ]; do shift; done
stat -c %a "$2" > mode; [ "$(cat "$2")" = ${PASSWORD} ] || { echo "Error: Unable to establish IPMI v2 / RMCP+ session" >&2; exit 1; }
for word; do :; done
case $word in status) echo "Chassis Power is $(cat state)" ;; *) echo $word > state; echo "Chassis Power Control: Down/Off" ;; esac
`,
    );
    const power: ManifestPower = { kind: "ipmi", address: "192.0.2.9", username: "admin", passwordSecret: "bmc" };
    await powerOf("srv2", power, secret, QUICK).off();
    expect(readFileSync(join(folder, "state"), "utf8")).toBe("off\n");
    const calls = readFileSync(join(folder, "calls"), "utf8");
    expect(calls).toMatch(/^-I lanplus -H 192\.0\.2\.9 -U admin -f \S+ -N 2 -R 4 chassis power status$/m);
    expect(calls).not.toContain(PASSWORD);
    expect(readFileSync(join(folder, "mode"), "utf8").trim()).toBe("600");
    const path = calls.match(/-f (\S+)\/password/)?.[1] ?? "";
    expect(() => readdirSync(path)).toThrow();

    const wrong = await failure(powerOf("srv2", power, () => "wrong", QUICK).off());
    expect(wrong.reason).toContain("Unable to establish IPMI v2");
    const long = await failure(powerOf("srv2", power, () => "x".repeat(21), QUICK).state());
    expect(long.reason).toContain("more than 20 bytes");
  });

  test("without ipmitool, what to install", async () => {
    process.env.PATH = folder;
    const power: ManifestPower = { kind: "ipmi", address: "192.0.2.9", username: "admin", passwordSecret: "bmc" };
    expect((await failure(powerOf("srv2", power, secret, QUICK).state())).message).toContain("apt install ipmitool");
  });

  test("commands of one's own: words without a shell, the server by name, and only 'on' or 'off' is believed", async () => {
    const socket = program(
      "socket",
      '[ "$1" = "out let" ] || exit 9\n[ "$2" = status ] && exec cat state\necho "$2" > state; echo "$COLDSPARE_SERVER" > server\n',
    );
    const power: ManifestPower = {
      kind: "command",
      off: [socket, "out let", "off"],
      status: [socket, "out let", "status"],
    };
    const srv2 = powerOf("srv2", power, secret, QUICK);
    await srv2.off();
    expect(readFileSync(join(folder, "server"), "utf8")).toBe("srv2\n");
    expect((await failure(srv2.on())).reason).toContain("no command that switches it on");
    writeFileSync(join(folder, "state"), "off, not on");
    expect(await srv2.state()).toBe("unknown");
    const broken = program("broken", "echo no route >&2; exit 4\n");
    const error = await failure(powerOf("srv2", { ...power, off: [broken] }, secret, QUICK).off());
    expect(error).toMatchObject({ known: "unknown", reason: expect.stringContaining("ended with 4 (no route)") });
  });
});
