/** Keys that are bound to a duty, on real hosts with real sshd: what the commands of coldspare can do with them, and what nobody can. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canRunHosts } from "../../lab/hosts";
import { planSite } from "../../planning";
import { planSshAccess } from "../../planning/privileges";
import { proofSite } from "../../proofs/failover/site";
import { type CommandRun, type Template, World } from "../../proofs/failover/world";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
const here = check.ok ? describe : describe.skip;

const DUTIES = ["monitor", "operate"] as const;
type Duty = (typeof DUTIES)[number];

here("keys that are bound to a duty", () => {
  let folder: string;
  let template: Template;
  let world: World;
  const keyFile = (duty: Duty) => join(folder, duty);

  /** The lines that `coldspare privileges --ssh` prints, on the servers that it names. */
  const letIn = async () => {
    for (const { duty, servers, line } of planSshAccess(planSite(world.site), DUTIES)) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", keyFile(duty)]);
      const publicKey = readFileSync(`${keyFile(duty)}.pub`, "utf8").split(" ")[1] ?? "";
      const input = `${line.replace("AAAA…", publicKey)}\n`;
      for (const server of servers) {
        const argv = ["sh", "-c", 'cat >>"$(readlink -f /root/.ssh/authorized_keys)"'];
        expect((await world.hosts.exec(server, argv, { input })).code).toBe(0);
      }
    }
  };

  /** Another program than coldspare, with the same key. */
  const ssh = (
    duty: Duty,
    server: string,
    ...words: string[]
  ): Promise<{ code: number; stdout: string; stderr: string }> => {
    const known = ["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"];
    const port = String(world.hosts.sshPort(server));
    const argv = [
      "-F",
      "none",
      "-o",
      "IdentitiesOnly=yes",
      "-o",
      "BatchMode=yes",
      ...known,
      "-i",
      keyFile(duty),
      "-p",
      port,
    ];
    return new Promise((done) => {
      const child = execFile("ssh", [...argv, "root@127.0.0.1", ...words], (error, stdout, stderr) =>
        done({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
      );
      child.stdin?.end();
    });
  };
  const cold = (duty: Duty, ...args: string[]): Promise<CommandRun> =>
    world.cold(args, { COLDSPARE_SSH_KEY: keyFile(duty) });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-gate-"));
    template = await World.template(proofSite("power"), "power");
    world = await World.open(template);
    await letIn();
  }, 400_000);

  afterAll(async () => {
    await world?.end();
    if (template !== undefined) rmSync(template.folder, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it.each(DUTIES)("%s reads no file of the system, and opens no shell, no port and no second program", async (duty) => {
    const shadow = await ssh(duty, "srv1", "cat /etc/shadow");
    expect([shadow.code, shadow.stdout]).toEqual([126, ""]);
    expect(shadow.stderr).toContain(`'cat' is not what a key of duty ${duty} may run here`);
    expect(await ssh(duty, "srv1")).toMatchObject({ code: 126, stderr: expect.stringContaining("opens no shell") });
    const second = await ssh(duty, "backup-1", "cat /etc/coldspare/site.json; cat /etc/shadow");
    expect([second.code, second.stdout]).toEqual([126, ""]);
    const site = await ssh(duty, "backup-1", "cat /etc/coldspare/site.json");
    expect([site.code, JSON.parse(site.stdout).site]).toEqual([0, world.site.site.name]);
  });

  it.each(DUTIES)(
    "%s sees the whole site",
    async (duty) => {
      const own = JSON.parse((await cold(duty, "status", "--json")).stdout);
      const seen = ({ servers }: { servers: object }) => Object.keys(servers).length;
      expect(seen(own)).toBeGreaterThan(2);
      expect((await cold(duty, "status")).text).not.toContain("is not what a key");
    },
    60_000,
  );

  it("monitor switches nothing, and operate does", async () => {
    await world.kill("srv2");
    const refused = await cold("monitor", "failover", "srv2", "--yes");
    expect(refused.code).not.toBe(0);
    expect(world.running("srv1").join()).not.toContain("sql-erp");
    const run = await cold("operate", "failover", "srv2", "--yes");
    if (run.code !== 0) throw new Error(run.text);
    expect(run.text).not.toContain("is not what a key");
    expect(world.running("srv1").join()).toContain("sql-erp");
    const told = await ssh("operate", "srv1", "/usr/local/sbin/coldspare-node journal list");
    expect(told.stdout).toContain('"event":"closed","outcome":"done"');
  }, 200_000);
});
