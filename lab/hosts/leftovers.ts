import * as fs from "node:fs";
import * as path from "node:path";
import { kill, markedProcesses, startTime } from "./processes";

const OWNER = "owner.json";

/** Folders whose hosts run in this very process. */
const taken = new Set<string>();

/**
 * Takes the folder for this process, and ends what a lab that was killed left running. Mounts and network namespaces are
 * held by processes only, so nothing else is left of them.
 *
 * @throws Error when another lab that lives uses the folder
 */
export function takeFolder(folder: string): void {
  const file = path.join(folder, OWNER);
  const owner = readOwner(file);
  if (taken.has(folder)) throw new Error(`the hosts in ${folder} run in this process already: stop them first`);
  if (owner && owner.pid !== process.pid && startTime(owner.pid) === owner.started)
    throw new Error(`the hosts in ${folder} belong to process ${owner.pid}, which still runs: stop that lab first`);
  for (const pid of markedProcesses(folder)) kill(pid, "SIGKILL");
  if (owner?.sockets) removeSockets(owner.sockets);
  writeOwner(folder, undefined);
  taken.add(folder);
}

/** Notes where this lab keeps its Unix sockets, which cannot lie in a folder with a long name. */
export function writeOwner(folder: string, sockets: string | undefined): void {
  const owner = { pid: process.pid, started: startTime(process.pid), sockets };
  fs.writeFileSync(path.join(folder, OWNER), `${JSON.stringify(owner)}\n`, { mode: 0o600 });
}

/** Gives the folder back. */
export function releaseFolder(folder: string): void {
  const owner = readOwner(path.join(folder, OWNER));
  if (owner?.sockets) removeSockets(owner.sockets);
  fs.rmSync(path.join(folder, OWNER), { force: true });
  taken.delete(folder);
}

interface Owner {
  pid: number;
  started: string | undefined;
  sockets?: string;
}

function readOwner(file: string): Owner | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

/** Only a folder that looks like one of ours is removed, whatever a damaged file says. */
function removeSockets(folder: string): void {
  if (path.basename(folder).startsWith("coldspare-hosts-")) fs.rmSync(folder, { recursive: true, force: true });
}
