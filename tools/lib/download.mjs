// Downloads over HTTPS (plain HTTP only from this machine itself, for tests), resumable, decided within seconds.
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

/** The host gave no answer: closed network, no name service, refused, or silent for longer than the timeout. */
export class UnreachableError extends Error {
  constructor(url, cause) {
    super(`${new URL(url).host} cannot be reached (${cause})`);
    this.name = "UnreachableError";
  }
}

/** The host answered, but not with the file. */
export class DownloadError extends Error {
  constructor(message, status) {
    super(message);
    this.name = "DownloadError";
    this.status = status;
  }
}

/** Seconds until a silent host counts as 'cannot be reached', and until a stalled transfer is given up. */
const CONNECT_SECONDS = 5;
const STALL_SECONDS = 30;

function checkUrl(url) {
  const { protocol, hostname } = new URL(url);
  const local = hostname === "127.0.0.1" || hostname === "localhost";
  if (protocol !== "https:" && !(protocol === "http:" && local)) throw new DownloadError(`${url} is not HTTPS`);
}

async function open(url, { headers = {}, connectSeconds = CONNECT_SECONDS, signal } = {}) {
  checkUrl(url);
  const stop = new AbortController();
  const relay = () => stop.abort(signal.reason);
  signal?.addEventListener("abort", relay, { once: true });
  const timer = setTimeout(() => stop.abort(new Error("connect timeout")), connectSeconds * 1000);
  try {
    const response = await fetch(url, { headers, signal: stop.signal, redirect: "follow" });
    return { response, stop };
  } catch (error) {
    if (signal?.aborted) throw error;
    const why = stop.signal.aborted ? `no answer within ${connectSeconds} s` : (error.cause?.code ?? error.message);
    throw new UnreachableError(url, why);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Fetches a small text.
 * @throws UnreachableError | DownloadError
 */
export async function fetchText(url, options = {}) {
  const { response, stop } = await open(url, options);
  if (!response.ok) throw new DownloadError(`${url} answers ${response.status}`, response.status);
  const timer = setTimeout(() => stop.abort(), STALL_SECONDS * 1000);
  try {
    return await response.text();
  } catch (error) {
    throw new UnreachableError(url, error.cause?.code ?? error.message);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Fetches a file. An interrupted transfer leaves `<path>.part`, and the next call goes on from there.
 * @param {(done: number, total: number | undefined) => void} [options.onProgress] bytes
 * @throws UnreachableError | DownloadError
 */
export async function fetchToFile(url, path, options = {}) {
  const part = `${path}.part`;
  const have = existsSync(part) ? statSync(part).size : 0;
  const headers = have > 0 ? { range: `bytes=${have}-` } : {};
  const { response, stop } = await open(url, { ...options, headers });
  if (response.status === 416 && have > 0) {
    // What lies there is longer than the file: not this file's beginning.
    stop.abort();
    rmSync(part, { force: true });
    return fetchToFile(url, path, options);
  }
  if (!response.ok || !response.body) throw new DownloadError(`${url} answers ${response.status}`, response.status);
  const resumed = response.status === 206;
  const length = Number(response.headers.get("content-length")) || undefined;
  const total = length === undefined ? undefined : length + (resumed ? have : 0);
  let done = resumed ? have : 0;
  let stall = setTimeout(() => stop.abort(), STALL_SECONDS * 1000);
  const count = new Transform({
    transform(chunk, _encoding, next) {
      clearTimeout(stall);
      stall = setTimeout(() => stop.abort(), STALL_SECONDS * 1000);
      done += chunk.length;
      options.onProgress?.(done, total);
      next(null, chunk);
    },
  });
  try {
    await pipeline(Readable.fromWeb(response.body), count, createWriteStream(part, { flags: resumed ? "a" : "w" }));
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new UnreachableError(url, `the transfer broke off: ${error.cause?.code ?? error.message}`);
  } finally {
    clearTimeout(stall);
  }
  renameSync(part, path);
}

/** SHA-256 of a file, in hex. */
export async function sha256OfFile(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/**
 * Finds a file's SHA-256 in a publisher's list (`<hex>  <name>` per line).
 * @throws DownloadError when the list does not name the file
 */
export function checksumFor(list, fileName) {
  for (const line of list.split("\n")) {
    const [hex, name] = line.trim().split(/\s+\*?/);
    if (name?.replace(/^\.\//, "") === fileName && /^[0-9a-f]{64}$/i.test(hex)) return hex.toLowerCase();
  }
  throw new DownloadError(`the publisher's list of checksums does not name ${fileName}`);
}
