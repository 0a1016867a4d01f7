/** Commands on servers over the system's OpenSSH client: agents, hardware keys and jump hosts work as in the terminal. */
import { lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive } from "../process-alive";
import { noHostKey, place, SshError, unknownServer } from "./errors";
import { Master } from "./master";
import { finishSsh } from "./process";
import { quote } from "./quote";
import type { SshResult, SshRunOptions, SshTarget } from "./types";

/** Arguments of {@link SshClient}. */
export interface SshClientOptions {
  /** By the servers' names. */
  targets: Readonly<Record<string, SshTarget>>;
  /** Private key. Without it, what `ssh` itself would take: the agent's keys, those of ~/.ssh. */
  keyFile?: string;
  /** Seconds that a server which does not answer may cost. Default 5. */
  connectSeconds?: number;
}

/** What most callers need: something else may stand behind it in a test. */
export interface SshRunner {
  /** @throws SshError when the server cannot be reached or refuses us; a command's own exit code is no error */
  run(server: string, argv: readonly string[], options?: SshRunOptions): Promise<SshResult>;
  close(): Promise<void>;
}

const TIMEOUT_SECONDS = 60;
/** sshd's own default of sessions in one connection is 10, and the standing one is itself a session. */
const SESSIONS = 8;
/** A path of a socket has 104 bytes at most, and ssh appends 17 while it makes it. */
const LONGEST_FOLDER = 60;
const GONE_MS = 300;

/**
 * ```ts
 * const ssh = new SshClient({ targets: { srv1: { host: "192.168.10.11", port: 22, user: "root", hostKeys: ["ssh-ed25519 AAAA…"] } } });
 * const { code, stdout } = await ssh.run("srv1", ["qm", "status", "110"]);
 * await ssh.close();
 * ```
 *
 * Host keys are pinned: `known_hosts` of the user and of the machine do not count. Passwords are never asked for.
 */
export class SshClient implements SshRunner {
  readonly #targets: Readonly<Record<string, SshTarget>>;
  readonly #keyFile: string | undefined;
  readonly #connectSeconds: number;
  readonly #masters = new Map<string, Promise<Master>>();
  readonly #live = new Set<Master>();
  readonly #queues = new Map<string, Queue>();
  #folder: string | undefined;
  readonly #atExit = () => this.abandon();

  constructor(options: SshClientOptions) {
    this.#targets = options.targets;
    this.#keyFile = options.keyFile;
    this.#connectSeconds = options.connectSeconds ?? 5;
  }

