/** `npm run proof:failover`: the fault suite. Ends with `N passed, N failed`; exits with 1 when anything failed. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import type { Fencing } from "../../planning";
import type { Row } from "../check";
import { conclude, hasFailed, keepTable, proveOne, runMain, say } from "../frame";
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
  say(`\n${scenario.name} (${fencing})`);
  return proveOne(scenario.name, fencing, async (check) => {
    const world = await World.open(template);
    try {
      await scenario.run(world, check);
      await aftermath(world, check);
    } catch (error) {
      const seen = error instanceof Error ? (error.stack ?? error.message) : String(error);
      check.that("the scenario runs to its end", false, seen);
    } finally {
      const remove = !(hasFailed(check) && options.keep);
      await world.end(remove).catch((error: Error) => check.that("the lab ends", false, error.message));
    }
  });
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
  if (options.write) keep(rows, atOnce);
  return conclude(rows, "fencing");
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
  const head = `# Proof of failover

Written by \`npm run proof:failover -- --write\`; a run of some scenarios (\`--only\`, \`--fencing\`) renews their rows alone. Last
run: Node.js ${process.version}, ${availableParallelism()} cores, ${atOnce === 1 ? "one part after another" : `${atOnce} parts at once`}. Real: Pulumi engine, bridged provider,
guard, agent, sshd, the guests' processes and bytes, hosts (network namespaces), judged by a process outside that looks at the
machine's processes. Simulated (lab): Proxmox VE's API and file system, BMCs. 'claims' is held/made. Times are the lab's.`;
  keepTable("failover", head, rows, "fencing");
}

runMain(main);
