// A lock file, so that two setups at once do not trample on each other. A dead owner's lock is taken over.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { onInterrupt } from "./exec.mjs";

const POLL_MS = 500;
/** A lock of another machine (a shared home folder) cannot be looked into; after this long it counts as left behind. */
const FOREIGN_HOURS = 2;

/** When the process started, in the kernel's ticks: tells a process from a later one with the same number. */
function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function self() {
  return { pid: process.pid, host: hostname(), start: startOf(process.pid), since: new Date().toISOString() };
}

/** True when the owner that the lock names cannot be working any more. */
export function isStale(owner, { here = hostname(), now = Date.now(), alive = isAlive, start = startOf } = {}) {
  if (!owner || typeof owner.pid !== "number") return true;
  if (owner.host !== here) return now - Date.parse(owner.since) > FOREIGN_HOURS * 3600_000;
  if (!alive(owner.pid)) return true;
  const started = start(owner.pid);
  return owner.start !== undefined && started !== undefined && started !== owner.start;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function readOwner(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    return error.code === "ENOENT" ? null : undefined;
  }
}

/** Creates the lock with its content at once: `link` fails if it exists, and nobody ever sees half a file. */
function tryCreate(path) {
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(draft, JSON.stringify(self()));
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Moves a dead owner's lock away; if another process was quicker and it is a living one's, puts it back. */
function removeStale(path) {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (error.code === "ENOENT") return;
    throw error;
  }
  if (!isStale(readOwner(aside))) {
    try {
      linkSync(aside, path);
    } catch {
      // A third process has it by now; the one we moved notices nothing, and both do the same work twice at worst.
    }
  }
  rmSync(aside, { force: true });
}

/**
 * Runs `work` while holding the lock; waits for a living owner.
 * @param {(owner: { pid: number, host: string }) => void} [options.onWait] called once when somebody else has it
 */
export async function withLock(path, work, { onWait } = {}) {
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  while (!tryCreate(path)) {
    const owner = readOwner(path);
    if (owner === null) continue;
    if (isStale(owner)) {
      removeStale(path);
      continue;
    }
    if (!told) onWait?.(owner);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const release = () => rmSync(path, { force: true });
  const forget = onInterrupt(release);
  try {
    return await work();
  } finally {
    forget();
    release();
  }
}
