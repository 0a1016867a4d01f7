import * as fs from "node:fs";
import * as path from "node:path";
import { BackupLab, MEDIUM } from "./pbs-client";

let lab: BackupLab;
beforeAll(async () => {
  lab = await BackupLab.start();
  await lab.attach("vault", "pbs1", "main");
  await lab.machine("srv1", 100);
});
afterAll(() => lab.remove());

const MAIN = "/admin/datastore/main";
const grow = () => lab.control("POST", "/guests/100/write", { text: "g".repeat(20_000), bytes: 100 * 1024 ** 2 });
const slow = () => lab.control("POST", "/links/slow", { a: "srv1", b: "pbs1", bytesPerSecond: 20_000 });
const begin = async (storage = "vault") => {
  await grow();
  await slow();
  const upid: string = await lab.pve("srv1", "POST", "/nodes/srv1/vzdump", { vmid: 100, storage });
  const running = async () =>
    (await lab.ask("pbs1", "GET", "/nodes/localhost/tasks", { running: true, typefilter: "backup" }))[0];
  const { upid: task } = await lab.until(running, (found) => found !== undefined);
  return { upid, task };
};
const ended = async (upid: string) => {
  const task = `/nodes/srv1/tasks/${encodeURIComponent(upid)}`;
  const status = await lab.until(
    () => lab.pve("srv1", "GET", `${task}/status`),
    ({ status: state }) => state === "stopped",
  );
  const log = await lab.pve("srv1", "GET", `${task}/log`, { limit: 500 });
  return { exit: status.exitstatus, log: log.map(({ t }: { t: string }) => t).join("\n") };
};
const alive = () =>
  lab.until(
    () => lab.call("pbs1", "GET", "/version").catch(() => ({ status: 0 })),
    ({ status }) => status === 200,
  );
const sizes = async () => (await lab.snapshots("pbs1", "main")).map(({ size }) => size);
const lockOf = async () => (await lab.pve("srv1", "GET", "/nodes/srv1/qemu/100/config")).lock;

describe("a running backup", () => {
  afterEach(async () => {
    await lab.control("POST", "/faults/clear");
    await lab.control("POST", "/heal");
    expect(await lockOf()).toBeUndefined();
    expect((await lab.backup("srv1", 100, "vault")).exit).toBe("OK");
  });

  it("breaks off when the backup server loses its power, and leaves an unfinished snapshot behind", async () => {
    const { upid, task } = await begin();
    await lab.control("POST", "/backup-servers/pbs1/kill");
    const { exit, log } = await ended(upid);
    expect([exit, log]).toEqual(["job errors", expect.stringContaining("broken pipe")]);
    const storages = await lab.pve("srv1", "GET", "/nodes/srv1/storage", { storage: "vault" });
    expect(storages[0]).toMatchObject({ active: 0, enabled: 1 });
    await lab.control("POST", "/backup-servers/pbs1/revive");
    await alive();
    expect((await lab.ended("pbs1", task)).exit).toBe("unknown");
    expect(await sizes()).toContain(undefined);
  });

  it("breaks off when the link is cut, and the server removes what it had", async () => {
    const before = (await sizes()).length;
    const { upid } = await begin();
    await lab.control("POST", "/partition", { a: ["srv1"], b: ["pbs1"] });
    expect((await ended(upid)).log).toContain("broken pipe");
    expect((await lab.pveCall("srv1", "GET", "/nodes/srv1/storage/vault/content")).reason).toContain(
      "500 Can't connect to 192.0.2.31:8007",
    );
    expect(await lab.pve("srv2", "GET", "/nodes/srv2/storage/vault/content")).toHaveLength((await sizes()).length);
    expect(await sizes()).toHaveLength(before);
  });

  it("ends when its task is stopped on the server", async () => {
    const { upid, task } = await begin();
    await lab.ask("pbs1", "DELETE", `/nodes/localhost/tasks/${encodeURIComponent(task)}`);
    expect((await ended(upid)).exit).toBe("job errors");
    expect((await lab.ended("pbs1", task)).exit).toBe("abort requested - aborting task");
  });

  it("ends when the datastore is full", async () => {
    await grow();
    await lab.control("POST", "/backup-servers/pbs1/datastores/main/fill", { leaveBytes: 1024 ** 2 });
    const { log } = await lab.backup("srv1", 100, "vault");
    expect(log.join("\n")).toContain("No space left on device");
    const status = await lab.ask("pbs1", "GET", `${MAIN}/status`);
    expect(status.avail).toBeLessThanOrEqual(1024 ** 2);
    await lab.control("POST", "/backup-servers/pbs1/datastores/main/empty");
  });

  it("keeps its chunks when a garbage collection runs beside it", async () => {
    const { upid } = await begin();
    await lab.task("pbs1", "POST", `${MAIN}/gc`);
    await lab.control("POST", "/faults/clear");
    await lab.pass(6000);
    expect((await ended(upid)).exit).toBe("OK");
    expect((await lab.task("pbs1", "POST", `${MAIN}/verify`, { "ignore-verified": false })).exit).toBe("OK");
  });
});

