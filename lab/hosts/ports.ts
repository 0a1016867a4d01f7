import * as fs from "node:fs";
import type * as net from "node:net";
import * as path from "node:path";

/** Loopback ports by role, kept in a file so that addresses that were written down stay true after a restart. */
export class Ports {
  private readonly file: string;
  private readonly known: Record<string, number>;

  constructor(folder: string) {
    this.file = path.join(folder, "ports.json");
    this.known = fs.existsSync(this.file)
      ? (JSON.parse(fs.readFileSync(this.file, "utf8")) as Record<string, number>)
      : {};
  }

  /** Listens on the port of old while it is free, else on any. */
  async listen(server: net.Server, role: string): Promise<number> {
    const port = await listenOn(server, this.known[role] ?? 0).catch(() => listenOn(server, 0));
    if (this.known[role] !== port) {
      this.known[role] = port;
      fs.writeFileSync(this.file, `${JSON.stringify(this.known, null, 2)}\n`);
    }
    return port;
  }
}

function listenOn(server: net.Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve((server.address() as net.AddressInfo).port);
    });
  });
}

/** Ends a server and the connections that it still has. */
export function closeServer(server: net.Server, sockets: Iterable<net.Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}
