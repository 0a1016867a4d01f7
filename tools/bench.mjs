#!/usr/bin/env node
// `npm run bench`: sets everything up and runs bench/. Figures are printed, never tested.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { prepare } from "./lib/environment.mjs";
import { handleSignals, run } from "./lib/exec.mjs";
import { createLog, createStages } from "./lib/log.mjs";
import { nodeOf } from "./lib/node.mjs";

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const log = createLog();
handleSignals();

async function main() {
  const stage = createStages(log, 3);
  const { toolchain, env } = await prepare({ checkout, log, stage });
  if (!toolchain.ok) log(`without an engine only the plan is measured; missing: ${toolchain.missing.join("; ")}`);
  const childEnv = { ...env, COLDSPARE_ENGINE: toolchain.ok ? "yes" : "no" };
  const onLine = (line) => console.log(line);
  // From its sources: it finds the checkout, and the tests' lab, relative to its own folder.
  const args = ["--require", "./bench/register.cjs", "bench/main.ts", ...process.argv.slice(2)];
  const { code } = await stage("Measuring", () =>
    run(nodeOf(checkout), args, { cwd: checkout, env: childEnv, onLine, check: false }),
  );
  return code;
}

try {
  process.exitCode = await main();
} catch (error) {
  log(error.message);
  process.exitCode = 1;
}
