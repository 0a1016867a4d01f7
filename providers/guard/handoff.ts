/**
 * How the manifest comes from the program to the handler: by a file that is named after its content.
 *
 * Everything that a dynamic resource is given is kept in the state, twice, and the manifest of a site is 10 KB and more, once
 * for each server. So the resource is given the hash alone, and the program leaves the text where the handler, which
 * the engine starts on the same machine for the same user, finds it. What it finds is believed only if its hash is the
 * one it was given. Nothing but creating and updating needs the text, and both follow the program at once.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../pve/errors";

/** Texts that are kept; older ones belong to updates of long ago. */
const KEPT = 20;

/** Hash as `sha256sum` prints it. */
export function sha256(text: string | Buffer): string {
  return createHash("sha256").update(text).digest("hex");
}

const SHORT = 20;

/** Enough of a text's hash to see that it was changed, for the state, where every byte is kept twice. */
export function shortHash(text: string): string {
  return sha256(text).slice(0, SHORT);
}

/** Leaves a text for the handler. @returns its SHA-256 */
export function handOver(text: string): string {
  const hash = sha256(text);
  let failure: unknown;
  for (const folder of folders()) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const path = join(folder, `${hash}.json`);
      const temporary = join(folder, `.${hash}.${randomBytes(4).toString("hex")}`);
      writeFileSync(temporary, text, { mode: 0o600, flag: "wx" });
      renameSync(temporary, path);
      prune(folder);
      return hash;
    } catch (error) {
      failure = error;
    }
  }
  throw new ConfigError(
    `The site manifest cannot be left in any of ${folders().join(", ")} (${(failure as Error).message}). Fix: make one of them writable, or set XDG_CACHE_HOME to a folder that is`,
  );
}

/** The text of this hash. @throws ConfigError when the program did not leave it on this machine */
export function takeOver(hash: string): string {
  for (const folder of folders()) {
    let text: string;
    try {
      text = readFileSync(join(folder, `${hash}.json`), "utf8");
    } catch {
      continue;
    }
    if (sha256(text) === hash) return text;
  }
  throw new ConfigError(
    `The site manifest ${hash.slice(0, 12)} is not on this machine (looked in ${folders().join(", ")}): the program that makes it did not run here just now. Fix: run \`pulumi up\` again`,
  );
}

/** Where texts lie: the user's cache, or where there is none the machine's temporary folder. */
function folders(): string[] {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return [join(cache, "coldspare", "manifests"), join(tmpdir(), `coldspare-${userInfo().uid}`, "manifests")];
}

function prune(folder: string): void {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => ({ name, at: statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.at - a.at);
  for (const { name } of files.slice(KEPT)) rmSync(join(folder, name), { force: true });
}
