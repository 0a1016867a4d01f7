/** Running Pulumi's command-line tool: the one way in which operations reach a stack, and never a library of it. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export interface EngineResult {
  /** 127 when there is no such program, 124 when it took too long. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface EngineCall {
  cwd: string;
  env: Readonly<Record<string, string | undefined>>;
  timeoutSeconds?: number;
  /** The person's own terminal: nothing is kept, and questions are theirs to answer. */
  terminal?: boolean;
  /** Given to it over standard input; not with `terminal`. */
  input?: string;
}

/** Runs `pulumi` with these arguments. Replaced in tests. */
export type Engine = (args: readonly string[], call: EngineCall) => Promise<EngineResult>;

/** `pulumi` as it is found in PATH. Secrets travel in the environment only. */
export const pulumi: Engine = (args, { cwd, env, timeoutSeconds, terminal = false, input }) =>
  new Promise((done) => {
    const child = spawn("pulumi", args, {
      cwd,
      env: env as NodeJS.ProcessEnv,
      stdio: terminal ? "inherit" : [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    // A program that ends before it has read all says why itself.
    child.stdin?.on("error", () => undefined).end(input);
    let stdout = "";
    let stderr = "";
    let late = false;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const timer =
      timeoutSeconds === undefined
        ? undefined
        : setTimeout(() => {
            late = true;
            child.kill("SIGKILL");
          }, timeoutSeconds * 1000);
    // Ctrl-C goes to the whole group: the engine ends its update in order, and we wait for it.
    const patience = () => undefined;
    if (terminal) process.on("SIGINT", patience);
    const end = (result: EngineResult) => {
      clearTimeout(timer);
      process.off("SIGINT", patience);
      done(result);
    };
    child.once("error", (error: NodeJS.ErrnoException) =>
      end({ code: error.code === "ENOENT" ? 127 : 126, stdout, stderr: `pulumi cannot be run: ${error.message}` }),
    );
    child.once("close", (code, signal) => {
      if (late) end({ code: 124, stdout, stderr: `pulumi gave no answer within ${timeoutSeconds} s` });
      else end({ code: code ?? (signal === "SIGINT" ? 130 : 1), stdout, stderr });
    });
  });

/** The folder of the project: `folder` or the next one above it that holds a Pulumi.yaml; undefined where there is none. */
export function findProject(folder: string): string | undefined {
  let at = resolve(folder);
  for (;;) {
    if (["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"].some((name) => existsSync(join(at, name)))) return at;
    const above = dirname(at);
    if (above === at) return undefined;
    at = above;
  }
}

/** A word as a shell takes it, for commands that are shown. */
export function shellWord(word: string): string {
  return /^[\w@%+=,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
