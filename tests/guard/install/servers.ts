/** Servers that are folders, whose shell runs here; qm, pct and systemctl are small programs that keep files. */
import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type SiteManifest, siteManifest } from "../../../planning";
import type { HandlerContext } from "../../../providers/serve";
import { type ServerGuardInputs, serverGuardInputs } from "../../../providers/server-guard";
import { SshError, type SshRunner } from "../../../providers/ssh";
import { cleanSite, planWith } from "../../planning/sites";

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
  readonly folder = mkdtempSync(join(tmpdir(), "coldspare-fake-servers-"));
  private readonly silent = new Set<string>();
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
      chmodSync(join(this.folder, "tools", name), 0o755);
    }
    for (const server of SERVERS) {
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
    this.silent.delete(server);
  }

  down(server: string): void {
    this.silent.add(server);
  }

  /** In the place of SSH, which has tests of its own: the words go to the server's programs as they are. */
  readonly connect = (): SshRunner => ({
    run: (server, [program = "", ...args], { input = "" } = {}) => {
      if (this.silent.has(server))
        return Promise.reject(new SshError(server, "unreachable", "No route to host", "look at its console"));
      const env = { COLDSPARE_ROOT: join(this.folder, server), PATH: `${this.folder}/tools:${process.env.PATH}` };
      return new Promise((done, fail) => {
        const child = spawn(program, args, { env, cwd: join(this.folder, server) });
        const said = { stdout: "", stderr: "" };
        for (const stream of ["stdout", "stderr"] as const) {
          child[stream].setEncoding("utf8").on("data", (chunk: string) => {
            said[stream] += chunk;
          });
        }
        child.once("error", fail);
        child.once("close", (code) => done({ code: code ?? 255, ...said }));
        child.stdin.on("error", () => undefined).end(input);
      });
    },
    close: () => Promise.resolve(),
  });

  guest(server: string, kind: "qemu-server" | "lxc", vmid: number, config = "memory: 512\n"): void {
    this.write(server, `etc/pve/nodes/${server}/${kind}/${vmid}.conf`, config);
  }

  write(server: string, path: string, text: string): void {
    const file = join(this.folder, server, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  path(server: string, path: string): string {
    return join(this.folder, server, path);
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
    for (const server of SERVERS) cpSync(join(this.folder, server), join(folder, server), { recursive: true });
    return folder;
  }

  /** Puts on the servers what was kept. */
  copyFrom(folder: string): void {
    for (const server of SERVERS) {
      rmSync(join(this.folder, server), { recursive: true });
      cpSync(join(folder, server), join(this.folder, server), { recursive: true });
    }
  }

  end(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
