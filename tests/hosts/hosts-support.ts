import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { canRunHosts, type HostsOptions, type LabHosts, startHosts } from "../../lab/hosts";

const check = canRunHosts();

/** `describe` where real hosts can run; elsewhere the tests are skipped, aloud. */
export const withHosts: jest.Describe = check.ok ? describe : describe.skip;
// Boots and pings are quick, but not on a machine that others keep busy.
jest.setTimeout(40_000);
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);

export const SITE = [
  { name: "srv1", address: "192.168.10.11", prefix: 24, hypervisor: true },
  { name: "srv2", address: "192.168.10.12", prefix: 24, hypervisor: true },
  { name: "backup-1", address: "192.168.10.13", prefix: 24, hypervisor: false },
];

/** A folder whose name holds what shells and lists trip over. */
export function testFolder(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), "hosts $HOME, it's:"));
}

/** Hosts in a folder of their own, all up; `end` removes both. */
export async function bootedHosts(
  options: Partial<HostsOptions> = {},
): Promise<{ hosts: LabHosts; end: () => Promise<void> }> {
  const folder = options.folder ?? testFolder();
  const site = options.hosts ?? SITE;
  const hosts = await startHosts({ ...options, folder, hosts: site });
  const end = async () => {
    await hosts.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  await Promise.all(site.map((host) => hosts.boot(host.name))).catch(async (error) => {
    await end();
    throw error;
  });
  return { hosts, end };
}

/** What a shell line on a host says. @throws Error when it ends with anything but 0 */
export async function on(hosts: LabHosts, host: string, line: string): Promise<string> {
  const { code, stdout, stderr } = await hosts.exec(host, ["sh", "-c", line]);
  if (code !== 0) throw new Error(`${host}: ${line} ended with ${code}: ${stdout}${stderr}`);
  return stdout.trim();
}

/** The way an operator comes in: the loopback port, the generated key, the pinned host key. */
export async function ssh(hosts: LabHosts, host: string, ...command: string[]): Promise<string> {
  const known = path.join(hosts.hostFolder(host), "known");
  fs.writeFileSync(known, `[127.0.0.1]:${hosts.sshPort(host)} ${await hosts.hostKey(host)}\n`);
  const options = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=3",
    `UserKnownHostsFile="${known.replaceAll("$", "$$")}"`,
  ];
  const argv = ["-n", "-F", "none", "-i", hosts.operatorKeyFile(), "-p", String(hosts.sshPort(host))];
  const { stdout } = await promisify(execFile)(
    "ssh",
    [...argv, ...options.flatMap((option) => ["-o", option]), "root@127.0.0.1", ...command],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  return stdout;
}

export async function until(what: string, check: () => boolean | Promise<boolean>, seconds = 10): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
