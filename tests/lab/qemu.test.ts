import { TrialLab } from "./trial-lab";

let lab: TrialLab;
beforeAll(async () => {
  lab = await TrialLab.start();
});
afterAll(() => lab.remove());

const config = (vmid: number, node = "srv1") => lab.ask(node, "GET", `/nodes/${node}/qemu/${vmid}/config`);

describe("a virtual machine", () => {
  it("is created with what PVE adds by itself", async () => {
    await lab.createVm("srv1", 100, { tags: "b;A" });
    const values = await config(100);
    expect(values).toMatchObject({
      memory: "512",
      cores: 1,
      tags: "a;b",
      scsi0: "tank:vm-100-disk-0,size=2G",
      boot: "order=scsi0;net0",
    });
    expect(values.net0).toMatch(/^virtio=BC:24:11:[0-9A-F:]{8},bridge=vmbr0$/);
    expect(values.meta).toMatch(/^creation-qemu=/);
    expect(values.vmgenid).toBeDefined();
  });

  it("is refused when the id is taken anywhere in the cluster", async () => {
    const answer = await lab.call("srv2", "POST", "/nodes/srv2/qemu", { vmid: 100 });
    expect([answer.status, answer.reason]).toEqual([
      500,
      "unable to create VM 100 - VM 100 already exists on node 'srv1'",
    ]);
  });

  it("refuses a change made for an older configuration", async () => {
    const { digest } = await config(100);
    await lab.ask("srv1", "PUT", "/nodes/srv1/qemu/100/config", { cores: 2, digest });
    const stale = await lab.call("srv1", "PUT", "/nodes/srv1/qemu/100/config", { cores: 3, digest });
    expect(stale.reason).toBe("checksum mismatch (file change by other user?)");
    expect((await lab.call("srv1", "PUT", "/nodes/srv1/qemu/100/config", {})).reason).toBe("no options specified");
  });

  it("grows a disk and refuses to shrink it", async () => {
    expect((await lab.task("srv1", "PUT", "/nodes/srv1/qemu/100/resize", { disk: "scsi0", size: "+1G" })).exit).toBe(
      "OK",
    );
    expect((await config(100)).scsi0).toBe("tank:vm-100-disk-0,size=3G");
    const shrunk = await lab.task("srv1", "PUT", "/nodes/srv1/qemu/100/resize", { disk: "scsi0", size: "1G" });
    expect(shrunk.exit).toBe("shrinking disks is not supported");
  });

  it("keeps a removed disk as unused0, and frees it when that is removed", async () => {
    await lab.ask("srv1", "PUT", "/nodes/srv1/qemu/100/config", { scsi1: "tank:1" });
    await lab.ask("srv1", "PUT", "/nodes/srv1/qemu/100/config", { delete: "scsi1" });
    expect((await config(100)).unused0).toBe("tank:vm-100-disk-1");
    await lab.ask("srv1", "PUT", "/nodes/srv1/qemu/100/config", { delete: "unused0" });
    const volumes = await lab.ask("srv1", "GET", "/nodes/srv1/storage/tank/content", { vmid: "100" });
    expect(volumes.map((volume: { volid: string }) => volume.volid)).toEqual(["tank:vm-100-disk-0"]);
  });

  it("starts once, tells a second start no, and takes memory at its next start", async () => {
    const start = () => lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
    expect((await start()).exit).toBe("OK");
    expect((await start()).exit).toBe("VM 100 already running");
    const status = () => lab.ask("srv1", "GET", "/nodes/srv1/qemu/100/status/current");
    await lab.ask("srv1", "PUT", "/nodes/srv1/qemu/100/config", { memory: 1024 });
    expect((await status()).maxmem).toBe(512 * 1024 ** 2);
    const pending = await lab.ask("srv1", "GET", "/nodes/srv1/qemu/100/pending");
    expect(pending.find((entry: { key: string }) => entry.key === "memory")).toEqual({
      key: "memory",
      value: "512",
      pending: "1024",
    });
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/shutdown", { timeout: 60 })).exit).toBe("OK");
    await start();
    expect((await status()).maxmem).toBe(1024 * 1024 ** 2);
  });

  it("is not destroyed while it runs or is protected", async () => {
    const destroy = () => lab.call("srv1", "DELETE", "/nodes/srv1/qemu/100");
    expect((await destroy()).reason).toBe("VM 100 is running - destroy failed");
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/stop")).exit).toBe("OK");
    await lab.ask("srv1", "PUT", "/nodes/srv1/qemu/100/config", { protection: 1 });
    expect((await destroy()).reason).toBe("can't remove VM 100 - protection mode enabled");
  });

  it("answers its agent only after its boot", async () => {
    await lab.createVm("srv1", 110, { agent: "enabled=1" });
    await lab.control("POST", "/guests/110/boot-time", { seconds: 100_000 });
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/110/status/start");
    const ping = () => lab.call("srv1", "POST", "/nodes/srv1/qemu/110/agent/ping");
    expect((await ping()).reason).toBe("QEMU guest agent is not running");
    await lab.pass(100_000);
    expect((await ping()).status).toBe(200);
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/110/status/stop");
  });

  it("fails to start where its bridge is missing", async () => {
    await lab.createVm("srv1", 120, { net0: "virtio,bridge=vmbr7" });
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/120/status/start")).exit).toBe(
      "bridge 'vmbr7' does not exist",
    );
  });

  it("holds its lock against a start, but not against a stop", async () => {
    await lab.control("POST", "/guests/110/lock", { lock: "backup" });
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/110/status/start")).exit).toBe("VM is locked (backup)");
    expect((await lab.call("srv1", "PUT", "/nodes/srv1/qemu/110/config", { cores: 2 })).reason).toBe(
      "VM is locked (backup)",
    );
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/110/status/stop")).exit).toBe("OK");
    await lab.control("POST", "/guests/110/lock", {});
  });
});

