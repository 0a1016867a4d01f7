/** Power by Redfish (DMTF DSP0266, schema ComputerSystem), the common interface of BMCs: iDRAC, iLO, XClarity, OpenBMC. */
import * as https from "node:https";
import { rootCertificates } from "node:tls";
import type { ManifestPower } from "../../planning/manifest";
import { type PowerState, type PowerSwitch, SwitchFailure } from "./types";

type Redfish = Extract<ManifestPower, { kind: "redfish" }>;
type Json = Readonly<Record<string, unknown>>;

const CONNECT_SECONDS = 5;
/** BMCs are slow. */
const ANSWER_SECONDS = 20;
const MAXIMUM_BYTES = 4 * 1024 * 1024;
/** Ways to say so, best first: without the operating system's help, which may be what hangs. */
const ORDERS = { off: ["ForceOff"], on: ["On", "ForceOn"] } as const;

export function redfishSwitch(power: Redfish, password: string): PowerSwitch {
  const bmc = new Bmc(power, password);
  return {
    state: async () => stateOf((await bmc.system()).PowerState),
    set: (wanted) => bmc.reset(ORDERS[wanted]),
  };
}

function stateOf(value: unknown): PowerState {
  return value === "On" ? "on" : value === "Off" ? "off" : "unknown";
}

class Bmc {
  readonly #base: URL;
  readonly #agent: https.Agent;
  readonly #authorization: string;
  #path: string | undefined;

  constructor(
    private readonly power: Redfish,
    private readonly password: string,
  ) {
    this.#base = new URL(power.url);
    if (this.#base.protocol !== "https:") {
      throw new SwitchFailure(
        `${power.url} is no https:// address, and a password goes nowhere else`,
        "write servers.*.power.url with https",
      );
    }
    // An authority that is given counts beside the public ones.
    const ca = power.ca === undefined ? {} : { ca: [...rootCertificates, power.ca] };
    this.#agent = new https.Agent({ ...ca, keepAlive: false });
    this.#authorization = `Basic ${Buffer.from(`${power.username}:${password}`).toString("base64")}`;
  }

