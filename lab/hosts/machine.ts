import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Readable, Writable } from "node:stream";
import { Channel } from "./channel";
import { type HostFiles, PROGRAMS } from "./files";
import { childByInnerPid, childrenOf, kill, MARK, processesOf } from "./processes";
import { HOST_PATH, runCommand } from "./run";
import type { DownReason, ExecOptions, ExecResult } from "./types";

/** What ended a host: the reason that is told, and whether it comes back by itself. */
interface Ending {
  why: DownReason;
  again: boolean;
}

interface Running {
  /** `unshare`, whose end means that nothing of the host runs any more. */
  outer: ChildProcess;
  channel: Channel;
  /** The host's pid 1 as seen from outside. */
  pid: number;
  gone: Promise<void>;
}

export interface MachineOptions {
  files: HostFiles;
  environment: Record<string, string>;
  /** Folder of all hosts: the mark of their processes. */
  mark: string;
  watchdogSeconds: number;
  /** Writes what this boot needs. */
  beforeBoot: () => void;
  /** Between the host's file systems and its units: network, files of the caller. */
  prepare: (pid: number) => Promise<void>;
  /** sshd and the units run: the way in from outside. */
  ready: () => Promise<void>;
  /** It counts as up. */
  up: () => void;
  /** After everything of the host ended. */
  ended: (ending: Ending) => Promise<void>;
}

const BOOT_SECONDS = 30;
/** Share of the client's time-out after which an unfed watchdog resets: 10 of 60 seconds on PVE. */
const WATCHDOG_SHARE = 1 / 6;

/** One host: its namespaces, its pid 1, and the watchdog that sits outside of both. */
export class Machine {
  private running: Running | undefined;
  private booting: Promise<void> | undefined;
  private ready = false;
  /** The end of the boot before, with all that is told about it. */
  private closing: Promise<void> = Promise.resolve();
  private ending: Ending = { why: "self", again: false };
  private watchdog: NodeJS.Timeout | undefined;
  private spawns = 0;

  constructor(private readonly options: MachineOptions) {}

  get name(): string {
    return this.options.files.host.name;
  }

  /** Defined from the moment that the host's processes exist. */
  get pid(): number | undefined {
    return this.running?.pid;
  }

  /** Whether it booted and runs. */
  get up(): boolean {
    return this.ready;
  }

  boot(): Promise<void> {
    if (this.ready) return Promise.resolve();
    this.booting ??= this.bootOnce().finally(() => {
      this.booting = undefined;
    });
    return this.booting;
  }

  /** Ends everything of the host at once. */
  async cut(why: DownReason, again = false): Promise<void> {
    const running = this.running;
    if (!running) return;
    this.ending = { why, again };
    kill(running.pid, "SIGKILL");
    await running.gone;
  }

  /** Asks the host to shut down as its own `poweroff` would. */
  shutDown(): void {
    this.running?.channel.tell("shutdown");
  }

  signalAll(signal: "SIGSTOP" | "SIGCONT"): void {
    const pid = this.running?.pid;
    if (pid === undefined) return;
    // Twice, as a process may have forked between the list and its signal.
    for (const each of [...processesOf(pid), ...processesOf(pid)]) kill(each, signal);
  }

  exec(argv: string[], options: ExecOptions = {}): Promise<ExecResult> {
    const env = { ...this.environment(), ...options.env };
    return runCommand([...this.enter(), ...argv], { ...options, env });
  }

