/** Real servers on the loopback address: the system's sshd, rclone as rest-server, and an S3 server with policies. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";

export const S3_SERVER =
  process.env.COLDSPARE_S3_SERVER ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "coldspare/test-servers/versitygw-v1.8.0/versitygw");

export const canSftp = process.getuid?.() === 0 && existsSync("/usr/sbin/sshd");
export const canRest = ["/usr/bin/rclone", "/usr/local/bin/rclone"].some(existsSync);
export const canS3 = existsSync(S3_SERVER);

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  return typeof address === "object" && address ? address.port : 0;
}

/** A process that listens on a port, and can be ended and started again there. */
export class Daemon {
  private child: ChildProcess | undefined;

  constructor(
    readonly port: number,
    private readonly argv: readonly string[],
    private readonly env: Record<string, string> = {},
  ) {}

  async start(): Promise<this> {
    const [program = "", ...words] = this.argv;
    this.child = spawn(program, words, {
      stdio: "ignore",
      detached: true,
      env: { PATH: process.env.PATH, ...this.env },
    });
    for (let tries = 0; !(await answers(this.port)); tries++) {
      if (tries > 200) throw new Error(`${program} does not listen on ${this.port}`);
      await new Promise((done) => setTimeout(done, 50));
    }
    return this;
  }

  /** Ends it and every connection that it has. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child?.pid === undefined || child.exitCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    process.kill(-child.pid, "SIGKILL");
    await ended;
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      done(true);
    });
    socket.once("error", () => done(false));
  });
}

export function makeKey(file: string): string {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
  return readFileSync(`${file}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
}

/** An sshd of its own that lets one key transfer files, and nothing else. */
export async function sshd(folder: string, authorized: string): Promise<{ daemon: Daemon; hostKey: string }> {
  mkdirSync(folder, { recursive: true });
  mkdirSync("/run/sshd", { recursive: true });
  const hostKey = makeKey(join(folder, "host"));
  writeFileSync(join(folder, "authorized"), `command="internal-sftp",restrict ${authorized} coldspare-backup@srv3\n`);
  const port = await freePort();
  const config = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${folder}/host`,
    `AuthorizedKeysFile ${folder}/authorized`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin forced-commands-only",
    "Subsystem sftp internal-sftp",
    `PidFile ${folder}/pid`,
  ];
  writeFileSync(join(folder, "config"), `${config.join("\n")}\n`);
  return { daemon: new Daemon(port, ["/usr/sbin/sshd", "-D", "-f", join(folder, "config")]), hostKey };
}

/** What rest-server does with --append-only, by rclone. */
export async function restServer(folder: string, user: string, password: string): Promise<Daemon> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const argv = ["rclone", "serve", "restic", "--append-only", "--addr", `127.0.0.1:${port}`, "--user", user];
  return new Daemon(port, [...argv, "--pass", password, folder], { HOME: folder });
}

/** An S3 server with one bucket `copies`, and users with rights of their own. */
export class S3 {
  private constructor(
    readonly daemon: Daemon,
    private readonly root: { access: string; secret: string },
  ) {}

  static async start(folder: string): Promise<S3> {
    for (const name of ["data", "iam"]) mkdirSync(join(folder, name), { recursive: true });
    const port = await freePort();
    const root = { access: "root", secret: "root-secret" };
    const options = ["--port", `127.0.0.1:${port}`, "--iam-dir", join(folder, "iam"), "--quiet"];
    const keys = ["--access", root.access, "--secret", root.secret];
    const daemon = new Daemon(port, [S3_SERVER, ...options, ...keys, "posix", join(folder, "data")]);
    const s3 = new S3(await daemon.start(), root);
    s3.must("PUT", "/copies");
    return s3;
  }

  user(access: string, secret: string): void {
    const keys = ["--access", this.root.access, "--secret", this.root.secret];
    const admin = [S3_SERVER, "admin", ...keys, "--endpoint-url", `http://127.0.0.1:${this.daemon.port}`];
    const [program = "", ...words] = [
      ...admin,
      "create-user",
      "--access",
      access,
      "--secret",
      secret,
      "--role",
      "user",
    ];
    execFileSync(program, words, { stdio: "pipe" });
  }

  policy(statements: readonly object[]): void {
    this.must("PUT", "/copies?policy=", JSON.stringify({ Version: "2012-10-17", Statement: statements }));
  }

  private must(method: string, path: string, body = ""): void {
    const status = this.request(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path} was answered with ${status}`);
  }

  /** @returns the status of the answer */
  request(method: string, path: string, body = "", who: { access: string; secret: string } = this.root): number {
    const argv = ["--silent", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", `${who.access}:${who.secret}`];
    const where = ["--request", method, "--write-out", "%{http_code}", "--output", "/dev/null"];
    const data = body === "" ? [] : ["--data-binary", body];
    const hash = createHash("sha256").update(body).digest("hex");
    const url = `http://127.0.0.1:${this.daemon.port}${path}`;
    return Number(
      execFileSync("curl", [...argv, ...where, ...data, "--header", `x-amz-content-sha256: ${hash}`, url], {
        encoding: "utf8",
      }),
    );
  }
}

/** What the page docs/backup-servers.md tells people to give a server that only adds. */
export function appendOnlyPolicy(page: string): object[] {
  const text = /```json\n(\{[^`]*"s3:DeleteObject"[^`]*)```/.exec(readFileSync(page, "utf8"))?.[1];
  if (text === undefined) throw new Error(`${page} shows no policy`);
  return JSON.parse(text).Statement;
}
