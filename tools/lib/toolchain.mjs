// Gets the Pulumi engine and the provider plugins of exactly the pinned versions, once for all checkouts.
import { join } from "node:path";
import { installPlugins, pluginScript, toolchainEnv } from "./home.mjs";
import { withLock } from "./lock.mjs";
import { createLog, formatDuration } from "./log.mjs";
import { nodeOf } from "./node.mjs";
import { obtain } from "./obtain.mjs";
import { toolchainGroups } from "./parts.mjs";
import { openStore, toolchainKey } from "./store.mjs";
import { verifyInstalled } from "./verify.mjs";
import { loadVersions, platformOf, toolchainFolder } from "./versions.mjs";

const MODES = ["auto", "download", "build"];

/**
 * Makes sure that engine and plugins are there, and says with which environment they run.
 *
 * The publishers' downloads are tried first; where their hosts cannot be reached, everything is built from pinned
 * modules. `COLDSPARE_TOOLCHAIN=download|build` allows only one of the ways.
 *
 * @param {{ log?: Function, checkout: string, pulumiHome?: string, mode?: "auto" | "download" | "build",
 *   env?: NodeJS.ProcessEnv }} options `pulumiHome` defaults to `<checkout>/.coldspare/pulumi-home`; any number of
 *   stacks and tests may use one at the same time
 * @returns {Promise<{ ok: true, binDir: string, pulumiHome: string, env: Record<string, string>,
 *   parts: Record<string, { version: string, way: string }> } | { ok: false, missing: string[], advice: string, noWay: boolean }>}
 *   `env` holds what to add to the environment of a child, no more; `noWay`: no download and no usable Go
 */
export async function ensureToolchain({ log = createLog(), checkout, pulumiHome, mode, env = process.env }) {
  const way = mode ?? env.COLDSPARE_TOOLCHAIN ?? "auto";
  if (!MODES.includes(way)) return failed([], `COLDSPARE_TOOLCHAIN is '${way}': use one of ${MODES.join(", ")}`);
  let platform;
  try {
    platform = platformOf();
  } catch (error) {
    return failed(["engine and plugins"], error.message);
  }
  const versions = loadVersions();
  const store = openStore(toolchainKey(platform), env);
  const groups = toolchainGroups(versions);
  const problems = [];
  let fresh = false;
  if (!complete(store, groups, way)) {
    const onWait = ({ pid }) => log(`another setup (process ${pid}) is at work: waiting for it`);
    const obtain = () => obtainMissing({ store, groups, way, platform, log, env, problems });
    fresh = (await withLock(store.lock, obtain, { onWait })) > 0;
  }
  if (problems.length > 0) {
    const missing = problems.map((p) => p.what);
    const advice = problems.map((p) => `${p.what}: ${p.message}`).join("\n");
    return failed(
      missing,
      advice,
      problems.some((p) => p.unusable),
    );
  }
  const home = pulumiHome ?? join(checkout, ".coldspare", "pulumi-home");
  return install({ store, versions, checkout, home, env, fresh, groups });
}

function failed(missing, advice, noWay = false) {
  return { ok: false, missing, advice, noWay };
}

function complete(store, groups, way) {
  return groups.every((group) => group.names.every((name) => store.part(name, way)));
}

/** Obtains what is missing, one group after the other; returns how many were obtained. */
async function obtainMissing({ store, groups, way, platform, log, env, problems }) {
  const unreachable = new Set();
  store.sweep();
  let obtained = 0;
  for (const group of groups) {
    if (complete(store, [group], way)) continue;
    const start = Date.now();
    try {
      const how = await obtain({ group, store, way, platform, log, env, unreachable });
      obtained++;
      log(`${group.what}: ${how}, ${formatDuration((Date.now() - start) / 1000)}`);
    } catch (error) {
      const message = [error.message, error.advice].filter(Boolean).join(". ");
      problems.push({ what: group.what, message, unusable: error.unusable === true });
    }
  }
  return obtained;
}

async function install({ store, versions, checkout, home, env, fresh, groups }) {
  const plugins = ["proxmoxve", "random"].map((name) => {
    const { version, script } = versions[name];
    if (store.part(name).way === "script") {
      return { name, version, script: pluginScript(nodeOf(checkout), join(toolchainFolder, script)) };
    }
    return { name, version, target: join(store.pluginDir, name, `pulumi-resource-${name}`) };
  });
  installPlugins(home, plugins);
  const added = toolchainEnv({ checkout, binDir: store.binDir, pulumiHome: home, env });
  if (fresh) {
    try {
      await verifyInstalled(join(store.binDir, "pulumi"), { ...env, ...added }, plugins);
    } catch (error) {
      return failed(
        ["the plugins in PULUMI_HOME"],
        `${error.message}\nRemove ${store.dir} and ${home} and run setup again.`,
      );
    }
  }
  const parts = {};
  for (const name of groups.flatMap((group) => group.names)) {
    parts[name] = { version: versions[name].version, way: store.part(name).way };
  }
  return { ok: true, binDir: store.binDir, pulumiHome: home, env: added, parts };
}
