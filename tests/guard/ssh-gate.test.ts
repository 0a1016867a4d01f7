/** The gate of an operator's key: every command that the product gives over SSH passes for its duty, and nothing else does. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readTests } from "../../operations/backups/test-results";
import type { Operator } from "../../operations/context";
import { copyArguments } from "../../operations/guest-conf";
import { askSsh } from "../../operations/live-servers";
import { quote } from "../../providers/ssh";

const ROOT = resolve(__dirname, "../..");
const GATE = join(ROOT, "guard/coldspare-ssh");
const NODE = "/usr/local/sbin/coldspare-node";
const DRILL = "/usr/local/sbin/coldspare-drill";
const BACKUP = "/usr/local/sbin/coldspare-backup";
const ZFS = "/usr/local/sbin/coldspare-zfs";

jest.setTimeout(60_000);

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "coldspare-gate-"));
  mkdirSync(join(root, "etc/coldspare"), { recursive: true });
  mkdirSync(join(root, "root/back"), { recursive: true });
  mkdirSync(join(root, "srv"), { recursive: true });
  symlinkSync(join(root, "etc"), join(root, "srv/link"));
  const site = {
    guests: {
      erp: {
        commands: [
          { when: "after-start", on: "srv1", run: ["/opt/tell", "it's über"], timeoutSeconds: 5, required: false },
          {
            when: "after-start",
            on: "guest",
            run: ["systemctl", "restart", "erp"],
            timeoutSeconds: 5,
            required: false,
          },
          { when: "after-start", on: "operator", run: ["reboot"], timeoutSeconds: 5, required: false },
        ],
        probes: [{ kind: "command", run: ["/opt/probe", "--deep"], timeoutSeconds: 5 }],
      },
    },
  };
  writeFileSync(join(root, "etc/coldspare/site.json"), JSON.stringify(site));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function gate(duty: string, line: string, more: string[] = ["--dry-run"], input = "") {
  const env = { PATH: process.env.PATH, COLDSPARE_ROOT: root, SSH_ORIGINAL_COMMAND: line };
  const { status, stdout, stderr } = spawnSync("perl", [GATE, duty, ...more], { env, input, encoding: "utf8" });
  return { code: status, stdout, stderr };
}

/** What the product really gives, where it can be had by calling it. */
async function given(work: (operator: Operator) => Promise<unknown>): Promise<string[][]> {
  const asked: string[][] = [];
  const server = { roles: ["hypervisor"], ssh: { host: "h", port: 22, user: "root", hostKeys: [] } };
  const run = async (_server: string, argv: string[]) => {
    asked.push([...argv]);
    return { code: 0, stdout: "", stderr: "" };
  };
  await work({ manifest: { servers: { srv1: server } }, ssh: { run } } as unknown as Operator);
  return asked;
}

/** A text for `sh -c` as it stands in a source, between these two. */
function text(file: string, name: string, folder = ""): string {
  const source = readFileSync(join(ROOT, file), "utf8");
  const found = new RegExp(`const ${name} =\\s*([\`'])(.*)\\1;`).exec(source)?.[2];
  if (found === undefined) throw new Error(`${file} has no text '${name}' any more`);
  return found.replaceAll(/\$\{(DRILL_FOLDER|TEST_FOLDER)\}/g, folder);
}

const DRILLS = "/var/lib/coldspare/drills";
const TESTS = "/var/lib/coldspare/restore-tests";

const MONITOR: string[][] = [
  ["cat", "/etc/coldspare/site.json"],
  ["cat", "/var/lib/coldspare/media/usb-1.swaps"],
  [NODE, "serve", "ping"],
  [NODE, "serve", "read", "sql-erp", "app"],
  [NODE, "journal", "list"],
  [BACKUP, "status", "--plain"],
  [BACKUP, "points", "--plain", "--cached"],
  [BACKUP, "media", "status", "--plain"],
  [BACKUP, "media", "points", "usb", "--plain"],
  [ZFS, "status", "--plain"],
  [ZFS, "points", "--plain"],
];

