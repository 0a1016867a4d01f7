/** The scripts that bring copies onto a server and away again: each can be run again. No secret is in a script or on a command line. */
import { inTurn } from "../guard/exchange";
import { END, KEEP, lines, must, PRELUDE, type Problem, runEach } from "../guard/install";
import type { InstalledFile } from "../guard/programs";
import { ROOT } from "../guard/survey";
import { quote, SshError, type SshRunner } from "../ssh";
import {
  BACKUP_CONF,
  BACKUP_KEY,
  BACKUP_PROGRAM,
  NEEDED_MODULE,
  SECRETS,
  SWAPS,
  UNIT_FOLDER,
  ZFS_FILES,
  ZFS_KEY,
} from "./programs";

/** `guard` and `perl` are needed by all, `restic` by repositories, `curl` by whoever sends mail, `zfs` by coldspare-zfs. */
export type Need = "guard" | "restic" | "curl" | "perl" | "zfs";

/** What is on a server. */
export interface BackupSurvey {
  /** By path: programs that were asked for, configuration, keys, units and secrets; those of secrets stay in memory. */
  files: Record<string, { hash: string; mode: string }>;
  /** Timers of copies that are enabled and run. */
  timers: string[];
  publicKey?: string;
  /** What the programs need and the server does not have, in words, by what it is. */
  lacks: Partial<Record<Need, Problem>>;
}

const UNITS = ["backup", "prune", "verify", "media", "zfs"].flatMap((kind) =>
  ["service", "timer"].map((type) => `${UNIT_FOLDER}/coldspare-${kind}-*.${type}`),
);
const FILES = [BACKUP_CONF, SWAPS, ...ZFS_FILES, "/etc/coldspare/backup/*", `${SECRETS}/*`, ...UNITS];

/** @throws SshError when the server cannot be asked */
export async function surveyBackups(
  ssh: SshRunner,
  server: string,
  programs: readonly InstalledFile[],
): Promise<BackupSurvey> {
  const relative = [...programs.map(({ path }) => path), ...FILES].map((path) => `.${path}`).join(" ");
  const script = `${ROOT}
main() {
  ( cd "\${r:-/}"; sha256sum ${relative} 2>/dev/null | sed 's/^/hash /'; stat -c 'mode %a  %n' ${relative} 2>/dev/null )
  for t in "$r"${UNIT_FOLDER}/coldspare-*-*.timer; do
    u=\${t##*/}
    [ ! -e "$t" ] || echo "timer $u $(systemctl is-enabled "$u" 2>/dev/null || :) $(systemctl is-active "$u" 2>/dev/null || :)"
  done
  [ ! -s "$r${BACKUP_KEY}.pub" ] || sed 's/^/key /' "$r${BACKUP_KEY}.pub"
  [ -e "$r${NEEDED_MODULE}" ] || echo "missing guard the guard, whose modules the programs use: it comes with coldspare:ssh"
  command -v restic >/dev/null || echo "missing restic restic: apt-get install restic"
  command -v curl >/dev/null || echo "missing curl curl, which sends mail: apt-get install curl"
  perl -MJSON::PP -MDigest::SHA -e 1 2>/dev/null || echo "missing perl the modules of Debian's package perl: apt-get install perl"
  command -v zfs >/dev/null || echo "missing zfs zfs: apt-get install zfsutils-linux"
  echo end
}
main </dev/null
`;
  const { code, stdout, stderr } = await ssh.run(server, ["sh", "-s"], { input: script });
  if (code !== 0 || !stdout.endsWith("end\n")) {
    throw new SshError(
      server,
      "denied",
      `its shell does not do what it is told (exit code ${code}: ${(stderr.trim() || stdout.trim()).slice(-300)})`,
      "log in as the user that coldspare:ssh names (default root): it has to be a plain shell with root's rights",
    );
  }
  return parse(stdout);
}