describe("what runs on the server", () => {
  it.each([
    ["garbage collection", `${MAIN}/gc`, {}],
    ["verification", `${MAIN}/verify`, { "ignore-verified": false }],
    ["pruning", `${MAIN}/prune-datastore`, { "keep-last": 2 }],
  ])("%s ends unknown in a power cut, and runs afterwards", async (_name, call, form) => {
    await lab.control("POST", "/faults", { slowdown: 5000 });
    const upid = await lab.ask("pbs1", "POST", call, form);
    await lab.control("POST", "/backup-servers/pbs1/kill");
    await expect(lab.call("pbs1", "GET", "/version")).rejects.toThrow();
    await lab.control("POST", "/faults/clear");
    await lab.pass(3600);
    await lab.control("POST", "/backup-servers/pbs1/revive");
    await alive();
    expect((await lab.ended("pbs1", upid)).exit).toBe("unknown");
    await lab.until(
      async () => (await lab.call("pbs1", "POST", call, form)).status,
      (status) => status === 200,
    );
  });

  it("fails as it is told to", async () => {
    await lab.control("POST", "/faults/task", { type: "pbs-garbage_collection", message: "unexpected error" });
    expect((await lab.task("pbs1", "POST", `${MAIN}/gc`)).exit).toBe("unexpected error");
  });
});

describe("a removable datastore", () => {
  it("that is pulled while a backup runs fails it, and is whole again after it is plugged in", async () => {
    await lab.task("pbs1", "POST", "/config/datastore", { name: "carry", path: "pbs", "backing-device": MEDIUM });
    await lab.attach("stick", "pbs1", "carry");
    expect((await lab.backup("srv1", 100, "stick")).exit).toBe("OK");
    const { upid } = await begin("stick");
    await lab.control("POST", `/media/${MEDIUM}/pull`);
    await lab.control("POST", "/faults/clear");
    await lab.pass(6000);
    expect((await ended(upid)).log).toContain("Input/output error (os error 5)");
    expect((await lab.pve("srv1", "GET", "/nodes/srv1/storage", { storage: "stick" }))[0].active).toBe(0);
    await lab.control("POST", `/media/${MEDIUM}/plug`, { server: "pbs1" });
    await lab.control("POST", "/backup-servers/pbs1/kill");
    await lab.control("POST", "/backup-servers/pbs1/revive");
    await alive();
    await lab.until(
      async () => (await lab.pve("srv1", "GET", "/nodes/srv1/storage", { storage: "stick" }))[0].active,
      (active) => active === 1,
    );
    expect((await lab.backup("srv1", 100, "stick")).exit).toBe("OK");
    expect((await lab.task("pbs1", "POST", "/admin/datastore/carry/verify")).exit).toBe("OK");
  });
});

test("a backup whose node loses its power breaks off on the server, and the guest stays locked", async () => {
  await lab.machine("srv2", 120);
  await lab.control("POST", "/guests/120/write", { text: "h".repeat(20_000), bytes: 100 * 1024 ** 2 });
  await lab.control("POST", "/links/slow", { a: "srv2", b: "pbs1", bytesPerSecond: 20_000 });
  await lab.pve("srv2", "POST", "/nodes/srv2/vzdump", { vmid: 120, storage: "vault" });
  const running = async () =>
    (await lab.ask("pbs1", "GET", "/nodes/localhost/tasks", { running: true, typefilter: "backup" }))[0];
  const { upid } = await lab.until(running, (found) => found !== undefined);
  await lab.control("POST", "/nodes/srv2/kill");
  await lab.control("POST", "/faults/clear");
  await lab.pass(6000);
  expect((await lab.ended("pbs1", upid)).exit).toBe("backup ended but finished flag is not set.");
  expect(await lab.snapshots("pbs1", "main", { "backup-id": "120" })).toEqual([]);
  await lab.control("POST", "/nodes/srv2/revive");
  await lab.until(
    () => lab.pveCall("srv2", "GET", "/nodes/srv2/qemu/120/config").catch(() => ({ status: 0 })),
    ({ status }) => status === 200,
  );
  expect((await lab.pve("srv2", "GET", "/nodes/srv2/qemu/120/config")).lock).toBe("backup");
});

test("an encrypted backup leaves nothing readable on the server", async () => {
  const marker = "account 0815 of the bank ".repeat(400);
  await lab.control("POST", "/guests/100/write", { text: marker });
  await lab.ask("pbs1", "POST", `${MAIN}/namespace`, { name: "sealed" });
  await lab.attach("sealed", "pbs1", "main", { namespace: "sealed", "encryption-key": "autogen" });
  expect((await lab.backup("srv1", 100, "sealed")).exit).toBe("OK");
  const folder = path.join(lab.folder, "pbs/pbs1/mnt/datastore/main");
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.length).toBeGreaterThan(3);
  for (const file of files)
    expect(fs.readFileSync(path.join(file.parentPath, file.name)).includes("account 0815")).toBe(false);
});