const conf = {
  name: "erp",
  args: "-device evil",
  hookscript: "local:snippets/x",
  hostpci0: "00:02",
  cores: "2",
  agent: "1",
  ostype: "l26",
  scsihw: "virtio-scsi-single",
  scsi0: "tank:vm-110-disk-0,discard=on,iothread=1,size=32G,replicate=1",
  efidisk0: "tank:vm-110-disk-1,efitype=4m,pre-enrolled-keys=1,size=1M",
  ide2: "tank:vm-110-cloudinit,media=cdrom",
  sata1: "local:iso/x.iso,media=cdrom",
  net0: "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=20",
  ipconfig0: "ip=192.168.20.10/24,gw=192.168.20.1",
  serial0: "socket",
};
const copy = copyArguments(conf, {
  name: "erp-drill",
  tags: ["coldspare", "drill"],
  description: "Drill of erp. Managed by coldspare.\nIts second line.",
  paths: {
    "tank:vm-110-disk-0": "/dev/zvol/tank/vm-110-disk-0",
    "tank:vm-110-disk-1": "/var/lib/vz/images/110/vm-110-disk-1.qcow2",
  },
  bridges: { 0: "csd9001" },
});

const OPERATE: string[][] = [
  ["true"],
  [NODE, "serve", "claim", "failover-srv1-20261123T040000Z-ab12+me%20@lap", "erp=3@srv1", "app=4@-"],
  [NODE, "serve", "release", "x+y", "srv1", "erp=3"],
  [NODE, "take-config", "110", "srv2"],
  [NODE, "allow", "erp", "--because", "failover of srv2 by Jörg: it's fenced by $(redfish)", "--expect", "3", "x+y"],
  [NODE, "journal", "append", "failover-srv1-20261123T040000Z-ab12"],
  ["qm", "unlock", "110"],
  ["pct", "status", "110"],
  ["qm", "shutdown", "110", "--timeout", "300"],
  ["qm", "agent", "110", "ping"],
  ["pvecm", "expected", "1"],
  ["shutdown", "-h", "now"],
  ["ping", "-c", "1", "-W", "2", "fd00::10"],
  ["timeout", "3", "bash", "-c", text("operations/answers.ts", "connect"), "bash", "192.168.20.10", "443"],
  ["rm", "-f", "/var/lib/coldspare/diverged/erp"],
  ["cat", "/etc/pve/nodes/srv2/qemu-server/110.conf"],
  ["pvesm", "path", "tank:vm-110-disk-0"],
  ["pvesm", "path", "nas:backup/vzdump-qemu-110-2026_11_22-03_00_00.vma.zst"],
  ["qm", "create", "9001", ...copy],
  ["zfs", "get", "-H", "-o", "value", "readonly", "tank/vm-110-disk-0", "tank/a b".replace(" ", "-")],
  [ZFS, "replica", "sync", "erp"],
  [ZFS, "replica", "passive", "erp"],
  [ZFS, "replica", "activate", "erp"],
  [ZFS, "replica", "activate", "erp", "--point", "coldspare_2026-11-22T03:00:00Z"],
  [ZFS, "replica", "reverse", "erp"],
  [ZFS, "replica", "reverse", "erp", "--discard"],
  ["env", "COLDSPARE_GUEST=erp", "COLDSPARE_FROM=srv2", "COLDSPARE_TO=srv1", "/opt/tell", "it's über"],
  ["qm", "guest", "exec", "110", "--timeout", "5", "--", "env", "COLDSPARE_GUEST=erp", "systemctl", "restart", "erp"],
  ["pct", "exec", "110", "--", "env", "COLDSPARE_GROUP=g", "systemctl", "restart", "erp"],
  [DRILL, "list"],
  [DRILL, "net-up", "erp", "csd9001=192.168.20.1/24,fd00::1/64", "csd9002="],
  [DRILL, "net-down", "branch-erp"],
  [DRILL, "probe", "erp", "ping", "192.168.20.10"],
  [DRILL, "probe", "erp", "tcp", "fd00::10", "25"],
  [DRILL, "probe", "erp", "https", "192.168.20.10", "443", "/health?a=b;c", "", "it is 'fine'"],
  [DRILL, "probe", "erp", "http", "192.168.20.10", "80", "/", "200", ""],
  [DRILL, "probe", "erp", "command", "/opt/probe", "--deep"],
  ["sh", "-c", text("operations/drill-pause.ts", "note", DRILLS), "sh", "110-0"],
  ["sh", "-c", `ls ${DRILLS} 2>/dev/null; true`],
  ["rm", "-f", `${DRILLS}/paused-110-0`],
  ["sh", "-c", 'for f; do cat "$f" 2>/dev/null; done; true', "sh", "/etc/pve/nodes/srv1/qemu-server/110.conf"],
  ["sh", "-c", text("operations/drill.ts", "write", DRILLS), "sh", "erp.json"],
  ["sh", "-c", text("operations/backups/restore-test.ts", "write", TESTS), "sh", "erp.json"],
  [BACKUP, "run", "nightly"],
  [BACKUP, "verify", "nightly"],
  [ZFS, "run", "nightly-tank.data"],
  [ZFS, "verify", "nightly-tank.data"],
  [BACKUP, "media", "run", "usb"],
  [BACKUP, "media", "verify", "usb"],
  [BACKUP, "media", "eject", "usb"],
  [BACKUP, "media", "record", "usb", "attached", "usb-a", "--by", "Jörg @ laptop"],
  [BACKUP, "media", "init", "usb", "usb-a", "--replace"],
  [BACKUP, "restore", "nightly", "1a2b3c4d", "--to", "/root/back", "--path", "/etc/a file", "--path", "/home/ü"],
  [ZFS, "restore", "nightly-tank", "tank/data@coldspare_2026-11-22T03:00:00Z", "--to", "tank/restored"],
  [
    "sh",
    "-c",
    text("operations/backups/restore-data.ts", "EXTRACT"),
    "sh",
    "nas:backup/vzdump-lxc-111-2026_11_22-03_00_00.tar.zst",
    "/srv/back",
    "./etc/passwd",
  ],
  ["proxmox-backup-manager", "verify", "store1", "--ignore-verified", "false"],
  ...checks().map((check) => [
    "sh",
    "-c",
    check,
    "sh",
    "/mnt/pve/nas/dump/vzdump-qemu-110-2026_11_22-03_00_00.vma.zst",
  ]),
];

