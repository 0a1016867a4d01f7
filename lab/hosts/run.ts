import { type SpawnOptions, spawn } from "node:child_process";
import { constants } from "node:os";
import type { ExecOptions, ExecResult } from "./types";

/** Where a host's programs are looked for, as systemd and sshd set it for root. */
export const HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const TIMED_OUT = 124;
const SIGNAL_BASE = 128;

/**
 * Runs a command and collects what it says. It gets a process group of its own, so that a time-out ends all of it.
 *
 * @throws Error when the program cannot be started at all
 */
export function runCommand(argv: string[], options: ExecOptions = {}): Promise<ExecResult> {
  const [program, ...rest] = argv;
  if (!program) throw new Error("a command needs at least its program");
  const setup: SpawnOptions = {
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.env && { env: options.env }),
  };
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, setup);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let late = false;
    const timer = setTimeout(
      () => {
        late = true;
        endGroup(child.pid);
      },
      (options.timeoutSeconds ?? 60) * 1000,
    );
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    // A command that reads nothing may end before its input is written.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.input ?? "");
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const ended = signal ? SIGNAL_BASE + constants.signals[signal] : (code ?? 1);
      resolve({
        code: late ? TIMED_OUT : ended,
        stdout: Buffer.concat(out).toString("utf8"),
        stderr: Buffer.concat(err).toString("utf8"),
      });
    });
  });
}

/** The same, but a code other than 0 is an error that says what was run. */
export async function mustRun(argv: string[], options: ExecOptions = {}): Promise<string> {
  const result = await runCommand(argv, options);
  if (result.code !== 0)
    throw new Error(
      `${argv.slice(0, 4).join(" ")} ended with ${result.code}: ${(result.stderr || result.stdout).trim()}`,
    );
  return result.stdout;
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It ended by itself in the meantime.
  }
}
