import { passes } from "../../lab/pbs/sync";
import { BackupLab, MEDIUM } from "./pbs-client";

let lab: BackupLab;
beforeAll(async () => {
  lab = await BackupLab.start();
  await lab.attach("vault", "pbs1", "main");
  await lab.attach("away", "pbs2", "offsite");
  await lab.machine("srv1", 100);
  await lab.control("POST", "/guests/100/write", { text: "ledger ".repeat(2000), bytes: 64 * 1024 ** 2 });
  await lab.backup("srv1", 100, "vault");
  await remote("site");
});
afterAll(() => lab.remove());

const remote = async (name: string, more: Record<string, unknown> = {}) => {
  const { address, fingerprint, token } = lab.lab.backupServers.pbs1!;
  const [id, secret] = token.split(/:(.*)/s);
  const form = { name, host: address, "auth-id": id, password: secret, fingerprint, ...more };
  await lab.ask("pbs2", "POST", "/config/remote", form);
};
const job = (id: string, more: Record<string, unknown> = {}) =>
  lab.ask("pbs2", "POST", "/config/sync", { id, store: "offsite", remote: "site", "remote-store": "main", ...more });
const run = (id: string) => lab.task("pbs2", "POST", `/admin/sync/${id}/run`);
const times = async (server: string, store: string, more: Record<string, unknown> = {}) =>
  (await lab.snapshots(server, store, more)).map((snapshot) => snapshot["backup-time"]);
const forget = (time: number) =>
  lab.ask("pbs1", "DELETE", "/admin/datastore/main/snapshots", {
    "backup-type": "vm",
    "backup-id": "100",
    "backup-time": time,
  });

describe("a sync job", () => {
  it("brings what is new, and the copy is restored byte by byte", async () => {
    await job("pull-all");
    expect((await run("pull-all")).exit).toBe("OK");
    expect(await times("pbs2", "offsite")).toEqual(await times("pbs1", "main"));
    const [copy] = await lab.pve("srv2", "GET", "/nodes/srv2/storage/away/content", { content: "backup" });
    const form = { vmid: 400, archive: copy.volid, storage: "tank" };
    expect((await lab.pveTask("srv2", "POST", "/nodes/srv2/qemu", form)).exit).toBe("OK");
    expect(await lab.disk(400)).toBe(await lab.disk(100));
    const { log } = await run("pull-all");
    expect(log.filter((line) => line.startsWith("sync snapshot"))).toEqual([]);
  });

  it("is listed with its last and next run, and elapses", async () => {
    await lab.ask("pbs2", "PUT", "/config/sync/pull-all", { schedule: "hourly" });
    await lab.backup("srv1", 100, "vault");
    await lab.pass(3700);
    await lab.until(
      async () => [await times("pbs1", "main"), await times("pbs2", "offsite")],
      ([here, there]) => here!.length === there!.length,
    );
    expect((await lab.ask("pbs2", "GET", "/admin/sync"))[0]).toMatchObject({ id: "pull-all", "last-run-state": "OK" });
    await lab.ask("pbs2", "PUT", "/config/sync/pull-all", { delete: ["schedule"] });
  });

  it("brings the source's verification along, which says nothing of the copy", async () => {
    await lab.backup("srv1", 100, "vault");
    await lab.task("pbs1", "POST", "/admin/datastore/main/verify");
    await run("pull-all");
    const copy = (await lab.snapshots("pbs2", "offsite")).at(-1);
    expect(copy.verification).toMatchObject({ state: "ok", upid: expect.stringMatching(/^UPID:pbs1:/) });
  });

  it("keeps what vanished unless it is told to remove it, and never what is protected", async () => {
    const [first] = await times("pbs1", "main");
    await forget(first);
    await run("pull-all");
    expect(await times("pbs2", "offsite")).toContain(first);
    await lab.ask("pbs2", "PUT", "/config/sync/pull-all", { "remove-vanished": true });
    const id = { "backup-type": "vm", "backup-id": "100", "backup-time": first };
    await lab.ask("pbs2", "PUT", "/admin/datastore/offsite/protected", { ...id, protected: true });
    await run("pull-all");
    expect(await times("pbs2", "offsite")).toContain(first);
    await lab.ask("pbs2", "PUT", "/admin/datastore/offsite/protected", { ...id, protected: false });
    await run("pull-all");
    expect(await times("pbs2", "offsite")).not.toContain(first);
  });

  it("brings the last so many, into a namespace", async () => {
    for (let count = 0; count < 3; count++) await lab.backup("srv1", 100, "vault");
    await lab.ask("pbs2", "POST", "/admin/datastore/offsite/namespace", { name: "last" });
    await job("pull-two", { ns: "last", "transfer-last": 2 });
    expect((await run("pull-two")).exit).toBe("OK");
    expect(await times("pbs2", "offsite", { ns: "last" })).toEqual((await times("pbs1", "main")).slice(-2));
  });

  it("does not write into somebody else's group", async () => {
    await lab.ask("pbs2", "POST", "/access/users", { userid: "other@pbs" });
    await job("pull-other", { owner: "other@pbs" });
    const { exit, log } = await run("pull-other");
    expect(exit).toBe("sync failed with some errors.");
    expect(log.join("\n")).toContain("owner check failed (other@pbs != root@pam!lab)");
  });

  it("says why it cannot connect", async () => {
    await remote("liar", { fingerprint: lab.lab.backupServers.pbs2!.fingerprint });
    await job("pull-liar", { remote: "liar" });
    expect((await run("pull-liar")).exit).toContain("certificate validation failed");
    await remote("stranger", { password: "wrong" });
    await job("pull-stranger", { remote: "stranger" });
    expect((await run("pull-stranger")).exit).toContain("authentication failed");
    expect((await lab.call("pbs2", "DELETE", "/config/remote/liar")).text).toContain("is used by sync job 'pull-liar'");
    expect(JSON.stringify(await lab.ask("pbs2", "GET", "/config/remote"))).not.toContain("wrong");
  });

  it("does not bring a damaged chunk, and brings it once it is mended", async () => {
    await run("pull-all");
    await lab.control("POST", "/guests/100/write", { text: "z".repeat(9000) });
    await lab.backup("srv1", 100, "vault");
    await lab.control("POST", "/backup-servers/pbs1/datastores/main/corrupt", { group: "vm/100" });
    const before = await times("pbs2", "offsite");
    expect((await run("pull-all")).exit).toBe("sync failed with some errors.");
    expect(await times("pbs2", "offsite")).toEqual(before);
    await lab.task("pbs1", "POST", "/admin/datastore/main/verify", { "ignore-verified": false });
    await lab.backup("srv1", 100, "vault");
    expect((await run("pull-all")).exit).toBe("OK");
    expect((await lab.task("pbs2", "POST", "/admin/datastore/offsite/verify", { "ignore-verified": false })).exit).toBe(
      "OK",
    );
  });

  it("replaces a damaged copy when it is told to", async () => {
    await lab.control("POST", "/backup-servers/pbs2/datastores/offsite/corrupt", { group: "vm/100" });
    const verify = () => lab.task("pbs2", "POST", "/admin/datastore/offsite/verify", { "ignore-verified": false });
    expect((await verify()).exit).toBe("verification failed - please check the log for details");
    await lab.ask("pbs2", "PUT", "/config/sync/pull-all", { "resync-corrupt": true });
    expect((await run("pull-all")).exit).toBe("OK");
    expect((await verify()).exit).toBe("OK");
  });

  it("broken off by a power cut leaves an unfinished snapshot, and the next run goes on", async () => {
    await lab.control("POST", "/guests/100/write", { text: "q".repeat(20_000), bytes: 200 * 1024 ** 2 });
    await lab.backup("srv1", 100, "vault");
    await lab.control("POST", "/links/slow", { a: "pbs1", b: "pbs2", bytesPerSecond: 5_000 });
    const upid = await lab.ask("pbs2", "POST", "/admin/sync/pull-all/run");
    await lab.until(
      async () => (await lab.snapshots("pbs2", "offsite")).at(-1),
      (newest) => newest.size === undefined,
    );
    await lab.control("POST", "/backup-servers/pbs2/kill");
    await lab.control("POST", "/faults/clear");
    await lab.control("POST", "/backup-servers/pbs2/revive");
    await lab.until(
      () => lab.call("pbs2", "GET", "/version").catch(() => ({ status: 0 })),
      ({ status }) => status === 200,
    );
    expect((await lab.ended("pbs2", upid)).exit).toBe("unknown");
    expect((await run("pull-all")).exit).toBe("OK");
    expect((await lab.snapshots("pbs2", "offsite")).every(({ size }) => size !== undefined)).toBe(true);
    expect(await times("pbs2", "offsite")).toEqual(await times("pbs1", "main"));
  });
});

