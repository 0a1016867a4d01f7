import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Readable, Writable } from "node:stream";
import { Channel } from "./channel";
import { type HostFiles, PROGRAMS } from "./files";
import { childByInnerPid, childrenOf, kill, MARK, processesOf } from "./processes";
import { HOST_PATH, runCommand } from "./run";
import type { DownReason, ExecOptions, ExecResult } from "./types";

/** What ends a host: the reason that is told, and whether it comes back by itself. */
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
  ended: (why: DownReason) => Promise<void>;
}

const BOOT_SECONDS = 30;
/** Share of the client's time-out after which an unfed watchdog resets: 10 of 60 seconds on PVE. */
const WATCHDOG_SHARE = 1 / 6;
/** Seconds below which a busy machine would reset hosts that are well. */
const WATCHDOG_LEAST = 1;

/** One host: its namespaces, its pid 1, and the watchdog that sits outside of both. */
export class Machine {
  private running: Running | undefined;
  private booting: Promise<void> | undefined;
  private ready = false;
  /** Whether it shall run: what is switched off stays off, also if a reset or a boot was under way. */
  private powered = false;
  /** `unshare` from its start to its end. */
  private starting: ChildProcess | undefined;
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

  /** What a BMC says: false only when nothing of the host runs and nothing is about to. */
  get on(): boolean {
    return this.powered || this.starting !== undefined;
  }

  /** Whether it booted and runs. */
  get up(): boolean {
    return this.ready;
  }

  boot(): Promise<void> {
    if (this.ready) return Promise.resolve();
    const before = this.booting;
    // A boot that a power cut is just ending is no boot to wait for.
    if (before && this.powered) return before;
    this.powered = true;
    const attempt = (before ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.bootOnce())
      .finally(() => {
        if (this.booting === attempt) this.booting = undefined;
      });
    this.booting = attempt;
    return attempt;
  }

  /** Ends everything of the host at once. */
  async cut(why: DownReason, again = false): Promise<void> {
    this.ending = { why, again };
    this.ready = false;
    if (!again) this.powered = false;
    if (this.running) kill(this.running.pid, "SIGKILL");
    else this.starting?.kill("SIGKILL");
    await this.closing;
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

  async exec(argv: string[], options: ExecOptions = {}): Promise<ExecResult> {
    const env = { ...this.environment(), ...options.env };
    const { pid } = this.mustRun();
    const result = await runCommand([...this.enter(), ...argv], { ...options, env });
    // The host ended before the command began: that is no answer of the command's.
    if (this.pid !== pid && result.stderr.startsWith("nsenter:")) throw new Error(`${this.name} is down`);
    return result;
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
    if (!this.powered) throw new Error(`${this.name} was switched off while it booted`);
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
      kill(pid, "SIGKILL");
      await gone;
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
    this.starting = outer;
    setTimeoutOf(gone, BOOT_SECONDS, () => {
      if (!this.ready && outer.pid !== undefined && outer.exitCode === null) kill(outer.pid, "SIGKILL");
    });
    return { outer, channel, gone };
  }

  private async end(): Promise<void> {
    clearTimeout(this.watchdog);
    const known = this.running !== undefined;
    const { why, again } = this.ending;
    if (why === "self" && !again) this.powered = false;
    this.running = undefined;
    this.starting = undefined;
    this.ready = false;
    if (known) await this.options.ended(why);
    if (again && this.powered) void this.comeBack();
  }

  /** A reset; a host that does not come back has nobody who waits for it. */
  private async comeBack(): Promise<void> {
    this.powered = false;
    await this.boot().catch((error: Error) => process.stderr.write(`lab: ${error.message}\n`));
  }

  private hear([what, detail]: string[]): void {
    if (what === "watchdog") this.feed(detail);
    if (what === "poweroff" || what === "reboot") this.ending = { why: "self", again: what === "reboot" };
  }

  private feed(detail: string | undefined): void {
    clearTimeout(this.watchdog);
    if (detail === "close") return;
    const seconds = Math.max(WATCHDOG_LEAST, this.options.watchdogSeconds * WATCHDOG_SHARE);
    const reset = () => void this.cut("watchdog", true);
    // The lab may have been busy itself: then the host's pings lie in the pipe, and are read before the second look.
    this.watchdog = setTimeout(() => {
      this.watchdog = setTimeout(reset, 50);
    }, seconds * 1000);
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
