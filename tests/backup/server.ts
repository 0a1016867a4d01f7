/** One server as a folder: the real coldspare-backup runs in it by COLDSPARE_ROOT, with the real restic, and mails to a sink. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { words } from "../../planning/backup/conf-words";
import { MailSink } from "./mail-sink";

const PROGRAM = resolve(__dirname, "../../backup/coldspare-backup");

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}
export type Line = Record<string, string>;

export class Server {
  readonly folder = mkdtempSync(join(tmpdir(), "coldspare-backup-"));
  readonly root = join(this.folder, "root");
  readonly sink = new MailSink();
  private lines: string[] = [];

  /** @param more lines of backup.conf */
  async start(...more: string[]): Promise<void> {
    await this.sink.start();
    this.lines = [
      "format 1",
      "site smb",
      "self srv3",
      "retry 1,1",
      words("mail", {
        server: "127.0.0.1",
        port: this.sink.port,
        tls: "none",
        from: "srv3@smb.test",
        to: ["it@smb.test"],
      }),
      ...more,
    ];
    this.configure();
    this.secret("repository", "first password");
    mkdirSync(join(this.folder, "tmp"));
  }

  configure(...more: string[]): void {
    this.lines.push(...more);
    this.put("etc/coldspare/backup.conf", `${this.lines.join("\n")}\n`);
  }

  /** The lines of a policy that saves one folder of this server. */
  policy(options: { repository: string; keep?: string[]; target?: Line; policy?: Line; extra?: string[] }): string[] {
    const { repository, keep, target, policy, extra = [] } = options;
    return [
      words("target cloud", { repository, password: "repository", parts: 2, ...target }),
      words("policy docs", { target: "cloud", notify: "failure", keep, ...policy }),
      words("folder docs", { subject: "folder:srv3:/srv/docs", path: ["/srv/docs"] }),
      ...extra,
    ];
  }

  secret(name: string, value: string): void {
    this.put(`etc/coldspare/secrets/${name}`, value);
    chmodSync(this.path(`etc/coldspare/secrets/${name}`), 0o600);
  }

  path(file: string): string {
    return join(this.root, file);
  }

  put(file: string, content: string | Buffer): void {
    mkdirSync(dirname(this.path(file)), { recursive: true });
    writeFileSync(this.path(file), content);
  }

  /** Files with bytes that nothing compresses. */
  fill(folder: string, files: number, bytes: number): void {
    for (let index = 0; index < files; index++) this.put(`${folder}/file-${index}.bin`, randomBytes(bytes));
  }

  read(file: string): string {
    return existsSync(this.path(file)) ? readFileSync(this.path(file), "utf8") : "";
  }

  spawn(
    argv: readonly string[],
    env: Line = {},
    before: readonly string[] = [],
  ): { child: ChildProcess; end: Promise<Result> } {
    const [program = PROGRAM, ...words] = [...before, PROGRAM, ...argv];
    const child = spawn(program, words, {
      env: {
        PATH: process.env.PATH,
        COLDSPARE_ROOT: this.root,
        TMPDIR: join(this.folder, "tmp"),
        TZ: "Europe/Berlin",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that a kill hits restic, too, as a power cut does.
      detached: true,
    });
    const said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]?.setEncoding("utf8").on("data", (chunk: string) => {
        said[stream] += chunk;
      });
    }
    return { child, end: new Promise((done) => child.once("close", (code) => done({ code: code ?? 137, ...said }))) };
  }

  run(...argv: string[]): Promise<Result> {
    return this.spawn(argv).end;
  }

  async must(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...argv);
    if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Kills the program and what it runs at a random moment. @returns whether it was still at work */
  async interrupted(argv: readonly string[], milliseconds: number): Promise<boolean> {
    const { child, end } = this.spawn(argv);
    const timer = setTimeout(() => killTree(child.pid ?? 0), milliseconds);
    const { code } = await end;
    clearTimeout(timer);
    return code === 137;
  }

  /** The lines that a program reads. */
  async plain(...argv: string[]): Promise<Line[]> {
    const text = await this.must(...argv, "--plain");
    if (!text.endsWith("end\n")) throw new Error(`cut off: ${text}`);
    return text.split("\n").slice(0, -2).map(lineOf);
  }

  async job(name: string): Promise<Line> {
    const jobs = await this.plain("status");
    return jobs.find(({ job }) => job === name) ?? {};
  }

  /** Restores a point into a new folder. @returns it */
  async restore(point: string, ...more: string[]): Promise<string> {
    const to = join(this.folder, `restored-${randomBytes(4).toString("hex")}`);
    await this.must("restore", "docs", point, "--to", to, ...more);
    return to;
  }

  async end(): Promise<void> {
    await this.sink.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Ends a program and all that it started, whichever groups they are in. */
export function killTree(pid: number): void {
  // Stopped first: whose child ends would otherwise begin another one, which nobody would kill.
  signal(pid, "SIGSTOP");
  for (const child of childrenOf(pid)) killTree(child);
  signal(pid, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

export function lineOf(text: string): Line {
  return Object.fromEntries(
    text.split(" ").map((word) => {
      const at = word.indexOf("=");
      return [word.slice(0, at), decodeURIComponent(word.slice(at + 1))];
    }),
  );
}

/** Path → checksum of every file below a folder. */
export function contentOf(folder: string, at = folder): Record<string, string> {
  return Object.assign(
    {},
    ...readdirSync(at).map((name) => {
      const file = join(at, name);
      if (statSync(file).isDirectory()) return contentOf(folder, file);
      return { [relative(folder, file)]: createHash("sha256").update(readFileSync(file)).digest("hex") };
    }),
  );
}
