/** A mail server on loopback that takes everything and keeps it: whom the programs tell when a copy fails. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

export interface Mail {
  from: string;
  to: string[];
  subject: string;
  /** Headers and body as they came. */
  text: string;
}

export class Mailbox {
  readonly mails: Mail[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async open(address = "127.0.0.1"): Promise<Mailbox> {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, address, done));
    const mailbox = new Mailbox(server, (server.address() as AddressInfo).port);
    server.on("connection", (socket) => mailbox.serve(socket));
    return mailbox;
  }

  /** Mails whose subject or text has every word. */
  about(...words: string[]): Mail[] {
    return this.mails.filter(({ subject, text }) => words.every((word) => `${subject}\n${text}`.includes(word)));
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((done) => this.server.close(() => done()));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    const session = new Session(socket, (mail) => this.mails.push(mail));
    let rest = "";
    socket.on("data", (chunk) => {
      const parts = `${rest}${chunk.toString("utf8")}`.split(/\r?\n/);
      rest = parts.pop() ?? "";
      for (const line of parts) session.take(line);
    });
    session.say("220 mailbox ESMTP");
  }
}

/** One conversation (RFC 5321), as far as a client that sends a mail needs it. */
class Session {
  private from = "";
  private to: string[] = [];
  /** Lines of the message, while it comes. */
  private message: string[] | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly keep: (mail: Mail) => void,
  ) {}

  say(text: string): void {
    this.socket.write(`${text}\r\n`);
  }

  take(line: string): void {
    if (this.message === undefined) this.command(line);
    else if (line === ".") this.end(this.message);
    else this.message.push(line.replace(/^\./, ""));
  }

  private command(line: string): void {
    const address = /<([^>]*)>/.exec(line)?.[1] ?? "";
    switch (line.slice(0, 4).toUpperCase()) {
      case "MAIL":
        this.from = address;
        break;
      case "RCPT":
        this.to.push(address);
        break;
      case "DATA":
        this.message = [];
        this.say("354 go on");
        return;
      case "QUIT":
        this.say("221 bye");
        this.socket.end();
        return;
    }
    this.say("250 ok");
  }

  private end(lines: readonly string[]): void {
    const text = lines.join("\n");
    const subject = /^Subject: (.*(?:\n[ \t].*)*)/im.exec(text)?.[1]?.replace(/\n[ \t]/g, " ") ?? "";
    this.keep({ from: this.from, to: this.to, subject, text });
    this.message = undefined;
    this.to = [];
    this.say("250 taken");
  }
}