describe("copies of a virtual machine", () => {
  it("clones in full with the same bytes and a new identity", async () => {
    await lab.createVm("srv1", 200);
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/200/status/start");
    await lab.control("POST", "/guests/200/write", { text: "ledger 1" });
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/200/status/stop");
    expect(
      (await lab.task("srv1", "POST", "/nodes/srv1/qemu/200/clone", { newid: 201, full: 1, name: "copy" })).exit,
    ).toBe("OK");
    expect((await lab.control("GET", "/guests/201/data")).text).toContain("ledger 1");
    const [old, copy] = [await config(200), await config(201)];
    expect(copy.name).toBe("copy");
    expect(copy.vmgenid).not.toBe(old.vmgenid);
    expect(copy.net0).not.toBe(old.net0);
  });

  it("links clones to a template, which then cannot be destroyed", async () => {
    await lab.createVm("srv1", 210);
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/210/template")).exit).toBe("OK");
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/210/clone", { newid: 211 })).exit).toBe("OK");
    expect((await config(211)).scsi0).toBe("tank:base-210-disk-0/vm-211-disk-0,size=2G");
    expect((await lab.task("srv1", "DELETE", "/nodes/srv1/qemu/210")).exit).toMatch(/still in use by linked clones/);
  });

  it("migrates a stopped guest with its disks", async () => {
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/200/migrate", { target: "srv2" })).exit).toBe("OK");
    expect((await config(200, "srv2")).scsi0).toBe("tank:vm-200-disk-0,size=2G");
    expect((await lab.control("GET", "/guests/200/data")).text).toContain("ledger 1");
    expect(await lab.ask("srv1", "GET", "/nodes/srv1/storage/tank/content", { vmid: "200" })).toEqual([]);
  });

  it("does not migrate a guest that holds the node's own drive", async () => {
    await lab.createVm("srv1", 220, { ide3: "cdrom,media=cdrom" });
    const { exit, log } = await lab.task("srv1", "POST", "/nodes/srv1/qemu/220/migrate", { target: "srv2" });
    expect(exit).toBe("migration aborted");
    expect(log.join("\n")).toContain("can't migrate local cdrom drive");
  });

  it("rolls back to a snapshot", async () => {
    await lab.createVm("srv1", 230);
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/230/status/start");
    await lab.control("POST", "/guests/230/write", { text: "before" });
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/230/snapshot", { snapname: "s1" })).exit).toBe("OK");
    await lab.control("POST", "/guests/230/write", { text: "after" });
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/230/snapshot/s1/rollback")).exit).toBe("OK");
    const { text } = await lab.control("GET", "/guests/230/data");
    expect(text).toContain("before");
    expect(text).not.toContain("after");
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/230/snapshot/none/rollback")).exit).toBe(
      "snapshot 'none' does not exist",
    );
  });
});
