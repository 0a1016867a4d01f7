/** The powered-off side of a guest by zfs-sync, against two hypervisors without a cluster. */
import { disksInNotes, notesWithDisks } from "../../planning/registered-notes";
import { changesOf, registration } from "../../providers/registered-config";
import {
  registeredGuestHandler as handler,
  type RegisteredGuestInputs,
  type RegisteredGuestState,
} from "../../providers/registered-guest-handler";
import { refusal, TwoServers } from "./two-servers";

const spec = (vmid: number, more: Partial<RegisteredGuestInputs> = {}): RegisteredGuestInputs => ({
  guest: `guest-${vmid}`,
  vmid,
  source: "srv1",
  node: "srv2",
  settings: "0",
  tags: ["coldspare", "coldspare-spare"],
  notes: `Powered-off spare of guest-${vmid}.`,
  bootOrder: 20,
  ...more,
});

describe("on two hypervisors without a cluster", () => {
  let site: TwoServers;
  beforeAll(async () => {
    site = await TwoServers.start(["srv1", "srv2"], { cluster: undefined });
  });
  afterAll(() => site?.end());

  const home = (vmid: number) => site.guest(vmid, "srv1", { tags: "coldspare;coldspare-primary", onboot: 1, cores: 3 });
  /** What a first run of zfs-sync brings. */
  const receive = (vmid: number) =>
    site.pve.post("/nodes/srv2/storage/tank/content", { vmid, filename: `vm-${vmid}-disk-0`, size: "4G" });
  const create = (vmid: number) => handler.create(site.context, spec(vmid));
  const update = (olds: RegisteredGuestState, more: Partial<RegisteredGuestInputs> = {}) =>
    handler.update(site.context, `${olds.vmid}-registered`, olds, spec(olds.vmid, more));
  const read = (props: RegisteredGuestState) => handler.read(site.context, `${props.vmid}-registered`, props);

  test("it has the same id and settings, on the volumes that were received, off and not on boot", async () => {
    await home(110);
    await receive(110);
    const { id, outs } = await create(110);
    expect({ id, outs }).toEqual({ id: "110-registered", outs: spec(110) });
    const [one, other] = [await site.config("srv1", 110), await site.config("srv2", 110)];
    expect(other).toMatchObject({
      name: "guest-110",
      cores: one.cores,
      memory: one.memory,
      net0: one.net0,
      onboot: expect.anything(),
      scsi0: "tank:vm-110-disk-0,size=4G",
      startup: "order=20",
      tags: "coldspare;coldspare-spare",
    });
    expect(Number(other.onboot)).toBe(0);
    expect(await read(outs)).toEqual(outs);
  });

  test("before the first run it waits for its disk, whose name is in its notes; a later update attaches it", async () => {
    await home(111);
    const { outs } = await create(111);
    expect(outs.waiting).toEqual(["scsi0"]);
    const config = await site.config("srv2", 111);
    expect(config.scsi0).toBeUndefined();
    expect(disksInNotes(String(config.description))).toEqual({ scsi0: "tank:vm-111-disk-0" });
    expect(handler.diff(outs, spec(111)).changes).toBe(true);
    await receive(111);
    expect(await update(outs)).toEqual(spec(111));
    expect((await site.config("srv2", 111)).scsi0).toContain("tank:vm-111-disk-0");
  });

  test("it follows the guest's settings, and what others changed is put right", async () => {
    await home(112);
    await receive(112);
    const { outs } = await create(112);
    await site.pve.put("/nodes/srv1/qemu/112/config", { cores: 5 });
    await site.pve.put("/nodes/srv2/qemu/112/config", { onboot: 1, balloon: 0 });
    expect(await read(outs)).toMatchObject({ drift: "onboot is on" });
    expect(handler.diff(outs, spec(112, { settings: "1" }))).toEqual({ changes: true, replaces: [] });
    await update(outs, { settings: "1" });
    const config = await site.config("srv2", 112);
    expect(config).toMatchObject({ cores: expect.anything() });
    expect([Number(config.cores), Number(config.onboot), config.balloon]).toEqual([5, 0, undefined]);
  });

  test("a guest of that id which is not ours is refused, and stays as it is", async () => {
    await home(113);
    await site.guest(113, "srv2", { name: "somebody" });
    const before = await site.config("srv2", 113);
    expect((await refusal(create(113))).message).toContain("guest id 113 is taken by 'somebody'");
    expect(await site.config("srv2", 113)).toEqual(before);
  });

  test("what runs is the active side: refused, unless that is known; then it is left alone", async () => {
    await home(114);
    await receive(114);
    const { outs } = await create(114);
    await site.pve.task("srv2", "POST", "/nodes/srv2/qemu/114/status/start", {}, {});
    expect((await refusal(update(outs))).message).toContain("guest 114 runs on srv2");
    expect(await update(outs, { active: true })).toMatchObject({ active: true });
    await handler.delete(site.context, "114-registered", { ...outs, active: true });
    expect((await site.config("srv2", 114)).name).toBe("guest-114");
  });

  test("deletion never costs a volume: with disks it stays registered, without any it goes", async () => {
    await home(115);
    const { outs: bare } = await create(115);
    await handler.delete(site.context, "115-registered", bare);
    expect(await read(bare)).toBeUndefined();
    await receive(115);
    const { outs } = await create(115);
    await handler.delete(site.context, "115-registered", outs);
    expect((await site.config("srv2", 115)).scsi0).toContain("tank:vm-115-disk-0");
    expect(site.told.at(-1)).toContain("`rm /etc/pve/qemu-server/115.conf` on srv2");
  });
});

test("what belongs to one server alone is not taken over; media are made anew or left out", () => {
  const wanted = registration(
    {
      name: "sql",
      cores: 2,
      hostpci0: "0000:01:00",
      hookscript: "local:snippets/coldspare-guard",
      vmgenid: "x",
      boot: "order=scsi0",
      scsi0: "tank:vm-113-disk-0,discard=on,size=40G",
      efidisk0: "tank:vm-113-disk-1,efitype=4m,size=1M",
      ide2: "tank:vm-113-cloudinit,media=cdrom",
      ide3: "local:iso/debian.iso,media=cdrom",
      unused0: "tank:vm-113-disk-9",
    },
    { guest: "sql", tags: ["coldspare"], notes: "Spare." },
  );
  expect(wanted).toEqual({
    plain: {
      name: "sql",
      cores: "2",
      vmgenid: "x",
      ide2: "tank:cloudinit,media=cdrom",
      ide3: "none,media=cdrom",
      onboot: "0",
      tags: "coldspare",
      description: notesWithDisks("Spare.", wanted.disks),
    },
    disks: { scsi0: "tank:vm-113-disk-0,discard=on", efidisk0: "tank:vm-113-disk-1,efitype=4m" },
    boot: "order=scsi0",
  });
  const made = { ...wanted.plain, ide2: "tank:vm-113-cloudinit,media=cdrom", cores: 2, digest: "d", lock: "backup" };
  expect(changesOf(wanted, made)).toEqual({});
  expect(changesOf(wanted, { ...made, cores: 4, balloon: 0 })).toEqual({ cores: "2", balloon: undefined });
});

test.each<[string, Partial<RegisteredGuestInputs>, string]>([
  ["an id", { vmid: 12 }, "vmid"],
  ["the primary itself", { node: "srv1" }, "node"],
  ["no tags", { tags: [] }, "tags"],
])("check: %s", (_, more, property) => {
  expect(handler.check(spec(110, more))).toMatchObject([{ property }]);
  expect(handler.check(spec(110))).toEqual([]);
});
