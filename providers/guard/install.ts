/** The scripts that change a server: each can be run again, and writes files whole or not at all. */
import { quote, type SshResult, type SshRunner } from "../ssh";
import { AGENT, CONF_FOLDER, HOOKSCRIPT, type InstalledFile, NODE_PROGRAM, PEERS, UNITS } from "./programs";
import { ROOT } from "./survey";

/** A step on a server that did not work, in words. */
export type Problem = string;

export const END = "EOF-coldspare";
/** The agent looks at its configuration every second. */
const NOTICE_SECONDS = 5;

/** A file is written beside its place and then renamed, so that a reader never sees half of one. */
export const PRELUDE = `set -eu
${ROOT}
umask 022
t=
trap '[ -z "$t" ] || rm -f "$t"' EXIT
put() {
  mkdir -p "\${1%/*}"
  t=$(mktemp "\${1%/*}/.coldspare.XXXXXX")
  base64 -d >"$t"
  chmod "$2" "$t"
  sync "$t"
  mv -f "$t" "$1"
  t=
  sync "\${1%/*}"
}
`;

/** Puts the lines of `$f` that match nothing given into `$kept`; a file that cannot be read is an error, not an empty one. */
export const KEEP = `keep() {
  kept=$(grep -v "$@" "$f") || [ $? -eq 1 ]
  [ -z "$kept" ] || kept="$kept
"
}`;

/**
 * In Perl, which the programs need anyway, as it is one process for all files. It reads `path mode length`, a line break and so
 * many bytes, again and again; a path that ends in a slash is a folder. Base modules only.
 */
const WRITER = `
use strict; use warnings; use IO::Handle;
my $root = $ENV{COLDSPARE_ROOT} // '';
my $conf = "$root${CONF_FOLDER}";
binmode STDIN;
sub made { my ($path, $mode) = @_; my $at = ''; for (split m{/}, substr $path, 1) { $at .= "/$_"; next if -d $at; mkdir($at, $mode // 0755) or die "$at: $!\\n" } }
sub put {
  my ($path, $mode, $text) = @_;
  my ($folder) = $path =~ m{^(.*)/}; made($folder);
  my $new = "$folder/.coldspare.$$";
  my $out;
  my $ok = open($out, '>', $new) && chmod($mode, $new) && print({$out} $text) && $out->flush && $out->sync && close($out) && rename($new, $path);
  my $why = $!; unlink $new unless $ok; die "$path: $why\\n" unless $ok;
}
sub got { my ($path) = @_; open(my $in, '<', $path) or return ''; local $/; return scalar(<$in>) // '' }
sub run { open(my $in, '-|', @_) or die "$_[0]: $!\\n"; local $/; my $text = <$in> // ''; close $in or die "$_[0] ended with $?\\n"; return $text }
made($conf);
made("$root/var/lib");
made("$root/var/lib/coldspare", 0700);
while (defined(my $line = <STDIN>)) {
  my ($path, $mode, $length) = split ' ', $line;
  read(STDIN, my $text, $length) == $length or die "$path: the input ended\\n";
  if ($path =~ m{/$}) { made("$root$path", oct $mode); chmod(oct $mode, "$root$path") or die "$path: $!\\n" }
  else { put("$root$path", oct $mode, $text) }
}
`;

/** Beside the files: the server's own key where there is none, and the generation. */
const INSTALLER = `${WRITER}
my ($server, $number, $hash) = @ARGV;
if (!-s "$conf/id_ed25519") {
  unlink "$conf/.id", "$conf/.id.pub";
  run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', "coldspare\\@$server", '-f', "$conf/.id");
  unlink "$conf/id_ed25519.pub";
  rename("$conf/.id", "$conf/id_ed25519") or die "$conf/id_ed25519: $!\\n";
  unlink "$conf/.id.pub";
}
put("$conf/id_ed25519.pub", 0644, run('ssh-keygen', '-y', '-f', "$conf/id_ed25519")) unless -s "$conf/id_ed25519.pub";
my ($before, $now) = (got("$conf/generation"), "$number $hash\\n");
if ($before ne $now) {
  put("$conf/history", 0644, got("$conf/history") . $before) if $before ne '';
  put("$conf/generation", 0644, $now);
}
unlink "$conf/retired";
`;

/** Writes files, each whole or not at all; what is in them travels by standard input. A path that ends in a slash is a folder. */
export async function writeFiles(ssh: SshRunner, server: string, files: readonly InstalledFile[]): Promise<void> {
  answered(await ssh.run(server, ["perl", "-e", WRITER], { input: filesInput(files) }), server, "write its files");
}

function filesInput(files: readonly InstalledFile[]): string {
  return files.map(({ path, mode, text }) => `${path} ${mode} ${Buffer.byteLength(text)}\n${text}`).join("");
}

