// Which Node.js runs the children: the checkout's own (24) as soon as its dependencies are installed.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The path of the Node.js to use: the checkout's own, else the one that runs this. */
export function nodeOf(checkout) {
  const own = join(checkout, "node_modules", ".bin", "node");
  return existsSync(own) ? own : process.execPath;
}

/** The environment for children: the checkout's programs come first on PATH. */
export function childEnv(checkout, env = process.env, extra = {}) {
  const path = [join(checkout, "node_modules", ".bin"), env.PATH ?? ""].filter(Boolean).join(delimiter);
  return { ...env, PATH: path, ...extra };
}
