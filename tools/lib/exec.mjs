// Child processes: run, capture, and stop them all when this process is told to stop.
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** An engine in the middle of a step needs this long to end it and write its state. */
const GRACE_SECONDS = 20;

const running = new Set();
const cleanups = new Set();

/** A command ended with an error or could not be started. */
export class CommandError extends Error {
  constructor(command, code, output) {
    super(`${command} ended with ${code}${output ? `:\n${tail(output.trimEnd())}` : ""}`);
    this.name = "CommandError";
    this.code = code;
    this.output = output;
  }
}

/**
 * Runs a command and returns what it printed.
 * @param {(line: string, stream: "stdout" | "stderr") => void} [options.onLine] each line as it comes
 * @param {string} [options.input] what the command reads on standard input, for secrets that no command line may hold
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>} unless `check` is false, code is 0
 * @throws CommandError
 */
export function run(command, args, { cwd, env = process.env, onLine, input, check = true, timeoutSeconds } = {}) {
  return new Promise((resolve, reject) => {
    const name = [command, ...args].join(" ");
    const stdin = input === undefined ? "ignore" : "pipe";
    // A process group of its own, so that its children (a compiler's, a test runner's) can be stopped with it.
    const child = spawn(command, args, { cwd, env, stdio: [stdin, "pipe", "pipe"], detached: true });
    running.add(child);
    child.stdin?.end(input);
    const timer = timeoutSeconds && setTimeout(() => signalGroup(child, "SIGKILL"), timeoutSeconds * 1000);
    const out = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"]) {
      let rest = "";
      child[stream].setEncoding("utf8").on("data", (text) => {
        out[stream] += text;
        if (!onLine) return;
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        for (const line of lines) onLine(line, stream);
      });
      child[stream].on("end", () => rest && onLine?.(rest, stream));
    }
    child.on("error", (error) => {
      running.delete(child);
      clearTimeout(timer);
      reject(new CommandError(name, error.code ?? error.message, ""));
    });
    child.on("close", (code, signal) => {
      running.delete(child);
      clearTimeout(timer);
      const result = { code: code ?? 128, ...out };
      if (check && code !== 0) reject(new CommandError(name, signal ?? code, `${out.stdout}${out.stderr}`));
      else resolve(result);
    });
  });
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // It has just ended, or never started.
    if (error.code !== "ESRCH" && child.pid !== undefined) throw error;
  }
}

function tail(text, lines = 30) {
  return text
    .split("\n")
    .slice(-lines - 1)
    .join("\n");
}

/** The full path of a program on PATH, or undefined. */
export function which(name, env = process.env) {
  for (const folder of (env.PATH ?? "").split(delimiter)) {
    const path = join(folder || ".", name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** Registers what has to be undone if the process is interrupted; returns how to unregister it. */
export function onInterrupt(cleanup) {
  cleanups.add(cleanup);
  return () => cleanups.delete(cleanup);
}

/**
 * Makes SIGINT and SIGTERM stop the children first, so that nothing goes on in the background, then undo what is
 * half-done, then end with the shell's usual code.
 */
export function handleSignals(sayBefore) {
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ]) {
    process.once(signal, async () => {
      const waiting = [...running].map((child) => new Promise((resolve) => child.once("close", resolve)));
      for (const child of running) signalGroup(child, signal);
      const grace = new Promise((resolve) => setTimeout(resolve, GRACE_SECONDS * 1000));
      await Promise.race([Promise.all(waiting), grace]);
      for (const child of running) signalGroup(child, "SIGKILL");
      for (const cleanup of cleanups) cleanup();
      sayBefore?.(signal);
      process.exit(128 + number);
    });
  }
}
