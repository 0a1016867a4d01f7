import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { canRunHosts, type LabHosts, startHosts } from "../../lab/hosts";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
const here = check.ok ? describe : describe.skip;
const run = promisify(execFile);

const HOSTS = [
  { name: "srv1", address: "192.168.10.11", prefix: 24, hypervisor: true },
  { name: "srv2", address: "192.168.10.12", prefix: 24, hypervisor: true },
  { name: "backup-1", address: "192.168.10.13", prefix: 24, hypervisor: false },
];

here("real hosts", () => {
  let folder: string;
  let hosts: LabHosts;
  const events: string[] = [];

  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "hosts test "));
    hosts = await startHosts({
      folder,
      hosts: HOSTS,
      onDown: (host, why) => events.push(`${host} ${why}`),
      onUp: (host) => events.push(`${host} up`),
    });
    await Promise.all(HOSTS.map((host) => hosts.boot(host.name)));
  });

  afterAll(async () => {
    await hosts?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const ping = async (from: string, to: string) =>
    (await hosts.exec(from, ["ping", "-c", "1", "-W", "1", to])).code === 0;

  /** The way an operator comes in: the loopback port, the generated key, the pinned host key. */
  const ssh = async (host: string, ...command: string[]) => {
    const known = path.join(folder, `known ${host}`);
    fs.writeFileSync(known, `[127.0.0.1]:${hosts.sshPort(host)} ${await hosts.hostKey(host)}\n`);
    const options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=3", `UserKnownHostsFile="${known}"`];
    return run("ssh", [
      ...["-F", "none", "-i", hosts.operatorKeyFile(), "-p", String(hosts.sshPort(host))],
      ...options.flatMap((option) => ["-o", option]),
      "root@127.0.0.1",
      ...command,
    ]);
  };

  test("each has its name, its address, its processes and a clock that began with its boot", async () => {
    const { stdout } = await hosts.exec("srv1", [
      "sh",
      "-c",
      "hostname; cat /proc/uptime; cat /proc/1/comm; ip -4 -o addr show vmbr0",
    ]);
    const [name, uptime, first, address] = stdout.split("\n");
    expect(name).toBe("srv1");
    expect(Number(uptime?.split(" ")[0])).toBeLessThan(60);
    expect(first).toBe("init");
    expect(address).toContain("192.168.10.11/24");
    expect(events).toEqual(expect.arrayContaining(["srv1 up", "srv2 up", "backup-1 up"]));
  });

  test("an operator comes in by ssh with the pinned key", async () => {
    const { stdout } = await ssh("srv2", "hostname");
    expect(stdout).toBe("srv2\n");
  });
});
