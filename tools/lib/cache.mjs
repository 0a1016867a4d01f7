// Where everything lies that is fetched or built once and used by every checkout on this machine.
import { homedir } from "node:os";
import { join } from "node:path";

/** The folder of all caches of this project: never inside the checkout, so that a second clone is quick. */
export function cacheRoot(env = process.env) {
  const base = env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache");
  return join(base, "coldspare");
}
