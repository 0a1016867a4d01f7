/**
 * Three servers as folders: the real program runs in each by COLDSPARE_ROOT, and asks the others through an `ssh` of its own that
 * runs the peer's `serve`, or fails, hangs or cuts the answer when told so. `qm` and `pct` write down what they are asked.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const NODE = resolve(__dirname, "../../guard/coldspare-node");

const SSH = `#!/bin/sh
while [ "$1" != "--" ]; do shift; done
peer=$2; shift 2
mode=up
[ -e "$SERVERS/$peer.mode" ] && read -r mode < "$SERVERS/$peer.mode"
case "$mode" in
  fail) echo "ssh: connect to host $peer port 22: No route to host" >&2; exit 255 ;;
  hang) exec sleep 40 ;;
  cut) COLDSPARE_ROOT="$SERVERS/$peer" SSH_ORIGINAL_COMMAND="$*" "$NODE" serve | head -c 30; exit 0 ;;
  suspend) case "$*" in grant*) echo "1000.00 0" > "$COLDSPARE_ROOT/proc/uptime" ;; esac ;;
  mute) case "$*" in release*) exit 255 ;; esac ;;
  deaf) COLDSPARE_ROOT="$SERVERS/$peer" SSH_ORIGINAL_COMMAND="$*" "$NODE" serve >/dev/null; exit 255 ;;
esac
export COLDSPARE_ROOT="$SERVERS/$peer" SSH_ORIGINAL_COMMAND="$*"
exec "$NODE" serve
`;

// 'start' runs the hook as Proxmox VE does and leaves a process behind; 'stop' ends it, unless the server is told to hang.
const TOOL = `#!/bin/sh
echo "$0 $*" >> "$COLDSPARE_ROOT/tool.log"
case "$1" in
  start) "$NODE" hook "$2" pre-start || exit 1; echo "$2" >> "$COLDSPARE_ROOT/started" ;;
  stop) [ -e "$COLDSPARE_ROOT/tool.hangs" ] && exec sleep 40
    kill -9 "$(cat "$COLDSPARE_ROOT/run/qemu-server/$2.pid")" ;;
  status) cat "$COLDSPARE_ROOT/tool.status" 2>/dev/null || echo "status: running" ;;
esac
`;

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}
export type Mode = "up" | "fail" | "hang" | "cut" | "deaf" | "mute" | "suspend";
export interface SiteOptions {
  fencing?: "confirm" | "power" | "lease";
  /** Lines `term 60` and so on. */
  times?: string[];
  guests?: string[];
  servers?: string[];
}

export const SQL =
  "sql-erp qemu primary=srv2 spare=srv1 voters=srv2,srv1,backup-1 ids=113@srv2,113@srv1 order=30 delay=0 onboot=1";
export const APP =
  "remote-app qemu primary=srv2 spare=srv1 voters=srv2,srv1,backup-1 ids=112@srv2,9112@srv1,9212@srv1 order=40 delay=0 onboot=1";

export class Servers {
  readonly folder = mkdtempSync(join(tmpdir(), "coldspare-guard-"));
  private readonly processes: ChildProcess[] = [];

  constructor(private readonly options: SiteOptions = {}) {
    for (const [name, text] of [
      ["ssh", SSH],
      ["qm", TOOL],
      ["pct", TOOL],
    ] as const) {
      this.put(`bin/${name}`, text);
      chmodSync(join(this.folder, "bin", name), 0o755);
    }
    for (const server of this.names) {
      this.configure(server);
      this.put(`${server}/var/lib/vz/snippets/coldspare-guard`, "");
    }
  }

  get names(): string[] {
    return this.options.servers ?? ["srv1", "srv2", "backup-1"];
  }

  /** Writes node.conf of a server, as it is or changed. */
  configure(server: string, change: (text: string) => string = (text) => text): void {
    const lines = ["format 1", "site smb", `self ${server}`, `hypervisor ${server.startsWith("srv") ? 1 : 0}`];
    lines.push(`fencing ${this.options.fencing ?? "confirm"}`, ...(this.options.times ?? []));
    for (const peer of this.names) {
      if (peer !== server) lines.push(`peer ${peer} ${peer} 22`);
    }
    for (const guest of this.options.guests ?? [SQL, APP]) lines.push(`guest ${guest}`);
    this.put(`${server}/etc/coldspare/node.conf`, change(`${lines.join("\n")}\n`));
  }

