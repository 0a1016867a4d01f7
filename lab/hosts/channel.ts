import type { Readable, Writable } from "node:stream";

/** Lines between the lab and a host's pid 1; `programs/init` says which there are. */
export class Channel {
  private rest = "";
  private readonly listeners = new Set<(words: string[]) => void>();
  private closed = false;
  private readonly onClose = new Set<() => void>();

  constructor(
    input: Readable,
    private readonly output: Writable,
  ) {
    input.setEncoding("utf8");
    input.on("data", (chunk: string) => this.receive(chunk));
    input.on("close", () => this.end());
    input.on("error", () => this.end());
    output.on("error", () => this.end());
  }

  /** Words are percent-encoded, so that none holds a space or a line break. */
  tell(...words: string[]): void {
    if (!this.closed) this.output.write(`${words.map(encode).join(" ")}\n`);
  }

  listen(listener: (words: string[]) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The first line that `pick` makes something of. @throws Error when the host goes down before */
  next<T>(pick: (words: string[]) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error("the host went down"));
      const down = () => reject(new Error("the host went down"));
      const stop = this.listen((words) => {
        const found = pick(words);
        if (found === undefined) return;
        stop();
        this.onClose.delete(down);
        resolve(found);
      });
      this.onClose.add(down);
    });
  }

  private receive(chunk: string): void {
    const lines = (this.rest + chunk).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) for (const listener of [...this.listeners]) listener(line.split(" "));
  }

  private end(): void {
    if (this.closed) return;
    this.closed = true;
    for (const each of this.onClose) each();
  }
}

function encode(word: string): string {
  return word === "--" ? word : [...Buffer.from(word)].map(encodeByte).join("");
}

function encodeByte(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9/._=:,@+-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
}
