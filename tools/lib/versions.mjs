// The pinned versions, and what they mean on this platform.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder with the manifest and the sources of what is built here. */
export const toolchainFolder = join(dirname(dirname(fileURLToPath(import.meta.url))), "toolchain");

/** The parts that programs need; the others of the manifest are only listed. */
export const NEEDED = ["pulumi", "language-nodejs", "proxmoxve", "random"];

export function loadVersions(folder = toolchainFolder) {
  return JSON.parse(readFileSync(join(folder, "versions.json"), "utf8"));
}

/**
 * This platform's names in the publishers' file names.
 * @throws Error with what to do, on a platform that has no builds
 */
export function platformOf(platform = process.platform, arch = process.arch) {
  if (platform === "win32") {
    throw new Error("Windows is not supported directly: install WSL 2 (`wsl --install`) and run this in its Linux");
  }
  if (!["linux", "darwin"].includes(platform) || !["x64", "arm64"].includes(arch)) {
    throw new Error(`${platform} on ${arch} is not supported: use Linux or macOS on x64 or arm64`);
  }
  return { os: platform, x64: arch, amd64: arch === "x64" ? "amd64" : "arm64" };
}

/** Fills `{version}`, `{os}`, `{x64}`, `{amd64}` into an address of the manifest. */
export function expand(template, version, platform) {
  return template.replace(/\{(\w+)\}/g, (_, key) => {
    const value = { version, ...platform }[key];
    if (value === undefined) throw new Error(`unknown placeholder {${key}} in ${template}`);
    return value;
  });
}
