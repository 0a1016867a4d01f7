import type * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import { authenticate } from "./authentication";
import { type Body, readBody } from "./body";
import { AnswerBytes, AnswerWith, type Call, type Identity, type Route } from "./call";
import type { Domain } from "./domain";
import { ApiError, badParameters, fail } from "./errors";
import { countVersion } from "./membership";
import { checkPermission } from "./privileges";
import type { Router } from "./router";
import type { LabCertificates } from "./tls";
import type { Validator } from "./validation";
import type { World } from "./world";

const PREFIX = "/api2/json";
/** Calls that need no credentials. */
const OPEN = new Set(["POST /access/ticket", "GET /access/domains"]);

/** One node's pveproxy: an HTTPS listener that is there while the node is. */
export class NodeServer {
  private server: https.Server | undefined;
  port: number;

  constructor(
    private readonly world: World,
    private readonly domain: Domain,
    private readonly router: Router,
    private readonly validator: Validator | undefined,
    private readonly certificates: LabCertificates,
    readonly node: string,
    port: number,
  ) {
    this.port = port;
    world.onPower(node, () => void this.follow());
  }

  /** Listens if the node is up, and is closed if it is down. */
  async follow(): Promise<void> {
    if (this.domain.nodeState(this.node).up && this.world.connected("operator", this.node)) await this.listen();
    else await this.close();
  }

  async listen(): Promise<void> {
    if (this.server) return;
    const { key, cert } = this.certificates;
    const server = https.createServer({ key, cert, minVersion: "TLSv1.2" }, (request, response) => {
      void this.serve(request, response);
    });
    this.server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.port, "127.0.0.1", resolve);
    });
    this.port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  private async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { faults } = this.world;
    if (faults.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, faults.latencyMs));
    try {
      const answer = await this.answer(request);
      if (answer instanceof AnswerBytes) return send(response, 200, "OK", answer.bytes);
      const body = answer instanceof AnswerWith ? { data: answer.data, ...answer.extra } : { data: answer ?? null };
      send(response, 200, "OK", JSON.stringify(body));
    } catch (error) {
      if (!(error instanceof ApiError)) {
        const text = error instanceof Error ? error.message : String(error);
        send(response, 500, text, JSON.stringify({ data: null, message: `${text}\n` }));
        return;
      }
      const body = { data: null, message: `${error.reason}\n`, ...(error.errors ? { errors: error.errors } : {}) };
      send(response, error.status, error.reason, error.emptyBody ? "" : JSON.stringify(body));
    }
  }

  private async answer(request: http.IncomingMessage): Promise<unknown> {
    const [rawPath = "/", query = ""] = (request.url ?? "/").split(/\?(.*)/s);
    const method = request.method ?? "GET";
    if (!rawPath.startsWith(PREFIX)) throw new ApiError(501, `Method '${method} ${rawPath}' not implemented`);
    const path = rawPath.slice(PREFIX.length).replace(/\/+$/, "") || "/";
    const body = await readBody(request, query);
    const found = this.router.find(method, path);
    const open = found !== undefined && OPEN.has(`${method} ${found.route.template}`);
    const identity = open ? NOBODY : await authenticate(this.world, this.domain.at(this.node), request);
    if (!found) throw new ApiError(501, `Method '${method} ${path}' not implemented`);
    this.world.calls.count(method, found.route.template);
    const fault = this.world.faults.forRequest(method, path);
    if (fault) throw new ApiError(fault.status, fault.reason);
    await this.world.hosts?.reconcile();
    return this.handle(method, found.route, found.path, body, identity, request.socket.remoteAddress ?? "");
  }

  /** A call that a command on the node itself makes, as root@pam and without the network. */
  async asRoot(method: string, path: string, params: Record<string, string> = {}): Promise<unknown> {
    const found = this.router.find(method, path);
    if (!found) throw new ApiError(501, `Method '${method} ${path}' not implemented`);
    const answer = await this.handle(method, found.route, found.path, { params, contentType: "form" }, ROOT, "");
    return answer instanceof AnswerWith ? answer.data : answer;
  }

  private async handle(
    method: string,
    route: Route,
    path: Record<string, string>,
    body: Body,
    identity: Identity,
    remote: string,
  ): Promise<unknown> {
    const node = this.resolve(path.node);
    const call: Call = {
      world: this.world,
      domain: this.domain.at(this.node),
      listener: this.node,
      node,
      method,
      template: route.template,
      path,
      params: body.params,
      identity,
      ...(body.file ? { file: body.file } : {}),
      remote,
    };
    this.validate(call, body);
    if (route.permission) checkPermission(call, route.permission);
    const result = await route.handler(call);
    if (method !== "GET") {
      countVersion(this.domain);
      this.world.save();
    }
    return result;
  }

  /** The node that carries the call out; a node that is down cannot be reached. */
  private resolve(named: string | undefined): string {
    if (named === undefined) return this.node;
    const name = named === "localhost" ? this.node : named;
    const state = this.domain.state.nodes[name];
    if (!state)
      throw fail(
        `hostname lookup '${name}' failed - failed to get address info for: ${name}: Temporary failure in name resolution`,
      );
    if (!this.domain.reaches(this.node, name)) throw new ApiError(595, "Network is unreachable", undefined, true);
    return name;
  }

  private validate(call: Call, body: Body): void {
    if (!this.validator) return;
    const { node: _node, ...own } = call.path;
    const params = { ...body.params, ...own, ...(call.path.node ? { node: call.node } : {}) };
    const errors = this.validator.check(call.method, call.template, params, body.contentType);
    if (Object.keys(errors).length > 0) throw badParameters(errors);
  }
}

const ROOT: Identity = { user: "root@pam", full: "root@pam", isRoot: true };
const NOBODY: Identity = { user: "", full: "", isRoot: false };

/** The reason phrase must be one line of printable characters. */
function send(response: http.ServerResponse, status: number, reason: string, body: string | Buffer): void {
  const phrase = reason
    .replace(/[\r\n]+/g, " ")
    .replace(/[^\x20-\x7e]/g, "?")
    .trim();
  response.writeHead(status, phrase, {
    "Content-Type": typeof body === "string" ? "application/json;charset=UTF-8" : "application/octet-stream",
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "max-age=0",
    Server: "pve-api-daemon/3.0",
  });
  response.end(body);
}
