/** One endpoint of the API: a request and its answer, as bytes on a verified connection. */
import * as https from "node:https";
import { pipeline, type Writable } from "node:stream";
import { type TrustOptions, trustFor } from "./tls";

/** An answer of the API, whatever its status. */
export interface Answer {
  status: number;
  /** The HTTP reason phrase: PVE puts its message there. */
  reason: string;
  body: string;
}

/** A request without an answer. */
export interface BrokenCall extends NodeJS.ErrnoException {
  /** Whether the server may have taken the request before the connection broke. */
  sent?: boolean;
}

export interface WireRequest {
  method: string;
  path: string;
  body: string | undefined;
  authorization: string;
  timeoutSeconds: number;
  signal: AbortSignal | undefined;
  /** The body of an answer with status 200 goes here, byte by byte, and not into the answer. For as long as it takes. */
  into?: Writable;
}

/** Connections to one server. Keep-alive for reads; a write gets its own, so that it never meets one that is being closed. */
export class Connection {
  private reads: https.Agent | undefined;
  private writes: https.Agent | undefined;
  private trusted: Promise<void> | undefined;

  constructor(readonly options: TrustOptions) {}

  async send(request: WireRequest): Promise<Answer> {
    this.trusted ??= this.trust();
    await this.trusted.catch((error) => {
      // The next call looks again: the server may be back by then.
      this.trusted = undefined;
      throw error;
    });
    return this.exchange(request, request.method === "GET" ? this.reads! : this.writes!);
  }

  close(): void {
    this.reads?.destroy();
    this.writes?.destroy();
  }

  private async trust(): Promise<void> {
    const trust = await trustFor(this.options);
    this.reads = new https.Agent({ ...trust, keepAlive: true, maxSockets: 8, timeout: 4000 });
    this.writes = new https.Agent({ ...trust, keepAlive: false });
  }

  private exchange(request: WireRequest, agent: https.Agent): Promise<Answer> {
    const { url, connectSeconds } = this.options;
    return new Promise((resolve, reject) => {
      const headers: Record<string, string | number> = {
        Authorization: request.authorization,
        Accept: "application/json",
      };
      if (request.body !== undefined) {
        headers["Content-Type"] = "application/x-www-form-urlencoded";
        headers["Content-Length"] = Buffer.byteLength(request.body);
      }
      const target = { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 443), path: request.path };
      const call = https.request({
        ...target,
        method: request.method,
        headers,
        agent,
        ...(request.signal ? { signal: request.signal } : {}),
      });
      let connected = false;
      const fail = (error: BrokenCall) => {
        clearTimeout(connectTimer);
        clearTimeout(answerTimer);
        error.sent ??= connected;
        reject(error);
      };
      const give = (code: string, text: string) => call.destroy(Object.assign(new Error(text), { code }));
      const connectTimer = setTimeout(() => {
        if (!connected) give("CONNECT_TIMEOUT", `no connection within ${connectSeconds} s`);
      }, connectSeconds * 1000);
      const answerTimer = setTimeout(
        () => give("ANSWER_TIMEOUT", `no answer within ${request.timeoutSeconds} s`),
        request.timeoutSeconds * 1000,
      );
      call.on("socket", (socket) => {
        // A fresh socket is ready after the handshake; a kept one is ready now.
        if (call.reusedSocket) connected = true;
        else socket.once("secureConnect", () => (connected = true));
      });
      call.on("error", fail);
      call.on("response", (response) => {
        if (request.into !== undefined && response.statusCode === 200) {
          clearTimeout(connectTimer);
          clearTimeout(answerTimer);
          pipeline(response, request.into, (error) =>
            error ? fail(error) : resolve({ status: 200, reason: response.statusMessage ?? "", body: "" }),
          );
          return;
        }
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", fail);
        response.on("end", () => {
          clearTimeout(connectTimer);
          clearTimeout(answerTimer);
          resolve({
            status: response.statusCode ?? 0,
            reason: response.statusMessage ?? "",
            body: Buffer.concat(chunks).toString("utf8"),
          });
        });
      });
      call.end(request.body);
    });
  }
}
