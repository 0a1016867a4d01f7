/** Names of jobs on a backup server. */
import { createHash } from "node:crypto";

const LONGEST = 32;

/** `<part>-<part>`; where that is longer than the 32 characters a backup server takes, cut and told apart by a hash. */
export function jobName(...parts: string[]): string {
  const name = parts.join("-");
  if (name.length <= LONGEST) return name;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 6);
  return `${name.slice(0, LONGEST - hash.length - 1)}-${hash}`;
}
