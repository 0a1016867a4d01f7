import * as fs from "node:fs";
import * as path from "node:path";
import { canRunHosts } from "../../lab/hosts";
import type { LabHosts } from "../../lab/hosts/types";
import { TrialLab, twoNodes } from "../lab/trial-lab";
import { on } from "./hosts-support";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
const here = check.ok ? describe : describe.skip;
jest.setTimeout(120_000);

const DISK = "tank/vm-100-disk-0";
const CHECKOUT = path.resolve(__dirname, "../..");

here("zfs on real hosts", () => {
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
  });
  afterAll(() => lab?.remove());

  const order = (text: string) =>
    lab.until(
      () =>
        lab
          .control("POST", "/guests/100/request", { method: "POST", path: "/write", body: text })
          .catch(() => undefined),
      (answer) => answer !== undefined,
    );
  const lines = async (server: string, file: string) => (await on(hosts, server, `cat ${file}`)).split("\n").slice(1);

  it("shows the volumes that guests use, and a snapshot holds what the guest had written", async () => {
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
    await order("order 1");
    expect(await on(hosts, "srv1", `zfs list -H -o name,type -r tank`)).toBe(`tank\tfilesystem\n${DISK}\tvolume`);
    await on(hosts, "srv1", `zfs snapshot ${DISK}@one`);
    await order("order 2");
    expect(await lines("srv1", `/dev/zvol/${DISK}`)).toEqual(["order 1", "order 2"]);
    expect(await lab.control("GET", "/guests/100/data")).toMatchObject({ text: expect.stringMatching(/order 2\n$/) });
    await on(hosts, "srv1", `zfs clone ${DISK}@one tank/vm-900-disk-0`);
    expect(await lines("srv1", "/dev/zvol/tank/vm-900-disk-0")).toEqual(["order 1"]);
    const content = await lab.ask("srv1", "GET", "/nodes/srv1/storage/tank/content");
    expect(content.map(({ volid }: { volid: string }) => volid).sort()).toEqual([
      "tank:vm-100-disk-0",
      "tank:vm-900-disk-0",
    ]);
    await on(hosts, "srv1", "zfs destroy tank/vm-900-disk-0");
    expect(await lab.ask("srv1", "GET", "/nodes/srv1/storage/tank/content")).toHaveLength(1);
  });

  it("knows the snapshots that Proxmox VE makes, and a rollback is one of the guest's", async () => {
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/snapshot", { snapname: "by-pve" })).exit).toBe("OK");
    expect(await on(hosts, "srv1", `zfs list -H -t snapshot -o name ${DISK}`)).toBe(`${DISK}@one\n${DISK}@by-pve`);
    await order("order 3");
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/stop");
    await on(hosts, "srv1", `zfs rollback ${DISK}@by-pve`);
    expect(await lines("srv1", `/dev/zvol/${DISK}`)).toEqual(["order 1", "order 2"]);
  });

  it("carries a guest to the other server with coldspare-zfs over a real sshd, and it starts there", async () => {
    for (const server of ["srv1", "srv2"]) await install(hosts, server);
    for (const [server, other] of [
      ["srv1", "srv2"],
      ["srv2", "srv1"],
    ] as const)
      await introduce(hosts, server, other);
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
    await order("order 4");
    expect(await on(hosts, "srv1", "coldspare-zfs replica sync sql-erp")).toMatch(
      /^done guest=sql-erp point=\S+ bytes=\d+ volumes=1$/m,
    );
    await order("order 5");
    await on(hosts, "srv1", "coldspare-zfs replica sync sql-erp");
    await order("order 6");
    expect(await lines("srv2", `/dev/zvol/${DISK}`)).toEqual(["order 1", "order 2", "order 4", "order 5"]);
    expect(await on(hosts, "srv2", `zfs list -H -t snapshot -o name ${DISK} | grep -c coldspare-replica`)).toBe("2");
    // Its server is gone: the spare starts the guest on what came through.
    await lab.control("POST", "/nodes/srv1/kill");
    await on(hosts, "srv2", "coldspare-zfs replica activate sql-erp");
    expect(await lab.ask("srv2", "GET", "/nodes/srv2/storage/tank/content")).toEqual([
      expect.objectContaining({ volid: "tank:vm-100-disk-0", vmid: 100 }),
    ]);
    await on(
      hosts,
      "srv2",
      "mv /etc/pve/nodes/srv1/qemu-server/100.conf /etc/pve/nodes/srv2/qemu-server/ && qm start 100",
    );
    await order("order 7");
    expect(await lines("srv2", `/dev/zvol/${DISK}`)).toEqual(["order 1", "order 2", "order 4", "order 5", "order 7"]);
  });

  it("brings it home: what the old side alone had is kept beside", async () => {
    await lab.control("POST", "/nodes/srv1/revive");
    const done = await on(hosts, "srv2", "coldspare-zfs replica reverse sql-erp");
    const kept = decodeURIComponent(/ kept=(\S+) /.exec(done)![1]!);
    expect(await lines("srv1", `/dev/zvol/${DISK}`)).toEqual(["order 1", "order 2", "order 4", "order 5", "order 7"]);
    expect((await lines("srv1", `/dev/zvol/${kept}`)).at(-1)).toBe("order 6");
    // It is no disk to Proxmox VE.
    expect(await lab.ask("srv1", "GET", "/nodes/srv1/storage/tank/content")).toHaveLength(1);
  });

  it("is on a backup server, too: a pool made there survives a power cut", async () => {
    await on(
      hosts,
      "backup-1",
      "truncate -s 1G /var/lib/lab-zfs/disk && zpool create backup /var/lib/lab-zfs/disk && zfs create backup/copies",
    );
    await on(hosts, "backup-1", "echo data > /backup/copies/file && zfs snapshot backup/copies@x");
    await lab.control("POST", "/witnesses/backup-1/kill").catch(() => hosts.cut("backup-1"));
    if (!hosts.isUp("backup-1")) await hosts.boot("backup-1");
    expect(await on(hosts, "backup-1", "zfs list -H -o name -t all")).toBe("backup\nbackup/copies\nbackup/copies@x");
  });
});

