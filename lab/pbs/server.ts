import type * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import { type Body, readBody } from "../body";
import { ApiError } from "../errors";
import type { Router } from "../router";
import { authenticate } from "./access";
import type { BackupServer } from "./backup-server";
import { PbsAnswer, PbsBytes, type PbsCall, type PbsRoute } from "./call";
import { badParameters, messageOf, notFound, PbsError } from "./errors";
import type { PbsValidator } from "./validation";

const PREFIX = "/api2/json";
const OPEN = new Set(["POST /access/ticket", "GET /access/domains", "GET /ping"]);

/** The proxy of one backup server: an HTTPS listener that is there while the server is. */
export class PbsListener {
  private listener: https.Server | undefined;

  constructor(
    private readonly server: BackupServer,
    private readonly router: Router<PbsRoute>,
    private readonly validator: PbsValidator | undefined,
    port: number,
  ) {
    server.port = port;
    server.world.onPower(server.name, () => void this.follow());
  }

  /** Listens if the server is up and can be reached from outside, and is closed otherwise. */
  async follow(): Promise<void> {
    if (this.server.reachableFrom("operator")) await this.listen();
    else await this.close();
  }

  async listen(): Promise<void> {
    if (this.listener) return;
    const { key, cert } = this.server.certificate;
    const listener = https.createServer({ key, cert, minVersion: "TLSv1.2" }, (request, response) => {
      void this.serve(request, response);
    });
    this.listener = listener;
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(this.server.port, "127.0.0.1", resolve);
    });
    this.server.port = (listener.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const { listener } = this;
    this.listener = undefined;
    if (!listener) return;
    const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
    listener.closeAllConnections();
    await closed;
  }

  private async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { faults } = this.server.world;
    if (faults.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, faults.latencyMs));
    try {
      const answer = await this.answer(request);
      if (answer instanceof PbsBytes) return send(response, 200, answer.bytes, "application/octet-stream");
      const body = answer instanceof PbsAnswer ? { data: answer.data, ...answer.extra } : { data: answer ?? null };
      send(response, 200, JSON.stringify(body));
    } catch (error) {
      const status = error instanceof PbsError || error instanceof ApiError ? error.status : 400;
      send(response, status, messageOf(error));
    }
  }

  private async answer(request: http.IncomingMessage): Promise<unknown> {
    const { server } = this;
    const { world } = server;
    const [rawPath = "/", query = ""] = (request.url ?? "/").split(/\?(.*)/s);
    const method = request.method ?? "GET";
    const path = rawPath.startsWith(PREFIX) ? rawPath.slice(PREFIX.length).replace(/\/+$/, "") || "/" : undefined;
    const body = await readBody(request, query);
    const found = path === undefined ? undefined : this.router.find(method, path);
    const isOpen = found !== undefined && OPEN.has(`${method} ${found.route.template}`);
    const auth = isOpen ? "" : await authenticate(server, request);
    if (!found || path === undefined) throw notFound(`Path '${rawPath}' not found.`);
    world.calls.count(method, `pbs${found.route.template}`);
    const fault = world.faults.forRequest(method, path);
    if (fault) throw new PbsError(fault.status, fault.reason);
    const params = this.checked(method, found.route.template, body, found.path);
    const call: PbsCall = { world, server, method, auth, path: found.path, params };
    const result = await found.route.handler(call);
    if (method !== "GET") world.save();
    return result;
  }

  private checked(method: string, template: string, body: Body, path: Record<string, string>): Record<string, string> {
    if (!this.validator) return body.params;
    const { params, errors } = this.validator.check(method, template, { ...body.params, ...path }, body.contentType);
    if (Object.keys(errors).length > 0) throw badParameters(errors);
    for (const name of Object.keys(path)) delete params[name];
    return params;
  }
}

function send(response: http.ServerResponse, status: number, body: string | Buffer, type?: string): void {
  response.writeHead(status, {
    "Content-Type": type ?? "application/json;charset=UTF-8",
    "Content-Length": Buffer.byteLength(body),
    Server: "proxmox-backup-api-server",
  });
  response.end(body);
}
