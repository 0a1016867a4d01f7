/** What a scenario of the proof of the way in is, and the hands that all of them need. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { checkout } from "../../tests/engine/engine";
import type { Listed, Run } from "../list";

/** The cluster, or the kind of consumer. */
export type Part = "smb" | "large" | "by-hand" | "half" | "library" | "empty";

export type Surroundings = Pick<Run, "check" | "folder">;

export interface Scenario extends Listed {
  part: Part;
  run(surroundings: Surroundings): Promise<void>;
}

/** How a command ended. */
export interface CommandRun {
  code: number;
  stdout: string;
  stderr: string;
  seconds: number;
}

/** Runs a program to its end. */
export function command(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; input?: string } = {},
): Promise<CommandRun> {
  const started = Date.now();
  const child = spawn(program, args, {
    cwd: options.cwd ?? checkout,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  child.stdin?.end(options.input);
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (code) => done({ code: code ?? 1, stdout, stderr, seconds: (Date.now() - started) / 1000 }));
  });
}

/** `coldspare` as it is built here. */
export function coldspare(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string): Promise<CommandRun> {
  return command(process.execPath, [join(checkout, "dist/cli/main.js"), ...args], { env, ...(cwd ? { cwd } : {}) });
}
