/** A program on the operator's machine, bounded in time. */
import { spawn } from "node:child_process";
import { SwitchFailure } from "./types";

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

const KEPT = 64 * 1024;

/** Without a shell. @throws SwitchFailure when it cannot be started or does not end */
export function run(argv: readonly string[], seconds: number, env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      detached: true,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].on("data", (chunk: Buffer) => {
        said[name] = (said[name] + chunk.toString("utf8")).slice(-KEPT);
      });
    }
    const timer = setTimeout(() => {
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch {
        // It has just ended.
      }
      child.stdout.destroy();
      child.stderr.destroy();
      const reason = `\`${program}\` did not end within ${seconds} s`;
      reject(new SwitchFailure(reason, `try by hand: \`${argv.join(" ")}\``, false));
    }, seconds * 1000);
    child.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const isMissing = error.code === "ENOENT";
      const reason = isMissing ? `\`${program}\` is not installed on this machine` : `\`${program}\`: ${error.message}`;
      reject(new SwitchFailure(reason, `install it (\`apt install ${program}\`), or switch the server by hand`));
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 255, ...said });
    });
  });
}
