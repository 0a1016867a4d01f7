import type { Volume } from "../../lab/state";
import { keptArchives } from "../../lab/vzdump";
import { TrialLab } from "./trial-lab";

let lab: TrialLab;
beforeAll(async () => {
  lab = await TrialLab.start();
  await lab.ask("srv1", "POST", "/storage", {
    storage: "vault",
    type: "nfs",
    server: "192.0.2.5",
    export: "/dumps",
    content: "backup",
  });
});
afterAll(() => lab.remove());

const archives = async (vmid: number): Promise<string[]> => {
  const listed = await lab.ask("srv2", "GET", "/nodes/srv2/storage/vault/content", {
    content: "backup",
    vmid: String(vmid),
  });
  return listed.map((volume: { volid: string }) => volume.volid);
};

describe("a backup on a shared storage", () => {
  it("is restored on the other node with the same bytes", async () => {
    await lab.createVm("srv1", 100, { onboot: 1 });
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
    await lab.control("POST", "/guests/100/write", { text: "invoice 4711" });
    const { exit, log } = await lab.task("srv1", "POST", "/nodes/srv1/vzdump", {
      vmid: 100,
      storage: "vault",
      mode: "snapshot",
      compress: "zstd",
      "notes-template": "{{guestname}}",
    });
    expect(exit).toBe("OK");
    expect(log).toContain("INFO: Backup job finished successfully");
    const [volid] = await archives(100);
    await lab.control("POST", "/guests/100/write", { text: "invoice 4712" });
    const form = { vmid: 101, archive: volid!, storage: "tank", name: "standby", onboot: 0 };
    expect((await lab.task("srv2", "POST", "/nodes/srv2/qemu", form)).exit).toBe("OK");
    const { text } = await lab.control("GET", "/guests/101/data");
    expect(text).toContain("invoice 4711");
    expect(text).not.toContain("invoice 4712");
    const config = await lab.ask("srv2", "GET", "/nodes/srv2/qemu/101/config");
    expect(config).toMatchObject({ name: "standby", onboot: 0, scsi0: "tank:vm-101-disk-0,size=2G" });
  });

  it("is restored over a guest only with force, never over one that runs", async () => {
    const [volid] = await archives(100);
    const restore = (more: Record<string, number>) =>
      lab.call("srv2", "POST", "/nodes/srv2/qemu", { vmid: 101, archive: volid!, storage: "tank", ...more });
    expect((await restore({})).reason).toBe("unable to restore VM 101 - VM 101 already exists on node 'srv2'");
    expect((await lab.finished((await restore({ force: 1 })).body.data)).exit).toBe("OK");
    await lab.task("srv2", "POST", "/nodes/srv2/qemu/101/status/start");
    expect((await lab.finished((await restore({ force: 1 })).body.data)).exit).toBe(
      "unable to restore VM 101 - vm is running",
    );
    await lab.task("srv2", "POST", "/nodes/srv2/qemu/101/status/stop");
  });

  it("carries the time at which it began, in its name and as its creation time", async () => {
    const [volume] = await lab.ask("srv2", "GET", "/nodes/srv2/storage/vault/content", { content: "backup" });
    const [, day, time] = /-(\d{4}_\d\d_\d\d)-(\d\d_\d\d_\d\d)\.vma\.zst$/.exec(volume.volid)!;
    expect(volume.ctime).toBe(Date.parse(`${day!.replaceAll("_", "-")}T${time!.replaceAll("_", ":")}Z`) / 1000);
    expect(volume).toMatchObject({ notes: "vm100", subtype: "qemu", vmid: 100 });
  });

  it("costs the guest its disks when a restore over it breaks", async () => {
    const [volid] = await archives(100);
    await lab.control("POST", "/storage/fill", { node: "srv2", storage: "tank" });
    // Freed by the old disk, the place is filled again by what else grows meanwhile.
    await lab.task("srv2", "DELETE", "/nodes/srv2/qemu/101");
    await lab.control("POST", "/storage/fill", { node: "srv2", storage: "tank" });
    const { exit } = await lab.task("srv2", "POST", "/nodes/srv2/qemu", {
      vmid: 102,
      archive: volid!,
      storage: "tank",
    });
    expect(exit).toBe("zfs error: cannot create 'tank/vm-102-disk-0': out of space");
    const config = await lab.ask("srv2", "GET", "/nodes/srv2/qemu/102/config");
    expect(config.lock).toBeUndefined();
    await lab.control("POST", "/storage/empty", { node: "srv2", storage: "tank" });
  });

  it("cannot be removed while it is protected", async () => {
    const [volid] = await archives(100);
    const path = `/nodes/srv1/storage/vault/content/${encodeURIComponent(volid!)}`;
    await lab.ask("srv1", "PUT", path, { protected: 1 });
    expect((await lab.task("srv1", "DELETE", path)).exit).toBe(`cannot remove protected volume '${volid}' on 'vault'`);
    await lab.ask("srv1", "PUT", path, { protected: 0 });
    expect((await lab.task("srv1", "DELETE", path)).exit).toBe("OK");
  });

  it("ends with job errors for a guest that does not exist", async () => {
    expect((await lab.task("srv1", "POST", "/nodes/srv1/vzdump", { vmid: 999, storage: "vault" })).exit).toBe(
      "job errors",
    );
  });
});

