/** The program as users run it, compiled file by file without a type check: the tests need no earlier build. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { transformFileSync } from "@swc/core";

const root = resolve(__dirname, "../..");
const folders = ["planning", "providers", "operations", "cli", "stacks"];

export interface Compiled {
  folder: string;
  program: string;
  remove(): void;
}

/** Inside the checkout, so that packages are found; the folder is ignored by git. */
export function compileProgram(): Compiled {
  mkdirSync(join(root, ".coldspare"), { recursive: true });
  const folder = mkdtempSync(join(root, ".coldspare/cli-"));
  for (const path of folders.flatMap((name) => filesOf(name))) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    if (path.endsWith("site.yaml")) copyFileSync(join(root, path), target);
    if (!path.endsWith(".ts")) continue;
    const { code } = transformFileSync(join(root, path), {
      jsc: { parser: { syntax: "typescript" }, target: "es2022" },
      module: { type: "commonjs", ignoreDynamic: true },
      swcrc: false,
    });
    writeFileSync(target.replace(/\.ts$/, ".js"), code);
  }
  copyFileSync(join(root, "package.json"), join(folder, "package.json"));
  return {
    folder,
    program: join(folder, "cli/main.js"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function filesOf(name: string): string[] {
  return readdirSync(join(root, name), { recursive: true, encoding: "utf8" }).map((path) => join(name, path));
}

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** One process of the program, with nothing of this process's colours and caches. */
export function runProgram(compiled: Compiled, args: string[], options: { cwd?: string; node?: string[] } = {}): Ended {
  const { FORCE_COLOR: _color, NODE_OPTIONS: _options, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [...(options.node ?? []), compiled.program, ...args], {
    cwd: options.cwd ?? compiled.folder,
    env: { ...env, XDG_CACHE_HOME: join(compiled.folder, "cache") },
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}
