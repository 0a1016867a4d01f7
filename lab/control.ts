import * as http from "node:http";
import type { AddressInfo } from "node:net";
import type { Router } from "./router";
import type { Validator } from "./validation";
import type { World } from "./world";

/** The lab's own interface for faults, time and reports. */
export class ControlServer {
  private server: http.Server | undefined;

  constructor(
    private readonly world: World,
    private readonly router: Router,
    private readonly validator: Validator | undefined,
    readonly token: string,
  ) {}

  async listen(port: number): Promise<string> {
    const server = http.createServer((_request, response) => {
      response.end(
        JSON.stringify({ calls: this.world.calls.report(), routes: this.router.handled().length, v: !!this.validator }),
      );
    });
    this.server = server;
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise<void>((resolve) => (this.server ? this.server.close(() => resolve()) : resolve()));
  }
}
