/** Writes a project folder: all of it, or nothing. */
import { randomBytes } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, normalize, resolve } from "node:path";
import { UsageError } from "../io";

/**
 * Writes files into a new folder, or into one that is empty. A repository that was just made (`.git` alone) counts as
 * empty. What is written is complete before it appears in the folder.
 *
 * @param files texts by path, which stay inside the folder
 * @throws UsageError where the folder holds something (which is named), is a file, or cannot be written to
 */
export function writeProject(folder: string, files: Readonly<Record<string, string>>): void {
  refuseUnlessEmpty(folder);
  const target = resolve(folder);
  const isThere = existsSync(target);
  // Inside a folder that exists: it keeps its owner, and the shell that stands in it.
  const parent = isThere ? target : dirname(target);
  const made = explained(folder, () => (isThere ? undefined : mkdirSync(parent, { recursive: true })));
  let draft: string | undefined;
  try {
    // Not mkdtemp, whose folders nobody else may enter.
    const complete = join(parent, `.${basename(target)}-${randomBytes(6).toString("hex")}`);
    explained(folder, () => mkdirSync(complete));
    draft = complete;
    explained(folder, () => {
      for (const [path, text] of Object.entries(files)) writeInside(complete, path, text);
      if (isThere) moveEntries(complete, target);
      else renameSync(complete, target);
    });
  } catch (error) {
    if (draft !== undefined) rmSync(draft, { recursive: true, force: true });
    if (made !== undefined) removeEmpty(parent, made);
    throw error;
  }
}

/** Looks before anything is asked or read, so that nobody answers five questions for nothing. @throws UsageError */
export function refuseUnlessEmpty(folder: string): void {
  const stats = explained(folder, () => statSync(folder, { throwIfNoEntry: false }));
  if (stats === undefined) {
    if (explained(folder, () => lstatSync(folder, { throwIfNoEntry: false })) === undefined) return;
    throw new UsageError(`${folder} is a link that leads nowhere: name another folder`);
  }
  if (!stats.isDirectory()) throw new UsageError(`${folder} is a file: name a folder that does not exist yet`);
  const entries = explained(folder, () => readdirSync(folder))
    .filter((entry) => entry !== ".git")
    .sort();
  if (entries.length === 0) return;
  const shown = entries.slice(0, 5).join(", ");
  const more = entries.length > 5 ? ` and ${entries.length - 5} more` : "";
  throw new UsageError(
    `the folder ${folder} is not empty: it has ${shown}${more}. Name a folder that does not exist yet; nothing was written`,
  );
}

/** The folders from `last` up to `first`, as long as nobody has put anything there. */
function removeEmpty(last: string, first: string): void {
  for (let folder = last; ; folder = dirname(folder)) {
    try {
      rmdirSync(folder);
    } catch {
      return;
    }
    if (folder === first) return;
  }
}

function writeInside(folder: string, path: string, text: string): void {
  const relative = normalize(path);
  if (relative.startsWith("..") || resolve("/", relative) !== join("/", relative) || path.startsWith("/"))
    throw new Error(`'${path}' leads out of the project's folder`);
  const file = join(folder, relative);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** One after another; what was moved goes again when one cannot be. */
function moveEntries(draft: string, target: string): void {
  const moved: string[] = [];
  try {
    for (const entry of readdirSync(draft)) {
      const place = join(target, entry);
      if (existsSync(place)) throw new UsageError(`${place} has appeared meanwhile: nothing was written`);
      renameSync(join(draft, entry), place);
      moved.push(place);
    }
  } catch (error) {
    for (const place of moved) rmSync(place, { recursive: true, force: true });
    throw error;
  }
  rmSync(draft, { recursive: true });
}

/** An error of the file system as one that says what to do. */
function explained<T>(folder: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof UsageError) throw error;
    const why = REASONS[code] ?? code;
    throw new UsageError(`the folder ${folder} cannot be written: ${why}. Nothing was written`);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "there is no permission to",
  EPERM: "there is no permission to",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the quota is used up",
  ENOTDIR: "a part of its path is a file",
  ENOTEMPTY: "it has appeared meanwhile, and is not empty",
  EEXIST: "it has appeared meanwhile",
  ENAMETOOLONG: "its name is too long",
};
