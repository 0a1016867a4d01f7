// Fetches the publishers' own builds. Each is checked against the publisher's list of SHA-256 sums, where there is one.
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { checksumFor, DownloadError, fetchText, fetchToFile, sha256OfFile, UnreachableError } from "./download.mjs";
import { onInterrupt, run } from "./exec.mjs";
import { expand } from "./versions.mjs";

/**
 * Downloads one archive and unpacks the wanted programs.
 * @param {{ part: object, platform: object, wanted: string[], cache: string, outDir: string, log: Function,
 *   unreachable: Set<string> }} options `unreachable` collects silent hosts, so that each costs its timeout only once
 * @throws UnreachableError | DownloadError nothing is installed then
 */
export async function fetchOfficial({
  part,
  platform,
  wanted,
  cache,
  outDir,
  log,
  unreachable,
  connectSeconds,
  signal,
}) {
  const url = expand(part.official, part.version, platform);
  const listUrl = expand(part.checksums, part.version, platform);
  const file = basename(new URL(url).pathname);
  for (const address of [listUrl, url]) {
    const { host } = new URL(address);
    if (unreachable.has(host)) throw new UnreachableError(address, "tried a moment ago");
  }
  try {
    const expected = await publishedChecksum({ listUrl, file, log, connectSeconds, signal });
    mkdirSync(cache, { recursive: true });
    const archive = join(cache, file);
    const onProgress = (done, total) => log.status(`${file}: ${size(done)}${total ? ` of ${size(total)}` : ""}`);
    await fetchToFile(url, archive, { onProgress, connectSeconds, signal });
    try {
      if (expected) await verifyArchive(archive, expected, url);
      await unpack(archive, wanted, outDir);
    } finally {
      rmSync(archive, { force: true });
    }
  } catch (error) {
    if (error instanceof UnreachableError) for (const address of [url, listUrl]) noteHost(error, address, unreachable);
    throw error;
  }
}

/**
 * The sum that the publisher lists for a file; undefined where there is no such list (any more). Then the publisher's
 * HTTPS certificate, and the program's own version, are what is checked: no less than `pulumi plugin install` does.
 */
async function publishedChecksum({ listUrl, file, log, connectSeconds, signal }) {
  try {
    return checksumFor(await fetchText(listUrl, { connectSeconds, signal }), file);
  } catch (error) {
    if (error.status !== 404) throw error;
    log(`${file}: its publisher has no list of checksums at ${listUrl}: trusted for its HTTPS address alone`);
    return undefined;
  }
}

function noteHost(error, address, unreachable) {
  const { host } = new URL(address);
  if (error.message.startsWith(`${host} `)) unreachable.add(host);
}

/** @throws DownloadError when the file is not the one that the publisher lists */
export async function verifyArchive(path, expected, url) {
  const actual = await sha256OfFile(path);
  if (actual !== expected) {
    throw new DownloadError(`${url} has SHA-256 ${actual}, but its publisher lists ${expected}: refused`);
  }
}

async function unpack(archive, wanted, outDir) {
  mkdirSync(outDir, { recursive: true });
  const folder = mkdtempSync(join(outDir, ".unpack-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const forget = onInterrupt(remove);
  try {
    await run("tar", ["-xzf", archive, "-C", folder]);
    for (const name of wanted) {
      const found = findFile(folder, name);
      if (!found) throw new DownloadError(`${basename(archive)} does not contain ${name}`);
      renameSync(found, join(outDir, name));
    }
  } finally {
    forget();
    remove();
  }
}

function findFile(folder, name) {
  for (const entry of readdirSync(folder, { recursive: true })) {
    const path = join(folder, entry);
    if (basename(path) === name && statSync(path).isFile()) return path;
  }
  return undefined;
}

function size(bytes) {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
