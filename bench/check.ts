/** `coldspare check smb-site` as a whole process, next to a Node.js that does nothing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { milliseconds, type Row, runNode, sample } from "./measure";

/** Milliseconds that the whole process may take. */
const bound = 500;
const runs = 10;

/** @param program The compiled `dist/cli/main.js`. */
export function benchCheck(program: string): Row[] {
  const cache = mkdtempSync(join(tmpdir(), "coldspare-bench-"));
  try {
    const bare = sample(() => runNode(["-e", "0"]), runs);
    const check = sample(() => runNode([program, "check", "smb-site"], { XDG_CACHE_HOME: cache }), runs);
    const uncached = sample(() => runNode([program, "check", "smb-site"], { NODE_DISABLE_COMPILE_CACHE: "1" }), runs);
    const beside = `bare node: ${milliseconds(bare)}`;
    return [
      {
        what: "coldspare check smb-site, whole process",
        value: milliseconds(check),
        beside: `${beside}; bound ${bound} ms`,
      },
      { what: "the same without Node's compile cache", value: milliseconds(uncached), beside },
    ];
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}
