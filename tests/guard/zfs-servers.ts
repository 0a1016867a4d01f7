/**
 * Servers as folders with the lab's zfs: the real coldspare-zfs runs in each by COLDSPARE_ROOT and reaches the others through an `ssh` of
 * its own, which runs the peer's forced command and can be cut, or fail, when told so.
 */
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const PROGRAM = resolve(__dirname, "../../backup/coldspare-zfs");
const LAB_ZFS = resolve(__dirname, "../../lab/zfs");

// 'cut N': of a stream to the peer N bytes come through, then the link is gone; 'cutback N': of one from the peer.
const SSH = `#!/bin/sh
while [ "$1" != "--" ]; do shift; done
peer=$2; shift 2
mode=up; bytes=0
[ -e "$SERVERS/$peer.mode" ] && read -r mode bytes < "$SERVERS/$peer.mode"
export COLDSPARE_ROOT="$SERVERS/$peer" COLDSPARE_ZFS_ROOT="$SERVERS/$peer/zfs" SSH_ORIGINAL_COMMAND="$*"
echo "$*" >> "$SERVERS/ssh.log"
case "$mode $*" in
  fail*) echo "ssh: connect to host $peer port 22: No route to host" >&2; exit 255 ;;
  "cut coldspare-zfs serve receive "*) head -c "$bytes" | "$PROGRAM" serve "$SELF"; exit 255 ;;
  "cutback coldspare-zfs serve send "*) "$PROGRAM" serve "$SELF" | head -c "$bytes"; exit 255 ;;
esac
exec "$PROGRAM" serve "$SELF"
`;

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

const MIB = 1024 * 1024;

export class ZfsServers {
  readonly folder = mkdtempSync(join(tmpdir(), "coldspare-zfs-"));

  constructor(readonly names: string[] = ["srv2", "srv1"]) {
    this.put("bin/ssh", SSH);
    chmodSync(join(this.folder, "bin/ssh"), 0o755);
    for (const name of names) {
      mkdirSync(join(this.folder, name, "zfs"), { recursive: true });
      this.pool(name, "tank", 1024);
    }
  }

  /** A pool on a disk of so many MiB. */
  pool(server: string, name: string, mib: number): void {
    const disk = join(this.folder, server, `${name}.disk`);
    writeFileSync(disk, "");
    truncateSync(disk, mib * MIB);
    this.lab(server, "zpool", "create", name, disk);
  }

  put(path: string, text: string | Buffer): void {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  read(path: string): string {
    return existsSync(join(this.folder, path)) ? readFileSync(join(this.folder, path), "utf8") : "";
  }

  bytes(path: string): Buffer {
    return readFileSync(join(this.folder, path));
  }

  /** How a server's peers reach it from now on: `up`, `fail`, `cut 1000`, `cutback 1000`. */
  mode(server: string, mode: string): void {
    this.put(`${server}.mode`, `${mode}\n`);
  }

  conf(server: string, ...lines: string[]): void {
    const peers = this.names.filter((name) => name !== server).map((name) => `peer ${name} address=${name}`);
    this.put(`${server}/etc/coldspare/zfs.conf`, `${["format 1", `self ${server}`, ...peers, ...lines].join("\n")}\n`);
  }

  environment(server: string): Record<string, string> {
    return {
      PATH: `${join(this.folder, "bin")}:${LAB_ZFS}:/usr/sbin:/usr/bin:/sbin:/bin`,
      COLDSPARE_ROOT: join(this.folder, server),
      COLDSPARE_ZFS_ROOT: join(this.folder, server, "zfs"),
      SERVERS: this.folder,
      SELF: server,
      PROGRAM,
    };
  }

  /** The lab's zfs or zpool on a server, whatever comes of it. */
  tool(
    server: string,
    program: "zfs" | "zpool",
    words: string[],
    input: string | Buffer = "",
  ): SpawnSyncReturns<Buffer> {
    const options = { env: this.environment(server), input, timeout: 250_000, maxBuffer: 256 * MIB };
    return spawnSync(join(LAB_ZFS, program), words, options);
  }

  /** What it prints. @throws Error when it fails */
  lab(server: string, program: "zfs" | "zpool", ...words: string[]): string {
    const { status, stdout, stderr } = this.tool(server, program, words);
    if (status !== 0) throw new Error(`${server}: ${program} ${words.join(" ")}: ${stderr}`);
    return stdout.toString().trimEnd();
  }

  zfs(server: string, ...words: string[]): string {
    return this.lab(server, "zfs", ...words);
  }

  /** What it says when it must fail. */
  refused(server: string, ...words: string[]): string {
    const { status, stderr } = this.tool(server, "zfs", words);
    if (status === 0) throw new Error(`${server}: zfs ${words.join(" ")} did not fail`);
    return stderr.toString().trimEnd();
  }

  snapshots(server: string, dataset: string): string[] {
    return this.zfs(server, "list", "-H", "-t", "snapshot", "-o", "name", "-s", "createtxg", dataset)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split("@")[1]!);
  }

  run(server: string, ...argv: string[]): Ended {
    const options = { env: this.environment(server), encoding: "utf8" as const, timeout: 250_000 };
    const { status, stdout, stderr } = spawnSync(PROGRAM, argv, options);
    return { code: status ?? 255, stdout, stderr };
  }

  /** Starts the program and kills it with everything of it after so many milliseconds, as a power cut would. */
  async killed(server: string, milliseconds: number, ...argv: string[]): Promise<void> {
    const child = spawn("setsid", [PROGRAM, ...argv], { env: this.environment(server), stdio: "ignore" });
    const over = new Promise((done) => child.on("exit", done));
    await new Promise((done) => setTimeout(done, milliseconds));
    if (child.exitCode !== null || child.pid === undefined) return;
    spawnSync("pkill", ["-KILL", "-s", `${child.pid}`]);
    child.kill("SIGKILL");
    await over;
  }

  /** What a server's forced command answers to a request of a peer. */
  asked(server: string, peer: string, ...request: string[]): string {
    const words = request.map((word) => encodeURIComponent(word)).join(" ");
    const env = { ...this.environment(server), SSH_ORIGINAL_COMMAND: `coldspare-zfs serve ${words}` };
    const { stdout, stderr } = spawnSync(PROGRAM, ["serve", peer], { env, encoding: "utf8", input: "" });
    return stdout + stderr;
  }

  /** Texts of the files in a folder. */
  files(folder: string): string[] {
    const place = join(this.folder, folder);
    return existsSync(place) ? readdirSync(place).map((name) => readFileSync(join(place, name), "utf8")) : [];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Bytes that nothing compresses, the same for the same seed. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed * 2_654_435_761;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
