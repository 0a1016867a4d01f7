import { BackupLab } from "./pbs-client";

let lab: BackupLab;
beforeAll(async () => {
  lab = await BackupLab.start();
  await lab.attach("vault", "pbs1", "main");
  await lab.machine("srv1", 100);
  await lab.control("POST", "/guests/100/write", { text: "minutes of the meeting" });
});
afterAll(() => lab.remove());

const MAIN = "/admin/datastore/main";
const GROUP = { "backup-type": "vm", "backup-id": "100" };
const newest = async () => (await lab.snapshots("pbs1", "main")).at(-1);
const idOf = (snapshot: Record<string, unknown>) => ({ ...GROUP, "backup-time": snapshot["backup-time"] });

it("a datastore that verifies what is new does so after each backup", async () => {
  await lab.ask("pbs1", "PUT", "/config/datastore/main", { "verify-new": true });
  await lab.backup("srv1", 100, "vault");
  await lab.until(newest, (snapshot) => snapshot.verification?.state === "ok");
  await lab.ask("pbs1", "PUT", "/config/datastore/main", { delete: ["verify-new"] });
});

it("files of a snapshot are listed, and can be read by whoever may read backups", async () => {
  const id = idOf(await newest());
  const names = (await lab.ask("pbs1", "GET", `${MAIN}/files`, id)).map((file: { filename: string }) => file.filename);
  expect(names).toEqual(["drive-scsi0.img.fidx", "qemu-server.conf.blob", "index.json.blob"]);
  const read = (token?: string) =>
    lab.call("pbs1", "GET", `${MAIN}/download-decoded`, { ...id, "file-name": "drive-scsi0.img.fidx" }, token);
  expect((await read()).text).toBe(await lab.disk(100));
  expect((await read(await lab.token("pbs1", "auditor@pbs", "DatastoreAudit"))).status).toBe(403);
  expect((await read(await lab.token("pbs1", "reader@pbs", "DatastoreReader"))).text).toBe(await lab.disk(100));
});

it("notes of a group are its comment", async () => {
  await lab.ask("pbs1", "PUT", `${MAIN}/group-notes`, { ...GROUP, notes: "accounting\nsince 2019" });
  expect(await lab.ask("pbs1", "GET", `${MAIN}/group-notes`, GROUP)).toBe("accounting\nsince 2019");
  expect((await lab.ask("pbs1", "GET", `${MAIN}/groups`))[0]).toMatchObject({ comment: "accounting" });
});

it("a group is removed but for what is protected", async () => {
  await lab.backup("srv1", 100, "vault");
  const kept = await newest();
  await lab.ask("pbs1", "PUT", `${MAIN}/protected`, { ...idOf(kept), protected: true });
  expect((await lab.call("pbs1", "DELETE", `${MAIN}/groups`, GROUP)).text).toBe(
    "group only partially deleted due to 1 protected snapshots",
  );
  expect((await lab.snapshots("pbs1", "main")).map(({ protected: value }) => value)).toEqual([true]);
  await lab.ask("pbs1", "PUT", `${MAIN}/protected`, { ...idOf(kept), protected: false });
  expect(await lab.ask("pbs1", "DELETE", `${MAIN}/groups`, GROUP)).toMatchObject({ "removed-groups": 1 });
  expect(await lab.ask("pbs1", "GET", `${MAIN}/groups`)).toEqual([]);
});

it("what may be seen depends on privilege and owner", async () => {
  const token = await lab.token("pbs1", "branch@pbs", "DatastoreBackup");
  await lab.attach("branch", "pbs1", "main", { username: token.split(":")[0], password: token.split(/:(.*)/s)[1] });
  expect((await lab.backup("srv1", 100, "branch")).exit).toBe("OK");
  expect(await lab.snapshots("pbs1", "main", {}, token)).toHaveLength(1);
  expect((await newest()).owner).toBe("branch@pbs!one");
  const other = await lab.token("pbs1", "elsewhere@pbs", "DatastoreBackup");
  expect(await lab.snapshots("pbs1", "main", {}, other)).toEqual([]);
  const id = idOf(await newest());
  expect((await lab.call("pbs1", "DELETE", `${MAIN}/snapshots`, id, token)).text).toBe(
    "permission check failed - missing Datastore.Modify|Datastore.Prune on /datastore/main",
  );
  expect((await lab.call("pbs1", "PUT", `${MAIN}/notes`, { ...id, notes: "mine" }, other)).text).toBe(
    "backup owner check failed (elsewhere@pbs!one != branch@pbs!one)",
  );
  await lab.ask("pbs1", "PUT", `${MAIN}/notes`, { ...id, notes: "mine" }, token);
});

it("a whole datastore is pruned by one call, dry first", async () => {
  for (let count = 0; count < 3; count++) await lab.backup("srv1", 100, "branch");
  const before = await lab.snapshots("pbs1", "main");
  await lab.task("pbs1", "POST", `${MAIN}/prune-datastore`, { "keep-last": 1, "dry-run": true });
  expect(await lab.snapshots("pbs1", "main")).toEqual(before);
  await lab.task("pbs1", "POST", `${MAIN}/prune-datastore`, { "keep-last": 1 });
  expect(await lab.snapshots("pbs1", "main")).toEqual(before.slice(-1));
});

it("a namespace with backups goes only with them", async () => {
  await lab.ask("pbs1", "POST", `${MAIN}/namespace`, { name: "old" });
  await lab.attach("olden", "pbs1", "main", { namespace: "old" });
  await lab.backup("srv1", 100, "olden");
  expect(await lab.snapshots("pbs1", "main", { ns: "old" })).toHaveLength(1);
  expect((await lab.call("pbs1", "DELETE", `${MAIN}/namespace`, { ns: "old" })).status).toBe(400);
  await lab.ask("pbs1", "DELETE", `${MAIN}/namespace`, { ns: "old", "delete-groups": true });
  expect((await lab.call("pbs1", "GET", `${MAIN}/snapshots`, { ns: "old" })).status).toBe(400);
  expect((await lab.backup("srv1", 100, "olden")).log.join("\n")).toContain("namespace 'old' not found");
});
