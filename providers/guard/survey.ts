/** What is on a server, in one round trip. */
import type { SshRunner } from "../ssh";
import { quote, SshError } from "../ssh";
import { CONF_FOLDER, PEERS, UNITS } from "./programs";

/** What {@link survey} found. */
export interface Survey {
  /** By path: hash and mode of the files that were asked for and are there. */
  files: Record<string, { hash: string; mode: string }>;
  /** node.conf as it is there; empty when there is none. */
  conf: string;
  generation?: { number: number; hash: string };
  /** The server's own public key, type and key without comment. */
  publicKey?: string;
  /** Name of a peer → its key that is let in for the guard's questions. */
  authorized: Record<string, string>;
  /** The same as it was written by us: what `authorized` should hold. */
  known: Record<string, string>;
  units: Record<string, { enabled: boolean; active: boolean }>;
  /** What is on this server, by id. */
  guests: Map<number, SurveyedGuest>;
  /** Its resource was deleted while other servers still relied on it. */
  isRetired: boolean;
}

/** What a guest's configuration says of itself. */
export interface SurveyedGuest {
  kind: "qemu" | "lxc";
  /** '' without one. */
  hookscript: string;
  /** What locks it, for example `backup`; '' when nothing does. */
  lock: string;
  /** Seconds since its configuration was written. */
  age: number;
}

/** Below this folder instead of `/`, where the server's environment says so: for tests. */
export const ROOT = `r="\${COLDSPARE_ROOT:-}"`;

/** @throws SshError when the server cannot be asked */
export async function survey(ssh: SshRunner, server: string, paths: readonly string[]): Promise<Survey> {
  const { code, stdout, stderr } = await ssh.run(server, ["sh", "-s"], { input: script(server, paths) });
  if (code !== 0 || !stdout.endsWith("end\n")) {
    throw new SshError(
      server,
      "denied",
      `its shell does not do what it is told (exit code ${code}: ${(stderr.trim() || stdout.trim()).slice(-300)})`,
      `log in as the user that coldspare:ssh names (default root) and try \`sh -c 'echo hello'\`: it has to be a plain shell with root's rights`,
    );
  }
  return parse(stdout);
}

/** One process for all guests, as a server may have a hundred. What follows the first heading are snapshots. */
const GUESTS = `
use strict; use warnings;
for my $file (map { glob "$_/*.conf" } @ARGV) {
  my ($kind, $vmid) = $file =~ m{/(qemu-server|lxc)/(\\d+)\\.conf$} or next;
  open(my $in, "<", $file) or next;
  my %set = (hookscript => "-", lock => "-");
  while (my $line = <$in>) { last if $line =~ /^\\[/; $set{$1} = $2 if $line =~ /^(hookscript|lock):\\s*(\\S+)/ }
  print join(" ", "guest", $vmid, $kind, @set{qw(hookscript lock)}, $^T - (stat $in)[9]), "\\n";
}
`;

function script(server: string, paths: readonly string[]): string {
  const relative = paths.length === 0 ? "." : paths.map((path) => `.${path}`).join(" ");
  return `${ROOT}
c="$r${CONF_FOLDER}"
main() {
  ( cd "\${r:-/}"; sha256sum ${relative} 2>/dev/null | sed 's/^/hash /'; stat -c 'mode %a  %n' ${relative} 2>/dev/null )
  [ -f "$c/node.conf" ] && sed 's/^/conf /' "$c/node.conf"
  [ -f "$c/generation" ] && sed 's/^/generation /' "$c/generation"
  [ -s "$c/id_ed25519" ] && [ -s "$c/id_ed25519.pub" ] && sed 's/^/key /' "$c/id_ed25519.pub"
  [ -f "$r${PEERS}" ] && sed 's/^/peer /' "$r${PEERS}"
  [ -f "$c/retired" ] && echo retired
  [ -f "$r/root/.ssh/authorized_keys" ] && sed -n 's/^command=.*coldspare-node serve",restrict \\(.* coldspare@.*\\)$/authorized \\1/p' "$r/root/.ssh/authorized_keys"
  for u in ${UNITS.join(" ")}; do
    echo "unit $u $(systemctl is-enabled $u 2>/dev/null || :) $(systemctl is-active $u 2>/dev/null || :)"
  done
  perl -e ${quote([GUESTS])} "$r/etc/pve/nodes/${server}/qemu-server" "$r/etc/pve/nodes/${server}/lxc"
  echo end
}
main </dev/null
`;
}

function parse(text: string): Survey {
  const found: Survey = {
    files: {},
    conf: "",
    authorized: {},
    known: {},
    units: {},
    guests: new Map(),
    isRetired: false,
  };
  const hashes: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const [word, a = "", b = "", c = "", d = "", e = ""] = line.split(" ");
    if (word === "hash") hashes[c.slice(1)] = a;
    else if (word === "mode" && hashes[c.slice(1)] !== undefined)
      found.files[c.slice(1)] = { hash: hashes[c.slice(1)] ?? "", mode: a };
    else if (word === "conf") found.conf += `${line.slice(5)}\n`;
    else if (word === "generation" && /^\d+$/.test(a)) found.generation = { number: Number(a), hash: b };
    else if (word === "key") found.publicKey = `${a} ${b}`;
    else if (word === "authorized") found.authorized[c.replace(/^coldspare@/, "")] = `${a} ${b}`;
    else if (word === "peer") found.known[a] = `${b} ${c}`;
    else if (word === "unit") found.units[a] = { enabled: b === "enabled", active: c === "active" };
    else if (word === "guest") found.guests.set(Number(a), surveyed(b, c, d, e));
    else if (word === "retired") found.isRetired = true;
  }
  return found;
}

function surveyed(kind: string, hookscript: string, lock: string, age: string): SurveyedGuest {
  const given = (text: string) => (text === "-" ? "" : text);
  return { kind: kind === "lxc" ? "lxc" : "qemu", hookscript: given(hookscript), lock: given(lock), age: Number(age) };
}
