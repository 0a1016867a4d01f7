/** An SMTP server on the loopback address that takes every message and keeps it. */
import { createServer, type Server, type Socket } from "node:net";

export interface Message {
  from: string;
  to: string[];
  subject: string;
  text: string;
}

export class MailSink {
  readonly messages: Message[] = [];
  port = 0;
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();

  async start(port = 0): Promise<void> {
    this.server = createServer((socket) => this.talk(socket));
    await new Promise<void>((done) => this.server?.listen(port, "127.0.0.1", done));
    const address = this.server.address();
    this.port = typeof address === "object" && address ? address.port : 0;
  }

  private talk(socket: Socket): void {
    this.sockets.add(socket);
    let buffer = "";
    let data = false;
    let message = { from: "", to: [] as string[] };
    const say = (line: string) => socket.write(`${line}\r\n`);
    const command = (line: string) => {
      const [, path = ""] = /<([^>]*)>/.exec(line) ?? [];
      if (/^(EHLO|HELO)/i.test(line)) say("250 sink");
      else if (/^MAIL/i.test(line)) message = { from: path, to: [] };
      else if (/^RCPT/i.test(line)) message.to.push(path);
      else if (/^DATA/i.test(line)) data = true;
      if (/^DATA/i.test(line)) say("354 go on");
      else if (/^QUIT/i.test(line)) socket.end("221 bye\r\n");
      else if (/^(MAIL|RCPT|RSET|NOOP)/i.test(line)) say("250 fine");
    };
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      buffer += chunk;
      for (;;) {
        const end = data ? buffer.indexOf("\r\n.\r\n") : buffer.indexOf("\r\n");
        if (end < 0) return;
        const part = buffer.slice(0, end);
        buffer = buffer.slice(end + (data ? 5 : 2));
        if (!data) command(part);
        else {
          data = false;
          this.messages.push(parse(part, message));
          say("250 taken");
        }
      }
    });
    socket.on("error", () => undefined).on("close", () => this.sockets.delete(socket));
    say("220 sink");
  }

  /** The newest message. */
  get last(): Message {
    const message = this.messages.at(-1);
    if (message === undefined) throw new Error("no message came");
    return message;
  }

  async end(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((done) => (this.server ? this.server.close(done) : done(undefined)));
  }
}

function parse(raw: string, { from, to }: { from: string; to: string[] }): Message {
  const at = raw.indexOf("\r\n\r\n");
  const headers = raw.slice(0, at).replaceAll(/\r\n[ \t]+/g, " ");
  const subject = /^Subject: (.*)$/m.exec(headers)?.[1]?.trim() ?? "";
  return { from, to, subject, text: raw.slice(at + 4).replaceAll("\r\n", "\n") };
}
