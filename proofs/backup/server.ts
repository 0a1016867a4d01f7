/**
 * A server of the proof: a folder that stands for its file system, in which the programs of backup/ run as they do on a real one.
 * They are started as processes of their own, and killed with everything below them, as a power cut would.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { checkout } from "../../tests/engine/engine";

export interface Run {
  /** Exit code; 137 when it was killed. */
  code: number;
  out: string;
  err: string;
}

/** A run that goes on. */
export interface Running {
  ended: Promise<Run>;
  /** Ends the program and all that it has started, at once. */
  kill(): void;
}

export class Server {
  /**
   * @param name As the site knows it.
   * @param root What is `/` there.
   */
  constructor(
    readonly name: string,
    readonly root: string,
    private readonly environment: Record<string, string> = {},
  ) {
    mkdirSync(root, { recursive: true });
  }

  /** The place of one of its files on this machine. */
  at(path: string): string {
    return join(this.root, path);
  }

  write(path: string, text: string | Buffer, mode = 0o644): void {
    const file = this.at(path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    chmodSync(file, mode);
  }

  start(program: "coldspare-backup" | "coldspare-zfs", args: readonly string[]): Running {
    const child = spawn(join(checkout, "backup", program), args, {
      // A group of its own, which is killed as one.
      detached: true,
      env: {
        PATH: process.env.PATH,
        LC_ALL: "C",
        COLDSPARE_ROOT: this.root,
        ...this.environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { ended: endOf(child), kill: () => killGroup(child) };
  }

  run(program: "coldspare-backup" | "coldspare-zfs", args: readonly string[]): Promise<Run> {
    return this.start(program, args).ended;
  }
}

/** What a process says, and how it ends. */
export function endOf(child: ChildProcess): Promise<Run> {
  let [out, err] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (code) => done({ code: code ?? 137, out, err }));
  });
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** Lines `key=value …` of `--plain`, decoded. @throws Error when the list was cut off */
export function plainLines(text: string): Record<string, string>[] {
  const lines = text.trim().split("\n");
  if (lines.pop() !== "end") throw new Error(`a list without its end: ${text.slice(-300)}`);
  return lines.map((line) =>
    Object.fromEntries(
      line.split(" ").map((word) => {
        const at = word.indexOf("=");
        return [word.slice(0, at), decodeURIComponent(word.slice(at + 1))];
      }),
    ),
  );
}

/** A value as the programs' configuration takes it: anything but plain characters is percent-encoded. */
export function word(value: string): string {
  return [...Buffer.from(value)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9._/:-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((next) => setTimeout(next, milliseconds));
}
