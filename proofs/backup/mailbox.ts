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
    let rest = "";
    let mail = { from: "", to: [] as string[] };
    let lines: string[] | undefined;
    const say = (text: string) => void socket.write(`${text}\r\n`);
    const onLine = (line: string): void => {
      if (lines !== undefined) {
        if (line !== ".") return void lines.push(line.replace(/^\./, ""));
        this.keep(mail, lines);
        lines = undefined;
        mail = { from: "", to: [] };
        return say("250 2.0.0 taken");
      }
      const word = line.slice(0, 4).toUpperCase();
      const address = /<([^>]*)>/.exec(line)?.[1] ?? "";
      if (word === "EHLO" || word === "HELO") return say("250 mailbox");
      if (word === "MAIL") mail.from = address;
      else if (word === "RCPT") mail.to.push(address);
      else if (word === "DATA") {
        lines = [];
        return say("354 go on");
      } else if (word === "QUIT") {
        say("221 bye");
        return void socket.end();
      }
      say("250 2.0.0 ok");
    };
    socket.on("data", (chunk) => {
      const parts = `${rest}${chunk.toString("utf8")}`.split(/\r?\n/);
      rest = parts.pop() ?? "";
      for (const line of parts) onLine(line);
    });
    say("220 mailbox ESMTP");
  }

  private keep({ from, to }: { from: string; to: string[] }, lines: readonly string[]): void {
    const text = lines.join("\n");
    const subject = /^Subject: (.*(?:\n[ \t].*)*)/im.exec(text)?.[1]?.replace(/\n[ \t]/g, " ") ?? "";
    this.mails.push({ from, to, subject, text });
  }
}
