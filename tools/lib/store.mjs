// The cache of one toolchain: which parts are there, how they came, and whether they are still what was verified.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheRoot } from "./cache.mjs";
import { loadVersions, NEEDED, toolchainFolder } from "./versions.mjs";

/** Same versions, same sources, same platform: same folder. */
export function toolchainKey(platform, folder = toolchainFolder) {
  const hash = createHash("sha256");
  const versions = loadVersions(folder);
  hash.update(JSON.stringify(NEEDED.map((name) => [name, versions[name]])));
  for (const path of readdirSync(folder, { recursive: true }).map(String).sort()) {
    // The script of the random plugin is run from the checkout, so it is no part of what is cached.
    if (!/\.(go|mod|sum)$/.test(path)) continue;
    hash.update(`${path}\0`);
    hash.update(readFileSync(join(folder, path)));
  }
  return `${platform.os}-${platform.x64}-${hash.digest("hex").slice(0, 16)}`;
}

/** Opens the store for a key; `dir` is its folder. */
export function openStore(key, env = process.env) {
  const dir = join(cacheRoot(env), "toolchain", key);
  const recordPath = join(dir, "parts.json");
  const read = () => (existsSync(recordPath) ? JSON.parse(readFileSync(recordPath, "utf8")) : {});
  return {
    dir,
    binDir: join(dir, "bin"),
    pluginDir: join(dir, "plugins"),
    lock: `${dir}.lock`,
    /** The record of a part, if its files are there and have the size that was verified. */
    part(name, mode = "auto") {
      const record = read()[name];
      if (!record || (mode !== "auto" && record.way !== mode && record.way !== "script")) return undefined;
      return record.files.every(({ path, size }) => sizeOf(join(dir, path)) === size) ? record : undefined;
    },
    /** Removes what a killed setup left half-done; only the owner of the lock may. */
    sweep() {
      for (const folder of ["bin", "plugins/proxmoxve", "plugins/random"]) {
        if (!existsSync(join(dir, folder))) continue;
        for (const name of readdirSync(join(dir, folder))) {
          if (/^\.(partial|unpack)-/.test(name)) rmSync(join(dir, folder, name), { recursive: true, force: true });
        }
      }
    },
    /** Notes a part as complete. Paths are relative to the store. */
    note(name, way, version, paths) {
      const files = paths.map((path) => ({ path, size: sizeOf(join(dir, path)) }));
      const record = { ...read(), [name]: { way, version, at: new Date().toISOString(), files } };
      mkdirSync(dir, { recursive: true });
      writeFileSync(`${recordPath}.${process.pid}`, `${JSON.stringify(record, null, 2)}\n`);
      renameSync(`${recordPath}.${process.pid}`, recordPath);
    },
  };
}

function sizeOf(path) {
  try {
    return statSync(path).size;
  } catch {
    return -1;
  }
}
