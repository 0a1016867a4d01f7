/**
 * What was there when a copy was made, noted beside the copies by nobody but the proof: whatever is restored later is compared
 * with this, never with what the programs under test say of themselves.
 */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, relative } from "node:path";

/** SHA-256 over names, kinds, modes and bytes of everything below a folder; of a file over its bytes. */
export function digestOf(path: string): string {
  const hash = createHash("sha256");
  const visit = (each: string): void => {
    const about = lstatSync(each);
    const name = relative(path, each);
    if (about.isSymbolicLink()) {
      hash.update(`link ${name} ${readlinkSync(each)}\n`);
    } else if (about.isDirectory()) {
      if (name !== "") hash.update(`folder ${name} ${about.mode & 0o777}\n`);
      for (const child of readdirSync(each).sort()) visit(join(each, child));
    } else {
      const bytes = readFileSync(each);
      hash.update(`file ${name} ${about.mode & 0o777} ${bytes.length}\n`);
      hash.update(bytes);
    }
  };
  visit(path);
  return hash.digest("hex");
}

export function digestOfBytes(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What a point must hold, by subject and point. */
export class Ledger {
  private readonly held = new Map<string, string>();

  /** Points that appeared since the last call hold this. Returns how many did. */
  note(subject: string, points: readonly string[], digest: string): number {
    const fresh = points.filter((point) => !this.held.has(`${subject} ${point}`));
    for (const point of fresh) this.held.set(`${subject} ${point}`, digest);
    return fresh.length;
  }

  /** @throws Error for a point that nobody noted: then the proof looked away */
  wanted(subject: string, point: string): string {
    const digest = this.held.get(`${subject} ${point}`);
    if (digest === undefined) throw new Error(`nobody noted what ${subject} was at ${point}`);
    return digest;
  }
}
