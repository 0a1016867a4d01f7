import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Locked {
  version?: string;
  optionalDependencies?: Record<string, string>;
}

// A registry that mirrors only some platforms makes `npm install` leave the others' native packages out of the lock
// file, and `npm ci` then refuses the file on every machine.
test("the lock file lists every optional package, also those of other platforms", () => {
  const file = readFileSync(join(__dirname, "..", "..", "package-lock.json"), "utf8");
  const { packages } = JSON.parse(file) as { packages: Record<string, Locked> };
  const missing: string[] = [];
  for (const [path, { optionalDependencies = {} }] of Object.entries(packages)) {
    for (const name of Object.keys(optionalDependencies)) {
      const places = [`node_modules/${name}`, `${path}/node_modules/${name}`];
      if (!places.some((place) => packages[place]?.version)) missing.push(name);
    }
  }
  expect(missing).toEqual([]);
});
