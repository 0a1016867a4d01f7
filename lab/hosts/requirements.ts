import { spawnSync } from "node:child_process";
import * as fs from "node:fs";

/** Whether this machine can carry real hosts. */
export type HostsCheck = { ok: true } | { ok: false; why: string };

/** Program and the Debian package that holds it. */
const PROGRAMS: Record<string, string> = {
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  ip: "iproute2",
  ping: "iputils-ping",
  perl: "perl-base",
  ssh: "openssh-client",
  "ssh-keygen": "openssh-client",
  sshd: "openssh-server",
};

const SEARCH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Asks the kernel itself, as containers and hardened machines forbid each of these in ways of their own. */
const TRIAL = [
  "set -e",
  "mount -t tmpfs trial /mnt",
  "mkdir /mnt/upper /mnt/work /mnt/root",
  "mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root",
  "ip link add trial0 type bridge",
  "ip link add trial1 type veth peer name trial2",
  "ip link set trial1 master trial0",
  "ip link set dev trial1 type bridge_slave isolated on",
].join("\n");

let answer: HostsCheck | undefined;

/**
 * Whether real hosts can be made here: Linux, root, the programs, and a kernel that gives namespaces, overlay file systems
 * and bridges. Asked once a process.
 */
export function canRunHosts(): HostsCheck {
  answer ??= examine();
  return answer;
}

function examine(): HostsCheck {
  if (process.platform !== "linux") return { ok: false, why: `real hosts need Linux, this is ${process.platform}` };
  if (process.getuid?.() !== 0) return { ok: false, why: "real hosts need root (namespaces, mounts, bridges)" };
  const missing = Object.keys(PROGRAMS).filter((name) => !SEARCH.some((folder) => fs.existsSync(`${folder}/${name}`)));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => PROGRAMS[name]))].join(" ");
    return { ok: false, why: `real hosts need ${missing.join(", ")}: apt-get install ${packages}` };
  }
  const namespaces = ["--mount", "--propagation", "private", "--uts", "--ipc", "--net", "--pid", "--time", "--fork"];
  const trial = spawnSync("unshare", [...namespaces, "sh", "-c", TRIAL], { encoding: "utf8", timeout: 20_000 });
  if (trial.status === 0) return { ok: true };
  const said = (trial.stderr || trial.error?.message || "no answer").trim().split("\n")[0];
  return { ok: false, why: `this kernel does not give what real hosts need: ${said}` };
}
