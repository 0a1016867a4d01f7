import { timingSafeEqual } from "node:crypto";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import type { ControlAction } from "./control-action";
import { controlActions } from "./control-actions";
import type { Router } from "./router";
import type { Validator } from "./validation";
import type { World } from "./world";

/**
 * The lab's own interface, beside the API: switch nodes, let time pass, cause faults, ask what was called. It listens
 * on loopback only and wants the bearer token that lies in the lab's folder.
 */
export class ControlServer {
  private readonly server: http.Server;
  private readonly actions: ControlAction[];

  constructor(
    private readonly world: World,
    router: Router,
    validator: Validator | undefined,
    readonly token: string,
  ) {
    this.actions = controlActions(world, router, validator);
    this.server = http.createServer((request, response) => void this.serve(request, response));
  }

  /** @returns the base address */
  async listen(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(port, "127.0.0.1", resolve);
    });
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const answer = (status: number, body: unknown) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(body ?? null));
    };
    try {
      if (!this.allowed(request.headers.authorization))
        return answer(401, { error: "the lab's control token is missing or wrong" });
      const [path = "/"] = (request.url ?? "/").split("?");
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      const body = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
      for (const action of this.actions) {
        const match = action.pattern.exec(path);
        if (action.method !== request.method || !match) continue;
        const result = await action.run(match.slice(1).map(decodeURIComponent), body);
        if (action.method === "POST") await this.world.hosts?.reconcile();
        return answer(200, result);
      }
      answer(404, {
        error: `the control interface has no ${request.method} ${path}`,
        known: this.actions.map((action) => `${action.method} ${action.usage}`),
      });
    } catch (error) {
      answer(400, { error: error instanceof Error ? error.message : String(error) });
    }
  }

  private allowed(header: string | undefined): boolean {
    const given = Buffer.from(header ?? "");
    const wanted = Buffer.from(`Bearer ${this.token}`);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }
}
