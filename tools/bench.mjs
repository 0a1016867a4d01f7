#!/usr/bin/env node
// `npm run bench`: sets everything up, compiles bench/ and runs it. Figures are printed, never tested.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { prepare } from "./lib/environment.mjs";
import { handleSignals, run } from "./lib/exec.mjs";
import { createLog, createStages } from "./lib/log.mjs";
import { nodeOf } from "./lib/node.mjs";

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const log = createLog();
handleSignals();

async function main() {
  const stage = createStages(log, 4);
  const { toolchain, env } = await prepare({ checkout, log, stage });
  if (!toolchain.ok) log(`without an engine only the plan is measured; missing: ${toolchain.missing.join("; ")}`);
  const node = nodeOf(checkout);
  const tsc = join(checkout, "node_modules", "typescript", "bin", "tsc");
  await stage("Compiling the benchmark", () =>
    run(node, [tsc, "-p", "tools/tsconfig.bench.json"], { cwd: checkout, env }),
  );
  const childEnv = { ...env, COLDSPARE_ENGINE: toolchain.ok ? "yes" : "no" };
  const onLine = (line) => console.log(line);
  const { code } = await stage("Measuring", () =>
    run(node, ["dist/bench/main.js", ...process.argv.slice(2)], { cwd: checkout, env: childEnv, onLine, check: false }),
  );
  return code;
}

try {
  process.exitCode = await main();
} catch (error) {
  log(error.message);
  process.exitCode = 1;
}
