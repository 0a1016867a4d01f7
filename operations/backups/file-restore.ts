/** Single files out of copies on a Proxmox Backup Server, by the file restore of Proxmox VE: they come to the operator's machine. */
import { createWriteStream, existsSync, linkSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join, posix } from "node:path";
import type { Operator } from "../context";
import type { Point } from "./copies";

/** One entry of `file-restore/list`. Paths are base64, names are not. */
interface Entry {
  filepath: string;
  text: string;
  /** `d`: a folder, `f`: a file, `v`: an archive of the copy. */
  type: string;
  leaf: boolean | number;
  size?: number;
}

/** A file or folder in a copy, by its path from the copy's root: `/root.pxar.didx/etc/hosts`. */
export interface FoundFile {
  path: string;
  folder: boolean;
  size?: number;
}

/**
 * Finds a path of the guest's in a copy: in the file system of a container, or in the partitions of a machine's disks, one after
 * another. A path that begins with the name of an archive (`/drive-scsi0.img.fidx/part/2/etc`) is taken as it is.
 *
 * @throws Error when it is nowhere, with what was looked through
 */
export async function findFile(operator: Operator, point: Point, wanted: string): Promise<FoundFile> {
  const path = posix.normalize(`/${wanted}`).replace(/(.)\/$/, "$1");
  const archives = await list(operator, point, "/");
  const named = archives.find(({ text }) => path === `/${text}` || path.startsWith(`/${text}/`));
  const roots = named === undefined ? await rootsOf(operator, point, archives) : [""];
  for (const root of roots) {
    const found = await look(operator, point, `${root}${path}`);
    if (found !== undefined) return found;
  }
  throw new Error(
    `${wanted} is not in ${point.id}: looked through ${roots.join(", ") || "nothing"}; archives there: ${archives.map(({ text }) => text).join(", ")}`,
  );
}

/** Where a guest's own root can be: archives of file systems, and the partitions of disks. */
async function rootsOf(operator: Operator, point: Point, archives: readonly Entry[]): Promise<string[]> {
  const roots = archives.filter(({ text }) => /\.(m?pxar)\.didx$/.test(text)).map(({ text }) => `/${text}`);
  for (const { text } of archives.filter((each) => /\.img\.fidx$/.test(each.text))) {
    const partitions = await list(operator, point, `/${text}/part`).catch((): Entry[] => []);
    roots.push(...partitions.map((partition) => `/${text}/part/${partition.text}`));
  }
  return roots;
}

async function look(operator: Operator, point: Point, path: string): Promise<FoundFile | undefined> {
  const folder = posix.dirname(path);
  const entries = await list(operator, point, folder).catch((): Entry[] => []);
  const entry = entries.find(({ text }) => text === posix.basename(path));
  if (entry === undefined) return undefined;
  return {
    path,
    folder: entry.type === "d" || entry.type === "v",
    ...(entry.size !== undefined && { size: entry.size }),
  };
}

async function list(operator: Operator, point: Point, path: string): Promise<Entry[]> {
  const { pve, base, query } = callOf(operator, point, path);
  return pve.get<Entry[]>(`${base}/list`, query, { doing: `look at ${path} in ${point.id}` });
}

/**
 * Writes it into a folder here; a folder of the guest's comes as a zip archive. Nothing is written over, and half a file is never
 * left under its name.
 *
 * @returns the file that was written
 */
export async function downloadFile(operator: Operator, point: Point, found: FoundFile, into: string): Promise<string> {
  const { pve, base, query } = callOf(operator, point, found.path);
  mkdirSync(into, { recursive: true, mode: 0o700 });
  const file = join(into, `${posix.basename(found.path)}${found.folder ? ".zip" : ""}`);
  const partly = `${file}.part`;
  if (existsSync(file)) throw new Error(`${file} is there already: nothing is written over`);
  const about = { doing: `fetch ${found.path} out of ${point.id}` };
  const stream = createWriteStream(partly, { fd: openSync(partly, "wx", 0o600) });
  try {
    await pve.download(`${base}/download`, query, stream, about);
    // Unlike a renaming, a link fails where somebody has made the file meanwhile.
    linkSync(partly, file);
  } finally {
    stream.destroy();
    rmSync(partly, { force: true });
  }
  return file;
}

function callOf(operator: Operator, { id, servers }: Point, path: string) {
  const server = servers[0] ?? "";
  const storage = id.split(":")[0] ?? "";
  return {
    pve: operator.pveAt(server) ?? operator.pve,
    base: `/nodes/${server}/storage/${storage}/file-restore`,
    query: { volume: id, filepath: path === "/" ? "/" : Buffer.from(path).toString("base64") },
  };
}
