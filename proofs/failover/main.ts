/** `npm run proof:failover`: the fault suite. Ends with `N passed, N failed`; exits with 1 when anything failed. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import type { Fencing } from "../../planning";
import { checkout } from "../../tests/engine/engine";
import { Check, markdown, type Row, table } from "../check";
import { aftermath, type Scenario } from "./scenario";
import { scenarios } from "./scenarios";
import { proofSite } from "./site";
import { type Template, World } from "./world";

const HELP = `Usage: npm run proof:failover -- [options]

Failover with the real engine, the real provider, the real guard and real processes, under faults, watched from outside.
Needs Linux and root (network namespaces) and openssh-server.

  --quick           the cut that npm test runs (a few minutes); default: everything
  --only <text>     scenarios whose name contains the text; repeatable
  --fencing <way>   only confirm, power or lease; repeatable
  --no-model        leave the exhaustive model out
  --jobs <n>        so many parts (each way of fencing, the model) at once; default 1. Leases want a quiet machine
  --keep            leave the folders of failed scenarios
  --write           keep the table in docs/proofs/failover.md; rows of scenarios that are not run stay as they are
  --list            names of the scenarios
`;

const options = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    fencing: { type: "string", multiple: true, default: [] },
    "no-model": { type: "boolean", default: false },
    jobs: { type: "string", default: "1" },
    // Of a part that another run started: nothing but the model, and the file that its rows go to.
    "only-model": { type: "boolean", default: false },
    rows: { type: "string" },
    keep: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
}).values;

const say = (line: string) => void process.stdout.write(`${line}\n`);

interface Job {
  scenario: Scenario;
  fencing: Fencing;
}

function chosen(): Job[] {
  const jobs = scenarios.flatMap((scenario) =>
    (options.quick ? (scenario.quick ?? []) : scenario.fencing).map((fencing) => ({ scenario, fencing })),
  );
  return jobs
    .filter(({ scenario }) => options.only.length === 0 || options.only.some((text) => scenario.name.includes(text)))
    .filter(({ fencing }) => options.fencing.length === 0 || options.fencing.includes(fencing))
    .sort((a, b) => a.fencing.localeCompare(b.fencing));
}

async function prove(job: Job, template: Template): Promise<Row> {
  const { scenario, fencing } = job;
  const check = new Check();
  const started = Date.now();
  say(`\n${scenario.name} (${fencing})`);
  let world: World | undefined;
  try {
    world = await World.open(template);
    await scenario.run(world, check);
    await aftermath(world, check);
  } catch (error) {
    check.that(
      "the scenario runs to its end",
      false,
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    );
  } finally {
    const failed = check.claims.some(({ ok }) => !ok);
    await world
      ?.end(!(failed && options.keep))
      .catch((error: Error) => check.that("the lab ends", false, error.message));
  }
  for (const { text, ok, seen } of check.claims)
    say(`  ${ok ? "ok    " : "FAILED"} ${text}${seen === undefined ? "" : `\n         ${seen}`}`);
  for (const figure of check.figures) say(`         ${figure}`);
  return {
    scenario: scenario.name,
    part: fencing,
    seconds: (Date.now() - started) / 1000,
    claims: check.claims,
    figures: check.figures,
  };
}

function modelRows(): Row[] {
  say("\nThe model of guard, lease and commands, explored exhaustively");
  const { exploreAll } = require("./model") as typeof import("./model");
  return exploreAll({ full: !options.quick }).map((result) => ({
    scenario: `model: ${result.name}`,
    part: result.fencing,
    seconds: result.seconds,
    claims: result.claims,
    figures: [`${result.states} states, ${result.transitions} transitions, ${result.replayed} answers replayed`],
  }));
}

/** Parts as processes of their own; lines of each begin with its name. Leases come last, when the others have mostly ended. */
async function sideBySide(atOnce: number): Promise<Row[]> {
  const ways = [...new Set(chosen().map(({ fencing }) => fencing))];
  const withModel = !options["no-model"] && options.only.length === 0;
  const queue = [
    ...ways.filter((way) => way === "confirm"),
    ...(withModel ? ["model"] : []),
    ...ways.filter((way) => way === "power"),
    ...ways.filter((way) => way === "lease"),
  ];
  const rows = new Map<string, Row[]>();
  const work = async () => {
    for (let part = queue.shift(); part !== undefined; part = queue.shift()) rows.set(part, await onePart(part));
  };
  const order = [...queue].sort((a, b) => Number(b === "model") - Number(a === "model") || a.localeCompare(b));
  await Promise.all(Array.from({ length: atOnce }, work));
  return order.flatMap((part) => rows.get(part) ?? []);
}

