/** Switches a server off and reads its state back: Redfish, IPMI, or commands of one's own. */
import { execFile } from "node:child_process";
import { request } from "node:https";
import { promisify } from "node:util";
import type { ManifestPower } from "../planning/manifest";
import type { Operator } from "./context";

export type PowerState = "on" | "off" | "unknown";

/** @throws Error that says what the switch answered, without its password */
export interface PowerControl {
  state(): Promise<PowerState>;
  off(): Promise<void>;
  on(): Promise<void>;
}

const SECONDS = 15;

export function powerControl(operator: Operator, power: ManifestPower): PowerControl {
  if (power.kind === "redfish") return redfish(operator, power);
  return power.kind === "ipmi" ? ipmi(operator, power) : commands(operator, power);
}

function passwordOf(operator: Operator, name: string): string {
  const password = operator.secret(name);
  if (password === undefined) throw new Error(`its password '${name}' is not known here`);
  return password;
}

interface RedfishSystem {
  PowerState?: string;
  Actions?: Record<string, { target?: string; "ResetType@Redfish.AllowableValues"?: string[] } | undefined>;
}

/** DMTF Redfish (DSP0266): the resource ComputerSystem and its action Reset. */
function redfish(operator: Operator, power: Extract<ManifestPower, { kind: "redfish" }>): PowerControl {
  let system = power.system;
  const call = <T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> =>
    redfishCall<T>(power, passwordOf(operator, power.passwordSecret), method, path, body);
  const path = async (): Promise<string> => {
    if (system?.startsWith("/")) return system;
    const { Members } = await call<{ Members?: { "@odata.id": string }[] }>("GET", "/redfish/v1/Systems");
    const members = (Members ?? []).map((member) => member["@odata.id"]);
    const found = system === undefined ? members : members.filter((member) => member.endsWith(`/${system}`));
    if (found.length !== 1)
      throw new Error(`it has ${found.length} systems (${members.join(", ") || "none"}): name one in power.system`);
    system = found[0]!;
    return system;
  };
  const reset = async (wanted: string): Promise<void> => {
    const where = await path();
    const action = (await call<RedfishSystem>("GET", where)).Actions?.["#ComputerSystem.Reset"];
    await call("POST", action?.target ?? `${where}/Actions/ComputerSystem.Reset`, { ResetType: wanted });
  };
  return {
    async state() {
      const { PowerState } = await call<RedfishSystem>("GET", await path());
      // PoweringOff is not off.
      return PowerState === "Off" ? "off" : PowerState === undefined ? "unknown" : "on";
    },
    off: () => reset("ForceOff"),
    on: () => reset("On"),
  };
}

function redfishCall<T>(
  { url, username, ca }: Extract<ManifestPower, { kind: "redfish" }>,
  password: string,
  method: "GET" | "POST",
  path: string,
  body: unknown,
): Promise<T> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const call = request(
      new URL(path, url),
      {
        method,
        timeout: SECONDS * 1000,
        ...(ca !== undefined && { ca }),
        headers: {
          accept: "application/json",
          authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
          ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        },
      },
      (response) => {
        let answer = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          answer += chunk;
          if (answer.length > 1_000_000) call.destroy(new Error("its answer has no end"));
        });
        response.on("end", () => {
          const status = response.statusCode ?? 0;
          if (status === 401 || status === 403)
            return reject(new Error(`it does not take the name '${username}' with its password (${status})`));
          if (status < 200 || status >= 300)
            return reject(new Error(`it answers ${method} ${path} with ${status}: ${answer.slice(0, 200)}`));
          try {
            resolve((answer.trim() === "" ? {} : JSON.parse(answer)) as T);
          } catch {
            reject(new Error(`its answer to ${method} ${path} is no JSON`));
          }
        });
        response.on("error", reject);
      },
    );
    call.on("timeout", () => call.destroy(new Error(`it does not answer within ${SECONDS} s`)));
    call.on("error", (error: NodeJS.ErrnoException) =>
      reject(new Error(`${url}: ${error.code ?? ""} ${error.message}`.trim())),
    );
    call.end(text);
  });
}

/** The password goes through the environment (`-E`): everybody on this machine may read the list of processes. */
function ipmi(operator: Operator, power: Extract<ManifestPower, { kind: "ipmi" }>): PowerControl {
  const run = (word: string): Promise<string> =>
    runHere(["ipmitool", "-I", "lanplus", "-H", power.address, "-U", power.username, "-E", "chassis", "power", word], {
      ...operator.env,
      IPMI_PASSWORD: passwordOf(operator, power.passwordSecret),
    });
  return {
    async state() {
      const said = await run("status");
      return /is off/i.test(said) ? "off" : /is on/i.test(said) ? "on" : "unknown";
    },
    off: async () => void (await run("off")),
    on: async () => void (await run("on")),
  };
}

function commands({ env }: Operator, power: Extract<ManifestPower, { kind: "command" }>): PowerControl {
  return {
    async state() {
      const said = (await runHere(power.status, env)).trim().toLowerCase();
      return said === "off" || said === "on" ? said : "unknown";
    },
    off: async () => void (await runHere(power.off, env)),
    async on() {
      if (power.on === undefined) throw new Error("the site does not say how it is switched on");
      await runHere(power.on, env);
    },
  };
}

async function runHere(argv: readonly string[], env: Operator["env"]): Promise<string> {
  const [program, ...args] = argv;
  try {
    const { stdout } = await promisify(execFile)(program!, args, {
      env: env as NodeJS.ProcessEnv,
      timeout: SECONDS * 2 * 1000,
      maxBuffer: 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    const { code, killed, stderr } = error as { code?: number | string; killed?: boolean; stderr?: string };
    if (code === "ENOENT") throw new Error(`there is no program '${program}' on this machine`);
    if (killed) throw new Error(`\`${program}\` did not end within ${SECONDS * 2} s`);
    throw new Error(`\`${program}\` ended with ${code}: ${(stderr ?? "").trim().slice(-300)}`);
  }
}