  /** The system's resource. Its path is looked for once. */
  async system(): Promise<Json> {
    this.#path ??= await this.find();
    return this.get(this.#path);
  }

  async reset(types: readonly string[]): Promise<void> {
    const system = await this.system();
    const action = child(child(system, "Actions"), "#ComputerSystem.Reset");
    const target = action.target;
    if (typeof target !== "string") {
      throw this.failure(
        "names no action ComputerSystem.Reset",
        "update the BMC's firmware, or use `ipmi` or a command of your own",
      );
    }
    const allowed = await this.allowed(action);
    const type = allowed === undefined ? types[0] : types.find((each) => allowed.includes(each));
    if (type === undefined) {
      throw this.failure(
        `cannot do ${types.join(" or ")} (it can: ${allowed?.join(", ") || "nothing"})`,
        "use `ipmi` or a command of your own for this server's power",
      );
    }
    await this.call("POST", target, { ResetType: type });
  }

  /** What the action takes; `undefined` when the BMC does not say. */
  private async allowed(action: Json): Promise<readonly string[] | undefined> {
    const direct = action["ResetType@Redfish.AllowableValues"];
    if (Array.isArray(direct)) return direct.map(String);
    const info = action["@Redfish.ActionInfo"];
    if (typeof info !== "string") return undefined;
    const { Parameters: parameters } = await this.get(info);
    const reset = (Array.isArray(parameters) ? (parameters as Json[]) : []).find(({ Name }) => Name === "ResetType");
    const values = reset?.AllowableValues;
    return Array.isArray(values) ? values.map(String) : undefined;
  }

  private async find(): Promise<string> {
    const { system } = this.power;
    if (system?.startsWith("/")) return system;
    const root = await this.get("/redfish/v1/");
    const { Members: members } = await this.get(link(child(root, "Systems")) ?? "/redfish/v1/Systems");
    const paths = (Array.isArray(members) ? (members as Json[]) : []).flatMap((member) => link(member) ?? []);
    const fitting = system === undefined ? paths : paths.filter((path) => path.split("/").at(-1) === system);
    if (fitting.length === 1) return fitting[0]!;
    const named = system === undefined ? "" : ` '${system}'`;
    throw this.failure(
      `has ${fitting.length === 0 ? `no system${named}` : `${fitting.length} systems`} (${paths.join(", ") || "it names none"})`,
      "write the one that is meant as servers.*.power.system",
    );
  }

  private async get(path: string): Promise<Json> {
    const text = await this.call("GET", path);
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === "object" && value !== null) return value as Json;
    } catch {
      // Said below.
    }
    throw this.failure(`answers ${path} with something that is no JSON`, "look whether its address is that of a BMC");
  }

  private call(method: "GET" | "POST", path: string, body?: Json): Promise<string> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const url = new URL(path, this.#base);
      // A BMC that points elsewhere does not get the password sent there.
      if (url.origin !== this.#base.origin) {
        reject(this.failure(`points to ${url.origin}`, "look whether its address is that of a BMC"));
        return;
      }
      const headers: Record<string, string | number> = {
        Accept: "application/json",
        "OData-Version": "4.0",
        Authorization: this.#authorization,
      };
      if (text !== undefined) {
        headers["Content-Type"] = "application/json";
        headers["Content-Length"] = Buffer.byteLength(text);
      }
      const request = https.request(url, { method, headers, agent: this.#agent });
      const give = (code: string, why: string) => request.destroy(Object.assign(new Error(why), { code }));
      const connect = setTimeout(
        () => give("CONNECT_TIMEOUT", `no connection within ${CONNECT_SECONDS} s`),
        CONNECT_SECONDS * 1000,
      );
      const answer = setTimeout(
        () => give("ANSWER_TIMEOUT", `no answer within ${ANSWER_SECONDS} s`),
        ANSWER_SECONDS * 1000,
      );
      const stop = () => {
        clearTimeout(connect);
        clearTimeout(answer);
      };
      request.on("socket", (socket) => socket.once("secureConnect", () => clearTimeout(connect)));
      request.on("error", (error: NodeJS.ErrnoException) => {
        stop();
        reject(this.unreachable(error));
      });
      request.on("response", (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAXIMUM_BYTES) give("TOO_LONG", "its answer does not end");
          else chunks.push(chunk);
        });
        response.on("error", (error: NodeJS.ErrnoException) => {
          stop();
          reject(this.unreachable(error));
        });
        response.on("end", () => {
          stop();
          const said = Buffer.concat(chunks).toString("utf8");
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(said);
          else reject(this.refused(method, path, status, said));
        });
      });
      request.end(text);
    });
  }

  private refused(method: string, path: string, status: number, said: string): SwitchFailure {
    if (status === 401 || status === 403) {
      return this.failure(
        `does not let '${this.power.username}' in (HTTP ${status})`,
        `look at user and password ('${this.power.passwordSecret}'); the user needs the right to switch the server (role Operator)`,
      );
    }
    const why = messageOf(said) ?? "no reason given";
    return this.failure(
      `refuses ${method} ${path} (HTTP ${status}: ${why})`,
      "look into the BMC's own log; try it by its web page",
    );
  }

  private unreachable(error: NodeJS.ErrnoException): SwitchFailure {
    const code = error.code ?? "";
    if (/CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME|SSL|TLS/.test(code)) {
      return this.failure(
        `shows a certificate that is not trusted (${code}: ${error.message})`,
        "write the PEM of its authority, or its own certificate if it signed itself, as servers.*.power.ca, and its address as the certificate names it",
      );
    }
    return this.failure(
      `does not answer (${code || "no code"}: ${error.message})`,
      "look at the BMC's network and plug: a BMC without mains power answers nobody, and its server is off then, which only a person can see",
      false,
    );
  }

  private failure(what: string, fix: string, isRefusal = true): SwitchFailure {
    const reason = `its BMC ${this.#base.host} ${what}`;
    return new SwitchFailure(reason.replaceAll(this.password, "***"), fix, isRefusal);
  }
}

function child(value: Json, key: string): Json {
  const found = value[key];
  return typeof found === "object" && found !== null ? (found as Json) : {};
}

function link(value: Json): string | undefined {
  const path = value["@odata.id"];
  return typeof path === "string" ? path : undefined;
}

/** What a Redfish error says: the extended messages first, which are the ones with words. */
function messageOf(text: string): string | undefined {
  try {
    const error = child(JSON.parse(text) as Json, "error");
    const more = error["@Message.ExtendedInfo"];
    const messages = (Array.isArray(more) ? (more as Json[]) : []).map(({ Message }) => Message);
    const found = [...messages, error.message].filter(
      (each): each is string => typeof each === "string" && each !== "",
    );
    return found[0]?.slice(0, 300).replace(/\.$/, "");
  } catch {
    return undefined;
  }
}
