import { choosePoint } from "../../operations/backups/choose-point";
import type { RestoreRequest } from "../../operations/backups/plan-restore";
import { readCopies } from "../../operations/backups/read-copies";
import { dataSteps, planData, runData } from "../../operations/backups/restore-data";
import { planAndRoom } from "../../operations/backups/restore-facts";
import { openRestore, restoreSteps, runRestore } from "../../operations/backups/restore-steps";
import { goOnWith } from "../../operations/run-operation";
import { claimAt } from "../../operations/voters";
import { FakeBackups } from "./fake-backups";

let fake: FakeBackups;
beforeEach(() => {
  fake = new FakeBackups();
});
afterEach(() => fake.remove());

const ERP = 113;
const request = (change: Partial<RestoreRequest> = {}): RestoreRequest => ({
  guest: "sql-erp",
  point: "latest",
  stopSeconds: 60,
  forceStop: false,
  ...change,
});
const plan = (change: Partial<RestoreRequest> = {}) => planAndRoom(fake.operator(), request(change));
const codes = ({ refusals }: { refusals: { code: string }[] }) => refusals.map(({ code }) => code);

describe("choosing a point", () => {
  const points = async () => (await readCopies(fake.operator())).points;

  test("latest is the newest good one that is on line", async () => {
    const { point } = choosePoint(await points(), "sql-erp", "latest");
    expect(point).toMatchObject({ target: "nas", at: "2026-11-21T21:00:00Z" });
  });

  test("a time means the newest good one not after it, on whatever target", async () => {
    const all = await points();
    expect(choosePoint(all, "sql-erp", "2026-11-20T12:00:00Z").point).toMatchObject({ target: "pbs-1" });
    expect(choosePoint(all, "sql-erp", "2026-11-01").refusals).toMatchObject([{ code: "OPERATION-NO-POINT" }]);
  });

  test("an id, or the end of one; a broken one only so, and with a warning", async () => {
    fake.storages["backup-nfs"]!.volumes[0]!.verification = { state: "failed" };
    const all = await points();
    const broken = fake.storages["backup-nfs"]!.volumes[0]!.volid;
    expect(choosePoint(all, "sql-erp", "latest").point!.id).not.toBe(broken);
    expect(choosePoint(all, "sql-erp", broken)).toMatchObject({
      point: { id: broken },
      warnings: [{ code: "OPERATION-POINT-BROKEN" }],
    });
    expect(choosePoint(all, "sql-erp", broken.slice(-24)).point!.id).toBe(broken);
    expect(choosePoint(all, "sql-erp", ".vma.zst").refusals[0]!.message).toMatch(/is the end of 3 copies/);
    expect(choosePoint(all, "sql-erp", "yesterday").refusals).toMatchObject([{ code: "OPERATION-NO-POINT" }]);
  });

  test("one that only lies on a medium is refused with the medium's name", async () => {
    fake.storages["backup-nfs"]!.volumes = [];
    fake.storages.pbs!.volumes = [];
    const { refusals } = choosePoint(await points(), "sql-erp", "2026-11-16");
    expect(refusals).toMatchObject([{ code: "OPERATION-POINT-ON-MEDIUM" }]);
    expect(refusals[0]!.fix).toContain("attach medium B to backup-1");
  });
});