/** Writes files, makes the server's own key where there is none, and notes the generation. */
export async function installFiles(
  ssh: SshRunner,
  server: string,
  files: readonly InstalledFile[],
  generation: { number: number; hash: string },
): Promise<void> {
  const argv = ["perl", "-e", INSTALLER, server, String(generation.number), generation.hash];
  answered(await ssh.run(server, argv, { input: filesInput(files) }), server, "write its files");
}

/**
 * Lets the keys of peers ask the guard, and nothing else: whatever line a peer had before goes. What was let in is noted
 * beside, so that one sees when somebody else rewrote authorized_keys.
 */
export async function authorize(ssh: SshRunner, server: string, keys: Readonly<Record<string, string>>): Promise<void> {
  const names = Object.keys(keys);
  if (names.length === 0) return;
  const added = names
    .map((name) => `command="${NODE_PROGRAM} serve",restrict ${keys[name]} coldspare@${name}\n`)
    .join("");
  // On a server of a cluster the file is a link into the cluster's own file system: it must stay one.
  const script = `${PRELUDE}
mkdir -p -m 700 "$r/root/.ssh"
f=$(readlink -f "$r/root/.ssh/authorized_keys")
[ -e "$f" ] || : >"$f"
${KEEP}
keep ${names.map((name) => `-e ' coldspare@${name.replaceAll(".", "\\.")}$'`).join(" ")}
added=$(base64 -d <<'${END}'
${lines(added)}
${END}
)
printf '%s%s\\n' "$kept" "$added" | base64 | put "$f" 600
f="$r${PEERS}"
mkdir -p "\${f%/*}"
[ -e "$f" ] || : >"$f"
keep ${names.map((name) => `-e '^${name.replaceAll(".", "\\.")} '`).join(" ")}
printf '%s%s\\n' "$kept" ${quote([names.map((name) => `${name} ${keys[name]}`).join("\n")])} | base64 | put "$f" 644
`;
  await must(ssh, server, script, `let the keys of ${names.join(", ")} ask its guard`);
}

/**
 * Brings units and hook scripts to what is wanted.
 *
 * @returns what did not work, and the guests that stayed locked (a backup may take hours), which are no failure
 */
export async function activate(
  ssh: SshRunner,
  server: string,
  wanted: { units: boolean; hook: ReadonlyMap<number, "qemu" | "lxc">; unhook: ReadonlyMap<number, "qemu" | "lxc"> },
): Promise<{ problems: Problem[]; locked: number[] }> {
  const commands: string[][] = [];
  if (wanted.units) commands.push(["systemctl", "daemon-reload"], ["systemctl", "enable", ...UNITS]);
  for (const [vmid, kind] of wanted.hook) commands.push([tool(kind), "set", String(vmid), "--hookscript", HOOKSCRIPT]);
  for (const [vmid, kind] of wanted.unhook) commands.push([tool(kind), "set", String(vmid), "--delete", "hookscript"]);
  const failed = await tryEach(ssh, server, commands);
  return {
    problems: failed.filter(({ isLocked }) => !isLocked).map(({ text }) => text),
    locked: failed.flatMap(({ isLocked, argv }) => (isLocked ? [Number(argv[2])] : [])),
  };
}

/** Starts the agent, or has it read its changed files. */
export function startAgent(ssh: SshRunner, server: string, changed: boolean): Promise<Problem[]> {
  return runEach(ssh, server, [["systemctl", changed ? "reload-or-restart" : "start", AGENT]]);
}

/** Has the guard compare records with its voters, and write those that are missing. */
export function reconcile(ssh: SshRunner, server: string): Promise<Problem[]> {
  return runEach(ssh, server, [[NODE_PROGRAM, "reconcile"]]);
}

/** Notes that the resource of this server is gone. Without a configuration there is nothing to note. */
export async function retire(ssh: SshRunner, server: string): Promise<void> {
  const script = `${PRELUDE}
[ -d "$r${CONF_FOLDER}" ] || exit 0
date -u +%FT%TZ | base64 | put "$r${CONF_FOLDER}/retired" 644
`;
  await must(ssh, server, script, "note that it is no part of the site any more");
}

/** The text of the manifest on a server; empty when there is none. */
export async function readManifest(ssh: SshRunner, server: string): Promise<string> {
  const { stdout } = await ssh.run(server, ["sh", "-s"], { input: `${ROOT}\ncat "$r${CONF_FOLDER}/site.json"\n` });
  return stdout;
}

