import { AnswerBytes, type Call, perm, type Route, route } from "./call";
import { fail } from "./errors";
import { openPbsArchive } from "./pbs-backup";
import { isPbs } from "./pbs-storage";
import { splitVolid } from "./volumes";

/*
 * Single files out of a backup on a backup server. The file system of a container is, in the lab, what its guest wrote: one file
 * `data` in its archive. Disks of machines hold no file system here, so nothing can be listed in them.
 */

const FILE = "data";

/** A line of the list. `filepath` is what the next call takes: the path in base64. */
interface ListedFile {
  filepath: string;
  leaf: 0 | 1;
  size?: number;
  text: string;
  type: "v" | "f";
}

function encoded(path: string): string {
  return Buffer.from(path).toString("base64");
}

/** The path of a call: `/` as it stands, everything else in base64. */
function pathOf(call: Call): string[] {
  const given = call.params.filepath ?? "/";
  const path = given === "/" ? given : Buffer.from(given, "base64").toString();
  return path.split("/").filter((part) => part !== "");
}

function archiveOf(call: Call): ReturnType<typeof openPbsArchive> {
  const { domain, node } = call;
  const entry = domain.storage(call.path.storage!, node);
  if (!isPbs(entry)) throw fail("file-restore: storage type is not 'pbs'");
  const volume = call.params.volume ?? "";
  const name = volume.startsWith(`${entry.storage}:`) ? splitVolid(volume).name : volume;
  return openPbsArchive(domain, node, entry, name);
}

function list(call: Call): ListedFile[] {
  const { archives, read } = archiveOf(call);
  const [archive] = pathOf(call);
  if (archive === undefined)
    return archives.map((name) => ({ filepath: encoded(`/${name}`), leaf: 0, text: name, type: "v" }));
  requireArchive(archives, archive);
  return [{ filepath: encoded(`/${archive}/${FILE}`), leaf: 1, size: read(archive).length, text: FILE, type: "f" }];
}

function requireArchive(archives: string[], name: string): void {
  if (!archives.includes(name)) throw fail(`proxmox-file-restore failed: Error: archive '${name}' not found`);
  if (name.endsWith(".fidx"))
    throw fail("proxmox-file-restore failed: Error: the lab knows no file systems in the disks of machines");
}

function download(call: Call): AnswerBytes {
  const { archives, read } = archiveOf(call);
  const [archive = "", file] = pathOf(call);
  requireArchive(archives, archive);
  if (file !== FILE) throw fail(`proxmox-file-restore failed: Error: no such file: '/${archive}/${file ?? ""}'`);
  return new AnswerBytes(read(archive));
}

const PATH = "/nodes/{node}/storage/{storage}/file-restore";
const AUDIT = perm("/storage/{storage}", "Datastore.Audit");

export const fileRestoreRoutes: Route[] = [
  route("GET", `${PATH}/list`, AUDIT, list),
  route("GET", `${PATH}/download`, AUDIT, download),
];