  put(path: string, text: string): void {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  read(path: string): string {
    return existsSync(join(this.folder, path)) ? readFileSync(join(this.folder, path), "utf8") : "";
  }

  exists(path: string): boolean {
    return existsSync(join(this.folder, path));
  }

  /** How the server answers its peers from now on. */
  mode(server: string, mode: Mode): void {
    this.put(`${server}.mode`, `${mode}\n`);
  }

  /** Puts a server's clock since boot, which otherwise is this machine's; `boot` is another boot. */
  clock(server: string, seconds: number, boot?: string): void {
    this.put(`${server}/proc/uptime`, `${seconds.toFixed(2)} 0.00\n`);
    if (boot !== undefined) this.put(`${server}/proc/sys/kernel/random/boot_id`, `${boot}\n`);
  }

  private environment(server: string, more: Record<string, string> = {}): NodeJS.ProcessEnv {
    return {
      PATH: `${join(this.folder, "bin")}:/usr/sbin:/usr/bin:/sbin:/bin`,
      COLDSPARE_ROOT: join(this.folder, server),
      SERVERS: this.folder,
      NODE,
      ...more,
    };
  }

  run(server: string, argv: string[], more: { env?: Record<string, string>; input?: string } = {}): Result {
    const { status, stdout, stderr } = spawnSync(NODE, argv, {
      env: this.environment(server, more.env),
      input: more.input ?? "",
      encoding: "utf8",
      timeout: 35_000,
    });
    return { code: status ?? 255, stdout, stderr };
  }

  /** As `run`, while others run as well. */
  runAside(server: string, argv: string[]): Promise<Result> {
    return new Promise((done) => {
      execFile(NODE, argv, { env: this.environment(server), timeout: 35_000 }, (error, stdout, stderr) =>
        done({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 255, stdout, stderr }),
      );
    });
  }

  /** One request to a voter; its answer as one record per guest. */
  ask(server: string, ...request: string[]): Record<string, Record<string, string>> {
    const answers: Record<string, Record<string, string>> = {};
    const { stdout, stderr } = this.run(server, ["serve", ...request]);
    if (stderr !== "") throw new Error(`${server}: ${stderr}`);
    for (const line of stdout.split("\n")) {
      const [name, verdict, ...words] = line.split(" ");
      if (name === undefined || verdict === undefined) continue;
      answers[name] = { verdict, ...Object.fromEntries(words.map((word) => word.split(/=(.*)/s).slice(0, 2))) };
    }
    return answers;
  }

  /** What the guard says to a start; the record is `epoch@server` where it matters. */
  hook(server: string, vmid: number, env: Record<string, string> = {}): Result {
    return this.run(server, ["hook", `${vmid}`, "pre-start"], { env });
  }

  /** Claims at every server that is named. */
  claim(by: string, target: string, ...servers: string[]): void {
    for (const server of servers) {
      const answer = Object.values(this.ask(server, "claim", by, target))[0];
      if (answer?.verdict !== "ok") throw new Error(`${server}: claim ${target} was ${answer?.verdict}`);
    }
  }

  /** A guest's configuration file, as below /etc/pve. */
  config(server: string, vmid: number, text = "onboot: 1\nhookscript: local:snippets/coldspare-guard\n"): void {
    this.put(`${server}/etc/pve/nodes/${server}/qemu-server/${vmid}.conf`, text);
  }

  /** A process that looks like the guest's. */
  guest(server: string, vmid: number): ChildProcess {
    const child = spawn("perl", ["-e", "$SIG{TERM}='IGNORE'; sleep 60", "--", "-id", `${vmid}`], { stdio: "ignore" });
    this.processes.push(child);
    this.put(`${server}/run/qemu-server/${vmid}.pid`, `${child.pid}\n`);
    return child;
  }

  /** A start as Proxmox VE's task makes it: the hook, and then something that takes long. */
  slowStart(server: string, vmid: number): ChildProcess {
    const script = `"$NODE" hook ${vmid} pre-start || exit 1; : > "$COLDSPARE_ROOT/passed"; while :; do sleep 60; done`;
    const child = spawn("sh", ["-c", script], { env: this.environment(server), stdio: "ignore" });
    this.processes.push(child);
    return child;
  }

  start(server: string, argv: string[]): ChildProcess {
    const child = spawn(NODE, argv, { env: this.environment(server), stdio: "ignore" });
    this.processes.push(child);
    return child;
  }

  remove(): void {
    for (const child of this.processes) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const NODE_PROGRAM = NODE;
