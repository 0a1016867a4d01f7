import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { countVersion } from "../membership";
import type { NodeServer } from "../server";
import type { World } from "../world";
import { lxcInfo, pvecm, pvesh, pvesm, pvesr } from "./commands-cluster";
import { guestCommand } from "./commands-guest";
import { CommandFailed, errorText, type HostCommand } from "./commands-io";
import { labZfs } from "./commands-zfs";

/** Commands of the host that are answered by the lab. */
export const HOST_COMMANDS: Record<string, (command: HostCommand, words: string[]) => Promise<void>> = {
  qm: (command, words) => guestCommand(command, "qemu", words),
  pct: (command, words) => guestCommand(command, "lxc", words),
  pvesh,
  pvesr,
  pvecm,
  pvesm,
  "lxc-info": lxcInfo,
  "lab-zfs": labZfs,
};

/** Answers the host commands of one node over a Unix socket that the host sees; whoever reaches it is root there. */
export class CommandSocket {
  private readonly server: net.Server;
  private readonly clients = new Set<net.Socket>();

  constructor(
    private readonly world: World,
    private readonly api: NodeServer,
    private readonly file: string,
  ) {
    this.server = net.createServer({ allowHalfOpen: true }, (client) => this.accept(client));
  }

  async listen(): Promise<void> {
    fs.mkdirSync(path.dirname(this.file), { recursive: true });
    fs.rmSync(this.file, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(this.file, resolve);
    });
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const client of this.clients) client.destroy();
    await closed;
  }

  private accept(client: net.Socket): void {
    this.clients.add(client);
    let data = Buffer.alloc(0);
    let isRead = false;
    client.on("data", (chunk: Buffer) => {
      if (isRead) return;
      data = Buffer.concat([data, chunk]);
      const words = readWords(data);
      if (!words) return;
      isRead = true;
      void this.run(client, words);
    });
    // Somebody pressed Ctrl-C, or the host lost its power: what was begun goes on.
    client.on("error", () => undefined);
    client.on("close", () => this.clients.delete(client));
  }

  private async run(client: net.Socket, [name = "", ...words]: string[]): Promise<void> {
    const print = (kind: "o" | "e") => (text: string) => {
      if (!client.destroyed) client.write(`${kind} ${Buffer.byteLength(text)}\n${text}`);
    };
    const { world, api } = this;
    const { node } = api;
    let code = 0;
    try {
      await world.hosts?.reconcile();
      const command: HostCommand = {
        world,
        domain: world.domainOf(node)!.at(node),
        node,
        api: (method, target, params) => api.asRoot(method, target, params),
        out: print("o"),
        err: print("e"),
      };
      const handler = HOST_COMMANDS[name];
      if (!handler) throw new CommandFailed(`${name}: command not found`, 127);
      await handler(command, words);
      countVersion(command.domain);
      await world.hosts?.reconcile();
    } catch (error) {
      const failure = errorText(error);
      code = failure.code;
      print("e")(`${failure.text}\n`);
    }
    if (!client.destroyed) client.end(`x ${code}\n`);
  }
}

/** The words of a request, once all of it is there. */
function readWords(data: Buffer): string[] | undefined {
  let at = 0;
  const line = () => {
    const end = data.indexOf("\n", at);
    if (end < 0) return undefined;
    const value = Number(data.subarray(at, end).toString());
    at = end + 1;
    return value;
  };
  const count = line();
  if (count === undefined) return undefined;
  const words: string[] = [];
  for (let index = 0; index < count; index++) {
    const length = line();
    if (length === undefined || data.length < at + length) return undefined;
    words.push(data.subarray(at, at + length).toString("utf8"));
    at += length;
  }
  return words;
}
