/** A proof that is a list of scenarios, each in an empty folder of its own: options, run, table, exit code. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Check, Row } from "./check";
import { conclude, hasFailed, keepTable, proveOne, runMain, say } from "./frame";

/** What every scenario says of itself. */
export interface Listed {
  name: string;
  /** What it is run with or belongs to; the table's second column. */
  part: string;
  /** In the cut that `npm test` runs. */
  quick: boolean;
  /** Why it cannot run here; it is then named, and with CI set counted as failed. */
  whyNot?(): string | undefined;
}

/** What a scenario gets. */
export interface Run {
  check: Check;
  /** An empty folder of this scenario's own. */
  folder: string;
  seed: number;
  quick: boolean;
  full: boolean;
}

export interface ListOptions<S extends Listed> {
  /** Of the page in docs/proofs, and of `npm run proof:<name>`. */
  name: string;
  help: string;
  scenarios: readonly S[];
  /** Title of the table's second column. */
  partTitle: string;
  /** The page's title and what was real, above its table. */
  head(seed: number): string;
  run(scenario: S, run: Run): Promise<void>;
}

const OPTIONS = {
  quick: { type: "boolean", default: false },
  full: { type: "boolean", default: false },
  seed: { type: "string" },
  only: { type: "string", multiple: true, default: [] as string[] },
  keep: { type: "boolean", default: false },
  write: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** What `--help` says of the options that all such proofs have. */
export const listHelp = `  --quick         the cut that npm test runs; default: every scenario
  --full          more faults of each kind, where there are faults
  --seed <n>      repeats a run; default: another one each time, and printed
  --only <text>   scenarios whose part or name contains the text; repeatable
  --keep          leave the folders of failed scenarios
  --write         keep the table in docs/proofs; rows of scenarios that are not run stay as they are
  --list          names of the scenarios
`;

/** Runs the proof as the command line says, and ends the process. */
export function runList<S extends Listed>(proof: ListOptions<S>): void {
  const { values } = parseArgs({ options: OPTIONS });
  runMain(() => proveAll(proof, values));
}

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

async function proveAll<S extends Listed>(proof: ListOptions<S>, options: Values): Promise<number> {
  if (options.help) {
    process.stdout.write(proof.help);
    return 0;
  }
  const wanted = ({ part, name }: S) =>
    options.only.length === 0 || options.only.some((text) => `${part} ${name}`.includes(text));
  const chosen = proof.scenarios.filter((scenario) => (scenario.quick || !options.quick) && wanted(scenario));
  if (options.list) {
    for (const { name, part } of chosen) say(`${part.padEnd(10)} ${name}`);
    return 0;
  }
  const seed = options.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(options.seed);
  if (!Number.isInteger(seed) || seed < 0) {
    say(`--seed ${options.seed}: write a whole number`);
    return 2;
  }
  say(`seed ${seed}`);
  const rows: Row[] = [];
  for (const scenario of chosen) rows.push(await proveIn(proof, scenario, options, seed));
  if (options.write) keepTable(proof.name, proof.head(seed), rows, proof.partTitle);
  return conclude(rows, proof.partTitle, [`seed ${seed}`]);
}

async function proveIn<S extends Listed>(
  proof: ListOptions<S>,
  scenario: S,
  { quick, full, keep }: Values,
  seed: number,
): Promise<Row> {
  const { name, part } = scenario;
  say(`\n${part}: ${name}`);
  const folder = mkdtempSync(join(tmpdir(), `coldspare-proof-${part}-`));
  const row = await proveOne(name, part, async (check) => {
    const missing = scenario.whyNot?.();
    if (missing === undefined) await proof.run(scenario, { check, folder, seed, quick, full });
    // Nobody reads the log of a green run in continuous integration.
    else if (process.env.CI) check.that("it can be run here", false, missing);
    else say(`  NOT RUN: ${missing}`);
  });
  if (keep && hasFailed(row)) say(`         left in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  return row;
}