  async spawn(argv: string[], options: { env?: Record<string, string>; log?: string } = {}): Promise<number> {
    if (argv.length === 0) throw new Error("a command needs at least its program");
    const { channel, pid } = this.mustRun();
    this.spawns += 1;
    const id = String(this.spawns);
    const variables = Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`);
    const answer = channel.next((words) =>
      words[1] === id && /^(spawned|failed)$/.test(words[0] ?? "") ? words : undefined,
    );
    channel.tell("spawn", id, options.log ?? "-", ...variables, "--", ...argv);
    const [verb, , word] = await answer;
    if (verb === "failed") throw new Error(`${this.name} could not start ${argv[0]}: ${word}`);
    const outside = childByInnerPid(pid, Number(word));
    const started = channel.next((words) => (words[0] === "started" && words[1] === id ? true : undefined));
    channel.tell("release", id);
    await started;
    if (outside === undefined) throw new Error(`${argv[0]} of ${this.name} ended before it began`);
    return outside;
  }

  /** argv that runs the rest in the host's namespaces. */
  private enter(): string[] {
    const { pid } = this.mustRun();
    return ["nsenter", "--target", String(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--time", "--"];
  }

  private mustRun(): Running {
    if (!this.running) throw new Error(`${this.name} is down`);
    return this.running;
  }

  private environment(): Record<string, string> {
    const { environment, mark } = this.options;
    return { PATH: HOST_PATH, HOME: "/root", LANG: "C.UTF-8", ...environment, [MARK]: mark };
  }

  private async bootOnce(): Promise<void> {
    await this.closing;
    this.ending = { why: "self", again: false };
    this.options.beforeBoot();
    const { outer, channel, gone } = this.start();
    await orGone(channel.next(verb("mounted")), gone, () => this.complaint());
    const pid = outer.pid === undefined ? undefined : childrenOf(outer.pid)[0];
    if (pid === undefined) throw new Error(this.complaint());
    this.running = { outer, channel, pid, gone };
    channel.listen((words) => this.hear(words));
    try {
      await this.options.prepare(pid);
      channel.tell("go");
      await orGone(channel.next(verb("ready")), gone, () => this.complaint());
      await this.options.ready();
      if (!this.running) throw new Error(`${this.name} went down while it booted`);
      this.ready = true;
      this.options.up();
    } catch (error) {
      await this.cut("self");
      throw error;
    }
  }

  private start(): { outer: ChildProcess; channel: Channel; gone: Promise<void> } {
    const { files } = this.options;
    const log = fs.openSync(files.log, "a", 0o600);
    // The host's clocks of uptime begin now, as a machine's do.
    const uptime = Math.floor(Number(fs.readFileSync("/proc/uptime", "utf8").split(" ")[0]));
    const outer = spawn(
      "setpriv",
      [
        ...[
          "--pdeathsig",
          "KILL",
          "unshare",
          "--mount",
          "--propagation",
          "private",
          "--uts",
          "--ipc",
          "--net",
          "--pid",
        ],
        ...["--time", `--boottime=-${uptime}`, `--monotonic=-${uptime}`, "--fork", "--kill-child=KILL"],
        ...["sh", path.join(PROGRAMS, "start-host"), files.folder, files.host.name],
      ],
      { stdio: ["pipe", log, log, "pipe"], env: this.environment(), detached: true },
    );
    fs.closeSync(log);
    const channel = new Channel(outer.stdio[3] as Readable, outer.stdin as Writable);
    const gone = new Promise<void>((resolve) => {
      outer.on("error", () => resolve());
      outer.on("exit", () => resolve(this.end()));
    });
    this.closing = gone;
    setTimeoutOf(gone, BOOT_SECONDS, () => {
      if (!this.ready && outer.pid !== undefined && outer.exitCode === null) kill(outer.pid, "SIGKILL");
    });
    return { outer, channel, gone };
  }

  private async end(): Promise<void> {
    clearTimeout(this.watchdog);
    const known = this.running !== undefined;
    this.running = undefined;
    this.ready = false;
    if (known) await this.options.ended(this.ending);
  }

  private hear([what, detail]: string[]): void {
    if (what === "watchdog") this.feed(detail);
    if (what === "poweroff" || what === "reboot") this.ending = { why: "self", again: what === "reboot" };
  }

  private feed(detail: string | undefined): void {
    clearTimeout(this.watchdog);
    if (detail === "close") return;
    this.watchdog = setTimeout(
      () => void this.cut("watchdog", true),
      this.options.watchdogSeconds * WATCHDOG_SHARE * 1000,
    );
  }

  /** What the host's console says last. */
  private complaint(): string {
    const text = fs.existsSync(this.options.files.log) ? fs.readFileSync(this.options.files.log, "utf8") : "";
    return `${this.name} did not boot: ${text.trim().split("\n").slice(-3).join("; ") || "it says nothing"}`;
  }
}

function verb(name: string): (words: string[]) => true | undefined {
  return (words) => (words[0] === name ? true : undefined);
}

/** The first of the two; a host that goes down while something of it is awaited is an error with its own last words. */
async function orGone<T>(wanted: Promise<T>, gone: Promise<void>, complaint: () => string): Promise<T> {
  try {
    return await wanted;
  } catch {
    await gone;
    throw new Error(complaint());
  }
}

function setTimeoutOf(gone: Promise<void>, seconds: number, late: () => void): void {
  const timer = setTimeout(late, seconds * 1000);
  timer.unref();
  void gone.then(() => clearTimeout(timer));
}