describe("over the guest itself", () => {
  test("nothing is written over without a word", async () => {
    expect(codes(await plan())).toEqual(["OPERATION-EXISTS"]);
    expect(fake.calls).toEqual([]);
  });

  test("the plan says how old the data is, that the spare differs, and what is kept", async () => {
    const made = await plan({ over: "keep" });
    expect(made.refusals).toEqual([]);
    expect(made).toMatchObject({
      server: "srv2",
      vmid: ERP,
      start: true,
      existing: { running: true, keptName: "sql-erp-before-restore" },
    });
    expect(made.warnings.map(({ code }) => code)).toEqual(["OPERATION-OLDER-DATA", "OPERATION-SPARE-DIFFERS"]);
    expect(restoreSteps(fake.operator(), made).map(({ id }) => id)).toEqual([
      "stop-sql-erp",
      "keep-sql-erp",
      "restore-sql-erp",
      "settle-sql-erp",
      "start-sql-erp",
    ]);
  });

  test("what was there is kept under another id, and the guest comes back with its settings, and runs", async () => {
    const made = await plan({ over: "keep" });
    await runRestore(fake.operator(), made, "sql-erp");
    const kept = fake.site.guests.get(made.existing!.keptId)!;
    expect(kept).toMatchObject({
      server: "srv2",
      running: false,
      config: { name: "sql-erp-before-restore", tags: "coldspare;coldspare-before-restore" },
    });
    const back = fake.site.guests.get(ERP)!;
    expect(back.config).toMatchObject({ name: "sql-erp", restoredfrom: made.point.id });
    expect(back.running).toBe(true);
    expect(fake.site.twice).toEqual([]);
    expect(await openRestore(fake.operator(), "restore", "sql-erp")).toBeUndefined();
  });

  test("or as a protected backup", async () => {
    await runRestore(fake.operator(), await plan({ over: "backup" }), "sql-erp");
    const form = fake.calls.find(({ path }) => path.endsWith("/vzdump"))!.form;
    expect(form).toMatchObject({ vmid: ERP, protected: true, remove: false, storage: "backup-nfs", mode: "stop" });
    expect(fake.calls.some(({ path }) => path.endsWith("/clone"))).toBe(false);
  });

  test("a restore that breaks leaves what was there, and the same command goes on", async () => {
    const made = await plan({ over: "keep" });
    fake.broken.set("/nodes/srv2/qemu", "");
    fake.broken.clear();
    const restorePath = "/nodes/srv2/qemu";
    const operator = fake.operator();
    const task = operator.pve.task.bind(operator.pve);
    operator.pve.task = async (...args) => {
      if (args[2] === restorePath && args[1] === "POST") throw new Error("connection lost");
      return task(...args);
    };
    await expect(runRestore(operator, made, "sql-erp")).rejects.toThrow(/connection lost/);
    expect(fake.site.guests.get(made.existing!.keptId)!.config.name).toBe("sql-erp-before-restore");
    const open = await openRestore(fake.operator(), "restore", "sql-erp");
    expect([...open!.done]).toEqual(["stop-sql-erp", "keep-sql-erp"]);
    await runRestore(fake.operator(), open!.plan, "sql-erp", open);
    expect(fake.site.guests.get(ERP)).toMatchObject({ running: true, config: { restoredfrom: made.point.id } });
    expect(fake.calls.filter(({ path }) => path.endsWith("/clone"))).toHaveLength(1);
  });

  test("only the active side, wherever that is", async () => {
    const erp = fake.site.manifest.guests["sql-erp"]!;
    await claimAt(fake.operator(), [erp], { "sql-erp": { epoch: 9, server: "srv1" } }, "x");
    Object.assign(fake.site.guests.get(ERP)!, { server: "srv1", running: true });
    expect(await plan({ over: "keep" })).toMatchObject({ server: "srv1", refusals: [] });
    expect(codes(await plan({ over: "keep", to: "srv2" }))).toContain("OPERATION-RESTORE-ELSEWHERE");
  });

  test("unknown guest, dead server, no such point: refused before anything is changed", async () => {
    expect(codes(await plan({ guest: "sql" }))).toEqual(["OPERATION-UNKNOWN-GUEST"]);
    expect(codes(await plan({ point: "2020-01-01" }))).toContain("OPERATION-NO-POINT");
    fake.site.kill("srv2");
    expect(codes(await plan({ over: "keep" }))).toContain("OPERATION-SERVER-DOWN");
    expect(fake.calls).toEqual([]);
  });
});

describe("beside the original", () => {
  test("another id, new hardware addresses, our tag, powered off, on any server that sees the copy", async () => {
    const made = await plan({ as: "sql-erp-2", to: "srv1" });
    expect(made.refusals).toEqual([]);
    expect(made).toMatchObject({ server: "srv1", beside: true, start: false });
    await runRestore(fake.operator(), made, "sql-erp");
    const form = fake.calls.find(({ path, method }) => path === "/nodes/srv1/qemu" && method === "POST")!.form;
    expect(form).toMatchObject({ unique: true, force: false, start: false, onboot: false });
    expect(fake.site.guests.get(made.vmid)).toMatchObject({
      server: "srv1",
      running: false,
      config: { name: "sql-erp-2", tags: "coldspare;coldspare-restored", onboot: "false" },
    });
    expect(fake.site.guests.get(ERP)!.running).toBe(true);
  });

  test("the same name gives the same id, and one that is taken the next", async () => {
    const first = await plan({ as: "sql-erp-2" });
    expect((await plan({ as: "sql-erp-2" })).vmid).toBe(first.vmid);
    fake.site.guests.set(first.vmid, { server: "srv1", kind: "qemu", running: false, config: { name: "other" } });
    expect((await plan({ as: "sql-erp-2" })).vmid).toBe(first.vmid + 1);
  });

  test.each([
    ["a name that is taken", { as: "files-1" }, "OPERATION-NAME"],
    ["a name that is none", { as: "sql erp" }, "OPERATION-NAME"],
  ])("%s is refused", async (_what, change, code) => {
    expect(codes(await plan(change))).toEqual([code]);
  });

  test("no room on the storage, no memory to start it, a server that does not see the copy", async () => {
    fake.freeGiB.tank = 10;
    expect(codes(await plan({ as: "sql-erp-2" }))).toEqual(["OPERATION-NO-ROOM"]);
    fake.freeGiB.tank = 500;
    fake.site.manifest.servers.srv2!.memoryLimitGiB = 1;
    expect(codes(await plan({ as: "sql-erp-2", start: true }))).toEqual(["OPERATION-NO-MEMORY"]);
    fake.storages["backup-nfs"]!.servers = ["srv2"];
    expect(codes(await plan({ as: "sql-erp-2", to: "srv1" }))).toEqual(["OPERATION-POINT-NOT-SEEN"]);
  });

  test("started beside the running original, it is said that inside it is the same", async () => {
    const { warnings } = await plan({ as: "sql-erp-2", start: true, to: "srv1" });
    expect(warnings.map(({ code }) => code)).toEqual(["OPERATION-SAME-ADDRESS"]);
  });
});

