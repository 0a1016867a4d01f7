/** `npm run proof:backup`: copies under faults. Ends with `N passed, N failed`; exits with 1 when anything failed. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { checkout } from "../../tests/engine/engine";
import { Check, markdown, type Row, table } from "../check";
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

const say = (line: string) => void process.stdout.write(`${line}\n`);

function chosen(): Scenario[] {
  return scenarios
    .filter(({ quick }) => quick || !options.quick)
    .filter(
      ({ name, part }) => options.only.length === 0 || options.only.some((text) => `${part} ${name}`.includes(text)),
    );
}

async function prove(scenario: Scenario, seed: number): Promise<Row> {
  const { name, part } = scenario;
  const check = new Check();
  const started = Date.now();
  say(`\n${part}: ${name}`);
  const folder = mkdtempSync(join(tmpdir(), `coldspare-proof-${part}-`));
  const rounds = options.quick ? QUICK_ROUNDS : options.full ? FULL_ROUNDS : ROUNDS;
  try {
    const missing = scenario.whyNot?.();
    if (missing === undefined) await scenario.run({ check, chance: new Chance(seed), rounds, folder });
    // Nobody reads the log of a green run in continuous integration.
    else if (process.env.CI) check.that("it can be run here", false, missing);
    else say(`  NOT RUN: ${missing}`);
  } catch (error) {
    const seen = error instanceof Error ? (error.stack ?? error.message) : String(error);
    check.that("the scenario runs to its end", false, seen);
  }
  const failed = check.claims.some(({ ok }) => !ok);
  if (failed && options.keep) say(`         left in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  for (const { text, ok, seen } of check.claims)
    say(`  ${ok ? "ok    " : "FAILED"} ${text}${seen === undefined ? "" : `\n         ${seen}`}`);
  for (const figure of check.figures) say(`         ${figure}`);
  return { scenario: name, part, seconds: (Date.now() - started) / 1000, claims: check.claims, figures: check.figures };
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
  const claims = rows.flatMap((row) => row.claims);
  const failed = claims.filter(({ ok }) => !ok).length;
  if (options.write) keep(rows, seed);
  say(`\n${table(rows, "part").join("\n")}\n\nseed ${seed}\n${claims.length - failed} passed, ${failed} failed`);
  return failed === 0 && claims.length > 0 ? 0 : 1;
}

function keep(rows: readonly Row[], seed: number): void {
  const file = join(checkout, "docs/proofs/backup.md");
  mkdirSync(dirname(file), { recursive: true });
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  const { table: lines, verdict } = markdown(rows, before, new Date().toISOString().slice(0, 10), "part");
  writeFileSync(
    file,
    `# Proof of backups

Written by \`npm run proof:backup -- --write\`; a run of some scenarios (\`--only\`) renews their rows alone. Last run: Node.js
${process.version}, ${availableParallelism()} cores, seed ${seed}. Real: restic and its repositories, mounted file systems, the programs on the servers,
mails, the bytes of every copy (SFTP, REST and S3 servers: tests/backup). Stand-ins: Proxmox VE's and Proxmox Backup Server's APIs (lab, with real bytes in content-addressed
chunks), \`zfs\` and \`zpool\` (real bytes in files). 'claims' is held/made. Times are those of the test machine.

${lines}

${verdict}
`,
  );
}

main().then(
  (code) => {
    process.exitCode = code;
    // What a failed scenario has left open must not keep the run from its end.
    setTimeout(() => process.exit(code), 3000).unref();
  },
  (error: Error) => {
    say(`${error.stack}\n\n0 passed, 1 failed`);
    process.exitCode = 1;
    setTimeout(() => process.exit(1), 3000).unref();
  },
);
