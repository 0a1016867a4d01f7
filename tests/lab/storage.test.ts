import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { formatSize, parseSize } from "../../lab/volumes";
import { TrialLab, twoNodes } from "./trial-lab";

let lab: TrialLab;
beforeAll(async () => {
  lab = await TrialLab.start();
});
afterAll(() => lab.remove());

describe("storages", () => {
  it("are attached when somebody offers them", async () => {
    const form = { storage: "nas", type: "nfs", server: "192.0.2.9", export: "/none", content: "backup" };
    expect((await lab.call("srv1", "POST", "/storage", form)).reason).toBe(
      "create storage failed: storage 'nas' is not online",
    );
    expect(await lab.ask("srv1", "POST", "/storage", { ...form, server: "192.0.2.5", export: "/dumps" })).toEqual({
      storage: "nas",
      type: "nfs",
    });
    const status = await lab.ask("srv2", "GET", "/nodes/srv2/storage/nas/status");
    expect(status).toMatchObject({ active: 1, shared: 1, total: 50 * 1024 ** 3 });
  });

  it("reserve what a zvol may grow to, and refuse what does not fit", async () => {
    const used = async () => (await lab.ask("srv1", "GET", "/nodes/srv1/storage/tank/status")).used;
    const before = await used();
    await lab.createVm("srv1", 100, { scsi0: "tank:10" });
    expect((await used()) - before).toBe(10 * 1024 ** 3);
    const { exit } = await lab.task("srv1", "POST", "/nodes/srv1/qemu", { vmid: 101, scsi0: "tank:95" });
    expect(exit).toBe("unable to create VM 101 - zfs error: cannot create 'tank/vm-101-disk-0': out of space");
    expect((await lab.call("srv1", "GET", "/nodes/srv1/qemu/101/config")).reason).toMatch(/does not exist$/);
    expect((await used()) - before).toBe(10 * 1024 ** 3);
  });

  it("take only the content they are meant for", async () => {
    const disk = await lab.call("srv1", "POST", "/nodes/srv1/qemu", { vmid: 102, scsi0: "nas:1" });
    expect(disk.body.errors).toEqual({ storage: "storage 'nas' does not support vm images" });
  });

  it("name an unknown storage before any guest is made", async () => {
    expect((await lab.call("srv1", "POST", "/nodes/srv1/qemu", { vmid: 103, scsi0: "none:1" })).reason).toBe(
      "storage 'none' does not exist",
    );
  });
});

describe("files", () => {
  const url = "https://images.example/debian-13.qcow2";
  const fetchImage = (more: Record<string, string> = {}) =>
    lab.task("srv1", "POST", "/nodes/srv1/storage/local/download-url", {
      url,
      content: "import",
      filename: "debian-13.qcow2",
      ...more,
    });

  it("are made from the address when nobody put them on the shelf, and become disks", async () => {
    expect((await fetchImage()).exit).toBe("OK");
    await lab.createVm("srv1", 110, { scsi0: "tank:0,import-from=local:import/debian-13.qcow2" });
    expect((await lab.ask("srv1", "GET", "/nodes/srv1/qemu/110/config")).scsi0).toBe("tank:vm-110-disk-0,size=2G");
    expect((await lab.control("GET", "/guests/110/data")).text).toContain(url);
  });

  it("come from the shelf, checked against their sum", async () => {
    fs.writeFileSync(path.join(lab.folder, "shelf", "debian-13.qcow2"), "real bytes");
    const sum = createHash("sha256").update("real bytes").digest("hex");
    expect((await fetchImage({ checksum: sum, "checksum-algorithm": "sha256" })).exit).toBe("OK");
    const wrong = await fetchImage({ checksum: "0".repeat(64), "checksum-algorithm": "sha256" });
    expect(wrong.exit).toMatch(/^checksum mismatch: got '/);
  });
});

describe("a container", () => {
  it("is made from a template, runs, grows and is destroyed", async () => {
    await lab.task("srv1", "POST", "/nodes/srv1/storage/local/download-url", {
      url: "https://images.example/debian-13-standard_13.1-1_amd64.tar.zst",
      content: "vztmpl",
      filename: "debian-13-standard_13.1-1_amd64.tar.zst",
    });
    const form = {
      vmid: 300,
      hostname: "docker",
      ostemplate: "local:vztmpl/debian-13-standard_13.1-1_amd64.tar.zst",
      rootfs: "tank:4",
      net0: "name=eth0,bridge=vmbr0,ip=192.0.2.30/24",
      memory: 512,
      unprivileged: 1,
    };
    expect((await lab.task("srv1", "POST", "/nodes/srv1/lxc", form)).exit).toBe("OK");
    const config = await lab.ask("srv1", "GET", "/nodes/srv1/lxc/300/config");
    expect(config).toMatchObject({
      hostname: "docker",
      memory: 512,
      ostype: "debian",
      rootfs: "tank:subvol-300-disk-0,size=4G",
    });
    expect((await lab.task("srv1", "POST", "/nodes/srv1/lxc/300/status/start")).exit).toBe("OK");
    await lab.pass(30);
    const cards = await lab.ask("srv1", "GET", "/nodes/srv1/lxc/300/interfaces");
    expect(cards.map((card: { inet: string }) => card.inet)).toContain("192.0.2.30/24");
    expect((await lab.task("srv1", "PUT", "/nodes/srv1/lxc/300/resize", { disk: "rootfs", size: "6G" })).exit).toBe(
      "OK",
    );
    expect((await lab.task("srv1", "POST", "/nodes/srv1/lxc/300/status/stop")).exit).toBe("OK");
    expect((await lab.task("srv1", "DELETE", "/nodes/srv1/lxc/300")).exit).toBe("OK");
  });

  it("needs a storage for container directories", async () => {
    const { localContent: _local, ...plain } = twoNodes;
    const other = await TrialLab.start(plain);
    const answer = await other.call("srv1", "POST", "/nodes/srv1/lxc", {
      vmid: 300,
      ostemplate: "local:vztmpl/none.tar.zst",
      rootfs: "local:1",
    });
    expect(answer.body.errors).toEqual({ storage: "storage 'local' does not support container directories" });
    await other.remove();
  });
});

describe("a bridge", () => {
  it("is there after the reload only", async () => {
    await lab.ask("srv1", "POST", "/nodes/srv1/network", { iface: "vmbr9", type: "bridge", autostart: 1 });
    await lab.createVm("srv1", 120, { net0: "virtio,bridge=vmbr9" });
    const start = () => lab.task("srv1", "POST", "/nodes/srv1/qemu/120/status/start");
    expect((await start()).exit).toBe("bridge 'vmbr9' does not exist");
    expect((await lab.task("srv1", "PUT", "/nodes/srv1/network")).exit).toBe("OK");
    expect((await start()).exit).toBe("OK");
  });
});

describe("sizes", () => {
  it.each([
    [2 * 1024 ** 3, "2G"],
    [528 * 1024, "528K"],
    [1536 * 1024 ** 2, "1536M"],
    [2 * 1024 ** 4, "2T"],
    [1000, "1000"],
  ])("%d bytes are %s", (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
    expect(parseSize(text)).toBe(bytes);
  });
});
