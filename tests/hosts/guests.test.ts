import * as fs from "node:fs";
import * as path from "node:path";
import { canRunHosts } from "../../lab/hosts";
import type { LabHosts } from "../../lab/hosts/types";
import { TrialLab, twoNodes } from "../lab/trial-lab";
import { guestProcesses } from "./guests-support";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
jest.setTimeout(60_000);
const here = check.ok ? describe : describe.skip;

here("guests on real hosts", () => {
  let lab: TrialLab;
  let hosts: LabHosts;

  beforeAll(async () => {
    lab = await TrialLab.start(twoNodes, 20, undefined, { hosts: true });
    hosts = lab.lab.hosts!;
    await lab.createVm("srv1", 100, {
      name: "sql-erp",
      net0: "virtio,bridge=vmbr0,tag=20",
      ipconfig0: "ip=192.168.20.21/24",
    });
    await lab.control("POST", "/guests/100/boot-time", { seconds: 0.2 });
  }, 60_000);
  afterAll(() => lab?.remove(), 30_000);

  const running = () => guestProcesses(hosts, ["srv1", "srv2"]);
  const shell = async (node: string, text: string) => {
    const result = await hosts.exec(node, ["sh", "-c", text]);
    return { ...result, text: `${result.stdout}${result.stderr}`.trim() };
  };
  const answers = (vmid: number, path = "/", more = {}) =>
    lab.until(
      () => lab.control("POST", `/guests/${vmid}/request`, { method: "GET", path, ...more }).catch(() => undefined),
      (answer) => answer !== undefined,
    );

  it("start as a process that answers in its own network, and end with a stop", async () => {
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start")).exit).toBe("OK");
    expect(running()).toContain("coldspare-lab-guest 100 sql-erp srv1");
    const { status, body } = await answers(100);
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ name: "sql-erp", vmid: 100, node: "srv1" });
    await lab.control("POST", "/guests/100/request", { method: "POST", path: "/write", body: "order 1" });
    expect((await answers(100, "/data")).body).toMatch(/order 1\n$/);
    expect((await lab.control("GET", "/guests/100/data")).text).toMatch(/order 1\n$/);
    const pid = await shell(
      "srv1",
      "cat /run/qemu-server/100.pid; cat /proc/$(cat /run/qemu-server/100.pid)/cmdline | tr '\\0' ' '",
    );
    expect(pid.text).toMatch(/^\d+\ncoldspare-lab-guest 100 sql-erp srv1/);
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/stop")).exit).toBe("OK");
    expect(running()).toEqual([]);
  });

  it("take qm, pct, pvesh, pvesr, pvecm, pvesm and zfs on the host, as root", async () => {
    expect((await shell("srv1", "qm list")).stdout).toMatch(
      /^ +VMID NAME +STATUS +MEM\(MB\) +BOOTDISK\(GB\) PID +\n +100 sql-erp +stopped +512 +2\.00 0 +\n$/,
    );
    expect((await shell("srv1", "qm status 100")).text).toBe("status: stopped");
    const missing = await shell("srv1", "qm status 999");
    expect([missing.code, missing.stderr]).toEqual([
      2,
      "Configuration file 'nodes/srv1/qemu-server/999.conf' does not exist\n",
    ]);
    expect((await shell("srv1", "qm config 100")).stdout).toMatch(/^memory: 512$/m);
    expect((await shell("srv1", "qm set 100 --description 'a b' --onboot 0")).code).toBe(0);
    expect((await shell("srv1", "grep -e ^# -e ^onboot /etc/pve/qemu-server/100.conf")).stdout).toBe(
      "#a b\nonboot: 0\n",
    );
    const json = await shell("srv1", "pvesh get /cluster/resources --type vm --output-format json");
    expect(JSON.parse(json.stdout)).toEqual([expect.objectContaining({ vmid: 100, node: "srv1" })]);
    expect((await shell("srv2", "pvecm status")).stdout).toMatch(/^Quorate: +Yes$/m);
    expect((await shell("srv1", "pvesm path tank:vm-100-disk-0")).text).toBe("/dev/zvol/tank/vm-100-disk-0");
    expect((await shell("srv1", "pvesm status --storage tank")).stdout).toMatch(/^tank +zfspool +active +104857600 /m);
    expect((await shell("srv1", "pvesr create-local-job 100-0 srv2 --schedule '*/5'")).code).toBe(0);
    expect((await shell("srv1", "pvesr run --id 100-0 --verbose")).stdout).toMatch(/100-0: end replication job$/m);
    expect((await shell("srv1", "pvesr status")).stdout).toMatch(
      /^100-0 +Yes +local\/srv2 +\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d .* 0 (OK|SYNCING)$/m,
    );
    expect((await shell("srv2", "zfs list -H -t snapshot -o name")).stdout).toMatch(
      /^tank\/vm-100-disk-0@__replicate_100-0_\d+__$/m,
    );
    expect((await shell("srv1", "pct list; pct status 100")).code).not.toBe(0);
  });

  it("make a full copy from the file of a volume, which only root may", async () => {
    const made = await shell(
      "srv2",
      "qm create 900 --name copy --memory 128 --scsi0 tank:0,import-from=/dev/zvol/tank/vm-100-disk-0 && qm config 900",
    );
    expect(made.stdout).toMatch(/^scsi0: tank:vm-900-disk-0,size=2G$/m);
    expect((await lab.control("GET", "/guests/900/data")).text).toMatch(/order 1\n$/);
    const denied = await lab.call("srv2", "POST", "/nodes/srv2/qemu", {
      vmid: 901,
      scsi0: "tank:0,import-from=/dev/zvol/tank/vm-100-disk-0",
    });
    expect(denied.body.errors.scsi0).toBe("Only root can pass arbitrary filesystem paths.");
    expect((await shell("srv2", "qm destroy 900 --purge")).code).toBe(0);
  });

  it("are noticed when somebody kills them, and leave no pid file", async () => {
    expect((await shell("srv1", "qm start 100")).code).toBe(0);
    await shell("srv1", "kill -9 $(cat /run/qemu-server/100.pid)");
    await lab.until(
      () => shell("srv1", "qm status 100"),
      ({ text }) => text === "status: stopped",
    );
    expect((await shell("srv1", "ls /run/qemu-server")).text).toBe("");
  });

  it("start only when the hook script on their host agrees, which says so in the task", async () => {
    await shell(
      "srv1",
      "printf '#!/bin/sh\\necho \"$1 $2 from=$PVE_MIGRATED_FROM $(grep ^lock /etc/pve/qemu-server/$1.conf)\" >> /root/hook.log\\n[ ! -e /root/refuse ] || [ $2 != pre-start ] || { echo no; exit 1; }\\n' > /var/lib/vz/snippets/guard; chmod 755 /var/lib/vz/snippets/guard",
    );
    const volid = "local:snippets/guard";
    const token = await lab.call("srv1", "PUT", "/nodes/srv1/qemu/100/config", { hookscript: volid });
    expect(token.reason).toBe("only root can set 'hookscript' config");
    expect((await shell("srv1", "qm set 100 --hookscript local:snippets/other")).text).toContain(
      "script 'local:snippets/other' does not exist",
    );
    expect((await shell("srv1", `qm set 100 --hookscript ${volid}`)).code).toBe(0);
    expect((await lab.ask("srv1", "GET", "/nodes/srv1/qemu/100/config")).hookscript).toBe(volid);
    await shell("srv1", "touch /root/refuse");
    const { exit, log } = await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
    expect(exit).toBe(
      "hookscript error for 100 on pre-start: command '/var/lib/vz/snippets/guard 100 pre-start' failed: exit code 1",
    );
    expect(log).toContain("no");
    expect(running()).toEqual([]);
    await shell("srv1", "rm /root/refuse /root/hook.log");
    await lab.task("srv1", "POST", "/nodes/srv1/vzdump", { vmid: 100, storage: "local" });
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/shutdown");
    expect((await shell("srv1", "cat /root/hook.log")).text.split("\n").map((line) => line.trim())).toEqual([
      "100 pre-start from= lock: backup",
      "100 post-start from= lock: backup",
      "100 post-stop from= lock: backup",
      ...["pre-start", "post-start", "pre-stop", "post-stop"].map((phase) => `100 ${phase} from=`),
    ]);
  });

  it("move with PVE's own migration while they run, and the target's hook learns from where", async () => {
    await shell(
      "srv2",
      "cat > /var/lib/vz/snippets/guard <<'END'\n#!/bin/sh\necho \"$1 $2 from=$PVE_MIGRATED_FROM\" >> /root/hook.log\nEND\nchmod 755 /var/lib/vz/snippets/guard",
    );
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
    await answers(100);
    const { exit } = await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/migrate", {
      target: "srv2",
      online: 1,
      "with-local-disks": 1,
    });
    expect(exit).toBe("OK");
    expect(running()).toEqual(["coldspare-lab-guest 100 sql-erp srv2"]);
    expect((await shell("srv2", "head -1 /root/hook.log")).text).toBe("100 pre-start from=srv1");
    expect((await answers(100, "/data")).body).toMatch(/order 1\n$/);
    expect((await shell("srv1", "ls /etc/pve/nodes/*/qemu-server/")).text).toContain("srv2/qemu-server/:\n100.conf");
  });

  it("die with their host; the other one takes the configuration with mv and starts them", async () => {
    await lab.control("POST", "/nodes/srv2/kill");
    expect(running()).toEqual([]);
    const moved = await shell(
      "srv1",
      "mv /etc/pve/nodes/srv2/qemu-server/100.conf /etc/pve/nodes/srv1/qemu-server/ && qm start 100 && qm status 100",
    );
    expect(moved.text).toMatch(/status: running$/);
    expect(JSON.parse((await answers(100)).body).node).toBe("srv1");
    await lab.control("POST", "/nodes/srv2/revive");
    expect(hosts.isUp("srv2")).toBe(true);
    expect((await shell("srv2", "ls /etc/pve/nodes/srv1/qemu-server/")).text).toBe("100.conf");
    expect(running()).toEqual(["coldspare-lab-guest 100 sql-erp srv1"]);
  }, 30_000);

  it("run twice when a network splits and nobody fences: what fencing is for", async () => {
    await lab.control("POST", "/partition", { a: ["srv1"], b: ["srv2", "backup-1"] });
    const frozen = await shell("srv1", "mv /etc/pve/nodes/srv1/qemu-server/100.conf /etc/pve/nodes/srv2/qemu-server/");
    expect([frozen.code, frozen.text]).toEqual([1, expect.stringContaining("Read-only file system")]);
    expect((await shell("srv1", "pvecm status")).stdout).toMatch(/^Quorate: +No$/m);
    await shell("srv2", "mv /etc/pve/nodes/srv1/qemu-server/100.conf /etc/pve/nodes/srv2/qemu-server/");
    expect((await shell("srv2", "qm start 100")).code).toBe(0);
    expect(running().sort()).toEqual(["coldspare-lab-guest 100 sql-erp srv1", "coldspare-lab-guest 100 sql-erp srv2"]);
    expect(JSON.parse((await answers(100, "/", { node: "srv1" })).body).node).toBe("srv1");
    expect(JSON.parse((await answers(100, "/", { node: "srv2" })).body).node).toBe("srv2");
    expect((await shell("srv1", "ls /etc/pve/qemu-server")).text).toBe("100.conf");
    await lab.control("POST", "/heal");
    expect(
      (await shell("srv1", "ls /etc/pve/qemu-server; touch /etc/pve/nodes/srv1/x && rm /etc/pve/nodes/srv1/x")).text,
    ).toBe("");
    expect((await lab.control("GET", "/")).strays).toEqual([expect.objectContaining({ vmid: 100, node: "srv1" })]);
    await lab.control("POST", "/nodes/srv1/kill");
    expect(running()).toEqual(["coldspare-lab-guest 100 sql-erp srv2"]);
    await lab.control("POST", "/nodes/srv1/revive");
  }, 30_000);

  it("are containers too, which their host knows by the socket of their monitor", async () => {
    const template = "debian-13-standard_13.1-1_amd64.tar.zst";
    const url = `https://images.example/${template}`;
    await lab.task("srv1", "POST", "/nodes/srv1/storage/local/download-url", {
      url,
      content: "vztmpl",
      filename: template,
    });
    const made = await lab.task("srv1", "POST", "/nodes/srv1/lxc", {
      vmid: 300,
      hostname: "docker",
      ostemplate: `local:vztmpl/${template}`,
      rootfs: "tank:4",
      net0: "name=eth0,bridge=vmbr0,tag=20,ip=192.168.20.30/24",
    });
    expect(made.exit).toBe("OK");
    expect((await shell("srv1", "pct start 300 && pct status 300 && pct list")).text).toMatch(
      /^status: running\nVMID.*\n300 +running +docker/s,
    );
    expect((await shell("srv1", "grep -c '@/var/lib/lxc/300/command$' /proc/net/unix")).text).toBe("1");
    expect(JSON.parse((await answers(300)).body)).toMatchObject({ name: "docker", node: "srv1" });
    await shell("srv1", "kill -9 $(lxc-info -n 300 -p -H)");
    await lab.until(
      () => shell("srv1", "pct status 300"),
      ({ text }) => text === "status: stopped",
    );
  });

  it("join a bridge that somebody made on the host: a drill's copy answers there, beside the guest with its address", async () => {
    const program = fs.readFileSync(path.resolve(__dirname, "../../guard/coldspare-drill"), "utf8");
    const put = "cat > /usr/local/sbin/coldspare-drill; chmod 755 /usr/local/sbin/coldspare-drill";
    await hosts.exec("srv2", ["sh", "-c", put], { input: program });
    expect((await shell("srv2", "coldspare-drill net-up trial csd1=192.168.20.1/24")).text).toBe("up csdrill-trial");
    const card = "--net0 virtio=BC:24:11:00:00:01,bridge=csd1 --ipconfig0 ip=192.168.20.21/24";
    expect(
      (await shell("srv2", `qm create 901 --name sql-erp-drill --scsi0 tank:1 ${card} && qm start 901`)).code,
    ).toBe(0);
    const probe = () => shell("srv2", "coldspare-drill probe trial http 192.168.20.21 80 / 200 sql-erp-drill");
    expect((await lab.until(probe, ({ code }) => code === 0)).text).toBe("ok");
    expect(JSON.parse((await answers(100)).body).name).toBe("sql-erp");
    await shell("srv2", "qm stop 901 && qm destroy 901 && coldspare-drill net-down trial");
  });

  it("come back with the lab, through their hook, when they have onboot", async () => {
    await shell("srv2", "qm set 100 --onboot 1; rm -f /root/hook.log");
    lab = await lab.restart();
    hosts = lab.lab.hosts!;
    await lab.until(
      async () => running(),
      (found) => found.length === 1,
    );
    expect((await shell("srv2", "cat /root/hook.log")).text).toMatch(/^100 pre-start from=/);
  }, 60_000);
});