function parse(text: string): BackupSurvey {
  const found: BackupSurvey = { files: {}, timers: [], lacks: {} };
  const hashes: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const [word, a = "", b = "", c = ""] = line.split(" ");
    const hash = hashes[c.slice(1)];
    if (word === "hash") hashes[c.slice(1)] = a;
    else if (word === "mode" && hash !== undefined) found.files[c.slice(1)] = { hash, mode: a };
    else if (word === "timer" && b === "enabled" && c === "active") found.timers.push(a);
    else if (word === "key") found.publicKey = `${a} ${b}`;
    else if (word === "missing") found.lacks[a as Need] = line.slice("missing ".length + a.length + 1);
  }
  return found;
}

/** The server's key for SFTP repositories. */
export function makeBackupKey(ssh: SshRunner, server: string): Promise<string> {
  return makeKey(ssh, server, BACKUP_KEY, "coldspare-backup");
}

/** The server's key for its peers' coldspare-zfs. */
export function makeZfsKey(ssh: SshRunner, server: string): Promise<string> {
  return makeKey(ssh, server, ZFS_KEY, "coldspare-zfs");
}

/** Makes a key, which never leaves the server. @returns the public key, type and key */
async function makeKey(ssh: SshRunner, server: string, path: string, purpose: string): Promise<string> {
  const script = `${PRELUDE}
k="$r${path}"
[ -s "$k" ] || { rm -f "$k.new" "$k.new.pub"; ssh-keygen -q -t ed25519 -N '' -C ${quote([`${purpose}@${server}`])} -f "$k.new" </dev/null; mv -f "$k.new" "$k"; rm -f "$k.new.pub"; }
ssh-keygen -y -f "$k" </dev/null | base64 | put "$k.pub" 644
`;
  await must(ssh, server, script, `make its key for ${purpose}`);
  const { stdout } = await ssh.run(server, ["sh", "-s"], { input: `${ROOT}\ncat "$r${path}.pub"\n` });
  return stdout.trim().split(" ").slice(0, 2).join(" ");
}

/** Lets a server's key for backups transfer files to root's account, and nothing else. */
export function authorizeSftp(ssh: SshRunner, host: string, server: string, key: string): Promise<void> {
  return authorize(
    ssh,
    host,
    "internal-sftp",
    `${key} coldspare-backup@${server}`,
    `let ${server} store its copies there`,
  );
}

/** The line by which a peer lets a server's coldspare-zfs in, for what zfs.conf there allows it. */
export function zfsAuthorization(server: string, key: string): string {
  return `command="${zfsDoor(server)}",restrict ${key} coldspare-zfs@${server}`;
}

const zfsDoor = (server: string) => `/usr/local/sbin/coldspare-zfs serve ${server}`;

export function authorizeZfs(ssh: SshRunner, host: string, server: string, key: string): Promise<void> {
  return authorize(ssh, host, zfsDoor(server), `${key} coldspare-zfs@${server}`, `let coldspare-zfs of ${server} in`);
}

/**
 * One line for each comment, which is the last word of `key`: an older one goes. In turn, as servers that are set up at once write into the
 * file of one receiver, and those of a cluster share it.
 */
function authorize(ssh: SshRunner, host: string, command: string, key: string, doing: string): Promise<void> {
  const comment = key.split(" ").at(-1) ?? "";
  const line = `command="${command}",restrict ${key}\n`;
  const script = `${PRELUDE}
mkdir -p -m 700 "$r/root/.ssh"
f=$(readlink -f "$r/root/.ssh/authorized_keys")
[ -e "$f" ] || : >"$f"
${KEEP}
keep -e ' ${comment.replaceAll(".", "\\.")}$'
added=$(base64 -d <<'${END}'
${lines(line)}
${END}
)
printf '%s%s\\n' "$kept" "$added" | base64 | put "$f" 600
`;
  return inTurn(() => must(ssh, host, script, doing));
}