/** The texts of `backups verify`. */
function checks(): string[] {
  const source = readFileSync(join(ROOT, "operations/backups/verify-policy.ts"), "utf8");
  return [...source.matchAll(/^ {2}\[\/.*\/, '(.*)'\],$/gm)].map((match) => match[1]!);
}

const shown = (argv: readonly string[]) => argv.slice(0, 4).join(" ").slice(0, 70);

describe("the commands of the product", () => {
  test("what a status asks for is what the gate of monitoring lets pass", async () => {
    const asked = [
      ...(await given((operator) => askSsh(operator, "srv1"))),
      ...(await given((operator) => readTests(operator, 0))),
    ];
    expect(asked.filter(([program]) => program === "sh")).toHaveLength(2);
    for (const argv of asked) expect([shown(argv), gate("monitor", quote(argv))]).toEqual([shown(argv), allowed]);
  });

  test.each(MONITOR.map((argv) => [shown(argv), argv] as const))("%s is for both duties", (_name, argv) => {
    expect(gate("monitor", quote(argv))).toEqual(allowed);
    expect(gate("operate", quote(argv))).toEqual(allowed);
  });

  test.each(OPERATE.map((argv) => [shown(argv), argv] as const))("%s is for operators alone", (_name, argv) => {
    expect(gate("operate", quote(argv))).toEqual(allowed);
    const refused = gate("monitor", quote(argv));
    expect(refused.code).toBe(126);
    expect(refused.stderr).toContain("that is for keys of duty operate");
  });

  test("the line that keeps a connection open passes as it is, and nothing that begins as it", () => {
    const source = readFileSync(join(ROOT, "providers/ssh/master.ts"), "utf8");
    const ready = /const READY = "(.*)";/.exec(source)?.[1] ?? "";
    const stay = /const STAY = [`"](.*)[`"];/.exec(source)?.[1]?.replace(/\$\{READY\}/, ready) ?? "";
    expect(stay).toContain(ready);
    for (const duty of ["monitor", "operate"]) {
      expect(gate(duty, stay)).toEqual(allowed);
      expect(gate(duty, `${stay}; id`).code).toBe(126);
      expect(gate(duty, `${stay}\n`).code).toBe(126);
    }
  });

  // A call that is added to the product must be added here and to the gate, or be named as the installation's.
  test("there is no call over SSH that this table does not know", () => {
    const calls = sources(join(ROOT, "operations")).flatMap((file) => {
      const count = [...readFileSync(file, "utf8").matchAll(/\b(?:ssh\s*\.run|must)\(|operator\.ssh\s*\n\s*\.run\(/g)]
        .length;
      return count > 0 ? [`${file.slice(ROOT.length + 1)} ${count}`] : [];
    });
    expect(calls.sort()).toEqual(CALLS);
  });
});

const allowed = { code: 0, stdout: "", stderr: "" };

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(folder, file));
}

/** Files, and how many calls (or functions that call) each has. */
const CALLS = [
  "operations/answers.ts 1",
  "operations/backups/ask-servers.ts 1",
  "operations/backups/branches.ts 1",
  "operations/backups/media.ts 1",
  "operations/backups/restore-data.ts 1",
  "operations/backups/restore-steps.ts 2",
  "operations/backups/restore-test.ts 2",
  "operations/backups/run-policy.ts 2",
  "operations/backups/test-results.ts 1",
  "operations/backups/verify-policy.ts 3",
  "operations/commands.ts 3",
  "operations/diverged.ts 3",
  "operations/drill-copy.ts 3",
  "operations/drill-pause.ts 3",
  "operations/drill-probe.ts 1",
  "operations/drill-server.ts 2",
  "operations/drill.ts 3",
  "operations/failover-guest.ts 4",
  "operations/failover.ts 1",
  "operations/guest-power.ts 1",
  "operations/journal.ts 2",
  "operations/live-servers.ts 1",
  "operations/open.ts 1",
  "operations/power-down-steps.ts 5",
  "operations/power-up-steps.ts 1",
  "operations/undo-zfs.ts 1",
  "operations/voters.ts 1",
  "operations/zfs-replica.ts 1",
];

describe("everything else", () => {
  const lines: [string, string][] = [
    ["a shell text of one's own", quote(["sh", "-c", "id"])],
    ["a shell text that begins as one of the product", quote(["sh", "-c", `ls ${DRILLS} 2>/dev/null; true; id`])],
    ["a second command", "true; id"],
    ["a second command on a line of its own", "true\nid"],
    ["a line break at the end", "true\n"],
    ["a blank at the end", "true "],
    ["two blanks", "qm  status 110"],
    ["a substitution", "qm status $(id)"],
    ["backquotes", "qm status `id`"],
    ["a pipe", `${NODE} serve ping | sh`],
    ["a redirection", "true >/etc/passwd"],
    ["a quote that does not end", "qm status '110"],
    ["double quotes", 'qm status "110"'],
    ["quotes glued to a word", "qm status 1'1'0"],
    ["an assignment in front", "LD_PRELOAD=/tmp/x.so true"],
    ["a secret of the system", "cat /etc/shadow"],
    ["a way round", "cat /etc/coldspare/../shadow"],
    ["a way round to a list of swaps", "cat /var/lib/coldspare/media/../../../../etc/shadow.swaps"],
    ["a second file", "cat /etc/coldspare/site.json /etc/shadow"],
    ["the same program elsewhere", "/tmp/coldspare-node serve ping"],
    ["a program by its path", "/usr/bin/cat /etc/coldspare/site.json"],
    ["a program like an allowed one", "ｔrue"],
    ["digits of another script", "qm status ١١٠"],
    ["a vote that is asked for as a peer", `${NODE} serve grant srv1 start erp=3`],
    ["what the guard does by itself", `${NODE} hook 110 pre-start`],
    ["an option for a name", quote(["qm", "status", "--help"])],
    ["an option after the words", "qm status 110 --verbose"],
    ["an option for a place", quote([BACKUP, "restore", "--config=/tmp/x", "1a2b", "--to", "/root/back"])],
    ["an emulator's arguments", quote(["qm", "create", "9001", "--args", "-device x"])],
    ["a hook script", quote(["qm", "create", "9001", "--hookscript", "local:snippets/x"])],
    ["an archive with any configuration", quote(["qm", "create", "9001", "--archive", "/tmp/x.vma"])],
    ["a device of the server as a disk", quote(["qm", "create", "9001", "--scsi0", "/dev/sda"])],
    ["the server's own disk", quote(["qm", "create", "9001", "--scsi0", "tank:0,import-from=/dev/sda"])],
    [
      "another file behind a good one",
      quote(["qm", "create", "9001", "--scsi0", "t:0,import-from=/dev/zvol/t/vm-1-disk-0,import-from=/dev/sda"]),
    ],
    ["a value that is an option", quote(["qm", "create", "9001", "--name", "--args"])],
    ["a command that is not in the manifest", quote(["env", "COLDSPARE_GUEST=erp", "id"])],
    ["a command of the manifest and one word", quote(["env", "/opt/tell", "it's über", "x"])],
    ["a command for the operator's machine", quote(["env", "reboot"])],
    ["a variable of one's own", quote(["env", "PATH=/tmp", "/opt/tell", "it's über"])],
    ["env alone", "env"],
    ["a guest's command on the server", quote(["env", "systemctl", "restart", "erp"])],
    ["any command in a guest", quote(["qm", "guest", "exec", "110", "--timeout", "5", "--", "id"])],
    ["any program as a probe", quote([DRILL, "probe", "erp", "command", "sh", "-c", "id"])],
    ["a restore over the system", quote([BACKUP, "restore", "nightly", "1a2b", "--to", "/etc"])],
    ["a restore beside a key", quote([BACKUP, "restore", "nightly", "1a2b", "--to", "/root/.ssh"])],
    ["a restore through a link", quote([BACKUP, "restore", "nightly", "1a2b", "--to", "/srv/link/x"])],
    ["a restore to the root", quote([BACKUP, "restore", "nightly", "1a2b", "--to", "/"])],
    ["a file for the tests of archives", quote(["sh", "-c", checks()[0] ?? "", "sh", "/etc/shadow"])],
    ["removal of another file", "rm -f /var/lib/coldspare/diverged/../records/erp"],
    ["a journal elsewhere", `${NODE} journal append ../x`],
    ["a shut-down of another kind", "shutdown -r now"],
    [
      "a device for a port",
      quote(["timeout", "3", "bash", "-c", text("operations/answers.ts", "connect"), "bash", "x", "1"]),
    ],
    ["sftp", "/usr/lib/openssh/sftp-server"],
    ["scp", "scp -t /etc"],
    ["the installation", quote(["perl", "-e", "1"])],
  ];

  test.each(lines)("%s is refused for both duties", (_name, line) => {
    for (const duty of ["monitor", "operate"]) {
      const { code, stderr, stdout } = gate(duty, line);
      expect([code, stdout]).toEqual([126, ""]);
      expect(stderr).toMatch(/^coldspare-ssh: .* is not what a key of duty (monitor|operate) may run here: /);
    }
  });

  test("a refusal names the program and never its arguments", () => {
    expect(gate("monitor", "mysql -psecret").stderr).toContain("'mysql' is not");
    expect(gate("monitor", "mysql -psecret").stderr).not.toContain("secret");
    expect(gate("monitor", `${NODE} hook secret`).stderr).toContain(`'${NODE} hook ...'`);
  });

  test("no command at all, and a duty that there is not", () => {
    expect(gate("monitor", "")).toMatchObject({ code: 126, stderr: expect.stringContaining("opens no shell") });
    for (const duty of ["install", "", "root"]) expect(gate(duty, "true").code).toBe(126);
    expect(gate("monitor", "true", ["operate"]).code).toBe(126);
  });
});

test("what passes runs without a shell, with its standard input", () => {
  const bin = join(root, "bin");
  mkdirSync(bin);
  const body = '#!/bin/sh\nprintf "<%s>" "$@"; cat; echo "[$SSH_ORIGINAL_COMMAND]"; exit 7\n';
  writeFileSync(join(bin, "env"), body, { mode: 0o755 });
  const line = quote(["env", "/opt/tell", "it's über"]);
  const { PATH } = process.env;
  const { status, stdout } = spawnSync("perl", [GATE, "operate"], {
    env: { PATH: `${bin}:${PATH}`, COLDSPARE_ROOT: root, SSH_ORIGINAL_COMMAND: line },
    input: "what was sent\n",
    encoding: "utf8",
  });
  expect([status, stdout]).toEqual([7, "</opt/tell><it's über>what was sent\n[]\n"]);
});
