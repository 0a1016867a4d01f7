// Builds the engine and the provider from pinned modules, where the publishers' downloads cannot be reached.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { CommandError, onInterrupt, run, which } from "./exec.mjs";
import { buildProgress } from "./progress.mjs";

const USUAL_PLACES = ["/usr/local/go/bin/go", "/opt/homebrew/bin/go", "/usr/lib/go/bin/go", "/snap/bin/go"];

/** Flags of every call: they are part of the compiler cache's keys, so that `list` and `build` must agree. */
const FLAGS = ["-mod=readonly", "-trimpath"];

/** Go is missing, too old, or failed: what, and what to do. */
export class GoError extends Error {
  /** @param {boolean} unusable no usable Go on this machine at all */
  constructor(message, advice, unusable = false) {
    super(message);
    this.name = "GoError";
    this.advice = advice;
    this.unusable = unusable;
  }
}

/** The `go` directive of a go.mod: the oldest Go that can build the module. */
export function neededGo(goMod) {
  return /^go (\S+)$/m.exec(goMod)?.[1] ?? "1.26";
}

/** What to tell somebody whose machine has no Go. */
export function missingGo(needed) {
  return new GoError(
    "Go was not found",
    `Install Go ${needed} or newer (https://go.dev/dl/, or your distribution's package if it is recent enough) and run ` +
      "`npm run setup` again; or let this machine reach get.pulumi.com and github.com, then nothing needs to be built.",
    true,
  );
}

/** Turns what Go says about an old version into a finding with the needed one. */
export function explainGoVersion(output, needed) {
  const found = /running go ([\d.]+)/.exec(output)?.[1];
  if (found === undefined) return undefined;
  const local = /GOTOOLCHAIN=(\S+?)\)/.exec(output)?.[1];
  const also = local ? ` GOTOOLCHAIN=${local} keeps Go from fetching a newer one: \`GOTOOLCHAIN=auto\` lets it.` : "";
  return new GoError(`Go ${found} is too old: ${needed} is needed`, `Install Go ${needed} or newer.${also}`, true);
}

/** `COLDSPARE_GO` names one; else PATH, then where installers put it. @returns {string} its path @throws GoError */
export function findGo(needed, env = process.env) {
  if (env.COLDSPARE_GO) {
    if (existsSync(env.COLDSPARE_GO)) return env.COLDSPARE_GO;
    throw missingGo(needed);
  }
  const found = which("go", env) ?? USUAL_PLACES.find((path) => which(basename(path), { PATH: path.slice(0, -3) }));
  if (!found) throw missingGo(needed);
  return found;
}

function goEnv(env) {
  // A workspace file above the checkout or flags of the user's must not change what is built.
  return { ...env, GOWORK: "off", GOFLAGS: "-buildvcs=false", GO111MODULE: "on" };
}

async function checkVersion(go, folder, env, needed) {
  const { code, stderr } = await run(go, ["env", "GOVERSION"], { cwd: folder, env, check: false });
  if (code !== 0) throw explainGoVersion(stderr, needed) ?? new GoError(`go does not work: ${stderr.trim()}`, "");
}

/** The packages that are not in the compiler's cache yet, with the bytes of their source. */
async function pending(go, folder, packages, env, log) {
  const format =
    '{{if and .Stale (ne .Name "main")}}{{.ImportPath}}|{{.Dir}}|{{join .GoFiles ","}}{{range .CgoFiles}},{{.}}{{end}}{{end}}';
  let fetched = 0;
  const onLine = (line, stream) => {
    if (stream !== "stderr" || !line.startsWith("go: downloading")) return;
    fetched++;
    log.status(`fetching modules: ${fetched} so far (${line.split(" ")[2]})`);
  };
  const args = ["list", ...FLAGS, "-deps", "-f", format, ...packages];
  const { stdout } = await run(go, args, { cwd: folder, env, onLine });
  if (fetched > 0) log(`fetched ${fetched} modules`);
  const weights = new Map();
  for (const line of stdout.split("\n").filter(Boolean)) {
    const [name, dir, files] = line.split("|");
    weights.set(
      name,
      files
        .split(",")
        .filter(Boolean)
        .reduce((sum, file) => sum + sizeOf(join(dir, file)), 1),
    );
  }
  return weights;
}

function sizeOf(path) {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

/**
 * Builds commands of one module into a folder. Nothing appears there under its final name until it is complete; an
 * interrupted build goes on where it was, as Go keeps each compiled package.
 * @param {{ folder: string, programs: Record<string, string>, outDir: string, ldflags?: string, log: Function,
 *   env?: object }} options `programs`: the file that each package becomes (Go names it after the package)
 * @throws GoError
 */
export async function goBuild({ folder, programs, outDir, ldflags = "", log, env = process.env }) {
  const needed = neededGo(readFileSync(join(folder, "go.mod"), "utf8"));
  const packages = Object.values(programs);
  const go = findGo(needed, env);
  const goEnvironment = goEnv(env);
  await checkVersion(go, folder, goEnvironment, needed);
  mkdirSync(outDir, { recursive: true });
  const partial = join(outDir, `.partial-${process.pid}`);
  const removePartial = () => rmSync(partial, { recursive: true, force: true });
  const forget = onInterrupt(removePartial);
  try {
    mkdirSync(partial, { recursive: true });
    const progress = buildProgress(await pending(go, folder, packages, goEnvironment, log));
    const show = setInterval(() => log.status(progress.text()), 1000);
    try {
      log.status(progress.text());
      const args = ["build", ...FLAGS, "-v", "-ldflags", `-s -w ${ldflags}`.trim(), "-o", `${partial}/`, ...packages];
      await run(go, args, { cwd: folder, env: goEnvironment, onLine: (line) => progress.see(line) });
    } finally {
      clearInterval(show);
    }
    for (const name of Object.keys(programs)) publish(partial, outDir, name);
  } catch (error) {
    throw error instanceof CommandError ? explainFailure(error, needed) : error;
  } finally {
    forget();
    removePartial();
  }
}

function publish(from, to, name) {
  const path = join(from, name);
  chmodSync(path, 0o755);
  renameSync(path, join(to, name));
}

/** Says in one line what usually is the cause; Go's own words follow. */
export function explainFailure(error, needed) {
  const text = error.output ?? error.message;
  const version = explainGoVersion(text, needed);
  if (version) return version;
  if (/no space left on device/i.test(text)) {
    return new GoError(
      "the disk is full",
      "A first build needs about 5 GB for Go's caches (`go env GOCACHE GOMODCACHE`).",
    );
  }
  if (/signal: killed|cannot allocate memory/i.test(text)) {
    return new GoError("the compiler ran out of memory", "A build needs about 3 GB free; `GOFLAGS=-p=1` needs least.");
  }
  if (/dial tcp|no such host|proxyconnect|connection refused|i\/o timeout|module lookup disabled/i.test(text)) {
    return new GoError(
      `Go modules cannot be fetched: ${text
        .split("\n")
        .find((line) => /dial|host|proxy|refused|timeout|disabled/i.test(line))
        ?.trim()}`,
      "Set GOPROXY to a module proxy that this machine reaches, or let it reach the publishers' downloads.",
    );
  }
  return new GoError(text.trim(), "Run `npm run setup` again; what is compiled already is kept.");
}