describe("a backup job", () => {
  it("runs by its schedule and keeps what its retention says", async () => {
    await lab.ask("srv1", "POST", "/cluster/backup", {
      id: "hourly",
      schedule: "hourly",
      storage: "vault",
      vmid: "100",
      mode: "snapshot",
      "prune-backups": "keep-last=2",
    });
    expect(await lab.ask("srv1", "GET", "/cluster/backup/hourly")).toMatchObject({
      enabled: 1,
      type: "vzdump",
      "prune-backups": { "keep-last": "2" },
    });
    for (let run = 1; run <= 3; run++) {
      const newest = (await archives(100)).at(-1);
      await lab.pass(3600);
      await lab.until(
        () => archives(100),
        (found) => found.at(-1) !== newest,
      );
      await lab.until(
        () => lab.ask("srv1", "GET", "/nodes/srv1/tasks", { source: "active" }),
        (active) => active.length === 0,
      );
    }
    expect(await archives(100)).toHaveLength(2);
  });

  it("accepts a storage that does not exist, refuses a schedule that cannot be read, and gives itself a name", async () => {
    expect(
      await lab.ask("srv1", "POST", "/cluster/backup", { schedule: "02:00", storage: "nowhere", vmid: "100" }),
    ).toBeNull();
    const ids = (await lab.ask("srv1", "GET", "/cluster/backup")).map((job: { id: string }) => job.id);
    expect(ids.some((id: string) => /^[0-9a-f-]{36}$/.test(id))).toBe(true);
    const refused = await lab.call("srv1", "POST", "/cluster/backup", { schedule: "at noon", vmid: "100" });
    expect(refused.body.errors.schedule).toMatch(/unable to parse calendar event/);
    expect((await lab.call("srv1", "DELETE", "/cluster/backup/none")).reason).toBe(
      "400 Parameter verification failed.",
    );
  });
});

describe("retention", () => {
  const at = (time: string) => ({ ctime: Date.parse(`${time}Z`) / 1000 }) as Volume;
  const all = ["2026-01-01T02:00", "2026-01-02T02:00", "2026-01-02T14:00", "2026-01-03T02:00", "2026-02-01T02:00"].map(
    at,
  );
  const kept = (rule: string) =>
    all.map((volume, index) => (keptArchives(all, rule).has(volume) ? index : -1)).filter((index) => index >= 0);
  it.each([
    ["keep-last=2", [3, 4]],
    ["keep-daily=3", [2, 3, 4]],
    ["keep-last=1,keep-monthly=1", [3, 4]],
    ["keep-all=1", [0, 1, 2, 3, 4]],
  ])("%s", (rule, expected) => expect(kept(rule)).toEqual(expected));
});
