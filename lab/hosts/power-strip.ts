import * as crypto from "node:crypto";
import * as http from "node:http";
import type * as net from "node:net";
import * as path from "node:path";
import { writePrivate } from "../tls";
import type { PowerOver } from "./bmc";
import { PROGRAMS } from "./files";
import { closeServer, type Ports } from "./ports";

/** Sockets that a command switches: what `programs/power-switch` speaks to. */
export class PowerStrip {
  private readonly server: http.Server;
  private readonly sockets = new Set<net.Socket>();
  private readonly token = crypto.randomBytes(24).toString("hex");

  constructor(
    private readonly folder: string,
    private readonly outlets: Map<string, PowerOver>,
  ) {
    this.server = http.createServer((request, response) => {
      void this.serve(request.headers.authorization, request.url ?? "", request.method).then(
        ([status, text]) => response.writeHead(status, { "Content-Type": "text/plain" }).end(`${text}\n`),
        (error: Error) => response.writeHead(500, { "Content-Type": "text/plain" }).end(`${error.message}\n`),
      );
    });
    this.server.on("connection", (socket: net.Socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
  }

  async listen(ports: Ports): Promise<void> {
    const port = await ports.listen(this.server, "power-strip");
    writePrivate(path.join(this.folder, "power-switch.conf"), `${port} ${this.token}\n`);
  }

  close(): Promise<void> {
    return closeServer(this.server, this.sockets);
  }

  command(host: string): string[] {
    return [path.join(PROGRAMS, "power-switch"), this.folder, host];
  }

  private async serve(
    authorization: string | undefined,
    url: string,
    method: string | undefined,
  ): Promise<[number, string]> {
    if (authorization !== `Bearer ${this.token}`) return [401, "the token is not the one of power-switch.conf"];
    const [, host = "", action] = url.split("/").map(decodeURIComponent);
    const outlet = this.outlets.get(host);
    if (!outlet || method !== "POST")
      return [404, `no outlet ${host}: there are ${[...this.outlets.keys()].join(", ")}`];
    if (action === "off") await outlet.off();
    // As with a real socket, the state is that of the current, not of the operating system.
    else if (action === "on") void outlet.on().catch(() => undefined);
    else if (action !== "status") return [404, `no action ${action}: on, off, status`];
    return [200, outlet.isOn() ? "on" : "off"];
  }
}
