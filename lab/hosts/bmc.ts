import * as crypto from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import * as https from "node:https";
import type * as net from "node:net";
import type { LabCertificates } from "../tls";
import { closeServer, type Ports } from "./ports";
import type { BmcBehaviour } from "./types";

/** What a BMC and a switch can do to a host. */
export interface PowerOver {
  host: string;
  isOn(): boolean;
  on(): Promise<void>;
  off(): Promise<void>;
  restart(): Promise<void>;
  /** Asks the operating system, which may take its time or not answer. */
  shutDown(): void;
}

const SYSTEM = "/redfish/v1/Systems/1";
const RESET = `${SYSTEM}/Actions/ComputerSystem.Reset`;
const RESET_TYPES = ["On", "ForceOff", "ForceRestart", "GracefulShutdown", "PowerCycle"];
const BODY_LIMIT = 65_536;

interface Answer {
  status: number;
  body?: unknown;
}

/**
 * A baseboard management controller: the part of Redfish (DMTF DSP0266, schema ComputerSystem) with which a server is
 * switched. As on real ones a reset is accepted at once (204) and takes effect afterwards: whoever fences reads the state back.
 */
export class Bmc {
  url = "";
  behaviour: BmcBehaviour = {};
  private readonly server: https.Server;
  private readonly sockets = new Set<net.Socket>();

  constructor(
    private readonly power: PowerOver,
    private readonly password: string,
    certificates: LabCertificates,
  ) {
    this.server = https.createServer({ key: certificates.key, cert: certificates.cert }, (request, response) => {
      void this.serve(request, response);
    });
    this.server.on("connection", (socket: net.Socket) => {
      if (this.behaviour.fault === "dead") return socket.destroy();
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
      return undefined;
    });
  }

  async listen(ports: Ports): Promise<void> {
    this.url = `https://127.0.0.1:${await ports.listen(this.server, `bmc ${this.power.host}`)}`;
  }

  close(): Promise<void> {
    return closeServer(this.server, this.sockets);
  }

  /** Connections from before a fault would go round it. */
  behave(behaviour: BmcBehaviour): void {
    this.behaviour = behaviour;
    for (const socket of this.sockets) socket.destroy();
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await bodyOf(request);
    const delay = this.behaviour.delaySeconds ?? 0;
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay * 1000));
    const answer = this.answer(request, text);
    response.writeHead(answer.status, { "Content-Type": "application/json", "OData-Version": "4.0" });
    response.end(answer.body === undefined ? "" : JSON.stringify(answer.body));
  }

  private answer(request: IncomingMessage, text: string): Answer {
    const path = (request.url ?? "/").replace(/\?.*$/, "").replace(/(.)\/$/, "$1");
    // The service root is open to everyone, by the standard.
    if (request.method === "GET" && path === "/redfish/v1") return { status: 200, body: ROOT };
    if (!this.allowed(request))
      return failure(401, "Base.1.18.NoValidSession", "There is no valid session established.");
    if (request.method === "GET" && path === "/redfish/v1/Systems") return { status: 200, body: SYSTEMS };
    if (request.method === "GET" && path === SYSTEM) return { status: 200, body: this.system() };
    if (request.method === "POST" && path === RESET) return this.reset(text);
    return failure(404, "Base.1.18.ResourceMissingAtURI", `The resource at the URI '${path}' was not found.`);
  }

  private allowed(request: IncomingMessage): boolean {
    if (this.behaviour.fault === "denied") return false;
    const wanted = crypto
      .createHash("sha256")
      .update(`Basic ${Buffer.from(`admin:${this.password}`).toString("base64")}`);
    const given = crypto.createHash("sha256").update(request.headers.authorization ?? "");
    return crypto.timingSafeEqual(wanted.digest(), given.digest());
  }

  private system(): unknown {
    const says = { "says-off": "Off", "says-on": "On" } as Record<string, string>;
    return {
      "@odata.id": SYSTEM,
      "@odata.type": "#ComputerSystem.v1_22_0.ComputerSystem",
      Id: "1",
      Name: this.power.host,
      HostName: this.power.host,
      SystemType: "Physical",
      Status: { State: "Enabled", Health: "OK" },
      PowerState: says[this.behaviour.fault ?? ""] ?? (this.power.isOn() ? "On" : "Off"),
      Actions: { "#ComputerSystem.Reset": { target: RESET, "ResetType@Redfish.AllowableValues": RESET_TYPES } },
    };
  }

  private reset(text: string): Answer {
    const type = resetType(text);
    if (type === undefined || !RESET_TYPES.includes(type))
      return failure(
        400,
        "Base.1.18.ActionParameterNotSupported",
        `The value '${type}' of ResetType is none of ${RESET_TYPES.join(", ")}.`,
      );
    if (this.behaviour.fault === "refuse")
      return failure(500, "Base.1.18.InternalError", "The request failed due to an internal service error.");
    if (this.behaviour.fault === "ignore") return { status: 204 };
    if (type === "On") void this.power.on().catch(() => undefined);
    else if (type === "ForceOff") void this.power.off();
    else if (type === "GracefulShutdown") this.power.shutDown();
    else void this.power.restart().catch(() => undefined);
    return { status: 204 };
  }
}

const ROOT = {
  "@odata.id": "/redfish/v1",
  "@odata.type": "#ServiceRoot.v1_16_0.ServiceRoot",
  Id: "RootService",
  RedfishVersion: "1.20.0",
  Systems: { "@odata.id": "/redfish/v1/Systems" },
};

const SYSTEMS = {
  "@odata.id": "/redfish/v1/Systems",
  "@odata.type": "#ComputerSystemCollection.ComputerSystemCollection",
  Members: [{ "@odata.id": SYSTEM }],
  "Members@odata.count": 1,
};

function failure(status: number, code: string, message: string): Answer {
  return {
    status,
    body: { error: { code, message, "@Message.ExtendedInfo": [{ MessageId: code, Message: message }] } },
  };
}

function resetType(text: string): string | undefined {
  try {
    const type = (JSON.parse(text) as { ResetType?: unknown } | null)?.ResetType;
    return typeof type === "string" ? type : undefined;
  } catch {
    return undefined;
  }
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > BODY_LIMIT) break;
  }
  return text;
}
