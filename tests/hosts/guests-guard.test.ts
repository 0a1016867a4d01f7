import { execFileSync } from "node:child_process";
import * as path from "node:path";
import { canRunHosts } from "../../lab/hosts";
import type { LabHosts } from "../../lab/hosts/types";
import { TrialLab, twoNodes } from "../lab/trial-lab";
import { guestProcesses } from "./guests-support";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
jest.setTimeout(60_000);
const here = check.ok ? describe : describe.skip;

const GUARD = path.resolve(__dirname, "../../guard");
const NAMES = ["srv1", "srv2", "backup-1"];

here("the whole site loses its power, with the real guard as hook script", () => {
  let lab: TrialLab;
  let hosts: LabHosts;

  const shell = async (node: string, text: string, input = "") => {
    const { code, stdout, stderr } = await hosts.exec(node, ["sh", "-c", text], { input });
    if (code !== 0) throw new Error(`${node}: ${text}: ${code} ${stdout}${stderr}`);
    return stdout.trim();
  };

  /** Programs, keys and configuration, as an installation leaves them. */
  const install = async () => {
    const addresses = Object.fromEntries(
      await Promise.all(NAMES.map(async (name, index) => [name, `10.99.0.${index + 1}`])),
    );
    const archive = execFileSync("tar", ["-C", GUARD, "-cf", "-", "."]).toString("base64");
    const keys = new Map<string, string>();
    for (const name of NAMES) {
      await shell(name, "base64 -d | tar -C /usr/local/sbin -xf - && chmod 755 /usr/local/sbin/coldspare-*", archive);
      if (name !== "backup-1")
        await shell(
          name,
          "cp /usr/local/sbin/coldspare-guard /var/lib/vz/snippets/ && chmod 755 /var/lib/vz/snippets/*",
        );
      await shell(name, "mkdir -p /etc/coldspare && ssh-keygen -q -t ed25519 -N '' -f /etc/coldspare/id_ed25519");
      keys.set(name, await shell(name, "cat /etc/coldspare/id_ed25519.pub"));
    }
    for (const name of NAMES) {
      const peers = NAMES.filter((peer) => peer !== name);
      const known = await Promise.all(peers.map(async (peer) => `${addresses[peer]} ${await hosts.hostKey(peer)}\n`));
      await shell(name, "cat > /etc/coldspare/known_hosts", known.join(""));
      const allowed = peers.map(
        (peer) => `command="/usr/local/sbin/coldspare-node serve",restrict ${keys.get(peer)}\n`,
      );
      await shell(name, "cat >> /root/.ssh/authorized_keys", allowed.join(""));
      await shell(
        name,
        "cat > /etc/coldspare/node.conf",
        [
          "format 1",
          "site trial",
          `self ${name}`,
          `hypervisor ${name === "backup-1" ? 0 : 1}`,
          ...["fencing confirm", "term 60", "renew 10", "margin 75", "watchdog 60"],
          ...peers.map((peer) => `peer ${peer} ${addresses[peer]} 22`),
          "guest sql-erp qemu primary=srv2 spare=srv1 voters=srv2,srv1,backup-1 ids=100@srv2,100@srv1 order=30 delay=0 onboot=1",
          "",
        ].join("\n"),
      );
    }
  };

  const running = () => guestProcesses(hosts, NAMES);

  beforeAll(async () => {
    lab = await TrialLab.start(twoNodes, 20, undefined, { hosts: true });
    hosts = lab.lab.hosts!;
    await install();
    await lab.createVm("srv2", 100, { name: "sql-erp", onboot: 1 });
    await shell("srv2", "pvesr create-local-job 100-0 srv1 && pvesr run --id 100-0");
    await shell("srv2", "qm set 100 --hookscript local:snippets/coldspare-guard && qm start 100");
  }, 60_000);
  afterAll(() => lab?.remove(), 30_000);

  it("the server that returns first with old files is refused, the other one starts its guest", async () => {
    expect(running()).toEqual(["coldspare-lab-guest 100 sql-erp srv2"]);
    await lab.control("POST", "/nodes/srv2/kill");
    await shell("srv1", "coldspare-node allow sql-erp --because 'srv2 has no power'");
    await shell("srv1", "mv /etc/pve/nodes/srv2/qemu-server/100.conf /etc/pve/nodes/srv1/qemu-server/ && qm start 100");
    expect(running()).toEqual(["coldspare-lab-guest 100 sql-erp srv1"]);
    await lab.control("POST", "/nodes/srv1/kill");
    await lab.control("POST", "/nodes/srv2/revive");
    // With the witness it has a quorum, and a configuration that says that the guest is its own.
    expect(await shell("srv2", "ls /etc/pve/qemu-server; pvecm status | grep ^Quorate")).toMatch(
      /^100\.conf\nQuorate: +Yes$/,
    );
    const started = () => lab.ask("srv2", "GET", "/nodes/srv2/tasks", { typefilter: "startall", source: "all" });
    const [task] = await lab.until(started, (tasks) => tasks[0]?.endtime !== undefined);
    const { log } = await lab.finished(task.upid);
    expect(log.join("\n")).toMatch(/unable to start 100 - hookscript error for 100 on pre-start: .*exit code 1/);
    expect(running()).toEqual([]);
    await lab.control("POST", "/nodes/srv1/revive");
    await lab.until(
      async () => running(),
      (found) => found.length > 0,
    );
    expect(running()).toEqual(["coldspare-lab-guest 100 sql-erp srv1"]);
    expect(await shell("srv2", "ls /etc/pve/nodes/srv1/qemu-server /etc/pve/nodes/srv2/qemu-server")).toBe(
      "/etc/pve/nodes/srv1/qemu-server:\n100.conf\n\n/etc/pve/nodes/srv2/qemu-server:",
    );
  }, 60_000);
});
