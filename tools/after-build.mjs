// What the compiler does not do: the published JSON Schema of a site, the runnable command, and the build's stamp.
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const require = createRequire(import.meta.url);

function writeSiteSchema() {
  const { siteJsonSchema } = require(join(dist, "planning", "schema.js"));
  const text = `${JSON.stringify(siteJsonSchema(), null, 2)}\n`;
  const path = join(dist, "site.schema.json");
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeFileSync(path, text);
}

/** A layout reads its specification beside itself. */
function copyLayouts() {
  for (const layout of readdirSync(join(root, "stacks"))) {
    const source = join(root, "stacks", layout, "site.yaml");
    if (!existsSync(source)) continue;
    mkdirSync(join(dist, "stacks", layout), { recursive: true });
    copyFileSync(source, join(dist, "stacks", layout, "site.yaml"));
  }
}

/** Programs for servers (and for the lab's hosts), which are no TypeScript and go along as they are. */
function copyPrograms() {
  for (const folder of ["guard", "backup"]) cpSync(join(root, folder), join(dist, folder), { recursive: true });
  cpSync(join(root, "lab", "hosts", "programs"), join(dist, "lab", "hosts", "programs"), { recursive: true });
  cpSync(join(root, "lab", "zfs"), join(dist, "lab", "zfs"), { recursive: true });
}

/**
 * The engine installs a plugin's packages in its folder: with a package.json of its own, which needs nothing, it leaves those
 * of coldspare as they are.
 */
function writePlugin() {
  const folder = join(dist, "plugin");
  copyFileSync(join(root, "plugin", "PulumiPlugin.yaml"), join(folder, "PulumiPlugin.yaml"));
  const manifest = { name: "coldspare-plugin", private: true, main: "main.js" };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

writeSiteSchema();
copyLayouts();
copyPrograms();
writePlugin();
chmodSync(join(dist, "cli", "main.js"), 0o755);
// Only a build that came this far counts as done (tools/lib/checkout.mjs).
writeFileSync(join(dist, ".built"), "");
