import { createHash } from "node:crypto";
import { refreshStandby } from "../../providers/restore-refresh";
import { PartlyInitialised } from "../../providers/serve";
import {
  standbyGuestHandler as handler,
  type StandbyGuestInputs,
  type StandbyGuestState,
} from "../../providers/standby-guest-handler";
import { refusal, TwoServers } from "./two-servers";

const TAGS = ["coldspare", "coldspare-spare"];

function inputs(vmid: number, more: Partial<StandbyGuestInputs> = {}): StandbyGuestInputs {
  return {
    guest: `guest-${vmid}`,
    vmid,
    kind: "qemu",
    source: "srv1",
    node: "srv2",
    standbyIds: [9000 + vmid * 2, 9001 + vmid * 2],
    storage: "tank",
    backupStorage: "backup-nfs",
    tags: TAGS,
    notes: `Spare of guest-${vmid}`,
    ...more,
  };
}

/** What is recorded of inputs: not where the backups come from, and a digest of the notes. */
function recorded(from: StandbyGuestInputs): StandbyGuestState {
  const { notes, source: _, backupStorage: __, ...kept } = from;
  return { ...kept, notesDigest: createHash("sha256").update(notes).digest("hex").slice(0, 12) };
}

describe("a standby guest against the lab", () => {
  let site: TwoServers;
  beforeAll(async () => {
    site = await TwoServers.start();
  });
  afterAll(() => site?.end());

  const idsThere = async (vmid: number) => {
    const rows = await site.pve.get<{ vmid: number; node: string }[]>("/cluster/resources", { type: "vm" });
    return rows
      .filter((row) => inputs(vmid).standbyIds.includes(row.vmid))
      .map((row) => row.vmid)
      .sort();
  };
  const backup = async (vmid: number) => {
    // Names of archives have the second in them: the next must be another.
    await site.control("/clock/advance", { seconds: 5 });
    await site.pve.task(
      "srv1",
      "POST",
      "/nodes/srv1/vzdump",
      { vmid, storage: "backup-nfs", mode: "snapshot", compress: "zstd" },
      {},
    );
  };
  const created = async (vmid: number, more: Partial<StandbyGuestInputs> = {}, config = {}) => {
    await site.guest(vmid, "srv1", { tags: "coldspare;coldspare-primary", onboot: 1, ...config });
    const { outs } = await handler.create(site.context, inputs(vmid, more));
    return outs;
  };
  const read = async (props: StandbyGuestState) => handler.read(site.context, `${props.vmid}-standby`, props);
  const update = (olds: StandbyGuestState, news: StandbyGuestInputs) =>
    handler.update(site.context, `${olds.vmid}-standby`, olds, news);

  test("create makes the first backup and restores it: off, not on boot, same addresses, our name, tags and notes", async () => {
    await site.guest(110, "srv1", { tags: "coldspare;coldspare-primary", onboot: 1, protection: 1 });
    const { id, outs } = await handler.create(site.context, inputs(110, { bootOrder: 2, bootDelaySeconds: 30 }));
    expect(id).toBe("110-standby");
    expect(outs).toEqual({
      ...recorded(inputs(110, { bootOrder: 2, bootDelaySeconds: 30 })),
      standbyId: 9220,
      recoveryPoint: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      volid: expect.stringMatching(/^backup-nfs:backup\/vzdump-qemu-110-.*\.vma\.zst$/),
    });
    const [primary, standby] = [await site.config("srv1", 110), await site.config("srv2", 9220)];
    expect(standby).toMatchObject({
      name: "guest-110-spare",
      tags: "coldspare;coldspare-spare",
      onboot: 0,
      startup: "order=2,up=30",
    });
    expect(standby.net0).toBe(primary.net0);
    expect(standby.description).toMatch(
      /^Spare of guest-110\n\nRecovery point: .* from backup-nfs:backup\/vzdump-qemu-110-/,
    );
    expect(Number(standby.protection ?? 0)).toBe(0);
    expect(await read(outs)).toEqual(outs);
    const same = inputs(110, { bootOrder: 2, bootDelaySeconds: 30 });
    expect(handler.diff(outs, same)).toEqual({ changes: false, replaces: [] });
    // After a failover another server is the source, and backups may come from elsewhere: nothing to do here.
    expect(handler.diff(outs, { ...same, source: "srv2", backupStorage: "other" }).changes).toBe(false);
    expect(handler.diff(outs, { ...same, notes: "other" }).changes).toBe(true);
    expect(handler.diff(outs, { ...same, vmid: 111 }).replaces).toEqual(["vmid"]);
  });

  test("create adopts a standby that is there, and mends its labels", async () => {
    const outs = await created(111);
    await site.pve.put(`/nodes/srv2/qemu/${outs.standbyId}/config`, { onboot: true });
    const again = await handler.create(site.context, inputs(111));
    expect(again.outs).toEqual(outs);
    expect(await idsThere(111)).toEqual([9222]);
    expect((await site.config("srv2", 9222)).onboot).toBe(0);
  });

  test("a changed refreshToken restores the newest backup into the other id; a third takes the first id's turn again", async () => {
    const first = await created(112, { refreshToken: "monday" });
    await backup(112);
    expect(handler.diff(first, inputs(112, { refreshToken: "tuesday" })).changes).toBe(true);
    const second = await update(first, inputs(112, { refreshToken: "tuesday" }));
    expect(second).toMatchObject({ standbyId: 9225, refreshToken: "tuesday" });
    expect(second.recoveryPoint! > first.recoveryPoint!).toBe(true);
    expect(await idsThere(112)).toEqual([9224, 9225]);
    await backup(112);
    const third = await update(second, inputs(112, { refreshToken: "wednesday" }));
    expect(third.standbyId).toBe(9224);
    expect(await read(third)).toEqual(third);
    const fourth = await update(third, inputs(112, { refreshToken: "thursday" }));
    expect(fourth).toEqual({ ...third, refreshToken: "thursday" });
  });

  test("a broken refresh leaves the last good standby as it was, is recorded, and the next run converges", async () => {
    const first = await created(113, { refreshToken: "1" });
    const before = await site.config("srv2", 9226);
    await backup(113);
    await site.control("/storage/fill", { node: "srv2", storage: "tank" });
    const error = await refusal(update(first, inputs(113, { refreshToken: "2" })));
    if (!(error instanceof PartlyInitialised)) throw error;
    expect(error.message).toMatch(
      /^srv2: could not restore backup-nfs:.* into 9227 for guest 113 'guest-113' \(POST \/nodes\/srv2\/qemu\): .*out of space\. Fix: free space on that storage/,
    );
    expect(error.properties).toEqual(first);
    expect(await site.config("srv2", 9226)).toEqual(before);
    expect(await idsThere(113)).toEqual([9226]);
    await site.control("/storage/empty", { node: "srv2", storage: "tank" });
    const second = await update(error.properties as StandbyGuestState, inputs(113, { refreshToken: "2" }));
    expect(second.standbyId).toBe(9227);
  });

  test("a broken first restore leaves nothing behind, and the next create uses the backup that was made", async () => {
    await site.guest(114, "srv1");
    await site.control("/storage/fill", { node: "srv2", storage: "tank" });
    const error = await refusal(handler.create(site.context, inputs(114)));
    await site.control("/storage/empty", { node: "srv2", storage: "tank" });
    expect(error).not.toBeInstanceOf(PartlyInitialised);
    expect(await idsThere(114)).toEqual([]);
    const { outs } = await handler.create(site.context, inputs(114));
    expect(outs.standbyId).toBe(9228);
    const backups = await site.pve.get<unknown[]>("/nodes/srv2/storage/backup-nfs/content", {
      content: "backup",
      vmid: 114,
    });
    expect(backups).toHaveLength(1);
  });

  test("the empty shell of a restore that was cut off is no obstacle", async () => {
    await site.guest(115, "srv1");
    await site.pve.task("srv2", "POST", "/nodes/srv2/qemu", { vmid: 9230 }, {});
    const { outs } = await handler.create(site.context, inputs(115));
    expect(outs.standbyId).toBe(9230);
  });

  test("a guest without a name that still has a detached disk is somebody's: not destroyed", async () => {
    await site.guest(126, "srv1");
    await site.pve.task("srv2", "POST", "/nodes/srv2/qemu", { vmid: 9252, scsi0: "tank:1" }, {});
    await site.pve.put("/nodes/srv2/qemu/9252/config", { delete: "scsi0" });
    expect(await site.config("srv2", 9252)).toHaveProperty("unused0");
    expect((await refusal(handler.create(site.context, inputs(126)))).message).toContain("guest id 9252 is taken by");
    expect(await site.config("srv2", 9252)).toHaveProperty("unused0");
  });

  test("a restore whose process was killed leaves a lock: recorded, and the error says how to lift it", async () => {
    await site.guest(124, "srv1");
    await site.control("/faults/task", { type: "qmrestore", message: "interrupted by signal" });
    const error = await refusal(handler.create(site.context, inputs(124)));
    if (!(error instanceof PartlyInitialised)) throw error;
    expect(error.message).toMatch(/interrupted by signal\. Fix: /);
    expect(error.properties).toEqual(recorded(inputs(124)));
    const again = await refusal(update(error.properties as StandbyGuestState, inputs(124)));
    expect(again.message).toMatch(/locked \(create\)\. Fix: .*a task was cut off: `qm unlock 9248` there/);
    await site.control("/guests/9248/lock", {});
    expect((await update(error.properties as StandbyGuestState, inputs(124))).standbyId).toBe(9248);
  });

  test("changes by others are shown as drift and mended", async () => {
    const outs = await created(116);
    await site.pve.put("/nodes/srv2/qemu/9232/config", { onboot: true, tags: "mine", description: "gone" });
    const seen = (await read(outs))!;
    // The line in the notes is the proof of a checked restore: without it there is no good standby.
    expect(seen.drift).toContain("9232: tags are mine; 9232: onboot is on");
    expect(handler.diff(seen, inputs(116)).changes).toBe(true);
    await site.pve.put("/nodes/srv2/qemu/9232/config", { onboot: false, tags: "coldspare;coldspare-spare" });
    expect(await update(seen, inputs(116))).toEqual(outs);
    expect((await site.config("srv2", 9232)).description).toContain("from backup-nfs:backup/vzdump-qemu-116");

    await site.pve.put("/nodes/srv2/qemu/9232/config", { onboot: true, tags: "mine", name: "other" });
    const drifted = (await read(outs))!;
    expect(drifted.drift).toBe("9232: is called 'other'; 9232: tags are mine; 9232: onboot is on");
    expect(await update(drifted, inputs(116))).toEqual(outs);
    expect(await site.config("srv2", 9232)).toMatchObject({
      name: "guest-116-spare",
      onboot: 0,
      tags: "coldspare;coldspare-spare",
    });
  });

  test("a standby that is gone is drift; when both are gone, so is the resource", async () => {
    const first = await created(117, { refreshToken: "1" });
    await backup(117);
    const second = await update(first, inputs(117, { refreshToken: "2" }));
    await site.pve.task("srv2", "DELETE", `/nodes/srv2/qemu/${second.standbyId}`, {}, {});
    const seen = (await read(second))!;
    expect(seen).toMatchObject({ standbyId: first.standbyId, drift: `${second.standbyId} is gone` });
    const mended = await update(seen, inputs(117, { refreshToken: "2" }));
    expect(mended).toEqual(second);
    for (const id of [9234, 9235]) await site.pve.task("srv2", "DELETE", `/nodes/srv2/qemu/${id}`, {}, {});
    expect(await read(mended)).toBeUndefined();
  });

  test("a running standby is the active side: shown, never changed, never destroyed", async () => {
    const outs = await created(118, { refreshToken: "1" });
    await site.pve.task("srv2", "POST", "/nodes/srv2/qemu/9236/status/start", {}, {});
    await backup(118);
    const seen = (await read(outs))!;
    expect(seen.drift).toBe("9236: runs on srv2");
    const words =
      /guest 118 'guest-118' .*: guest 9236 'guest-118-spare' runs on srv2: it is the active side and is left alone\. Fix: if 'guest-118' was failed over/;
    expect((await refusal(update(seen, inputs(118, { refreshToken: "2" })))).message).toMatch(words);
    expect((await refusal(handler.delete(site.context, "118-standby", seen))).message).toMatch(words);
    expect((await refusal(refreshStandby(site.pve, inputs(118)))).message).toMatch(words);
    expect((await site.pve.get<{ status: string }>("/nodes/srv2/qemu/9236/status/current")).status).toBe("running");
  });

  test("a standby that is known to be active is only looked at, and no difference is shown", async () => {
    const outs = await created(125, { refreshToken: "1" });
    await site.pve.task("srv2", "POST", `/nodes/srv2/qemu/${outs.standbyId}/status/start`, {}, {});
    const told = inputs(125, { refreshToken: "1", active: true });
    expect(handler.diff(outs, told)).toEqual({ changes: true, replaces: [] });
    const active = await update(outs, told);
    expect(active).toEqual({ ...outs, active: true });
    expect(await read(active)).toEqual(active);
    expect(handler.diff(active, { ...told, refreshToken: "2", notes: "other" })).toEqual({
      changes: false,
      replaces: [],
    });
    // Back home: as long as it runs, nothing is done to it.
    await site.pve.task("srv2", "POST", "/nodes/srv2/qemu/9250/status/stop", {}, {});
    await handler.delete(site.context, "125-standby", active);
    expect((await site.config("srv2", 9250)).name).toBe("guest-125-spare");
    await site.pve.task("srv2", "POST", "/nodes/srv2/qemu/9250/status/start", {}, {});
    expect(handler.diff(active, inputs(125, { refreshToken: "1" })).changes).toBe(true);
    expect((await refusal(update(active, inputs(125, { refreshToken: "1" })))).message).toContain("is left alone");
  });

  test("somebody else's guest under a standby id is neither overwritten nor destroyed", async () => {
    await site.guest(119, "srv1");
    await site.guest(9238, "srv2", { name: "precious" });
    const error = await refusal(handler.create(site.context, inputs(119)));
    expect(error.message).toMatch(
      /^srv2: could not .* guest 119 'guest-119' .*: guest id 9238 is taken by 'precious' \(tags: none\), which is not known as a standby of this guest\. Fix: give the guest other standbyIds/,
    );
    await handler.delete(site.context, "119-standby", recorded(inputs(119)));
    expect(site.told.at(-1)).toMatch(/9238 on srv2 \('precious'\) lacks the standby's tags and is left alone/);
    expect((await site.config("srv2", 9238)).name).toBe("precious");
    // Another guest's standby has the same tags, and is still not ours.
    await site.pve.put("/nodes/srv2/qemu/9238/config", { name: "guest-42-spare", tags: TAGS.join(";") });
    expect((await refusal(handler.create(site.context, inputs(119)))).message).toMatch(/taken by 'guest-42-spare'/);
  });

  test("another spare, other ids and other tags: the successor is made first, then the old ones go", async () => {
    const first = await created(120, { refreshToken: "1" });
    await backup(120);
    const second = await update(first, inputs(120, { refreshToken: "2" }));
    const news = inputs(120, { refreshToken: "2", node: "srv1", tags: ["other"], standbyIds: [9241, 9500] });
    expect(handler.diff(second, news)).toEqual({ changes: true, replaces: [] });
    const moved = await update(second, news);
    expect(moved).toMatchObject({ node: "srv1", standbyId: 9500 });
    expect(await site.config("srv1", 9500)).toMatchObject({ tags: "other" });
    expect(await idsThere(120)).toEqual([]);
    expect(await read(moved)).toEqual(moved);
  });

  test("another storage is a restore there", async () => {
    const first = await created(121);
    const moved = await update(first, inputs(121, { storage: "slow" }));
    expect(moved).toMatchObject({ storage: "slow", standbyId: 9243 });
    expect((await site.config("srv2", 9243)).scsi0).toMatch(/^slow:/);
  });

  test("delete destroys both standbys and is quiet when they are gone", async () => {
    const first = await created(122, { refreshToken: "1" });
    await backup(122);
    const second = await update(first, inputs(122, { refreshToken: "2" }));
    await handler.delete(site.context, "122-standby", second);
    expect(await idsThere(122)).toEqual([]);
    await handler.delete(site.context, "122-standby", second);
  });

  test("a container is restored, turned and removed just as a virtual machine is", async () => {
    await site.pve.task(
      "srv1",
      "POST",
      "/nodes/srv1/storage/local/download-url",
      { content: "vztmpl", filename: "debian-13.tar.zst", url: "https://download.example.org/debian-13.tar.zst" },
      {},
    );
    await site.pve.task(
      "srv1",
      "POST",
      "/nodes/srv1/lxc",
      {
        ...{
          vmid: 130,
          hostname: "guest-130",
          ostemplate: "local:vztmpl/debian-13.tar.zst",
          rootfs: "tank:2",
          memory: 512,
        },
        ...{ net0: "name=eth0,bridge=vmbr0,ip=dhcp", onboot: 1, unprivileged: 1 },
      },
      {},
    );
    const ct = inputs(130, { kind: "lxc", refreshToken: "1" });
    const { outs } = await handler.create(site.context, ct);
    const config = (id: number) => site.pve.get<Record<string, unknown>>(`/nodes/srv2/lxc/${id}/config`);
    expect(outs).toMatchObject({ standbyId: 9260, volid: expect.stringContaining("vzdump-lxc-130-") });
    expect(await config(9260)).toMatchObject({
      hostname: "guest-130-spare",
      tags: "coldspare;coldspare-spare",
      onboot: 0,
    });
    expect(await read(outs)).toEqual(outs);
    await backup(130);
    const second = await update(outs, { ...ct, refreshToken: "2" });
    expect(second.standbyId).toBe(9261);
    await handler.delete(site.context, "130-standby", second);
    expect(await idsThere(130)).toEqual([]);
  });

  test("read tells of a standby that is older than its promise, and records nothing of it", async () => {
    const outs = await created(127, { promisedSeconds: 86_400 });
    const said = async () => {
      const before = site.told.length;
      expect(await read(outs)).toEqual(outs);
      return site.told.slice(before);
    };
    expect(handler.diff(outs, inputs(127, { promisedSeconds: 86_400 })).changes).toBe(false);
    expect(handler.diff(outs, inputs(127)).changes).toBe(true);
    expect(await said()).toEqual([]);
    await site.control("/clock/advance", { seconds: 90_000 });
    const old = /^warning: standby 9254 of 'guest-127' is as of .*Z \(1 d 1 h.* ago\), older than the promised 1 d/;
    const [unbacked, ...more] = await said();
    expect(more).toEqual([]);
    expect(unbacked).toMatch(old);
    expect(unbacked).toMatch(
      /no newer backup is on 'backup-nfs'\. .*`vzdump 127 --storage backup-nfs --mode snapshot`$/,
    );
    await backup(127);
    const [waiting] = await said();
    expect(waiting).toMatch(old);
    expect(waiting).toMatch(/A backup of .*Z is there: `coldspare refresh --guest guest-127` restores it/);
    await refreshStandby(site.pve, inputs(127));
    expect((await read(outs))!.drift).toBeUndefined();
    expect(site.told.at(-1)).toBe(waiting);
  });

  test("while the spare is dead, every call names it", async () => {
    const outs = await created(123);
    await site.control("/nodes/srv2/kill");
    try {
      for (const work of [
        read(outs),
        update(outs, inputs(123, { refreshToken: "2" })),
        handler.delete(site.context, "123-standby", outs),
      ]) {
        expect((await refusal(work)).message).toMatch(
          /^srv2: could not .* guest 123 'guest-123' .*595 .* Fix: srv2 is off, cut off/,
        );
      }
    } finally {
      await site.control("/nodes/srv2/revive");
    }
  });
});

test("inputs that cannot be are refused with what to write", () => {
  const reasons = handler.check(inputs(110, { standbyIds: [110, 9000], tags: [], bootDelaySeconds: 3 }));
  expect(reasons.map(({ property }) => property)).toEqual(["standbyIds", "tags", "bootDelaySeconds"]);
  expect(handler.check(inputs(110))).toEqual([]);
});
