/** A stand-in for the `ssh` program, first in PATH: servers are folders, and it fails as it is told. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * It knows what the client relies on: options, the host after `--`, one line for the login shell, a standing connection whose
 * end ends the commands in it. What a host does is in `<folder>/<host>/mode`; a line of shell there is run before anything else.
 */
const PROGRAM = `#!/bin/sh
here=\${0%/*}
printf '%s\\n' "$*" >> "$here/calls"
master=no
while [ $# -gt 0 ]; do
  case "$1" in
    -o) case "$2" in ControlMaster=yes) master=yes ;; ControlPath=*) path=\${2#*=} ;; UserKnownHostsFile=*) cp "\${2#*=}" "$here/known_hosts" ;; esac; shift 2 ;;
    -p|-l|-i) shift 2 ;;
    --) host=$2; shift 2; break ;;
    *) shift ;;
  esac
done
cd "$here/$host" || { echo "ssh: Could not resolve hostname $host: Name or service not known" >&2; exit 255; }
. ./mode
if [ $master = yes ]; then echo $$ > "$path"; else [ -s "$path" ] || exit 255; fi
exec /bin/sh -c "$1"
`;

export class FakeSsh {
  readonly folder = mkdtempSync(join(tmpdir(), "coldspare-fake-ssh-"));
  private readonly pathBefore = process.env.PATH;

  constructor(hosts: readonly string[]) {
    writeFileSync(join(this.folder, "ssh"), PROGRAM);
    chmodSync(join(this.folder, "ssh"), 0o755);
    for (const host of hosts) {
      mkdirSync(join(this.folder, host));
      this.says(host, "");
    }
    process.env.PATH = `${this.folder}:${this.pathBefore}`;
  }

  /** Shell that a connection to the host runs first; `exit 255` after a message is a connection that fails. */
  says(host: string, shell: string): void {
    writeFileSync(join(this.folder, host, "mode"), shell);
  }

  /** Arguments of each call so far. */
  get calls(): string[] {
    return this.read("calls").split("\n").filter(Boolean);
  }

  /** Calls that opened a standing connection. */
  get connections(): number {
    return this.calls.filter((call) => call.includes("ControlMaster=yes")).length;
  }

  /** A file of a host, or of ours. */
  read(path: string): string {
    try {
      return readFileSync(join(this.folder, path), "utf8");
    } catch {
      return "";
    }
  }

  end(): void {
    process.env.PATH = this.pathBefore;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
