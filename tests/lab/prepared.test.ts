/** What a lab has from its beginning, and what it tells of changes that wait and of a third vote. */
import type { LiveCluster } from "../live/clusters";
import { startCluster } from "../live/clusters";

type Row = Record<string, unknown>;

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await startCluster("by-hand", { speed: 400 });
});
afterAll(() => cluster.stop());

const get = <T = Row[]>(path: string, query = {}) => cluster.pve.get<T>(path, query);
const rowOf = (rows: Row[], key: string, value: unknown) => rows.find((row) => row[key] === value);

test("guests written into the folder are there, run or not, with their volumes and pools", async () => {
  const listed = await get("/cluster/resources", { type: "vm" });
  expect(listed).toHaveLength(17);
  expect(rowOf(listed, "vmid", 100)).toMatchObject({ status: "running", node: "PVE1", pool: "Buchhaltung" });
  expect(rowOf(listed, "vmid", 301)).toMatchObject({ status: "stopped", name: "VM 301", lock: "backup" });
  const volumes = await get("/nodes/PVE1/storage/local-lvm/content", { vmid: 100 });
  expect(rowOf(volumes, "volid", "local-lvm:vm-100-disk-0")).toMatchObject({ size: 33 * 1024 ** 3, vmid: 100 });
});

test("storages of every type are listed with their sizes", async () => {
  const listed = await get("/nodes/hv3/storage");
  const types = Object.fromEntries(listed.map(({ storage, type, shared }) => [storage, [type, shared]]));
  expect(types).toMatchObject({ ceph: ["rbd", 1], san: ["iscsi", 1], btr: ["btrfs", 0], "nas.old": ["nfs", 1] });
  expect(rowOf(listed, "storage", "ceph")).toMatchObject({ active: 1, total: 6000 * 1024 ** 3 });
  // An export that nobody offers, and one that is switched off.
  expect(rowOf(listed, "storage", "gone-nfs")).toMatchObject({ active: 0, total: 0 });
  expect(rowOf(listed, "storage", "off")).toMatchObject({ active: 0, enabled: 0 });
});

test("a machine's changes that wait: new values, and settings that go", async () => {
  const rows = await get("/nodes/hv3/qemu/300/pending");
  expect(rowOf(rows, "key", "cores")).toEqual({ key: "cores", value: 4, pending: 8 });
  expect(rowOf(rows, "key", "vga")).toEqual({ key: "vga", value: "std", delete: 1 });
  expect(rowOf(rows, "key", "machine")).toEqual({ key: "machine", pending: "q35" });
  expect(await get<Row>("/nodes/hv3/qemu/300/config")).toMatchObject({ cores: 8, machine: "q35" });
  expect(await get<Row>("/nodes/hv3/qemu/300/config", { current: true })).toMatchObject({ cores: 4, vga: "std" });
});

test("a running container takes memory at once, and waits with its console mode", async () => {
  const path = "/nodes/pve-alt/lxc/4712";
  await cluster.pve.put(`${path}/config`, { memory: 256, tty: 4 });
  const rows = await get(`${path}/pending`);
  expect(rowOf(rows, "key", "memory")).toEqual({ key: "memory", value: 256 });
  expect(rowOf(rows, "key", "tty")).toEqual({ key: "tty", pending: 4 });
  const now = await get<Row>(`${path}/config`, { current: true });
  expect([now.memory, now.tty]).toEqual([256, undefined]);
});

test("lines that LXC reads itself come as one list, and not among what waits", async () => {
  const config = await get<Row>("/nodes/hv3/lxc/4711/config");
  expect(config.lxc).toEqual([
    ["lxc.cgroup2.devices.allow", "c 226:0 rwm"],
    ["lxc.mount.entry", "/dev/dri dev/dri none bind,optional,create=dir"],
  ]);
  expect((await get("/nodes/hv3/lxc/4711/pending")).some(({ key }) => String(key).startsWith("lxc"))).toBe(false);
});

test("a third vote shows itself; a cluster without one answers nothing", async () => {
  expect(await get<Row>("/cluster/config/qdevice")).toEqual({});
  const smb = await startCluster("smb", { speed: 400 });
  try {
    expect(await smb.pve.get<Row>("/cluster/config/qdevice")).toMatchObject({ Model: "Net", State: "Connected" });
  } finally {
    await smb.stop();
  }
});
