import { BackupLab, MEDIUM } from "./pbs-client";

let lab: BackupLab;
beforeAll(async () => {
  lab = await BackupLab.start();
});
afterAll(() => lab.remove());

const hasSchema = process.env.COLDSPARE_PBS_SCHEMA !== undefined;
if (!hasSchema)
  process.stdout.write("SKIPPED: checks against the published API schema of PBS; run the setup to fetch it\n");
const withSchema = hasSchema ? it : it.skip;

describe("the API", () => {
  it("says who it is", async () => {
    expect(await lab.ask("pbs1", "GET", "/version")).toMatchObject({ version: "4.1" });
    expect(lab.lab.backupServers.pbs1?.fingerprint).toMatch(/^([0-9a-f]{2}:){31}[0-9a-f]{2}$/);
    expect(lab.lab.backupServers.pbs1?.fingerprint).not.toBe(lab.lab.backupServers.pbs2?.fingerprint);
  });

  it("answers errors as plain text: 404 for a path, 401 for a wrong token", async () => {
    expect(await lab.call("pbs1", "GET", "/nowhere")).toMatchObject({
      status: 404,
      text: "Path '/api2/json/nowhere' not found.",
    });
    expect(await lab.call("pbs1", "GET", "/version", {}, "root@pam!lab:wrong")).toMatchObject({
      status: 401,
      text: "authentication failed - invalid API token",
    });
  });

  withSchema("refuses parameters that the schema does not know", async () => {
    const reply = await lab.call("pbs1", "POST", "/config/datastore", { name: "x", quota: 5, "keep-last": 0 });
    expect(reply.status).toBe(400);
    expect(reply.text).toContain("parameter verification errors");
    expect(reply.text).toContain("parameter 'path': parameter is missing and it is not optional.");
    expect(reply.text).toContain("parameter 'quota': schema does not allow additional properties.");
    expect(reply.text).toContain("parameter 'keep-last': value must have a minimum value of 1");
  });

  it("gives tickets to passwords, and wants a CSRF token with them", async () => {
    const { token, password } = lab.lab.backupServers.pbs1!;
    const login = await lab.ask("pbs1", "POST", "/access/ticket", { username: "root@pam", password }, token);
    expect(login.ticket).toMatch(/^PBS:root@pam:[0-9A-F]{8}::/);
    expect(login.CSRFPreventionToken).toMatch(/^[0-9A-F]{8}:/);
  });
});

describe("users, tokens and what they may do", () => {
  it("a token has at most what its user has, and nothing by itself", async () => {
    await lab.ask("pbs1", "POST", "/access/users", { userid: "audit@pbs", comment: "reads" });
    const { tokenid, value } = await lab.ask("pbs1", "POST", "/access/users/audit@pbs/token/t1");
    expect(tokenid).toBe("audit@pbs!t1");
    const token = `${tokenid}:${value}`;
    const stores = async () => (await lab.ask("pbs1", "GET", "/admin/datastore", {}, token)).length;
    const allow = (id: string) =>
      lab.ask("pbs1", "PUT", "/access/acl", { path: "/datastore/main", role: "DatastoreAudit", "auth-id": id });
    expect(await stores()).toBe(0);
    await allow("audit@pbs!t1");
    expect(await stores()).toBe(0);
    await allow("audit@pbs");
    expect(await stores()).toBe(1);
    expect(await lab.call("pbs1", "POST", "/admin/datastore/main/gc", {}, token)).toMatchObject({
      status: 403,
      text: "permission check failed",
    });
    expect(
      await lab.ask("pbs1", "GET", "/access/permissions", { "auth-id": tokenid, path: "/datastore/main" }),
    ).toEqual({
      "/datastore/main": { "Datastore.Audit": true },
    });
  });

  it("lists the access list, and takes an entry away", async () => {
    const entry = { path: "/datastore/main", role: "DatastoreBackup", "auth-id": "audit@pbs" };
    await lab.ask("pbs1", "PUT", "/access/acl", entry);
    const has = async () =>
      (await lab.ask("pbs1", "GET", "/access/acl")).some(
        (acl: { ugid: string; roleid: string }) => acl.ugid === "audit@pbs" && acl.roleid === "DatastoreBackup",
      );
    expect(await has()).toBe(true);
    await lab.ask("pbs1", "PUT", "/access/acl", { ...entry, delete: true });
    expect(await has()).toBe(false);
  });

  it("a deleted token is refused, and its entries go with it", async () => {
    const token = await lab.token("pbs1", "gone@pbs", "DatastoreAudit");
    await lab.ask("pbs1", "DELETE", "/access/users/gone@pbs/token/one");
    expect((await lab.call("pbs1", "GET", "/version", {}, token)).status).toBe(401);
    const acl = await lab.ask("pbs1", "GET", "/access/acl");
    expect(acl.filter(({ ugid }: { ugid: string }) => ugid.startsWith("gone@pbs!"))).toEqual([]);
    expect((await lab.call("pbs1", "POST", "/access/users", { userid: "gone@pbs" })).text).toBe(
      "user 'gone@pbs' already exists.",
    );
  });
});

