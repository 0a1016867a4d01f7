// Brings a checkout into the state in which its programs run: dependencies installed, sources compiled.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { CommandError, run } from "./exec.mjs";
import { childEnv } from "./node.mjs";

/** What goes into the build; the rest (tests, documents) does not make it stale. */
const SOURCES = ["index.ts", "planning", "providers", "components", "stacks", "operations", "cli", "guard", "lab"];
const BUILD_FILES = ["tsconfig.json", "tsconfig.build.json", "package.json", "tools/after-build.mjs"];

/**
 * True when node_modules is not what package-lock.json says. npm leaves a copy of what it installed; times are no
 * measure, as a fresh checkout gives every file the time of the checkout.
 */
export function dependenciesAreStale(checkout) {
  const installed = join(checkout, "node_modules", ".package-lock.json");
  if (!existsSync(installed)) return true;
  const wanted = JSON.parse(readFileSync(join(checkout, "package-lock.json"), "utf8")).packages ?? {};
  const have = JSON.parse(readFileSync(installed, "utf8")).packages ?? {};
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "" || entry.link) continue;
    const found = have[path];
    if (found === undefined) {
      // Builds for other platforms are listed in the lock file and not installed here.
      if (!entry.optional && !entry.peer) return true;
    } else if (found.version !== entry.version) return true;
  }
  return false;
}

/**
 * Runs `npm ci` when it is needed.
 * @returns {Promise<boolean>} whether anything was installed
 * @throws Error with npm's own last words
 */
export async function ensureDependencies({ checkout, log = () => {} }) {
  if (!dependenciesAreStale(checkout)) return false;
  log("installing the dependencies of package-lock.json (npm ci)");
  const showing = setInterval(() => log.status?.("npm ci is at work"), 5000);
  try {
    await run("npm", ["ci", "--no-audit", "--no-fund"], { cwd: checkout });
  } catch (error) {
    const hint = "Check that this machine reaches its package registry (npm ping), and that the disk is not full.";
    throw new Error(`npm ci failed. ${hint}\n${npmErrors(error.output)}`);
  } finally {
    clearInterval(showing);
  }
  return true;
}

/** npm says what is wrong first, and then repeats its manual. */
function npmErrors(output = "") {
  const lines = output.split("\n").filter((line) => /^npm (error|ERR!) \S/.test(line));
  return (lines.length > 0 ? lines : output.split("\n")).slice(0, 12).join("\n");
}

/** The newest time of change below a path, in milliseconds; 0 when it does not exist. */
export function newestChange(path) {
  if (!existsSync(path)) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  // The folder's own time changes when a file is removed, which makes the build stale as well.
  return readdirSync(path).reduce((newest, name) => Math.max(newest, newestChange(join(path, name))), stat.mtimeMs);
}

/** Written by tools/after-build.mjs when all of it succeeded: the compiler leaves outputs behind even when it fails. */
const STAMP = join("dist", ".built");

/** True when `dist` is missing, incomplete, or older than a source. */
export function buildIsStale(checkout) {
  const stamp = join(checkout, STAMP);
  if (!existsSync(stamp)) return true;
  const { mtimeMs } = statSync(stamp);
  return [...SOURCES, ...BUILD_FILES].some((name) => newestChange(join(checkout, name)) > mtimeMs);
}

/**
 * Compiles when a source is newer than the build.
 * @returns {Promise<boolean>} whether anything was compiled
 * @throws Error with the compiler's messages
 */
export async function ensureBuilt({ checkout, log = () => {}, env = process.env }) {
  if (!buildIsStale(checkout)) return false;
  log("compiling (npm run build)");
  try {
    await run("npm", ["run", "--silent", "build"], { cwd: checkout, env: childEnv(checkout, env) });
  } catch (error) {
    throw error instanceof CommandError ? new Error(`npm run build failed:\n${error.output}`) : error;
  }
  return true;
}