/** Takes away everything but the records and the keys. */
export async function uninstall(
  ssh: SshRunner,
  server: string,
  guests: ReadonlyMap<number, "qemu" | "lxc">,
  paths: readonly string[],
): Promise<Problem[]> {
  const problems = await runEach(
    ssh,
    server,
    [...guests].map(([vmid, kind]) => [tool(kind), "set", String(vmid), "--delete", "hookscript"]),
  );
  // A guest that still names the script could not start without it.
  if (problems.length > 0) return problems;
  // An agent that is stopped while leases count leaves somebody behind who ends the guests with them: first they must not count.
  const script = `${PRELUDE}
f="$r${CONF_FOLDER}/node.conf"
if grep -qs '^fencing lease' "$f"; then
  sed 's/^fencing lease/fencing confirm/' "$f" | base64 | put "$f" 644
  if systemctl is-active ${AGENT} >/dev/null </dev/null; then
    systemctl reload-or-restart ${AGENT} </dev/null
    sleep ${NOTICE_SECONDS}
  fi
fi
for u in ${UNITS.join(" ")}; do
  [ ! -e "$r/etc/systemd/system/$u" ] || systemctl disable --now "$u" </dev/null
done
cd "\${r:-/}"
rm -f ${paths.map((path) => `".${path}"`).join(" ")}
systemctl daemon-reload </dev/null
f=$(readlink -f "$r/root/.ssh/authorized_keys")
if grep -qs 'coldspare-node serve",restrict ' "$f"; then
  ${KEEP}
  keep -e 'coldspare-node serve",restrict '
  printf '%s' "$kept" | base64 | put "$f" 600
fi
`;
  await must(ssh, server, script, "remove the guard");
  return [];
}

function tool(kind: "qemu" | "lxc"): string {
  return kind === "qemu" ? "qm" : "pct";
}

export async function runEach(ssh: SshRunner, server: string, commands: readonly string[][]): Promise<Problem[]> {
  return (await tryEach(ssh, server, commands)).map(({ text }) => text);
}

interface Failure {
  argv: readonly string[];
  text: Problem;
  /** Somebody else had the guest's lock, up to the last try. */
  isLocked: boolean;
}

/** Tries, two seconds apart, for all locked guests of a server together. */
const LOCK_TRIES = 5;

/** Runs commands one after another, whatever becomes of the one before; one round trip. */
async function tryEach(ssh: SshRunner, server: string, commands: readonly string[][]): Promise<Failure[]> {
  if (commands.length === 0) return [];
  const script = `${ROOT}
left=${LOCK_TRIES}
try() {
  n=$1; shift; word=failed
  until out=$("$@" 2>&1 </dev/null); do
    case $out in
      *"is locked"*|*"can't lock file"*)
        left=$((left - 1))
        [ $left -le 0 ] || { sleep 2; continue; }
        word=locked ;;
    esac
    echo "$word $n $(printf '%s' "$out" | tr '\\n' ' ' | tail -c 300)"
    return
  done
}
main() {
${commands.map((argv, index) => `try ${index} ${quote(argv).replace(/^\/usr/, '"$r"/usr')}`).join("\n")}
echo end
}
main </dev/null
`;
  const { stdout, stderr, code } = await ssh.run(server, ["sh", "-s"], {
    input: script,
    timeoutSeconds: 60 + 2 * LOCK_TRIES + 10 * commands.length,
  });
  const failed = stdout.split("\n").flatMap((line): Failure[] => {
    const [, word, index, reason] = line.match(/^(failed|locked) (\d+) (.*)$/) ?? [];
    const argv = commands[Number(index)];
    if (argv === undefined) return [];
    return [{ argv, text: `\`${quote(argv)}\`: ${reason?.trim() || "no reason given"}`, isLocked: word === "locked" }];
  });
  if (stdout.endsWith("end\n")) return failed;
  return [...failed, { argv: [], text: `its shell ended with ${code}: ${stderr.trim().slice(-300)}`, isLocked: false }];
}

/** @throws InstallError with what the server said */
export async function must(ssh: SshRunner, server: string, script: string, doing: string): Promise<void> {
  answered(await ssh.run(server, ["sh", "-s"], { input: script }), server, doing);
}

function answered({ code, stderr }: SshResult, server: string, doing: string): void {
  if (code !== 0) throw new InstallError(server, doing, stderr.trim().split("\n").slice(-3).join("; ").slice(-300));
}

/** A server that answers, but on which something could not be done. */
export class InstallError extends Error {
  constructor(
    readonly server: string,
    doing: string,
    reason: string,
  ) {
    super(
      `${server}: could not ${doing}: ${reason || "no reason given"}. Fix: look for a full or read-only file system (\`df -h /etc /var\`; below /etc/pve: a cluster without quorum, \`pvecm status\`), then run this again`,
    );
    this.name = "InstallError";
  }
}

/** Base64 in lines that any shell reads. */
export function lines(text: string): string {
  return (
    Buffer.from(text)
      .toString("base64")
      .match(/.{1,76}/g) ?? []
  ).join("\n");
}
