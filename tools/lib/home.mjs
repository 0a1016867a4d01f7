// A PULUMI_HOME in which the engine finds exactly the pinned plugins, quietly.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** The script that stands for a plugin which is run by Node.js from the checkout's own modules. */
export function pluginScript(node, main) {
  return `#!/bin/sh\nexec ${quote(node)} ${quote(main)} "$@"\n`;
}

function quote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Puts a file in place in one step, and only if it is not there already: stacks may be running with it. */
export function placeScript(path, content) {
  if (existsSync(path) && readFileSync(path, "utf8") === content) return;
  const draft = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(draft, content);
  chmodSync(draft, 0o755);
  renameSync(draft, path);
}

function placeLink(path, target) {
  try {
    if (readlinkSync(path) === target) return;
  } catch {
    // Not there, or no link: it is put there now.
  }
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}`;
  rmSync(draft, { force: true });
  symlinkSync(target, draft);
  renameSync(draft, path);
}

/** @param {{ name: string, version: string, target?: string, script?: string }[]} plugins */
export function installPlugins(pulumiHome, plugins) {
  for (const { name, version, target, script } of plugins) {
    const path = join(pulumiHome, "plugins", `resource-${name}-v${version}`, `pulumi-resource-${name}`);
    if (target) placeLink(path, target);
    else placeScript(path, script);
  }
}

/** The environment with which the engine runs: pinned, silent, and without a word to any host but the targets. */
export function toolchainEnv({ checkout, binDir, pulumiHome, env = process.env }) {
  const path = [join(checkout, "node_modules", ".bin"), binDir, env.PATH ?? ""].filter(Boolean);
  return {
    PATH: path.join(delimiter),
    PULUMI_HOME: pulumiHome,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    COLDSPARE_MODULES: checkout,
  };
}