function onePart(part: string): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), `coldspare-proof-${part}-rows-`));
  const file = join(folder, "rows.json");
  const what = part === "model" ? ["--only-model"] : ["--no-model", "--fencing", part];
  const same = [
    ...(options.quick ? ["--quick"] : []),
    ...(options.keep ? ["--keep"] : []),
    ...options.only.flatMap((text) => ["--only", text]),
  ];
  const child = spawn(process.execPath, [...process.execArgv, __filename, ...what, ...same, "--rows", file], {
    cwd: process.cwd(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  createInterface({ input: child.stdout }).on("line", (line) => say(`${part.padEnd(8)}| ${line}`));
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (code) => {
      try {
        done(JSON.parse(readFileSync(file, "utf8")) as Row[]);
      } catch {
        const seen = `it ended with ${code}`;
        done([
          {
            scenario: part,
            part,
            seconds: 0,
            claims: [{ text: "it runs to its end", ok: false, seen }],
            figures: [],
          },
        ]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });
}

async function main(): Promise<number> {
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const jobs = chosen();
  if (options.list) {
    for (const { scenario, fencing } of jobs) say(`${fencing.padEnd(8)} ${scenario.name}`);
    return 0;
  }
  const atOnce = Number(options.jobs);
  if (!Number.isInteger(atOnce) || atOnce < 1) {
    say(`--jobs ${options.jobs}: write a number, at least 1`);
    return 2;
  }
  const rows = atOnce > 1 ? await sideBySide(atOnce) : await oneByOne(options["only-model"] ? [] : jobs);
  if (options.rows) writeFileSync(options.rows, JSON.stringify(rows));
  const claims = rows.flatMap((row) => row.claims);
  const failed = claims.filter(({ ok }) => !ok).length;
  const verdict = `${claims.length - failed} passed, ${failed} failed`;
  if (options.write) keep(rows, atOnce);
  say(`\n${table(rows, "fencing").join("\n")}\n\n${verdict}`);
  return failed === 0 ? 0 : 1;
}

async function oneByOne(jobs: readonly Job[]): Promise<Row[]> {
  const rows: Row[] = options["no-model"] || options.only.length > 0 ? [] : modelRows();
  const templates = new Map<Fencing, Template>();
  for (const job of jobs) {
    let template = templates.get(job.fencing);
    if (!template) {
      say(`\nBuilding the SMB site with the real engine (fencing: ${job.fencing})`);
      template = await World.template(proofSite(job.fencing), job.fencing);
      templates.set(job.fencing, template);
    }
    rows.push(await prove(job, template));
  }
  for (const { folder } of templates.values()) rmSync(folder, { recursive: true, force: true });
  return rows;
}

function keep(rows: readonly Row[], atOnce: number): void {
  const file = join(checkout, "docs/proofs/failover.md");
  mkdirSync(dirname(file), { recursive: true });
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  const date = new Date().toISOString().slice(0, 10);
  const { table: lines, verdict } = markdown(rows, before, date, "fencing");
  writeFileSync(
    file,
    `# Proof of failover

Written by \`npm run proof:failover -- --write\`; a run of some scenarios (\`--only\`, \`--fencing\`) renews their rows alone. Last
run: Node.js ${process.version}, ${availableParallelism()} cores, ${atOnce === 1 ? "one part after another" : `${atOnce} parts at once`}. Real: Pulumi engine, bridged provider,
guard, agent, sshd, the guests' processes and bytes, hosts (network namespaces), judged by a process outside that looks at the
machine's processes. Simulated (lab): Proxmox VE's API and file system, BMCs. 'claims' is held/made. Times are the lab's.

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
