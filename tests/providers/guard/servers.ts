/** Servers that are folders, reached through a stand-in for `ssh`; qm, pct and systemctl are small programs that keep files. */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type SiteManifest, siteManifest } from "../../../planning";
import type { HandlerContext } from "../../../providers/serve";
import { type ServerGuardInputs, serverGuardInputs } from "../../../providers/server-guard";
import { cleanSite, planWith } from "../../planning/sites";
import { FakeSsh } from "../ssh/fake-ssh";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2VrZXlmYWtla2V5ZmFrZWtleWZha2VrZXlmYWtlMDE=";
export const SERVERS = ["one", "two", "vault"] as const;

const SET = `#!/bin/sh
echo "$(basename "$0") $*" >>"$COLDSPARE_ROOT/commands"
if [ -s "$COLDSPARE_ROOT/qm-fails" ]; then
  head -1 "$COLDSPARE_ROOT/qm-fails" >&2
  sed -i 1d "$COLDSPARE_ROOT/qm-fails"
  exit 255
fi
for f in "$COLDSPARE_ROOT"/etc/pve/nodes/*/*/$2.conf; do
  sed -i '/^hookscript:/d' "$f"
  [ "$3" != --hookscript ] || sed -i "1i hookscript: $4" "$f"
done
`;
const SYSTEMCTL = `#!/bin/sh
cd "$COLDSPARE_ROOT"; mkdir -p units
case "$1" in
  is-enabled) [ -e "units/$2.enabled" ] && echo enabled || { echo disabled; exit 1; }; exit ;;
  is-active) [ -e "units/$2.active" ] && echo active || { echo inactive; exit 3; }; exit ;;
esac
echo "systemctl $*" >>commands
[ "$1" != disable ] || cp etc/coldspare/node.conf conf-when-stopped
v=$1; shift; [ "$1" != --now ] || { now=1; shift; }
for u in "$@"; do
  [ -e "etc/systemd/system/$u" ] || { echo "Unit $u not found" >&2; exit 5; }
  case $v in enable) : >"units/$u.enabled" ;; start|reload-or-restart) : >"units/$u.active" ;; disable) rm -f "units/$u.enabled" "units/$u.active" ;; esac
done
`;
const RECONCILE = `package Coldspare::Reconcile;
sub reconcile { open(my $f, '>>', "$ENV{COLDSPARE_ROOT}/commands"); print $f "reconcile\\n"; return 0 }
1;
`;

/** A plan takes longer than anything else here. */
const MANIFESTS = new Map<string, SiteManifest>();

export class FakeServers {
  readonly ssh = new FakeSsh(SERVERS);
  readonly told: string[] = [];

  constructor() {
    for (const [name, text] of Object.entries({
      qm: SET,
      pct: SET,
      systemctl: SYSTEMCTL,
      sync: "#!/bin/sh\n",
      sleep: "#!/bin/sh\n",
    })) {
      this.write("tools", name, text);
      chmodSync(join(this.ssh.folder, "tools", name), 0o755);
    }
    for (const server of SERVERS) {
      this.up(server);
      // Beside the installed program, so that this one is loaded instead of the real module.
      this.write(server, "usr/local/sbin/lib/Coldspare/System.pm", "1;");
      this.write(server, "usr/local/sbin/lib/Coldspare/Reconcile.pm", RECONCILE);
    }
  }

  /** What the specification of the small site says, changed by `set`. */
  manifest(set: string[] = []): SiteManifest {
    const known = MANIFESTS.get(set.join());
    if (known) return known;
    const hosts = Object.fromEntries(SERVERS.map((server) => [server, server]));
    const hostKeys = Object.fromEntries(SERVERS.map((server) => [server, [KEY]]));
    const made = siteManifest(planWith(cleanSite(), set), { endpoints: {}, ssh: { hosts, hostKeys } });
    MANIFESTS.set(set.join(), made);
    return made;
  }

  inputs(server: string, set: string[] = []): ServerGuardInputs {
    return serverGuardInputs({ server, manifest: this.manifest(set) });
  }

  get context(): HandlerContext {
    const hostKeys = Object.fromEntries(SERVERS.map((server) => [server, [KEY]]));
    return {
      get pve(): never {
        throw new Error("the guard needs no API");
      },
      ssh: () => ({ hostKeys }),
      progress: (line) => this.told.push(line),
    };
  }

  up(server: string): void {
    const here = join(this.ssh.folder, server);
    this.ssh.says(server, `export COLDSPARE_ROOT=${here} PATH=${this.ssh.folder}/tools:$PATH\n`);
  }

  down(server: string): void {
    this.ssh.says(server, `echo "ssh: connect to host ${server} port 22: No route to host" >&2; exit 255\n`);
  }

  guest(server: string, kind: "qemu-server" | "lxc", vmid: number, config = "memory: 512\n"): void {
    this.write(server, `etc/pve/nodes/${server}/${kind}/${vmid}.conf`, config);
  }

  write(server: string, path: string, text: string): void {
    const file = join(this.ssh.folder, server, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  path(server: string, path: string): string {
    return join(this.ssh.folder, server, path);
  }

  read(server: string, path: string): string {
    const file = this.path(server, path);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  remove(server: string, path: string): void {
    rmSync(this.path(server, path), { recursive: true, force: true });
  }

  /** Commands that changed a server since the last time one asked. */
  commands(server: string): string[] {
    const lines = this.read(server, "commands").split("\n").filter(Boolean);
    this.remove(server, "commands");
    return lines;
  }

  /** Keeps what is on the servers. */
  copyTo(folder: string): string {
    for (const server of SERVERS) cpSync(join(this.ssh.folder, server), join(folder, server), { recursive: true });
    return folder;
  }

  /** Puts on the servers what was kept. */
  copyFrom(folder: string): void {
    for (const server of SERVERS) {
      rmSync(join(this.ssh.folder, server), { recursive: true });
      cpSync(join(folder, server), join(this.ssh.folder, server), { recursive: true });
      this.up(server);
    }
  }

  end(): void {
    this.ssh.end();
  }
}