/** Takes away configuration that nothing asks for any more: an `allow` line that stayed would go on to count. */
export async function removeFiles(ssh: SshRunner, server: string, paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  const script = `${PRELUDE}\ncd "\${r:-/}"\nrm -f ${quote(paths.map((path) => `.${path}`))}\n`;
  await must(ssh, server, script, "take away the configuration of jobs that are gone");
}

/** Brings units to what is wanted: those of jobs that are gone end, the timers of the others run. */
export async function activateTimers(
  ssh: SshRunner,
  server: string,
  wanted: readonly string[],
  found: BackupSurvey,
): Promise<Problem[]> {
  const units = Object.keys(found.files)
    .filter((path) => path.startsWith(`${UNIT_FOLDER}/`))
    .map((path) => path.slice(UNIT_FOLDER.length + 1));
  const gone = units.filter((unit) => !wanted.includes(unit));
  const timers = wanted.filter((unit) => unit.endsWith(".timer"));
  if (gone.length > 0) await removeUnits(ssh, server, gone);
  return runEach(ssh, server, [
    ["systemctl", "daemon-reload"],
    ...(timers.length > 0
      ? [
          ["systemctl", "enable", ...timers],
          ["systemctl", "start", ...timers],
        ]
      : []),
  ]);
}

/** A backup that runs is not ended: its unit goes, its process stays until it is done. */
async function removeUnits(ssh: SshRunner, server: string, units: readonly string[]): Promise<void> {
  const timers = units.filter((unit) => unit.endsWith(".timer"));
  const script = `${PRELUDE}
${timers.map((unit) => `systemctl disable --now ${quote([unit])} </dev/null`).join("\n")}
cd "\${r:-/}"
rm -f ${units.map((unit) => quote([`.${UNIT_FOLDER}/${unit}`])).join(" ")}
systemctl daemon-reload </dev/null
`;
  await must(ssh, server, script, "take away the timers of jobs that are gone");
}

/** Runs the installed program, and says what did not work in its words. */
export async function program(ssh: SshRunner, server: string, ...argv: string[]): Promise<Problem[]> {
  const script = `${ROOT}\n"$r${BACKUP_PROGRAM}" --wait 600 ${quote(argv)} </dev/null\n`;
  const { code, stdout, stderr } = await ssh.run(server, ["sh", "-s"], { input: script, timeoutSeconds: 900 });
  if (code === 0) return [];
  const said = (stderr.trim() || stdout.trim() || `it ended with ${code}`).split("\n").slice(-3).join("; ");
  return [`\`coldspare-backup ${quote(argv)}\`: ${said.slice(-400)}`];
}

/** Takes away programs, configuration, units and secrets. Copies stay where they are, and what is known of them in /var/lib/coldspare. */
export async function uninstallBackups(
  ssh: SshRunner,
  server: string,
  programs: readonly InstalledFile[],
): Promise<void> {
  const found = await surveyBackups(ssh, server, programs);
  const units = Object.keys(found.files).filter((path) => path.startsWith(UNIT_FOLDER));
  if (units.length > 0)
    await removeUnits(
      ssh,
      server,
      units.map((path) => path.slice(UNIT_FOLDER.length + 1)),
    );
  const script = `${PRELUDE}
c="$r${BACKUP_CONF}"
if [ -f "$c" ]; then
  # Only the secrets that this configuration names: other programs have theirs there, too.
  for name in $(sed -n '/^target /s/ /\\n/gp' "$c" | sed -n 's/^\\(password\\|access\\|secret\\|userpassword\\)=//p'); do
    rm -f "$r${SECRETS}/$name" "$r${SECRETS}/$name.next" "$r${SECRETS}/$name-prune"
  done
fi
cd "\${r:-/}"
rm -rf ./etc/coldspare/backup
rm -f ${[...programs.map(({ path }) => path), BACKUP_CONF, SWAPS, ...ZFS_FILES].map((path) => `.${path}`).join(" ")}
`;
  await must(ssh, server, script, "remove the programs that make copies");
}
