/** The package as other people get it: packed, and installed in projects of their own outside the checkout. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { checkout } from "./engine";

/** Versions of the SDK with which the package is tried. */
export const SDK = {
  /** The one of the checkout. */
  newest: manifest().devDependencies["@pulumi/pulumi"] ?? "",
  /** The first one that the peer range allows. */
  oldest: manifest().peerDependencies["@pulumi/pulumi"]?.replace(/^\^/, "") ?? "",
};

interface Manifest {
  devDependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  exports: Record<string, string | { types: string; default: string }>;
}

export function manifest(): Manifest {
  return JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as Manifest;
}

/** Packs the checkout's build. @returns the tarball's path */
export function pack(into: string): string {
  mkdirSync(into, { recursive: true });
  run("npm", ["pack", "--ignore-scripts", "--pack-destination", into, "--silent"], checkout);
  const tarball = readdirSync(into).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error(`npm pack left nothing in ${into}`);
  return join(into, tarball);
}

/** Installs a tarball and the SDK, and nothing else, as `npm install` in an empty project does. */
export function installInto(folder: string, tarball: string, sdk = SDK.newest): void {
  const dependencies = { coldspare: `file:${tarball}`, "@pulumi/pulumi": sdk };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, dependencies }));
  run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--silent"], folder);
}

/**
 * The `node_modules` of a project that installed the package, kept between runs as long as neither package nor SDK changes: an
 * installation takes longer than a test.
 */
export function installedModules(sdk = SDK.newest): string {
  const base = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "coldspare", "consumers");
  const partial = join(base, `.partial-${process.pid}`);
  mkdirSync(partial, { recursive: true });
  try {
    const tarball = pack(join(partial, "packed"));
    const key = createHash("sha256").update(readFileSync(tarball)).update(sdk).update(process.version).digest("hex");
    const folder = join(base, key.slice(0, 16));
    if (!existsSync(folder)) {
      installInto(partial, tarball, sdk);
      for (const old of outdated(base)) rmSync(join(base, old), { recursive: true, force: true });
      renameSync(partial, folder);
    }
    utimesSync(folder, new Date(), new Date());
    return join(folder, "node_modules");
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** Installations that nobody has used for a day; what another checkout uses stays. */
function outdated(base: string): string[] {
  const day = 24 * 60 * 60 * 1000;
  return readdirSync(base).filter((name) => Date.now() - statSync(join(base, name)).mtimeMs > day);
}

/** A project outside the checkout with a folder's files and the installed package. Remove it when done. */
export function projectFrom(source: string, modules: string): string {
  const folder = mkdtempSync(join(tmpdir(), "coldspare-consumer-"));
  cpSync(source, folder, { recursive: true });
  symlinkSync(modules, join(folder, "node_modules"));
  return folder;
}

function run(command: string, args: string[], cwd: string): void {
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