describe("a disk that is carried away", () => {
  it("is synchronised when it is mounted, unmounted afterwards, and read by another server", async () => {
    await lab.task("pbs1", "POST", "/config/datastore", { name: "carry", path: "pbs", "backing-device": MEDIUM });
    await lab.ask("pbs1", "POST", "/config/sync", {
      id: "to-disk",
      store: "carry",
      "remote-store": "main",
      "run-on-mount": true,
      "unmount-on-done": true,
    });
    const status = async () =>
      (await lab.ask("pbs1", "GET", "/admin/datastore")).find(({ store }: { store: string }) => store === "carry")[
        "mount-status"
      ];
    await lab.task("pbs1", "POST", "/admin/datastore/carry/unmount");
    await lab.control("POST", `/media/${MEDIUM}/pull`);
    await lab.control("POST", `/media/${MEDIUM}/plug`, { server: "pbs1" });
    await lab.until(
      async () => (await lab.ask("pbs1", "GET", "/admin/sync"))[0]["last-run-state"],
      (state) => state === "OK",
    );
    await lab.until(status, (found) => found === "notmounted");
    await lab.control("POST", `/media/${MEDIUM}/pull`);
    await lab.control("POST", `/media/${MEDIUM}/plug`, { server: "pbs2" });
    const form = { name: "carried", path: "pbs", "backing-device": MEDIUM, "reuse-datastore": true };
    expect((await lab.task("pbs2", "POST", "/config/datastore", form)).exit).toBe("OK");
    expect(await times("pbs2", "carried")).toEqual(await times("pbs1", "main"));
    expect((await lab.task("pbs2", "POST", "/admin/datastore/carried/verify", { "ignore-verified": false })).exit).toBe(
      "OK",
    );
  });
});

test.each([
  [undefined, true],
  ["type:vm", true],
  ["type:ct", false],
  ["group:vm/100", true],
  ["exclude:group:vm/100", false],
  ["type:vm\0exclude:regex:^vm/1", false],
  ["exclude:type:ct", true],
])("the filter %j takes vm/100: %s", (filter, expected) => {
  expect(passes({ ns: "", type: "vm", id: "100" }, filter)).toBe(expected);
});