describe("datastores", () => {
  it("are made by a task, changed, shown and removed", async () => {
    const { exit } = await lab.task("pbs1", "POST", "/config/datastore", { name: "extra", path: "/mnt/extra" });
    expect(exit).toBe("OK");
    await lab.ask("pbs1", "PUT", "/config/datastore/extra", { comment: "second", "gc-schedule": "daily" });
    expect(await lab.ask("pbs1", "GET", "/config/datastore/extra")).toEqual({
      name: "extra",
      path: "/mnt/extra",
      comment: "second",
      "gc-schedule": "daily",
    });
    await lab.ask("pbs1", "PUT", "/config/datastore/extra", { delete: ["comment"] });
    expect(await lab.ask("pbs1", "GET", "/config/datastore/extra")).not.toHaveProperty("comment");
    expect((await lab.call("pbs1", "POST", "/config/datastore", { name: "extra", path: "/mnt/x" })).text).toBe(
      "datastore 'extra' already exists.",
    );
    await lab.task("pbs1", "DELETE", "/config/datastore/extra", { "destroy-data": true });
    expect((await lab.call("pbs1", "GET", "/config/datastore/extra")).status).toBe(404);
  });

  it("refuse a schedule that cannot be read, and a change of what somebody else changed", async () => {
    const change = (form: Record<string, unknown>) => lab.call("pbs1", "PUT", "/config/datastore/main", form);
    expect((await change({ "gc-schedule": "at noon" })).text).toContain("unable to parse calendar event 'at noon'");
    const stale = await change({ comment: "x", digest: "0".repeat(64) });
    expect(stale.text).toBe("detected modified configuration - file changed by other user? Try again.");
  });

  it("know how large they are", async () => {
    const status = await lab.ask("pbs1", "GET", "/admin/datastore/main/status", { verbose: true });
    expect(status).toMatchObject({ total: 200 * 1024 ** 3, counts: {} });
  });

  it("in maintenance refuse what the mode forbids", async () => {
    const mode = (value: string) => lab.ask("pbs2", "PUT", "/config/datastore/offsite", { "maintenance-mode": value });
    await mode('type=read-only,message="disk change"');
    expect((await lab.call("pbs2", "POST", "/admin/datastore/offsite/namespace", { name: "a" })).text).toBe(
      "datastore 'offsite' is unavailable: read-only maintenance mode: disk change",
    );
    expect(await lab.snapshots("pbs2", "offsite")).toEqual([]);
    await mode("offline");
    expect((await lab.call("pbs2", "GET", "/admin/datastore/offsite/snapshots")).text).toContain(
      "offline maintenance mode",
    );
    await lab.ask("pbs2", "PUT", "/config/datastore/offsite", { delete: ["maintenance-mode"] });
    expect(await lab.snapshots("pbs2", "offsite")).toEqual([]);
  });

  it("have namespaces below each other", async () => {
    const create = (form: Record<string, string>) =>
      lab.call("pbs2", "POST", "/admin/datastore/offsite/namespace", form);
    expect((await create({ name: "site" })).data).toBe("site");
    expect((await create({ name: "branch", parent: "site" })).data).toBe("site/branch");
    expect((await create({ name: "x", parent: "none" })).text).toBe(
      "cannot create new namespace, parent none doesn't already exists",
    );
    expect((await create({ name: "site" })).data).toBe("site");
    expect(await lab.ask("pbs2", "GET", "/admin/datastore/offsite/namespace")).toEqual([
      { ns: "" },
      { ns: "site" },
      { ns: "site/branch" },
    ]);
    await lab.ask("pbs2", "DELETE", "/admin/datastore/offsite/namespace", { ns: "site/branch" });
    await lab.ask("pbs2", "DELETE", "/admin/datastore/offsite/namespace", { ns: "site" });
  });
});

describe("a removable datastore", () => {
  it("is mounted, unmounted, pulled, and found again by another server", async () => {
    const form = { name: "carry", path: "pbs", "backing-device": MEDIUM };
    expect((await lab.task("pbs1", "POST", "/config/datastore", form)).exit).toBe("OK");
    const status = async (server: string) =>
      (await lab.ask(server, "GET", "/admin/datastore")).find(({ store }: { store: string }) => store === "carry")?.[
        "mount-status"
      ];
    expect(await status("pbs1")).toBe("mounted");
    expect((await lab.task("pbs1", "POST", "/admin/datastore/carry/unmount")).exit).toBe("OK");
    expect((await lab.call("pbs1", "GET", "/admin/datastore/carry/snapshots")).text).toBe(
      "datastore 'carry' is not mounted",
    );
    expect((await lab.call("pbs1", "POST", "/admin/datastore/carry/unmount")).status).toBe(400);
    expect((await lab.task("pbs1", "POST", "/admin/datastore/carry/mount")).exit).toBe("OK");
    await lab.control("POST", `/media/${MEDIUM}/pull`);
    expect(await status("pbs1")).toBe("notmounted");
    expect((await lab.task("pbs1", "POST", "/admin/datastore/carry/mount")).exit).toBe(
      `no such device '/dev/disk/by-uuid/${MEDIUM}'`,
    );
    await lab.control("POST", `/media/${MEDIUM}/plug`, { server: "pbs2" });
    const empty = await lab.task("pbs2", "POST", "/config/datastore", form);
    expect(empty.exit).toBe("datastore path not empty");
    expect((await lab.task("pbs2", "POST", "/config/datastore", { ...form, "reuse-datastore": true })).exit).toBe("OK");
    await lab.control("POST", `/media/${MEDIUM}/pull`);
    await lab.control("POST", `/media/${MEDIUM}/plug`, { server: "pbs1" });
    await lab.until(
      () => status("pbs1"),
      (found) => found === "mounted",
    );
  });
});

