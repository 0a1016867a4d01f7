#!/usr/bin/env node
// `npm run proof:<name>`: sets everything up and runs proofs/<name>/ against its real parts. Ends with `N passed, N failed`.
import { existsSync, readdirSync } from "node:fs";
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
  const [name, ...args] = process.argv.slice(2);
  const program = `proofs/${name}/main.ts`;
  if (!name || !existsSync(join(checkout, program))) {
    log(`Usage: node tools/proof.mjs ${readdirSync(join(checkout, "proofs")).join(" | ")} [options]`);
    return 2;
  }
  if (args.includes("--help") || args.includes("-h")) return prove(program, args, process.env);
  const stage = createStages(log, 3);
  const { toolchain, env } = await prepare({ checkout, log, stage });
  if (!toolchain.ok) {
    log(`the engine is missing: ${toolchain.missing.join("; ")}\n${toolchain.advice}`);
    return 1;
  }
  return stage(`Proving: ${name}`, () => prove(program, args, env));
}

async function prove(program, args, env) {
  const onLine = (line) => console.log(line);
  const argv = ["--require", "./bench/register.cjs", program, ...args];
  const { code } = await run(nodeOf(checkout), argv, { cwd: checkout, env, onLine, check: false });
  return code;
}

try {
  process.exitCode = await main();
} catch (error) {
  log(error.message);
  process.exitCode = 1;
}
