/** What is installed on a server that makes copies: the programs of this package, and the texts that follow from the manifest. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { backsUp, renderBackupConf, trustFiles } from "../../planning/backup/backup-conf";
import { backupUnits } from "../../planning/backup/backup-units";
import { zfsFiles, zfsUnitsOf } from "../../planning/backup/zfs-site";
import type { SiteManifest } from "../../planning/manifest";
import { sha256, shortHash } from "../guard/handoff";
import { CONF_FOLDER, type InstalledFile } from "../guard/programs";
import { ConfigError } from "../http/errors";

export const BACKUP_PROGRAM = "/usr/local/sbin/coldspare-backup";
export const BACKUP_CONF = `${CONF_FOLDER}/backup.conf`;
export const SWAPS = `${CONF_FOLDER}/media.swaps`;
export const SECRETS = `${CONF_FOLDER}/secrets`;
/** The key with which a server reaches SFTP repositories, and nothing else. */
export const BACKUP_KEY = `${CONF_FOLDER}/backup_ed25519`;
/** The key with which coldspare-zfs reaches its peers, and nothing else. */
export const ZFS_KEY = `${CONF_FOLDER}/zfs_ed25519`;
export const ZFS_FILES = [`${CONF_FOLDER}/zfs.conf`, `${CONF_FOLDER}/zfs_known_hosts`] as const;
export const UNIT_FOLDER = "/etc/systemd/system";

/** `backup/` lies beside `providers/`, in the sources as in the package. */
const FOLDER = join(__dirname, "..", "..", "backup");
/** Modules that come with the guard, which is on every server that is reached over SSH. */
export const NEEDED_MODULE = "/usr/local/lib/coldspare/Coldspare/System.pm";

/** Programs in the order in which they are installed: what one needs before it. */
export function backupPrograms(): InstalledFile[] {
  const modules = filesBelow(join(FOLDER, "lib")).filter((name) => name.endsWith(".pm"));
  const programs = ["coldspare-backup", "coldspare-zfs"].filter((name) => existsSync(join(FOLDER, name)));
  if (modules.length === 0 || programs[0] !== "coldspare-backup") {
    throw new ConfigError(`coldspare is incomplete: ${FOLDER} is missing. Fix: install the package again (\`npm ci\`)`);
  }
  const read = (name: string) => readFileSync(join(FOLDER, name), "utf8");
  return [
    ...modules.map((name) => ({
      path: `/usr/local/lib/coldspare/${name}`,
      mode: "644",
      text: read(join("lib", name)),
    })),
    ...programs.map((name) => ({ path: `/usr/local/sbin/${name}`, mode: "755", text: read(name) })),
  ];
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** Configuration, pinned keys and units of a server, by the manifest alone. */
export function backupFiles(manifest: SiteManifest, server: string): InstalledFile[] {
  const own = backsUp(manifest, server)
    ? [...trustFiles(manifest, server), { path: BACKUP_CONF, text: renderBackupConf(manifest, server) }]
    : [];
  const units = [...backupUnits(manifest, server), ...zfsUnitsOf(manifest, server)];
  return [
    ...[...own, ...zfsFiles(manifest, server)].map((file) => ({ ...file, mode: "644" })),
    ...units.map(({ name, text }) => ({ path: `${UNIT_FOLDER}/${name}`, mode: "644", text })),
  ];
}

/** One short hash of files: of what should be there, or of what is. */
export function hashOf(files: readonly (InstalledFile | { path: string; mode: string; hash: string })[]): string {
  const lines = files.map((file) => `${file.path} ${file.mode} ${"hash" in file ? file.hash : sha256(file.text)}\n`);
  return shortHash(lines.sort().join(""));
}
