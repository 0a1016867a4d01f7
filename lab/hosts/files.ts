import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { mustRun } from "./run";
import type { HostBind, HostSpecification } from "./types";

/** The shell and Perl programs beside this file. */
export const PROGRAMS = path.join(__dirname, "programs");

/** Where hosts see PROGRAMS. */
export const PROGRAMS_INSIDE = "/run/lab/programs";

/** The lab's zfs and zpool, and where they keep what they know. */
export const ZFS = path.join(__dirname, "../zfs");
export const ZFS_INSIDE = "/run/lab/zfs";
export const ZFS_ROOT_INSIDE = "/var/lib/lab-zfs";

/**
 * Folders that each host has for itself: nothing of the machine's own shows there, and they last across power cuts even
 * where the rest of the root file system cannot.
 */
const PRIVATE = [
  "/root",
  "/etc/ssh",
  "/etc/systemd/system",
  "/etc/coldspare",
  "/var/lib/coldspare",
  ZFS_ROOT_INSIDE,
  "/var/lib/vz",
  "/var/log",
  "/usr/local/sbin",
];

/** Programs of the machine that would speak to the machine's own systemd. */
const SHIMS = ["/usr/bin/systemctl", "/usr/sbin/poweroff", "/usr/sbin/reboot", "/usr/sbin/shutdown", "/usr/sbin/halt"];

const SSHD_CONFIG = (address: string, environment: Record<string, string>) =>
  [
    "Port 22",
    `ListenAddress ${address}`,
    "HostKey /etc/ssh/ssh_host_ed25519_key",
    "PidFile /run/sshd.pid",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "UseDNS no",
    "PrintMotd no",
    "MaxStartups 100:30:300",
    "MaxSessions 100",
    "Subsystem sftp internal-sftp",
    ...Object.entries(environment).map(([name, value]) => `SetEnv ${name}="${value}"`),
    "",
  ].join("\n");

const SSH_UNIT = `[Unit]
Description=OpenBSD Secure Shell server
[Service]
ExecStart=/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
KillMode=process
Restart=on-failure
`;

const WATCHDOG_UNIT = (seconds: number) => `[Unit]
Description=Proxmox VE watchdog multiplexer
[Service]
ExecStart=${PROGRAMS_INSIDE}/watchdog-mux ${seconds}
LabPipe=yes
`;

/** Folder of one host; what lies in it is listed at the top of `programs/start-host`. */
export class HostFiles {
  readonly folder: string;

  constructor(
    folder: string,
    readonly host: HostSpecification,
  ) {
    this.folder = path.join(folder, host.name);
  }

  /** What stays from boot to boot: made once. */
  async prepare(operatorKey: string): Promise<void> {
    for (const name of ["upper", "work", "root", "boot/units", ...PRIVATE.map((each) => `private/${store(each)}`)])
      fs.mkdirSync(path.join(this.folder, name), { recursive: true });
    const ssh = this.private("/root", ".ssh");
    fs.chmodSync(this.private("/root"), 0o700);
    fs.mkdirSync(ssh, { recursive: true, mode: 0o700 });
    const keys = path.join(ssh, "authorized_keys");
    const held = fs.existsSync(keys) ? fs.readFileSync(keys, "utf8") : "";
    if (!held.includes(operatorKey)) fs.writeFileSync(keys, `${held}${operatorKey}\n`, { mode: 0o600 });
    await makeKey(this.private("/etc/ssh", "ssh_host_ed25519_key"), this.host.name);
    this.once("boot/machine_id", randomUUID());
  }

  /** What each boot makes anew. */
  prepareBoot(
    all: HostSpecification[],
    binds: HostBind[],
    environment: Record<string, string>,
    watchdog: number,
  ): void {
    const own = binds.filter((bind) => !bind.hosts || bind.hosts.includes(this.host.name));
    const shims = SHIMS.map((to) => ({ from: path.join(PROGRAMS, "systemctl"), to, readOnly: true }));
    const list = [{ from: PROGRAMS, to: PROGRAMS_INSIDE, readOnly: true }, ...shims, ...own];
    this.write(
      "boot/binds.list",
      list.map((bind) => `${plain(bind.from)}\t${plain(bind.to)}\t${bind.readOnly ? "ro" : "rw"}\n`).join(""),
    );
    this.write("boot/private.list", PRIVATE.map((each) => `${store(each)}\t${each}\n`).join(""));
    this.write("boot/boot_id", `${randomUUID()}\n`);
    this.write("boot/hostname", this.host.name);
    const lines = all.map((each) => `${each.address} ${each.name}`);
    this.write("boot/hosts", ["127.0.0.1 localhost", ...lines, ""].join("\n"));
    this.write("boot/units/ssh.service", SSH_UNIT);
    this.write("boot/units/watchdog-mux.service", WATCHDOG_UNIT(watchdog));
    fs.writeFileSync(this.private("/etc/ssh", "sshd_config"), SSHD_CONFIG(this.host.address, environment));
  }

  /** `ssh-ed25519 AAAA…` */
  hostKey(): string {
    const text = fs.readFileSync(this.private("/etc/ssh", "ssh_host_ed25519_key.pub"), "utf8");
    return text.trim().split(" ").slice(0, 2).join(" ");
  }

  get log(): string {
    return path.join(this.folder, "console.log");
  }

  private private(...parts: [string, ...string[]]): string {
    return path.join(this.folder, "private", store(parts[0]), ...parts.slice(1));
  }

  private write(name: string, text: string): void {
    fs.writeFileSync(path.join(this.folder, name), text);
  }

  private once(name: string, text: string): void {
    if (!fs.existsSync(path.join(this.folder, name))) this.write(name, text);
  }
}

/** Makes an ed25519 key without passphrase unless it is there. @returns the public line */
export async function makeKey(file: string, comment: string): Promise<string> {
  if (!fs.existsSync(file)) await mustRun(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file]);
  return fs.readFileSync(`${file}.pub`, "utf8").trim();
}

/** Name of a private folder's store: one level, whatever the folder's path. */
function store(folder: string): string {
  return folder.slice(1).replaceAll("/", "-");
}

/** The lists are lines of words between tabs. */
function plain(name: string): string {
  if (/[\t\n]/.test(name))
    throw new Error(`the lab's hosts cannot bind ${JSON.stringify(name)}: tabs and line breaks are not possible`);
  return name;
}
