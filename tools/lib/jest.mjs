// Runs one jest project in the checkout's own Node.js and counts from its report.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./exec.mjs";
import { nodeOf } from "./node.mjs";
import { tallyJest } from "./tally.mjs";

/**
 * @param {{ checkout: string, project: "unit" | "guard" | "backup" | "engine" | "hosts", env: NodeJS.ProcessEnv, log: Function, args?: string[] }} options
 * @returns {Promise<import("./tally.mjs").Tally>}
 */
export async function runJest({ checkout, project, env, log, args = [] }) {
  const folder = mkdtempSync(join(tmpdir(), "coldspare-jest-"));
  const report = join(folder, "report.json");
  const jest = join(checkout, "node_modules", "jest", "bin", "jest.js");
  // Tests with hosts or with repositories share the machine with these: one file after the other. An engine's tests have what
  // they need to themselves, but too many engines at once would make their waiting times run out.
  const oneByOne = ["backup", "hosts"].includes(project) ? ["--runInBand"] : [];
  const few = project === "engine" ? ["--maxWorkers", String(Math.min(availableParallelism(), 4))] : [];
  // What a failed test has left open (a host, a socket) must not keep the run from its end.
  const forced = project === "hosts" ? ["--forceExit"] : [];
  const all = [
    jest,
    "--selectProjects",
    project,
    "--passWithNoTests",
    "--json",
    "--outputFile",
    report,
    ...oneByOne,
    ...few,
    ...forced,
    ...args,
  ];
  try {
    // With --json the report goes to standard output as well; what people read is on standard error.
    const onLine = (line, stream) => stream === "stderr" && log(line);
    await run(nodeOf(checkout), all, { cwd: checkout, env, onLine, check: false });
    return tallyJest(project, existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : undefined, {
      filtered: args.length > 0,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
