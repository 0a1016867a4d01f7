import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { transformSync } from "@swc/core";

// The modules under tools/ are ES modules, as they run before anything is installed or compiled. jest's module system
// does not load those: they are turned into CommonJS here and evaluated with their own small registry.
const libFolder = join(__dirname, "..", "..", "tools", "lib");
const loaded = new Map<string, Record<string, unknown>>();

function load(path: string): Record<string, unknown> {
  const known = loaded.get(path);
  if (known) return known;
  const { code } = transformSync(readFileSync(path, "utf8"), {
    filename: path,
    jsc: { parser: { syntax: "ecmascript" }, target: "es2022" },
    module: { type: "commonjs" },
  });
  const exported: Record<string, unknown> = {};
  loaded.set(path, exported);
  const outside = createRequire(path);
  const inner = (name: string): unknown => (name.startsWith(".") ? load(join(dirname(path), name)) : outside(name));
  const evaluate = new Function("require", "exports", "__filename", code);
  evaluate(inner, exported, path);
  return exported;
}

/** The exports of `tools/lib/<name>`. */
export function loadTool<T>(name: string): T {
  return load(join(libFolder, name)) as T;
}