  /**
   * Runs one command. Its words reach the server's program as they are, whatever is in them.
   *
   * @throws SshError when the server cannot be reached or refuses us, and when the command takes too long; a command's own exit
   *   code is no error
   * @throws ConfigError when there is no `ssh` on this machine
   */
  async run(server: string, argv: readonly string[], options: SshRunOptions = {}): Promise<SshResult> {
    const target = this.#targets[server];
    if (!target) throw unknownServer(server, Object.keys(this.#targets));
    if (target.hostKeys.length === 0) throw noHostKey(server, target);
    const line = quote(argv);
    const queue = this.#queues.get(server) ?? new Queue(SESSIONS);
    this.#queues.set(server, queue);
    return queue.run(() => this.runNow(server, target, line, options));
  }

  /** Ends the connections and removes what was written. The client can be used again afterwards. */
  async close(): Promise<void> {
    const opening = await Promise.allSettled(this.#masters.values());
    for (const each of opening) if (each.status === "fulfilled") each.value.kill();
    this.abandon();
    process.removeListener("exit", this.#atExit);
  }

  private async runNow(
    server: string,
    target: SshTarget,
    line: string,
    { input, timeoutSeconds = TIMEOUT_SECONDS }: SshRunOptions,
  ): Promise<SshResult> {
    const master = await this.master(server, target);
    const args = [...this.argsFor(server), "-o", "ControlMaster=no", ...whereTo(target), line];
    const { ended, ...result } = await finishSsh(args, { input, timeoutSeconds });
    if (ended === "timeout") {
      // A server that died in between looks like this, too: the next command connects anew and sees.
      this.forget(server, master);
      throw new SshError(
        server,
        "timeout",
        `\`${shown(line)}\` did not end within ${timeoutSeconds} s`,
        `look on ${server} what it waits for (it may still go on there), then run this again`,
      );
    }
    if (ended === "output") {
      throw new SshError(
        server,
        "timeout",
        `\`${shown(line)}\` said more than can be kept`,
        `run it on ${server} by hand`,
      );
    }
    // 255 is ssh's own failure, but a command's exit code as well.
    if (result.code === 255 && (await master.isGoneWithin(GONE_MS))) {
      this.forget(server, master);
      throw new SshError(
        server,
        "unreachable",
        `the connection to ${place(target)} ended while \`${shown(line)}\` ran; it may or may not have been carried out`,
        `look whether ${server} still runs, then run this again`,
      );
    }
    return result;
  }

  private async master(server: string, target: SshTarget): Promise<Master> {
    const opened = this.#masters.get(server);
    if (opened) {
      // Commands that began together share one failure: a dead server costs its seconds once.
      const standing = await opened;
      if (standing.isAlive) return standing;
      if (this.#masters.get(server) === opened) this.forget(server, standing);
      return this.master(server, target);
    }
    const args = [...this.argsFor(server), "-o", "ControlMaster=yes", ...whereTo(target)];
    const opening = Master.open(server, target, args, {
      keyFile: this.#keyFile,
      connectSeconds: this.#connectSeconds,
    }).then((master) => {
      this.#live.add(master);
      return master;
    });
    this.#masters.set(server, opening);
    opening.catch(() => {
      if (this.#masters.get(server) === opening) this.#masters.delete(server);
    });
    return opening;
  }

  private forget(server: string, master: Master): void {
    master.kill();
    this.#live.delete(master);
    this.#masters.delete(server);
  }

  /** What must be gone even when nobody called `close`. */
  private abandon(): void {
    for (const master of this.#live) master.kill();
    this.#live.clear();
    this.#masters.clear();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  /** Options of every call. They come first on the command line and so win over `~/.ssh/config`. */
  private argsFor(server: string): string[] {
    const folder = this.folder();
    const options: Record<string, string> = {
      BatchMode: "yes",
      PasswordAuthentication: "no",
      KbdInteractiveAuthentication: "no",
      StrictHostKeyChecking: "yes",
      UserKnownHostsFile: join(folder, "known_hosts"),
      GlobalKnownHostsFile: "/dev/null",
      HostKeyAlias: server,
      CheckHostIP: "no",
      VerifyHostKeyDNS: "no",
      UpdateHostKeys: "no",
      // Clients older than 8.5 do not know it.
      IgnoreUnknown: "KnownHostsCommand",
      KnownHostsCommand: "none",
      ConnectTimeout: String(this.#connectSeconds),
      ConnectionAttempts: "1",
      ServerAliveInterval: "5",
      ServerAliveCountMax: "3",
      ClearAllForwardings: "yes",
      ForwardAgent: "no",
      ForwardX11: "no",
      PermitLocalCommand: "no",
      RemoteCommand: "none",
      RequestTTY: "no",
      LogLevel: "ERROR",
      ControlPersist: "no",
      ControlPath: join(folder, String(Object.keys(this.#targets).indexOf(server))),
    };
    const key = this.#keyFile === undefined ? [] : ["-i", this.#keyFile, "-o", "IdentitiesOnly=yes"];
    return [...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]), ...key];
  }

  /** A folder of our own, readable by us alone: the pinned keys and the sockets of the standing connections. */
  private folder(): string {
    if (this.#folder !== undefined) return this.#folder;
    const base = tmpdir().length <= LONGEST_FOLDER ? tmpdir() : "/tmp";
    removeLeftovers(base);
    const folder = mkdtempSync(join(base, `${FOLDER_PREFIX}${process.pid}-`));
    const lines = Object.entries(this.#targets).flatMap(([server, { hostKeys }]) =>
      hostKeys.map((key) => `${server} ${key.trim()}\n`),
    );
    writeFileSync(join(folder, "known_hosts"), lines.join(""), { mode: 0o600 });
    process.once("exit", this.#atExit);
    this.#folder = folder;
    return folder;
  }
}

const FOLDER_PREFIX = "csp-";
const LEFT_MS = 24 * 3_600_000;

/** Folders of our own whose process was killed before it could remove them: dead sockets and public keys. */
function removeLeftovers(base: string): void {
  let names: string[];
  try {
    names = readdirSync(base);
  } catch {
    // Not everybody may list it: then they stay.
    return;
  }
  for (const name of names) {
    const pid = new RegExp(`^${FOLDER_PREFIX}(\\d+)-[A-Za-z0-9]{6}$`).exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const folder = join(base, name);
    try {
      const { uid, mtimeMs } = lstatSync(folder);
      // A young one may belong to a container that shares this folder, and has other processes.
      const isOld = Date.now() - mtimeMs > LEFT_MS;
      if (isOld && (process.getuid === undefined || uid === process.getuid()))
        rmSync(folder, { recursive: true, force: true });
    } catch {
      // Somebody else is removing it, or it is none of ours.
    }
  }
}

function whereTo({ host, port, user }: SshTarget): string[] {
  return ["-T", "-p", String(port), "-l", user, "--", host];
}

function shown(line: string): string {
  return line.length > 120 ? `${line.slice(0, 117)}…` : line;
}

/** Lets a number of things happen at once, the others wait in order. */
class Queue {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
