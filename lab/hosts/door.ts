import { type ChildProcess, spawn } from "node:child_process";
import * as net from "node:net";
import * as path from "node:path";
import { PROGRAMS } from "./files";
import { closeServer, type Ports } from "./ports";
import { MARK } from "./processes";

export interface DoorOptions {
  host: string;
  address: string;
  /** Unix socket between the two network namespaces. */
  socket: string;
  mark: string;
  unreachable: "closed" | "silent";
  /** Whether the operator reaches the host just now. */
  open: () => boolean;
}

/** A host's sshd as seen from outside: a loopback port whose connections come out in the host's network namespace. */
export class Door {
  port = 0;
  private readonly server: net.Server;
  private readonly outside = new Set<net.Socket>();
  private forwarder: ChildProcess | undefined;

  constructor(private readonly options: DoorOptions) {
    this.server = net.createServer({ allowHalfOpen: true }, (socket) => this.accept(socket));
  }

  async listen(ports: Ports): Promise<void> {
    this.port = await ports.listen(this.server, `ssh ${this.options.host}`);
  }

  /** Starts to carry connections; `enter` is argv that runs a program in the host's network namespace. */
  async attach(enter: string[]): Promise<void> {
    const { socket, address, mark } = this.options;
    const argv = ["--pdeathsig", "KILL", ...enter, "perl", path.join(PROGRAMS, "forward"), socket, address, "22"];
    const forwarder = spawn("setpriv", argv, {
      stdio: ["ignore", "pipe", "inherit"],
      env: { PATH: process.env.PATH, [MARK]: mark },
      detached: true,
    });
    this.forwarder = forwarder;
    await new Promise<void>((resolve, reject) => {
      forwarder.stdout.once("data", () => resolve());
      forwarder.once("error", reject);
      forwarder.once("exit", () => reject(new Error(`the port to ${this.options.host} could not be opened`)));
    });
  }

  /** The host is down: what was connected ends. */
  detach(): void {
    this.forwarder?.kill("SIGKILL");
    this.forwarder = undefined;
    this.drop();
  }

  /** Ends all connections, as a cut line does for those who look at it for long enough. */
  drop(): void {
    for (const socket of this.outside) socket.destroy();
  }

  async close(): Promise<void> {
    this.detach();
    await closeServer(this.server, this.outside);
  }

  private accept(socket: net.Socket): void {
    this.outside.add(socket);
    socket.on("close", () => this.outside.delete(socket));
    socket.on("error", () => socket.destroy());
    if (!this.forwarder || !this.options.open()) {
      if (this.options.unreachable === "closed") socket.destroy();
      return;
    }
    const inside = net.connect({ path: this.options.socket, allowHalfOpen: true });
    inside.on("error", () => socket.destroy());
    inside.on("close", () => socket.destroy());
    socket.on("close", () => inside.destroy());
    socket.pipe(inside);
    inside.pipe(socket);
  }
}