describe("jobs", () => {
  it("are kept, listed with their next run, run at once, and by their schedule", async () => {
    await lab.ask("pbs1", "POST", "/config/prune", { id: "p-main", store: "main", schedule: "hourly", "keep-last": 3 });
    expect(await lab.ask("pbs1", "GET", "/config/prune/p-main")).toEqual({
      id: "p-main",
      store: "main",
      schedule: "hourly",
      "keep-last": 3,
    });
    const job = async () => (await lab.ask("pbs1", "GET", "/admin/prune"))[0];
    expect(await job()).toHaveProperty("next-run");
    expect((await lab.task("pbs1", "POST", "/admin/prune/p-main/run")).exit).toBe("OK");
    const first = await lab.until(job, (found) => found["last-run-state"] === "OK");
    await lab.pass(3700);
    await lab.until(
      job,
      (found) => found["last-run-upid"] !== first["last-run-upid"] && found["last-run-state"] === "OK",
    );
    await lab.ask("pbs1", "DELETE", "/config/prune/p-main");
    expect(await lab.ask("pbs1", "GET", "/admin/prune")).toEqual([]);
    expect((await lab.call("pbs1", "POST", "/admin/prune/p-main/run")).status).toBe(404);
  });

  it("of verification and garbage collection elapse as well", async () => {
    await lab.ask("pbs1", "POST", "/config/verify", {
      id: "v-main",
      store: "main",
      schedule: "daily",
      "outdated-after": 7,
    });
    await lab.ask("pbs1", "PUT", "/config/datastore/main", { "gc-schedule": "daily" });
    await lab.pass(86400 + 60);
    await lab.until(
      async () => [(await lab.ask("pbs1", "GET", "/admin/verify"))[0], (await lab.ask("pbs1", "GET", "/admin/gc"))[0]],
      (both) => both.every((each) => each["last-run-state"] === "OK"),
    );
    expect((await lab.ask("pbs1", "GET", "/config/verify/v-main"))["outdated-after"]).toBe(7);
  });

  it("need a datastore and a remote that are there", async () => {
    expect((await lab.call("pbs1", "POST", "/config/verify", { id: "v-none", store: "none" })).text).toContain(
      "does not exist",
    );
    const sync = { id: "s-none", store: "main", remote: "none", "remote-store": "offsite" };
    expect((await lab.call("pbs1", "POST", "/config/sync", sync)).text).toBe("remote 'none' does not exist");
  });
});

describe("tasks", () => {
  it("have PBS's own identifier, are listed, and belong to whom started them", async () => {
    const upid = await lab.ask("pbs1", "POST", "/admin/datastore/main/gc");
    expect(upid).toMatch(
      /^UPID:pbs1:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:garbage_collection:main:root@pam!lab:$/,
    );
    const { exit, log } = await lab.ended("pbs1", upid);
    expect(exit).toBe("OK");
    expect(log).toContain("Start GC phase1 (mark used chunks)");
    expect(log.at(-1)).toBe("TASK OK");
    const [listed] = await lab.ask("pbs1", "GET", "/nodes/localhost/tasks", { typefilter: "garbage", limit: 1 });
    expect(listed).toMatchObject({ upid, worker_type: "garbage_collection", worker_id: "main", status: "OK" });
    const stranger = await lab.token("pbs1", "stranger@pbs", "DatastoreAudit");
    expect(
      (await lab.call("pbs1", "GET", `/nodes/localhost/tasks/${encodeURIComponent(upid)}/status`, {}, stranger)).status,
    ).toBe(403);
  });

  it("survive a restart of the lab with everything else", async () => {
    const before = await lab.ask("pbs1", "GET", "/nodes/localhost/tasks", { limit: 5 });
    const { url, token, fingerprint } = lab.lab.backupServers.pbs1!;
    lab = await lab.restart();
    expect(lab.lab.backupServers.pbs1).toMatchObject({ token, fingerprint });
    expect(url).toMatch(/^https:/);
    expect(await lab.ask("pbs1", "GET", "/nodes/localhost/tasks", { limit: 5 })).toEqual(before);
  });
});
