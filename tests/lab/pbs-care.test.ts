import * as fs from "node:fs";
import * as path from "node:path";
import fc from "fast-check";
import { GRACE_SECONDS } from "../../lab/pbs/gc";
import { keepOptions, type Prunable, pruneMarks } from "../../lab/pbs/prune";
import { BackupLab } from "./pbs-client";

let lab: BackupLab;
beforeAll(async () => {
  lab = await BackupLab.start();
  await lab.attach("vault", "pbs1", "main");
  await lab.machine("srv1", 100);
});
afterAll(() => lab.remove());

const MAIN = "/admin/datastore/main";
const collect = async () => {
  expect((await lab.task("pbs1", "POST", `${MAIN}/gc`)).exit).toMatch(/^(OK|WARNINGS: \d+)$/);
  return lab.ask("pbs1", "GET", `${MAIN}/gc`);
};
const write = (text: string) => lab.control("POST", "/guests/100/write", { text });
const backups = () => lab.pve("srv1", "GET", "/nodes/srv1/storage/vault/content", { content: "backup" });
const restore = (vmid: number, archive: string) =>
  lab.pveTask("srv2", "POST", "/nodes/srv2/qemu", { vmid, archive, storage: "tank" });
const idOf = (backup: { ctime: number }) => ({
  "backup-type": "vm",
  "backup-id": "100",
  "backup-time": backup.ctime,
});
const backUp = async () => {
  expect((await lab.backup("srv1", 100, "vault")).exit).toBe("OK");
  return (await backups()).at(-1);
};

describe("garbage collection", () => {
  it("removes what nothing refers to only a day and five minutes after its last use", async () => {
    await write("first ".repeat(2000));
    const old = await backUp();
    await lab.control("POST", "/guests/100/write", { text: "second ".repeat(2000) });
    const kept = await backUp();
    const before = await collect();
    expect(before).toMatchObject({ "removed-chunks": 0, "pending-chunks": 0, "index-file-count": 2 });
    await lab.ask("pbs1", "DELETE", `${MAIN}/snapshots`, idOf(old));
    const soon = await collect();
    expect(soon["removed-chunks"]).toBe(0);
    expect(soon["pending-chunks"]).toBeGreaterThan(0);
    await lab.pass(GRACE_SECONDS - 600);
    expect((await collect())["removed-chunks"]).toBe(0);
    await lab.pass(1200);
    const late = await collect();
    expect(late["removed-chunks"]).toBe(soon["pending-chunks"]);
    expect(late["disk-bytes"]).toBe(before["disk-bytes"] - late["removed-bytes"]);
    expect((await restore(300, kept.volid)).exit).toBe("OK");
    expect(await lab.disk(300)).toBe(await lab.disk(100));
  });

  it("takes less or more time where the datastore is tuned so", async () => {
    await write("third ".repeat(2000));
    const gone = await backUp();
    await write("fourth ".repeat(2000));
    await backUp();
    await lab.ask("pbs1", "DELETE", `${MAIN}/snapshots`, idOf(gone));
    await lab.ask("pbs1", "PUT", "/config/datastore/main", { tuning: "gc-atime-cutoff=60" });
    await lab.pass(1800);
    expect((await collect())["removed-chunks"]).toBe(0);
    await lab.pass(3600);
    expect((await collect())["removed-chunks"]).toBeGreaterThan(0);
    await lab.ask("pbs1", "PUT", "/config/datastore/main", { delete: ["tuning"] });
  });

  it("never takes a chunk of a snapshot that is there, however old", async () => {
    const [kept] = await backups();
    await lab.pass(90 * 86400);
    expect((await collect())["removed-chunks"]).toBe(0);
    expect((await restore(301, kept.volid)).exit).toBe("OK");
  });

  it("runs once at a time, and can be stopped", async () => {
    await lab.control("POST", "/faults", { slowdown: 2000 });
    const upid = await lab.ask("pbs1", "POST", `${MAIN}/gc`);
    expect((await lab.call("pbs1", "POST", `${MAIN}/gc`)).text).toBe("garbage collection already running");
    await lab.ask("pbs1", "DELETE", `/nodes/localhost/tasks/${encodeURIComponent(upid)}`);
    expect((await lab.ended("pbs1", upid)).exit).toBe("abort requested - aborting task");
    await lab.control("POST", "/faults/clear");
    await lab.until(
      () => lab.call("pbs1", "POST", `${MAIN}/gc`),
      ({ status }) => status === 200,
    );
  });
});

