// Other languages than TypeScript, for the tests of the plugin: obtained once, outside the checkout.
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheRoot } from "./cache.mjs";
import { run, which } from "./exec.mjs";
import { goBuild } from "./go.mjs";
import { loadVersions, toolchainFolder } from "./versions.mjs";

const YAML_HOST = "pulumi-language-yaml";

/**
 * The language host of YAML programs beside the engine. The publisher's archive of the engine brings it; where the engine was
 * built, it is built, too (3 minutes on two cores).
 * @param {{ log: Function, binDir: string, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<boolean>} false when it cannot be had here: the tests that need it say that they are skipped
 */
export async function ensureYamlHost({ log, binDir, env = process.env }) {
  if (existsSync(join(binDir, YAML_HOST))) return true;
  const { version, package: program } = loadVersions()["language-yaml"];
  log(`building the YAML language host ${version} for tests`);
  try {
    await goBuild({
      folder: join(toolchainFolder, "yaml"),
      programs: { [YAML_HOST]: program },
      outDir: binDir,
      ldflags: `-X github.com/pulumi/pulumi-yaml/pkg/version.Version=v${version}`,
      log,
      env,
    });
    return true;
  } catch (error) {
    log(`no YAML language host for tests: ${error.message}`);
    return false;
  }
}

/**
 * A Python with Pulumi's SDK in the engine's version.
 * @param {{ log: Function, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string | undefined>} its path; undefined when it cannot be had here
 */
export async function ensurePython({ log, env = process.env }) {
  const { version } = loadVersions().pulumi;
  const folder = join(cacheRoot(env), "python", `pulumi-${version}`);
  const python = join(folder, "bin", "python");
  if (existsSync(join(folder, "complete"))) return python;
  try {
    if (!which("python3", env)) throw new Error("python3 was not found");
    log(`installing Pulumi's SDK for Python ${version} for tests`);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    // A venv holds its own path: it is made where it stays, and counts once it is complete.
    await run("python3", ["-m", "venv", folder], { env });
    const quiet = ["--quiet", "--disable-pip-version-check", "--no-input"];
    await run(python, ["-m", "pip", "install", ...quiet, `pulumi==${version}`], { env });
    writeFileSync(join(folder, "complete"), "");
    return python;
  } catch (error) {
    log(`no Python for tests: ${error.message}`);
    return undefined;
  }
}
