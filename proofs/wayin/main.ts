/** `npm run proof:wayin`: how people with a running site get in. Ends with `N passed, N failed`; exits with 1 when anything failed. */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Row } from "../check";
import { conclude, hasFailed, keepTable, proveOne, runMain, say } from "../frame";
import type { Scenario } from "./scenario";
import { scenarios } from "./scenarios";

const HELP = `Usage: npm run proof:wayin -- [options]

Live check, import, adoption, a new site, a lost state, and the package in other people's programs, against lab clusters: a small
firm's site, 15 servers with 120 guests, configurations made by hand in unusual ways, half a cluster. The hypervisors' configurations
are compared byte for byte before and after, and every call that changes anything is counted.

  --quick         the cut that npm test runs; default: every scenario
  --only <text>   scenarios whose name or part contains the text; repeatable
  --keep          leave the folders of failed scenarios
  --write         keep the table in docs/proofs/wayin.md; rows of scenarios that are not run stay as they are
  --list          names of the scenarios
`;

const options = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    seed: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    keep: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
}).values;

function chosen(): Scenario[] {
  const wanted = (scenario: Scenario) =>
    options.only.length === 0 || options.only.some((text) => `${scenario.part} ${scenario.name}`.includes(text));
  return scenarios.filter((scenario) => (scenario.quick || !options.quick) && wanted(scenario));
}

async function prove(scenario: Scenario): Promise<Row> {
  const { name, part } = scenario;
  say(`\n${part}: ${name}`);
  const folder = mkdtempSync(join(tmpdir(), `coldspare-proof-${part}-`));
  const row = await proveOne(name, part, async (check) => {
    const missing = scenario.whyNot?.();
    if (missing === undefined) await scenario.run({ check, folder });
    // Nobody reads the log of a green run in continuous integration.
    else if (process.env.CI) check.that("it can be run here", false, missing);
    else say(`  NOT RUN: ${missing}`);
  });
  if (options.keep && hasFailed(row)) say(`         left in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  return row;
}

async function main(): Promise<number> {
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (options.list) {
    for (const { name, part } of chosen()) say(`${part.padEnd(8)} ${name}`);
    return 0;
  }
  const rows: Row[] = [];
  for (const scenario of chosen()) rows.push(await prove(scenario));
  if (options.write) keep(rows);
  return conclude(rows, "cluster");
}

function keep(rows: readonly Row[]): void {
  const head = `# Proof of the way in

Written by \`npm run proof:wayin -- --write\`; a run of some scenarios (\`--only\`) renews their rows alone. Last run: Node.js
${process.version}, ${availableParallelism()} cores. Real: the command, the Pulumi engine, the bridged provider, npm, the packed package. Simulated (lab):
Proxmox VE's API, held to its published schema and privileges. 'claims' is held/made. Times are those of the test machine.`;
  keepTable("wayin", head, rows, "cluster");
}

runMain(main);
