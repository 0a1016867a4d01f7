#!/usr/bin/env node
// `npm start`: from a fresh clone to the site up in the lab.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { bringUp, planOnly } from "./lib/bring-up.mjs";
import { prepare } from "./lib/environment.mjs";
import { handleSignals } from "./lib/exec.mjs";
import { createLog, createStages } from "./lib/log.mjs";

/** Two here, and five in which the site is brought up (tools/lib/bring-up.mjs). */
const STAGES = 7;
/** The same code as `npm run setup`: nothing here is broken, but there is no engine. */
const NO_ENGINE = 3;

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const log = createLog({ stream: process.stdout });
handleSignals(() => log("interrupted: run npm start again to go on from here"));

const HELP = `Usage: npm start [-- --hosts]

Sets everything up and brings a small firm's site up in a lab on this machine, with the real Pulumi engine.

  --hosts   the servers are real hosts (network namespaces; Linux and root), so that status, drill, failover and failback can be
            tried on them; in .coldspare/hosts, beside the other lab
`;

async function main() {
  if (process.argv.includes("--help")) {
    process.stdout.write(HELP);
    return 0;
  }
  const stage = createStages(log, STAGES);
  const { toolchain, schema, env } = await prepare({ checkout, log, stage });
  const args = process.argv.slice(2);
  if (toolchain.ok) return bringUp({ checkout, env, schema, log, stage, args });
  log(`\nThe site cannot be brought up, as this is missing: ${toolchain.missing.join("; ")}\n${toolchain.advice}\n`);
  await planOnly({ checkout, log });
  return NO_ENGINE;
}

try {
  process.exitCode = await main();
} catch (error) {
  log(error.message);
  process.exitCode = 1;
}
