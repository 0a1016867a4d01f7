import { Agent, request } from "node:https";
import type { Target } from "./player";
import type { Answer } from "./recording";

/** Where the lab's API is. */
export interface Endpoint {
  /** `https://127.0.0.1:PORT` */
  url: string;
  /** PEM of the authority that signed its certificate. */
  ca: string;
  /** `user@realm!name=secret` */
  token: string;
}

/** Sends recorded requests byte for byte as they were sent to the real API; reason phrases come back untouched. */
export class HttpsTarget implements Target {
  private readonly agent: Agent;

  constructor(
    private readonly endpoint: Endpoint,
    readonly advance: (seconds: number) => Promise<void>,
  ) {
    this.agent = new Agent({ ca: endpoint.ca, keepAlive: true });
  }

  async send(
    method: string,
    path: string,
    query: Record<string, string>,
    form: string | undefined,
    heldBack = false,
  ): Promise<Answer> {
    const sent = this.request(method, path, query, form);
    if (!heldBack) return sent;
    const waiting = { over: false };
    const end = () => {
      waiting.over = true;
    };
    sent.then(end, end);
    while (!waiting.over) await this.advance(1);
    return sent;
  }

  private request(
    method: string,
    path: string,
    query: Record<string, string>,
    form: string | undefined,
  ): Promise<Answer> {
    const search = new URLSearchParams(query).toString();
    const url = new URL(`${this.endpoint.url}/api2/json${path}${search === "" ? "" : `?${search}`}`);
    const headers: Record<string, string> = { Authorization: `PVEAPIToken=${this.endpoint.token}` };
    if (form !== undefined) {
      headers["Content-Type"] = "application/x-www-form-urlencoded";
      headers["Content-Length"] = String(Buffer.byteLength(form));
    }
    return new Promise((resolve, reject) => {
      const call = request(url, { method, headers, agent: this.agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const body = Buffer.concat(chunks).toString("utf8");
          const answer: unknown = body === "" ? "" : JSON.parse(body);
          resolve({ status: response.statusCode ?? 0, reason: response.statusMessage ?? "", answer });
        });
      });
      call.on("error", reject);
      call.end(form);
    });
  }

  /** Closes the connections. */
  close(): void {
    this.agent.destroy();
  }
}
