#!/usr/bin/env node
// `npm test`: from a fresh clone to one line, `N passed, N failed`. See --help.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensureBuilt, ensureDependencies } from "./lib/checkout.mjs";
import { environmentOf } from "./lib/environment.mjs";
import { handleSignals, run } from "./lib/exec.mjs";
import { runJest } from "./lib/jest.mjs";
import { ensurePython, ensureYamlHost } from "./lib/languages.mjs";
import { createLog, createStages } from "./lib/log.mjs";
import { runProof } from "./lib/proof.mjs";
import { ensurePbsSchema, ensurePveSchema } from "./lib/schema.mjs";
import { emptyTally, sum, tallyCheck, verdict } from "./lib/tally.mjs";
import { ensureS3Server } from "./lib/test-servers.mjs";
import { ensureToolchain } from "./lib/toolchain.mjs";

const HELP = `Usage: npm test -- [options] [part of a test file's path ...]

Installs what is missing, compiles, lints, checks the types, runs the tests that need no engine, those with the real
engine and plugins, those with real hosts (Linux and root), and the quick cut of each proof. Ends with one line:
N passed, N failed.

  --no-engine   leave the tests with the real engine out (named as not run; a failure when CI is set)
  --no-hosts    leave the tests with real hosts out (the same)
  -h, --help    this text

Exit codes: 0 all passed, 1 a test failed (with CI=true also when one was not run), 2 wrong usage
`;

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const stream = process.stdout;
const log = createLog({ stream });
const isCi = ["true", "1"].includes(process.env.CI ?? "");
handleSignals(() => log("interrupted"));

function readArguments() {
  try {
    const flag = { type: "boolean", default: false };
    return parseArgs({
      options: { "no-engine": flag, "no-hosts": flag, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
  } catch (error) {
    console.error(`${error.message}\nSee npm test -- --help`);
    process.exit(2);
  }
}

/** One command that is one test; its output is shown only when it fails. */
async function check(name, script, env) {
  const { code, stdout, stderr } = await run("npm", ["run", "--silent", script], { cwd: checkout, env, check: false });
  if (code !== 0) log(`${stdout}${stderr}`.trimEnd());
  log(`${name}: ${code === 0 ? "passed" : "FAILED"}`);
  return tallyCheck(name, code === 0);
}

async function build() {
  try {
    await ensureBuilt({ checkout, log });
    return tallyCheck("build", true);
  } catch (error) {
    log(error.message);
    return tallyCheck("build", false);
  }
}

/** The engine's setup may take minutes on a first run: the tests that need none run meanwhile. */
async function withoutEngine({ schemas, wantsEngine, args }) {
  const env = environmentOf({ checkout, ...schemas });
  const setup = wantsEngine ? ensureToolchain({ checkout, log: createLog({ stream, prefix: "setup | " }) }) : undefined;
  const checks = [await check("lint", "lint", env), await check("type check", "check", env)];
  const unit = await runJest({ checkout, project: "unit", env, log: createLog({ stream, prefix: "unit  | " }), args });
  const guard = await runJest({
    checkout,
    project: "guard",
    env,
    log: createLog({ stream, prefix: "guard | " }),
    args,
  });
  const s3 = await ensureS3Server({ log: createLog({ stream, prefix: "setup | " }) });
  const backup = await runJest({
    checkout,
    project: "backup",
    env: s3 === undefined ? env : { ...env, COLDSPARE_S3_SERVER: s3 },
    log: createLog({ stream, prefix: "backup| " }),
    args,
  });
  return { tally: sum([...checks, unit, guard, backup]), toolchain: await setup };
}

async function withEngine({ schemas, toolchain, args }) {
  if (!toolchain?.ok) {
    const reason = toolchain ? `missing: ${toolchain.missing.join("; ")}` : "--no-engine";
    if (toolchain) log(toolchain.advice);
    return { ...emptyTally(), skipped: [`all tests with the real engine (tests/engine): ${reason}`] };
  }
  const setup = createLog({ stream, prefix: "setup | " });
  await ensureYamlHost({ log: setup, binDir: toolchain.binDir });
  await ensurePython({ log: setup });
  const env = environmentOf({ checkout, ...schemas, toolchain });
  return runJest({ checkout, project: "engine", env, log: createLog({ stream, prefix: "engine | " }), args });
}

/** Why real hosts cannot be made here; undefined when they can. */
function whyNoHosts(values) {
  if (values["no-hosts"]) return "--no-hosts";
  const { canRunHosts } = createRequire(import.meta.url)(join(checkout, "dist/lab/hosts/requirements.js"));
  const answer = canRunHosts();
  return answer.ok ? undefined : answer.why;
}

async function withHosts({ schemas, args, why }) {
  if (why) return { ...emptyTally(), skipped: [`all tests with real hosts (tests/hosts): ${why}`] };
  const env = environmentOf({ checkout, ...schemas });
  return runJest({ checkout, project: "hosts", env, log: createLog({ stream, prefix: "hosts | " }), args });
}

/** The quick cut of the proofs: each counts its own claims. */
async function quickProofs({ schemas, toolchain, why, args }) {
  if (args.length > 0) return emptyTally();
  const env = environmentOf({ checkout, ...schemas, toolchain });
  const quick = (name, reason) => {
    const skipped = [`the quick cut of the proof of ${name} (proofs/${name}): ${reason}`];
    if (reason) return { ...emptyTally(), skipped };
    const proof = createLog({ stream, prefix: `${name.padEnd(8)} | ` });
    return runProof({ checkout, name, args: ["--quick"], env, log: proof });
  };
  const noEngine = toolchain?.ok ? undefined : "no engine";
  const besides = await Promise.all([quick("backup", why), quick("wayin", noEngine)]);
  // Its leases want a quiet machine.
  return sum([...besides, await quick("failover", why ?? noEngine)]);
}

async function main() {
  const { values, positionals: args } = readArguments();
  if (values.help) return process.stdout.write(HELP);
  const stage = createStages(log, 6);
  const schemas = await stage("Dependencies and API schemas", async () => {
    await ensureDependencies({ checkout, log });
    const [schema, pbsSchema] = await Promise.all([ensurePveSchema({ log }), ensurePbsSchema({ log })]);
    return { schema, pbsSchema };
  });
  const built = await stage("Build", build);
  const wantsEngine = !values["no-engine"];
  const title = `Lint, type check, tests without an engine${wantsEngine ? "; the engine's setup beside them" : ""}`;
  const first = await stage(title, () => withoutEngine({ schemas, wantsEngine, args }));
  const engine = await stage("Tests with the real engine", () =>
    withEngine({ schemas, toolchain: first.toolchain, args }),
  );
  const why = whyNoHosts(values);
  const hosts = await stage("Tests with real hosts", () => withHosts({ schemas, args, why }));
  const proofs = await stage("The quick cut of the proofs", () =>
    quickProofs({ schemas, toolchain: first.toolchain, why, args }),
  );
  const { lines, failed } = verdict(sum([built, first.tally, engine, hosts, proofs]), { ci: isCi });
  for (const line of lines) log(line);
  process.exitCode = failed > 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  log(error.message);
  log(verdict(tallyCheck("setup of the tests", false), { ci: isCi }).lines.join("\n"));
  process.exitCode = 1;
}
