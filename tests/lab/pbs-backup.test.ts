import { BackupLab } from "./pbs-client";

let lab: BackupLab;
beforeAll(async () => {
  lab = await BackupLab.start();
  await lab.attach("vault", "pbs1", "main");
  await lab.machine("srv1", 100);
});
afterAll(() => lab.remove());

const content = (storage: string, vmid?: number) =>
  lab.pve("srv2", "GET", `/nodes/srv2/storage/${storage}/content`, { content: "backup", ...(vmid ? { vmid } : {}) });
const write = (vmid: number, text: string, bytes?: number) =>
  lab.control("POST", `/guests/${vmid}/write`, { text, ...(bytes ? { bytes } : {}) });
const restore = (vmid: number, archive: string, more: Record<string, unknown> = {}) =>
  lab.pveTask("srv2", "POST", "/nodes/srv2/qemu", { vmid, archive, storage: "tank", unique: 1, ...more });

describe("a storage on a backup server", () => {
  const form = (more: Record<string, unknown> = {}) => {
    const { address, fingerprint, token } = lab.lab.backupServers.pbs1!;
    const [username, password] = token.split(/:(.*)/s);
    return {
      storage: "bad",
      type: "pbs",
      server: address,
      datastore: "main",
      username,
      password,
      fingerprint,
      ...more,
    };
  };
  const refusedBecause = async (more: Record<string, unknown>) =>
    (await lab.pveCall("srv1", "POST", "/storage", form(more))).reason;

  it("is not made with a wrong secret, certificate, datastore, or a server that does not answer", async () => {
    expect(await refusedBecause({ password: "wrong" })).toBe(
      "create storage failed: bad: error fetching datastores - 401 Unauthorized",
    );
    expect(await refusedBecause({ fingerprint: lab.lab.backupServers.pbs2!.fingerprint })).toBe(
      `create storage failed: bad: error fetching datastores - fingerprint '${lab.lab.backupServers.pbs1!.fingerprint.toUpperCase()}' not verified, abort!`,
    );
    expect(await refusedBecause({ datastore: "none" })).toBe(
      "create storage failed: bad: Cannot find datastore 'none', check permissions and existence!",
    );
    expect(await refusedBecause({ server: "192.0.2.99" })).toBe(
      "create storage failed: bad: error fetching datastores - 500 Can't connect to 192.0.2.99:8007 (No route to host)",
    );
    const { fingerprint: _none, ...unpinned } = form();
    expect((await lab.pveCall("srv1", "POST", "/storage", unpinned)).reason).toBe(
      "create storage failed: bad: error fetching datastores - 500 Can't connect to 192.0.2.31:8007 (certificate verify failed)",
    );
    expect((await lab.pveCall("srv1", "GET", "/storage/bad")).status).toBe(500);
  });

  it("shows neither password nor key, is shared, and knows its space", async () => {
    const entry = await lab.pve("srv1", "GET", "/storage/vault");
    expect(entry).toMatchObject({ type: "pbs", content: "backup", datastore: "main" });
    expect(JSON.stringify(entry)).not.toContain(lab.lab.backupServers.pbs1!.token.split(":")[1]);
    expect(await lab.pve("srv2", "GET", "/nodes/srv2/storage/vault/status")).toMatchObject({
      active: 1,
      shared: 1,
      total: 200 * 1024 ** 3,
    });
  });

  it("can be looked for before", async () => {
    const { storage: _s, type: _t, datastore: _d, ...rest } = form();
    expect(await lab.pve("srv1", "GET", "/nodes/srv1/scan/pbs", rest)).toEqual([{ store: "main" }]);
  });
});