/** The program and its modules, as an update of the site puts them. */
async function install(hosts: LabHosts, server: string): Promise<void> {
  const put = (from: string, to: string) =>
    hosts.exec(server, ["sh", "-c", `mkdir -p "$(dirname ${to})" && cat > ${to} && chmod 755 ${to}`], {
      input: fs.readFileSync(path.join(CHECKOUT, from), "utf8"),
    });
  await put("backup/coldspare-zfs", "/usr/local/sbin/coldspare-zfs");
  await put("guard/lib/Coldspare/System.pm", "/usr/local/lib/coldspare/Coldspare/System.pm");
  for (const file of fs.readdirSync(path.join(CHECKOUT, "backup/lib/Coldspare/Zfs")))
    await put(`backup/lib/Coldspare/Zfs/${file}`, `/usr/local/lib/coldspare/Coldspare/Zfs/${file}`);
  const peer = server === "srv1" ? "srv2" : "srv1";
  const address = await on(hosts, server, `getent hosts ${peer} | cut -d' ' -f1`);
  const text = [
    "format 1",
    `self ${server}`,
    `peer ${peer} address=${address}`,
    `allow ${peer} below=${DISK} do=list,snapshot,send,receive,hold,destroy,rename,rollback,read`,
    `replica sql-erp sides=srv1,srv2 volumes=${DISK} keep=5`,
    "",
  ].join("\n");
  await hosts.exec(server, ["sh", "-c", "mkdir -p /etc/coldspare && cat > /etc/coldspare/zfs.conf"], { input: text });
  await on(hosts, server, "ssh-keygen -q -t ed25519 -N '' -f /etc/coldspare/zfs_ed25519");
}

/** Keys of both: the other's key may run the forced command here and nothing else. */
async function introduce(hosts: LabHosts, server: string, other: string): Promise<void> {
  const key = await on(hosts, other, "cat /etc/coldspare/zfs_ed25519.pub");
  await on(
    hosts,
    server,
    `echo 'command="/usr/local/sbin/coldspare-zfs serve ${other}",restrict ${key}' >> /root/.ssh/authorized_keys`,
  );
  const address = await on(hosts, server, `getent hosts ${other} | cut -d' ' -f1`);
  await on(hosts, server, `echo '${address} ${await hosts.hostKey(other)}' >> /etc/coldspare/known_hosts`);
}
