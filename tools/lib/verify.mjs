// Runs what was fetched or built and compares what it says with what is pinned: the last word, whichever way it came.
import { join } from "node:path";
import { run } from "./exec.mjs";

const SECONDS = 30;

/** A program is not what it should be. */
export class VerifyError extends Error {
  constructor(what, found, wanted) {
    super(`${what} is ${found || "silent"}, but ${wanted} is pinned`);
    this.name = "VerifyError";
  }
}

async function firstLine(path, args, env) {
  const { stdout } = await run(path, args, { env, timeoutSeconds: SECONDS });
  return stdout.trim().split("\n")[0] ?? "";
}

async function compare(what, found, wanted) {
  if (found.replace(/^v/, "") !== wanted) throw new VerifyError(what, found, wanted);
}

/** @throws VerifyError | CommandError */
export async function verifyCli(binDir, version, env) {
  const quiet = { ...env, PULUMI_SKIP_UPDATE_CHECK: "true" };
  await compare("pulumi", await firstLine(join(binDir, "pulumi"), ["version"], quiet), version);
}

/** The language host has no version flag; that it runs at all on this machine shows in its usage text. */
export async function verifyLanguageHost(binDir) {
  const { stdout, stderr } = await run(join(binDir, "pulumi-language-nodejs"), ["-help"], {
    check: false,
    timeoutSeconds: SECONDS,
  });
  if (!/-tracing/.test(stdout + stderr))
    throw new VerifyError("pulumi-language-nodejs", "not the expected program", "the host");
}

/** @throws VerifyError | CommandError */
export async function verifyPlugin(path, name, version) {
  await compare(name, await firstLine(path, ["-version"]), version);
}

/** Our own build can list what it serves. @throws VerifyError */
export async function verifyTokens(path, count) {
  const { stdout } = await run(path, ["-tokens"], { timeoutSeconds: SECONDS });
  const found = stdout.trim().split("\n").length;
  if (found !== count) throw new VerifyError("the number of resources and functions of proxmoxve", found, count);
}

/** The engine itself must find the plugins where they were put. @throws VerifyError */
export async function verifyInstalled(pulumi, env, plugins) {
  const { stdout } = await run(pulumi, ["plugin", "ls", "--json"], { env, timeoutSeconds: SECONDS });
  const found = JSON.parse(stdout);
  for (const { name, version } of plugins) {
    if (!found.some((p) => p.name === name && p.kind === "resource" && p.version?.replace(/^v/, "") === version)) {
      const others = found.filter((p) => p.name === name).map((p) => p.version);
      throw new VerifyError(`plugin ${name} as the engine sees it`, others.join(", ") || "missing", version);
    }
  }
}
