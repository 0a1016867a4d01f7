// Runs a proof from its sources and counts the claims that it prints.
import { run } from "./exec.mjs";
import { nodeOf } from "./node.mjs";
import { tallyProof } from "./tally.mjs";

/**
 * @param {{ checkout: string, name: string, args?: string[], env: NodeJS.ProcessEnv, log: Function }} options
 * @returns {Promise<import("./tally.mjs").Tally>}
 */
export async function runProof({ checkout, name, args = [], env, log }) {
  const lines = [];
  const onLine = (line) => {
    lines.push(line);
    log(line);
  };
  // From its sources, as the benchmarks: it finds the checkout and the tests' engine relative to its own folder.
  const argv = ["--require", "./bench/register.cjs", `proofs/${name}/main.ts`, ...args];
  await run(nodeOf(checkout), argv, { cwd: checkout, env, onLine, check: false });
  return tallyProof(name, lines);
}
