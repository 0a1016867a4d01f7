/** What is installed on a server: the programs of this package and the texts that follow from the manifest. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { SiteManifest } from "../../planning/manifest";
import { manifestText } from "../../planning/manifest-text";
import { renderNodeConf } from "../../planning/node-conf";
import { ConfigError } from "../pve/errors";
import { sha256, shortHash } from "./handoff";

/** A file on a server. */
export interface InstalledFile {
  path: string;
  /** Octal, as `stat -c %a` prints it. */
  mode: string;
  text: string;
}

/** How `qm set --hookscript` names the guard. */
export const HOOKSCRIPT = "local:snippets/coldspare-guard";
export const NODE_PROGRAM = "/usr/local/sbin/coldspare-node";
export const CONF_FOLDER = "/etc/coldspare";
/** The peers that were let in, with their keys. */
export const PEERS = `${CONF_FOLDER}/peers`;
/** `coldspare-boot` runs once at each boot, so it is enabled and not running. */
export const AGENT = "coldspare-agent.service";
export const UNITS = [AGENT, "coldspare-boot.service"] as const;

/** `guard/` lies beside `providers/`, in the sources as in the package. */
const FOLDER = join(__dirname, "..", "..", "guard");

interface Program {
  file: string;
  path: string;
  mode: string;
  /** Not on a witness, which runs no guests. */
  hypervisorOnly: boolean;
}

/** In the order in which they are installed: what a program needs before the program. */
const PROGRAMS: readonly Program[] = [
  ...modules().map((file) => ({
    file: `lib/Coldspare/${file}`,
    path: `/usr/local/lib/coldspare/Coldspare/${file}`,
    mode: "644",
    hypervisorOnly: false,
  })),
  { file: "coldspare-node", path: NODE_PROGRAM, mode: "755", hypervisorOnly: false },
  { file: "coldspare-ssh", path: "/usr/local/lib/coldspare/coldspare-ssh", mode: "755", hypervisorOnly: false },
  { file: "coldspare-drill", path: "/usr/local/sbin/coldspare-drill", mode: "755", hypervisorOnly: true },
  { file: "coldspare-guard", path: "/var/lib/vz/snippets/coldspare-guard", mode: "755", hypervisorOnly: true },
  ...UNITS.map((unit) => ({ file: unit, path: `/etc/systemd/system/${unit}`, mode: "644", hypervisorOnly: true })),
];

/** Perl modules that coldspare-node loads when it needs them. */
function modules(): string[] {
  const folder = join(FOLDER, "lib", "Coldspare");
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".pm"))
        .sort()
    : [];
}

/** The programs of this release for a server, in the order in which they are installed. */
export function programFiles(hypervisor: boolean): InstalledFile[] {
  return PROGRAMS.filter((each) => hypervisor || !each.hypervisorOnly).map(({ file, path, mode }) => {
    const source = join(FOLDER, file);
    if (!existsSync(source)) {
      throw new ConfigError(
        `coldspare is incomplete: ${source} is missing. Fix: install the package again (\`npm ci\`)`,
      );
    }
    return { path, mode, text: readFileSync(source, "utf8") };
  });
}

/** One hash for all programs of a server: what an update of the package changes. */
export function programsHash(hypervisor: boolean): string {
  return shortHash(
    programFiles(hypervisor)
      .map(({ path, mode, text }) => `${path} ${mode} ${sha256(text)}\n`)
      .join(""),
  );
}

/** What follows from the manifest for a server. */
export function siteFiles(manifest: SiteManifest, server: string): InstalledFile[] {
  const conf = renderNodeConf(manifest, server);
  return [
    { path: `${CONF_FOLDER}/known_hosts`, mode: "644", text: knownHosts(manifest, conf) },
    { path: `${CONF_FOLDER}/site.json`, mode: "644", text: manifestText(manifest) },
    { path: `${CONF_FOLDER}/node.conf`, mode: "644", text: conf },
  ];
}

/** The pinned keys of the peers under the addresses at which node.conf asks them, and under their names. */
function knownHosts(manifest: SiteManifest, conf: string): string {
  return peersOf(conf)
    .flatMap(({ name, host, port }) => {
      const hosts = `${name},${port === 22 ? host : `[${host}]:${port}`}`;
      return (manifest.servers[name]?.ssh?.hostKeys ?? []).map((key) => `${hosts} ${key.trim()}\n`);
    })
    .join("");
}

export interface Peer {
  name: string;
  host: string;
  port: number;
}

/** The servers that a node.conf asks. */
export function peersOf(conf: string): Peer[] {
  return conf.split("\n").flatMap((line) => {
    const [word, name, host, port] = line.split(" ");
    return word === "peer" && name && host ? [{ name, host, port: Number(port ?? 22) }] : [];
  });
}

/** The ids that guarded guests may have on this server, by a node.conf. */
export function guardedIds(conf: string, server: string): Map<number, "qemu" | "lxc"> {
  const ids = new Map<number, "qemu" | "lxc">();
  for (const line of conf.split("\n")) {
    const [word, , kind] = line.split(" ");
    if (word !== "guest") continue;
    for (const each of (line.match(/ ids=(\S+)/)?.[1] ?? "").split(",")) {
      const [vmid, at] = each.split("@");
      if (at === server) ids.set(Number(vmid), kind === "lxc" ? "lxc" : "qemu");
    }
  }
  return ids;
}