describe("folders, data sets, files", () => {
  const data = async (subject: string, into: string, files: string[] = [], point = "latest") =>
    planData(fake.site.manifest, await readCopies(fake.operator()), { subject, into, files, point });

  test("a folder by its program, only the paths that were asked for", async () => {
    const made = await data("folder:backup-1:/srv/share", "/root/back", ["/srv/share/a b"]);
    await runData(fake.operator(), made);
    expect(fake.commands.at(-1)).toBe(
      "backup-1: coldspare-backup restore folders aabb01 --to /root/back --path /srv/share/a b",
    );
    expect(await fake.operator().journal.openOperations()).toEqual([]);
  });

  test("what was left open is gone on with by the same words only, and is no restore of the guest", async () => {
    const words = "coldspare-backup restore folders aabb01 --to /root/back";
    fake.refuse("backup-1", words, 1, "no space left");
    await expect(runData(fake.operator(), await data("folder:backup-1:/srv/share", "/root/back"))).rejects.toThrow(
      /no space left/,
    );
    await runData(fake.operator(), await data("folder:backup-1:/srv/share", "/root/other"));
    const [open] = await fake.operator().journal.openOperations();
    expect(goOnWith(open!)).toBe("coldspare restore folder:backup-1:/srv/share --point aabb01 --into /root/back");
    fake.answers.delete(`backup-1: ${words}`);
    await runData(fake.operator(), await data("folder:backup-1:/srv/share", "/root/back"));
    expect(await fake.operator().journal.openOperations()).toEqual([]);
    expect(await openRestore(fake.operator(), "restore", "folder:backup-1:/srv/share")).toBeUndefined();
  });

  test("a data set into a new one, by its job", async () => {
    const made = await data("dataset:srv1:tank/data", "tank/data-back");
    expect(made.commands).toEqual([
      ["coldspare-zfs", "restore", "data-home", "coldspare-data-1", "--to", "tank/data-back"],
    ]);
    expect(dataSteps(fake.operator(), made)).toHaveLength(1);
    expect(codes(await data("dataset:srv1:tank/data", "/root/x"))).toEqual(["OPERATION-INTO"]);
    expect(codes(await data("dataset:srv1:tank/data", "tank/x", ["/etc"]))).toEqual(["OPERATION-FILES"]);
  });

  test("a machine's archive has no files, and the message says what is possible instead", async () => {
    const { refusals } = await data("sql-erp", "/root/x", ["/etc/hosts"], "2026-11-21T21:00:00Z");
    expect(refusals).toMatchObject([{ code: "OPERATION-FILES" }]);
    expect(refusals[0]!.fix).toMatch(/coldspare restore sql-erp --point backup-nfs:.* --as sql-erp-files/);
  });

  test("a copy on a backup server has files, unless it is encrypted", async () => {
    const wish = "2026-11-20T12:00:00Z";
    expect(codes(await data("sql-erp", "/root/x", ["/etc/hosts"], wish))).toEqual(["OPERATION-FILES"]);
    delete fake.storages.pbs!.volumes[0]!.encrypted;
    const made = await data("sql-erp", "/root/x", ["/etc/hosts"], wish);
    expect(made).toMatchObject({ refusals: [], commands: [], downloads: ["/etc/hosts"] });
    expect(dataSteps(fake.operator(), made)[0]!.title).toMatch(/^fetch \/etc\/hosts of sql-erp .* on this machine$/);
  });

  test("a container's archive is a tar", async () => {
    const { kind, vmid } = fake.site.manifest.guests["files-1"]!;
    Object.assign(fake.site.manifest.guests["files-1"]!, { kind: "lxc" });
    for (const volume of fake.storages["backup-nfs"]!.volumes)
      if (volume.vmid === vmid) volume.volid = volume.volid.replace(/qemu/, "lxc");
    const made = await data("files-1", "/root/x", ["/etc/hosts"]);
    Object.assign(fake.site.manifest.guests["files-1"]!, { kind });
    expect(made.refusals).toEqual([]);
    expect(made.commands[0]!.slice(-2)).toEqual(["/root/x", "./etc/hosts"]);
  });
});