describe("verification", () => {
  const verify = (more: Record<string, unknown> = {}) => lab.task("pbs1", "POST", `${MAIN}/verify`, more);
  const states = async () =>
    (await backups()).map(({ verification }: { verification?: { state: string } }) => verification?.state);

  it("reads every chunk, and says so at each snapshot", async () => {
    await backUp();
    expect((await verify()).exit).toBe("OK");
    expect(new Set(await states())).toEqual(new Set(["ok"]));
  });

  it("finds a damaged chunk, puts it aside, and the next backup mends it", async () => {
    const { digest } = await lab.control("POST", "/backup-servers/pbs1/datastores/main/corrupt", { group: "vm/100" });
    const damaged = (await backups()).at(-1);
    expect((await restore(310, damaged.volid)).exit).toMatch(/^proxmox-backup-client failed: Error: /);
    const { exit, log } = await verify({ "ignore-verified": false });
    expect(exit).toBe("verification failed - please check the log for details");
    expect(log.join("\n")).toContain("corrupted chunk renamed to");
    expect(await states()).toContain("failed");
    const folder = path.join(lab.folder, "pbs/pbs1/mnt/datastore/main/.chunks", digest.slice(0, 4));
    expect(fs.readdirSync(folder)).toContain(`${digest}.0.bad`);
    expect((await restore(311, damaged.volid)).exit).toMatch(/unable to load chunk/);
    const mended = await backUp();
    expect(fs.readdirSync(folder)).toContain(digest);
    expect((await verify({ "ignore-verified": false })).exit).toBe("OK");
    expect((await restore(312, mended.volid)).exit).toBe("OK");
    expect(await lab.disk(312)).toBe(await lab.disk(100));
    expect((await restore(313, damaged.volid)).exit).toBe("OK");
    expect((await collect())["still-bad"]).toBe(1);
    await lab.pass(GRACE_SECONDS + 60);
    expect((await collect())["removed-bad"]).toBe(1);
  });

  it("of one snapshot checks that one", async () => {
    const [first] = await backups();
    const { log } = await verify(idOf(first));
    expect(log.filter((line) => line.startsWith("verify main:"))).toHaveLength(1);
  });

  it("leaves out what was verified lately", async () => {
    await lab.ask("pbs1", "POST", "/config/verify", { id: "weekly", store: "main", "outdated-after": 7 });
    const checked = async () =>
      (await lab.task("pbs1", "POST", "/admin/verify/weekly/run")).log.filter((line) =>
        line.startsWith("verify main:"),
      );
    await checked();
    expect(await checked()).toEqual([]);
    await lab.pass(8 * 86400);
    expect((await checked()).length).toBeGreaterThan(0);
  });
});

describe("a known chunk that is gone", () => {
  it("fails the backup, and the one after sends everything", async () => {
    await backUp();
    await lab.control("POST", "/backup-servers/pbs1/datastores/main/corrupt", { group: "vm/100", missing: true });
    const { exit, log } = await lab.backup("srv1", 100, "vault");
    expect(exit).toBe("job errors");
    expect(log.join("\n")).toMatch(/known chunk [0-9a-f]{64} of the previous snapshot is missing/);
    const good = await backUp();
    expect((await restore(320, good.volid)).exit).toBe("OK");
  });
});

describe("pruning", () => {
  const at = (time: string, more: Partial<Prunable> = {}): Prunable => ({
    time: Date.parse(`${time}:00Z`) / 1000,
    protected: false,
    manifest: {},
    ...more,
  });
  const marks = (all: Prunable[], rule: Record<string, string>) =>
    pruneMarks(all, keepOptions(rule)).map(({ mark }) => mark);

  it("keeps the newest of each period, and a period that is covered does not count again", () => {
    const all = ["2026-01-01T02", "2026-01-02T02", "2026-01-02T14", "2026-01-03T02", "2026-02-01T02"].map((time) =>
      at(`${time}:00`),
    );
    expect(marks(all, { "keep-last": "1", "keep-daily": "2" })).toEqual(["keep", "keep", "keep", "remove", "remove"]);
    expect(marks(all, { "keep-last": "1", "keep-monthly": "1" })).toEqual([
      "keep",
      "keep",
      "remove",
      "remove",
      "remove",
    ]);
    expect(marks(all, { "keep-weekly": "2" })).toEqual(["keep", "keep", "remove", "remove", "remove"]);
  });

  it("a week is that of ISO 8601: the last days of December may belong to the next year", () => {
    const all = [at("2024-12-29T10:00"), at("2024-12-30T10:00"), at("2025-01-05T10:00")];
    expect(marks(all, { "keep-weekly": "1" })).toEqual(["keep", "remove", "remove"]);
    expect(marks(all, { "keep-weekly": "2" })).toEqual(["keep", "remove", "keep"]);
  });

  it("leaves protected ones out of the count, and removes unfinished ones but the newest", () => {
    const all = [
      at("2026-01-01T01:00", { manifest: undefined }),
      at("2026-01-02T01:00", { protected: true }),
      at("2026-01-03T01:00"),
      at("2026-01-04T01:00", { manifest: undefined }),
    ];
    expect(marks(all, { "keep-last": "1" })).toEqual(["keep-partial", "keep", "protected", "remove"]);
  });

  it("protects no verified copy: the only good one goes like any other", async () => {
    const [first] = await backups();
    await lab.task("pbs1", "POST", `${MAIN}/verify`, idOf(first));
    await lab.ask("pbs1", "POST", `${MAIN}/prune`, { "backup-type": "vm", "backup-id": "100", "keep-last": 1 });
    expect((await backups()).map(({ ctime }: { ctime: number }) => ctime)).not.toContain(first.ctime);
  });

  it("without a rule keeps everything", async () => {
    await backUp();
    const before = await backups();
    const decided = await lab.ask("pbs1", "POST", `${MAIN}/prune`, { "backup-type": "vm", "backup-id": "100" });
    expect(decided.every(({ keep }: { keep: boolean }) => keep)).toBe(true);
    expect(await backups()).toEqual(before);
  });

  it("keeps at least as much with a larger number, and never fewer than keep-last", () => {
    const times = fc.uniqueArray(fc.integer({ min: 0, max: 400 * 24 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), (hours, last, daily) => {
        const all = hours.map((hour) => ({ time: hour * 3600, protected: false, manifest: {} }));
        const kept = (rule: Record<string, string>) => marks(all, rule).filter((mark) => mark === "keep").length;
        const rule = { "keep-last": String(last), "keep-daily": String(daily) };
        expect(kept(rule)).toBeGreaterThanOrEqual(Math.min(last, all.length));
        expect(kept(rule)).toBeLessThanOrEqual(last + daily);
        expect(kept({ ...rule, "keep-daily": String(daily + 1) })).toBeGreaterThanOrEqual(kept(rule));
      }),
    );
  });
});
