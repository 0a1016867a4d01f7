/** One process of the system's `ssh`, bounded in time and output. */
import { type ChildProcess, spawn } from "node:child_process";
import { ConfigError } from "../pve/errors";

/** How a process ended. */
export interface Ended {
  /** Exit code; 255 when a signal ended it, as ssh's own failures. */
  code: number;
  stdout: string;
  stderr: string;
  /** Why we ended it ourselves. */
  ended?: "timeout" | "output";
}

/** More output than this is no answer to anything we ask. */
const MAXIMUM_BYTES = 32 * 1024 * 1024;
/** A background process may keep the pipes of a command that has ended: what was said by then is all we wait for. */
const PIPE_GRACE_MS = 500;

/** `ssh` in a process group of its own: Ctrl-C in the terminal does not tear a step apart, and a kill takes all of it. */
export function startSsh(args: readonly string[], stdin: "pipe" | "ignore"): ChildProcess {
  // Messages and numbers of the server's programs as programs read them; ssh hands LC_ALL on where the server takes it.
  const env = { ...process.env, LC_ALL: "C" };
  return spawn("ssh", args, { detached: true, env, stdio: [stdin, "pipe", "pipe"] });
}

/** Kills the whole group. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It is gone.
  }
}

/** Runs to the end. @throws ConfigError when there is no `ssh` */
export function finishSsh(
  args: readonly string[],
  options: { input?: string | undefined; timeoutSeconds: number },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = startSsh(args, options.input === undefined ? "ignore" : "pipe");
    const out = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    let bytes = 0;
    let ended: Ended["ended"];
    let grace: NodeJS.Timeout | undefined;
    const stop = (why: Ended["ended"]) => {
      ended ??= why;
      killGroup(child);
    };
    const timer = setTimeout(() => stop("timeout"), options.timeoutSeconds * 1000);
    const settle = (code: number | null) => {
      clearTimeout(timer);
      clearTimeout(grace);
      child.stdout?.destroy();
      child.stderr?.destroy();
      const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString("utf8");
      const result = { code: code ?? 255, stdout: text(out.stdout), stderr: text(out.stderr) };
      resolve(ended === undefined ? result : { ...result, ended });
    };
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAXIMUM_BYTES) return stop("output");
        out[name].push(chunk);
      });
    }
    child.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(notStarted(error));
    });
    child.on("exit", (code) => {
      grace = setTimeout(() => settle(code), PIPE_GRACE_MS);
    });
    child.on("close", settle);
    // A command may end before it has read all of its input.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.input);
  });
}

/** What it means that `ssh` could not even be started. */
export function notStarted(error: NodeJS.ErrnoException): Error {
  if (error.code !== "ENOENT") return error;
  return new ConfigError(
    "The program `ssh` is not installed on this machine, or not in PATH. Fix: install OpenSSH's client (`apt install openssh-client`)",
  );
}
