// One part of the toolchain, from the best place that can be reached.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { DownloadError, UnreachableError } from "./download.mjs";
import { goBuild } from "./go.mjs";
import { fetchOfficial } from "./official.mjs";
import { toolchainFolder } from "./versions.mjs";

/**
 * Obtains one group: the publisher's download first, else a build from pinned modules, else the script of the checkout.
 * @param {{ group: object, store: object, way: "auto" | "download" | "build", platform: object, log: Function,
 *   env: NodeJS.ProcessEnv, unreachable: Set<string>, build?: Function, connectSeconds?: number }} options
 * @returns {Promise<string>} how it was obtained, in words
 * @throws UnreachableError | DownloadError | VerifyError | GoError nothing unverified is left in the store then
 */
export async function obtain({ group, store, way, platform, log, env, unreachable, build = goBuild, connectSeconds }) {
  const dir = join(store.dir, group.dir);
  const common = { group, store, dir, log, env, build };
  let refused;
  if (way !== "build") {
    try {
      const options = {
        part: group.part,
        platform,
        wanted: [...group.files, ...(group.bundled ?? [])],
        outDir: dir,
        log,
        unreachable,
        connectSeconds,
      };
      await fetchOfficial({ ...options, cache: join(store.dir, "downloads") });
      await accept(common, "download");
      return "downloaded and verified";
    } catch (error) {
      const expected = error instanceof UnreachableError || error instanceof DownloadError;
      if (!expected && error.name !== "VerifyError" && error.name !== "CommandError") throw error;
      refused = error;
      log(`${group.what}: no download: ${error.message}`);
    }
  }
  if (way === "download") throw refused;
  if (group.script) {
    store.note(group.names[0], "script", group.part.version, []);
    return "the small one of this checkout is used";
  }
  await buildGroup(common);
  return "built and verified";
}

async function buildGroup({ group, store, dir, log, env, build }) {
  log(`${group.what}: building from pinned modules (5 to 10 minutes on two cores when nothing is cached)`);
  const folder = join(toolchainFolder, group.build.module);
  await build({ folder, programs: group.build.programs, ldflags: group.build.ldflags, outDir: dir, log, env });
  await accept({ group, store, dir }, "build");
}

/** Checks by running it; what fails is removed, so that it cannot be found by a later run. */
async function accept({ group, store, dir }, way) {
  if (way === "build") group.finish?.(dir);
  try {
    await group.verify(dir, way);
  } catch (error) {
    for (const file of group.files) rmSync(join(dir, file), { force: true });
    throw error;
  }
  const paths = group.files.map((file) => join(group.dir, file));
  for (const name of group.names) store.note(name, way, group.part.version, paths);
}