describe("a backup", () => {
  it("is restored on the other node byte by byte, as it was when it began", async () => {
    await write(100, "invoice 4711");
    const before = await lab.disk(100);
    const { exit, log } = await lab.backup("srv1", 100, "vault", { "notes-template": "{{guestname}} on {{node}}" });
    expect([exit, log.at(-1)]).toEqual(["OK", "TASK OK"]);
    await write(100, "invoice 4712");
    const [backup] = await content("vault");
    expect(backup).toMatchObject({
      content: "backup",
      format: "pbs-vm",
      subtype: "qemu",
      vmid: 100,
      notes: "vm100 on srv1",
    });
    expect(backup.volid).toMatch(/^vault:backup\/vm\/100\/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect((await restore(200, backup.volid)).exit).toBe("OK");
    expect(await lab.disk(200)).toBe(before);
    expect(await lab.pve("srv2", "GET", "/nodes/srv2/qemu/200/config")).toMatchObject({ name: "vm100", memory: "512" });
  });

  it("sends only what has changed, and the datastore grows by that", async () => {
    const used = async () => (await lab.ask("pbs1", "GET", "/admin/datastore/main/status")).used;
    await lab.backup("srv1", 100, "vault");
    const first = await used();
    const { log } = await lab.backup("srv1", 100, "vault");
    expect(log.join("\n")).toContain("using fast incremental mode (dirty-bitmap), 0.0 MiB dirty");
    expect(await used()).toBe(first);
    await write(100, "x".repeat(9000), 30 * 1024 ** 2);
    const after = await lab.backup("srv1", 100, "vault");
    expect(after.exit).toBe("OK");
    const grown = (await used()) - first;
    expect(grown).toBeGreaterThan(25 * 1024 ** 2);
    expect(grown).toBeLessThan(31 * 1024 ** 2);
  });

  it("shows on the backup server with its owner, size and files", async () => {
    const [first] = await lab.snapshots("pbs1", "main");
    expect(first).toMatchObject({
      "backup-type": "vm",
      "backup-id": "100",
      owner: "root@pam!lab",
      protected: false,
      comment: "vm100 on srv1",
    });
    expect(first.files.map(({ filename }: { filename: string }) => filename)).toEqual([
      "drive-scsi0.img.fidx",
      "qemu-server.conf.blob",
      "index.json.blob",
    ]);
    const [group] = await lab.ask("pbs1", "GET", "/admin/datastore/main/groups");
    expect(group).toMatchObject({ "backup-type": "vm", "backup-id": "100", "backup-count": 4 });
  });

  it("is protected and has notes from both sides, and is not removed while protected", async () => {
    const [backup] = await content("vault");
    const path = `/nodes/srv1/storage/vault/content/${encodeURIComponent(backup.volid)}`;
    await lab.pve("srv1", "PUT", path, { protected: 1, notes: "before the update" });
    const id = { "backup-type": "vm", "backup-id": "100", "backup-time": backup.ctime };
    expect(await lab.ask("pbs1", "GET", "/admin/datastore/main/protected", id)).toBe(true);
    expect(await lab.ask("pbs1", "GET", "/admin/datastore/main/notes", id)).toBe("before the update");
    expect((await lab.pveTask("srv1", "DELETE", path)).exit).toBe(
      `cannot remove protected volume '${backup.volid}' on 'vault'`,
    );
    expect((await lab.call("pbs1", "DELETE", "/admin/datastore/main/snapshots", id)).text).toBe(
      "cannot remove protected snapshot",
    );
    await lab.ask("pbs1", "PUT", "/admin/datastore/main/protected", { ...id, protected: false });
    expect((await lab.pveTask("srv1", "DELETE", path)).exit).toBe("OK");
    expect((await content("vault")).map(({ volid }: { volid: string }) => volid)).not.toContain(backup.volid);
  });

  it("prunes what its retention does not keep, dry first", async () => {
    const before = await content("vault", 100);
    const dry = await lab.pve("srv1", "GET", "/nodes/srv1/storage/vault/prunebackups", {
      "prune-backups": "keep-last=1",
      vmid: 100,
    });
    expect(dry.filter(({ mark }: { mark: string }) => mark === "remove")).toHaveLength(before.length - 1);
    expect(await content("vault", 100)).toHaveLength(before.length);
    const { log } = await lab.backup("srv1", 100, "vault", { "prune-backups": "keep-last=2" });
    expect(log).toContain("INFO: running 'proxmox-backup-client prune' for 'vm/100'");
    expect(await content("vault", 100)).toHaveLength(2);
    const form = { "prune-backups": "keep-last=1", vmid: 100, type: "qemu" };
    expect((await lab.pveTask("srv1", "DELETE", "/nodes/srv1/storage/vault/prunebackups", form)).exit).toBe("OK");
    expect(await content("vault", 100)).toHaveLength(1);
  });

  it("takes longer over a slow link or with a limit", async () => {
    const seconds = async (more: Record<string, unknown> = {}) => {
      const from = (await lab.control("GET", "/")).time;
      expect((await lab.backup("srv1", 100, "vault", more)).exit).toBe("OK");
      return (await lab.control("GET", "/")).time - from;
    };
    await write(100, "a".repeat(5000), 100 * 1024 ** 2);
    await lab.control("POST", "/links/slow", { a: "srv1", b: "pbs1", bytesPerSecond: 20_000 });
    // The work of tasks is twenty times quicker in this lab.
    expect(await seconds()).toBeGreaterThan((100 * 1024 ** 2) / 20_000 / 20);
    await lab.control("POST", "/faults/clear");
    await write(100, "b".repeat(5000), 100 * 1024 ** 2);
    expect(await seconds({ bwlimit: 50 })).toBeGreaterThan((100 * 1024) / 50 / 20);
  });
});

describe("a container", () => {
  it("is backed up and restored with its file system, and its files can be read", async () => {
    await lab.pve("srv1", "POST", "/nodes/srv1/storage/local/download-url", {
      url: "https://images.example/debian.tar.zst",
      content: "vztmpl",
      filename: "debian.tar.zst",
    });
    await lab.until(
      () => lab.pve("srv1", "GET", "/nodes/srv1/storage/local/content", { content: "vztmpl" }),
      (found) => found.length === 1,
    );
    const form = { vmid: 110, ostemplate: "local:vztmpl/debian.tar.zst", rootfs: "tank:4", hostname: "files" };
    expect((await lab.pveTask("srv1", "POST", "/nodes/srv1/lxc", form)).exit).toBe("OK");
    await lab.pveTask("srv1", "POST", "/nodes/srv1/lxc/110/status/start");
    await write(110, "letter to the bank");
    expect((await lab.backup("srv1", 110, "vault")).exit).toBe("OK");
    const [{ volid, subtype }] = await content("vault", 110);
    expect(subtype).toBe("lxc");
    const restored = await lab.pveTask("srv2", "POST", "/nodes/srv2/lxc", {
      vmid: 210,
      ostemplate: volid,
      restore: 1,
      storage: "tank",
    });
    expect(restored.exit).toBe("OK");
    expect(await lab.disk(210)).toBe(await lab.disk(110));
    const files = (filepath: string) =>
      lab.pve("srv2", "GET", "/nodes/srv2/storage/vault/file-restore/list", { volume: volid, filepath });
    const [top] = await files("/");
    expect(top).toMatchObject({ text: "root.pxar.didx", type: "v", leaf: 0 });
    const [file] = await files(top.filepath);
    expect(file).toMatchObject({ text: "data", type: "f", leaf: 1 });
    const download = await lab.pveCall("srv2", "GET", "/nodes/srv2/storage/vault/file-restore/download", {
      volume: volid,
      filepath: file.filepath,
    });
    expect(download.bytes.toString()).toBe(await lab.disk(110));
  });
});

describe("encryption", () => {
  let volid: string;
  let key: string;

  it("keeps the key with the storage; the server holds nothing that can be read", async () => {
    await lab.ask("pbs1", "POST", "/admin/datastore/main/namespace", { name: "secret" });
    const { address, fingerprint, token } = lab.lab.backupServers.pbs1!;
    const [username, password] = token.split(/:(.*)/s);
    const made = await lab.pve("srv1", "POST", "/storage", {
      storage: "sealed",
      type: "pbs",
      server: address,
      datastore: "main",
      namespace: "secret",
      username,
      password,
      fingerprint,
      "encryption-key": "autogen",
    });
    key = made.config["encryption-key"];
    const parsed = JSON.parse(key);
    expect(Buffer.from(parsed.data, "base64")).toHaveLength(32);
    expect((await lab.pve("srv1", "GET", "/storage/sealed"))["encryption-key"]).toBe(parsed.fingerprint);
    expect((await lab.backup("srv1", 100, "sealed")).exit).toBe("OK");
    const [backup] = await content("sealed");
    volid = backup.volid;
    expect(backup.encrypted).toBe(parsed.fingerprint);
    const [snapshot] = await lab.snapshots("pbs1", "main", { ns: "secret" });
    expect(snapshot).toMatchObject({ fingerprint: parsed.fingerprint });
    expect(snapshot.files[0]["crypt-mode"]).toBe("encrypt");
    expect((await restore(220, volid)).exit).toBe("OK");
    expect(await lab.disk(220)).toBe(await lab.disk(100));
  });

  it("restores nothing with another key, or without one", async () => {
    await lab.pve("srv1", "PUT", "/storage/sealed", { "encryption-key": "autogen" });
    expect((await restore(221, volid)).exit).toMatch(
      /^proxmox-backup-client failed: Error: wrong key - manifest's key [0-9a-f:]{23} does not match provided key [0-9a-f:]{23}$/,
    );
    await lab.pve("srv1", "PUT", "/storage/sealed", { delete: "encryption-key" });
    expect((await restore(222, volid)).exit).toMatch(
      /Error: missing key - manifest was created with key [0-9a-f:]{23}$/,
    );
    await lab.pve("srv1", "PUT", "/storage/sealed", { "encryption-key": key });
    expect((await restore(223, volid)).exit).toBe("OK");
    expect((await lab.pveCall("srv1", "PUT", "/storage/sealed", { "encryption-key": "no key" })).reason).toBe(
      "update storage failed: Value does not seems like a valid, JSON formatted encryption key!",
    );
  });

  it("shares no chunk with a backup that is not encrypted, and passes verification all the same", async () => {
    const { exit } = await lab.task("pbs1", "POST", "/admin/datastore/main/verify", { ns: "secret" });
    expect(exit).toBe("OK");
    expect((await content("sealed"))[0].verification.state).toBe("ok");
  });
});

describe("owners", () => {
  it("a group belongs to the identity that made it, and another one is refused", async () => {
    const token = await lab.token("pbs2", "backup@pbs", "DatastorePowerUser", "/datastore/offsite");
    const other = await lab.secondToken("pbs2", "backup@pbs", "two", "DatastorePowerUser", "/datastore/offsite");
    const attach = (storage: string, text: string) =>
      lab.attach(storage, "pbs2", "offsite", { username: text.split(":")[0], password: text.split(/:(.*)/s)[1] });
    await attach("mine", token);
    await attach("theirs", other);
    expect((await lab.backup("srv1", 100, "mine")).exit).toBe("OK");
    const { exit, log } = await lab.backup("srv1", 100, "theirs");
    expect(exit).toBe("job errors");
    expect(log.join("\n")).toContain("backup owner check failed (backup@pbs!two != backup@pbs!one)");
    expect(await content("theirs")).toEqual([]);
    const id = { "backup-type": "vm", "backup-id": "100" };
    const [snapshot] = await lab.snapshots("pbs2", "offsite", {}, token);
    const prune = (who: string) =>
      lab.call("pbs2", "POST", "/admin/datastore/offsite/prune", { ...id, "keep-last": 1 }, who);
    expect(await prune(other)).toMatchObject({ status: 400 });
    expect((await prune(token)).status).toBe(200);
    await lab.ask("pbs2", "POST", "/admin/datastore/offsite/change-owner", { ...id, "new-owner": "backup@pbs!two" });
    expect(await lab.snapshots("pbs2", "offsite", {}, token)).toEqual([]);
    expect((await lab.snapshots("pbs2", "offsite", {}, other))[0]["backup-time"]).toBe(snapshot["backup-time"]);
  });
});

describe("a backup job", () => {
  it("takes every option that the schema has, and runs by its schedule", async () => {
    await lab.pve("srv1", "POST", "/cluster/backup", {
      id: "nightly",
      schedule: "hourly",
      storage: "vault",
      vmid: "100",
      mode: "snapshot",
      fleecing: "enabled=1,storage=tank",
      bwlimit: 51200,
      "prune-backups": "keep-last=3",
      "notes-template": "{{guestname}}",
      "repeat-missed": 1,
      "notification-mode": "notification-system",
    });
    expect(await lab.pve("srv1", "GET", "/cluster/backup/nightly")).toMatchObject({
      fleecing: { enabled: "1", storage: "tank" },
      "repeat-missed": 1,
      "notification-mode": "notification-system",
    });
    const newest = async () => (await content("vault", 100)).at(-1)?.ctime ?? 0;
    const before = await newest();
    await lab.pass(3700);
    await lab.until(newest, (time) => time > before);
    await lab.pve("srv1", "DELETE", "/cluster/backup/nightly");
  });
});
