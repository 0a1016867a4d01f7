/** `npm run proof:backup`: copies under faults. Ends with `N passed, N failed`; exits with 1 when anything failed. */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Row } from "../check";
import { conclude, hasFailed, keepTable, proveOne, runMain, say } from "../frame";
import { Chance } from "../random";
import type { Scenario } from "./scenario";
import { scenarios } from "./scenarios";

const HELP = `Usage: npm run proof:backup -- [options]

Copies under faults: backups, prunes, syncs and restores that are killed at random points, corrupt chunks, full disks, media
that are pulled or mistaken, links that are lost, keys that are changed. Whatever is listed as good afterwards is restored and
compared byte for byte with what the proof itself has noted.

  --quick         the cut that npm test runs; default: every scenario
  --full          more faults of each kind
  --seed <n>      repeats a run; default: another one each time, and printed
  --only <text>   scenarios whose name or part contains the text; repeatable
  --keep          leave the folders of failed scenarios
  --write         keep the table in docs/proofs/backup.md; rows of scenarios that are not run stay as they are
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

const QUICK_ROUNDS = 2;
const ROUNDS = 6;
const FULL_ROUNDS = 25;

function chosen(): Scenario[] {
  return scenarios
    .filter(({ quick }) => quick || !options.quick)
    .filter(
      ({ name, part }) => options.only.length === 0 || options.only.some((text) => `${part} ${name}`.includes(text)),
    );
}

async function prove(scenario: Scenario, seed: number): Promise<Row> {
  const { name, part } = scenario;
  say(`\n${part}: ${name}`);
  const folder = mkdtempSync(join(tmpdir(), `coldspare-proof-${part}-`));
  const rounds = options.quick ? QUICK_ROUNDS : options.full ? FULL_ROUNDS : ROUNDS;
  const row = await proveOne(name, part, async (check) => {
    const missing = scenario.whyNot?.();
    if (missing === undefined) await scenario.run({ check, chance: new Chance(seed), rounds, folder });
    // Nobody reads the log of a green run in continuous integration.
    else if (process.env.CI) check.that("it can be run here", false, missing);
    else say(`  NOT RUN: ${missing}`);
  });
  if (options.keep && hasFailed(row)) say(`         left in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  return row;
}

function seedOf(): number | undefined {
  if (options.seed === undefined) return Math.floor(Math.random() * 1_000_000);
  const seed = Number(options.seed);
  return Number.isInteger(seed) && seed >= 0 ? seed : undefined;
}

async function main(): Promise<number> {
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (options.list) {
    for (const { name, part } of chosen()) say(`${part.padEnd(10)} ${name}`);
    return 0;
  }
  const seed = seedOf();
  if (seed === undefined) {
    say(`--seed ${options.seed}: write a whole number`);
    return 2;
  }
  say(`seed ${seed}`);
  const rows: Row[] = [];
  for (const scenario of chosen()) rows.push(await prove(scenario, seed));
  if (options.write) keep(rows, seed);
  return conclude(rows, "part", [`seed ${seed}`]);
}

function keep(rows: readonly Row[], seed: number): void {
  const head = `# Proof of backups

Written by \`npm run proof:backup -- --write\`; a run of some scenarios (\`--only\`) renews their rows alone. Last run: Node.js
${process.version}, ${availableParallelism()} cores, seed ${seed}. Real: restic and its repositories, mounted file systems, the programs on the servers,
mails, the bytes of every copy (SFTP, REST and S3 servers: tests/backup). Stand-ins: Proxmox VE's and Proxmox Backup Server's APIs (lab, with real bytes in content-addressed
chunks), \`zfs\` and \`zpool\` (real bytes in files). 'claims' is held/made. Times are those of the test machine.`;
  keepTable("backup", head, rows, "part");
}

runMain(main);
