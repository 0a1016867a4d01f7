import { remoteHandler, userHandler } from "../../../providers/pbs/access";
import { aclHandler } from "../../../providers/pbs/acl";
import { DATASTORE } from "../../../providers/pbs/datastore";
import { PRUNE_JOB, SYNC_JOB, TRAFFIC_CONTROL, VERIFY_JOB } from "../../../providers/pbs/jobs";
import { namespaceHandler } from "../../../providers/pbs/namespace";
import { sectionHandler } from "../../../providers/pbs/section";
import { tokenHandler } from "../../../providers/pbs/token";
import { FakePbs } from "./fake-pbs";

const server = "office";

describe("the resources of a backup server", () => {
  let pbs: FakePbs;
  beforeEach(async () => {
    pbs = await FakePbs.start();
  });
  afterEach(() => pbs.end());

  describe("a datastore", () => {
    const datastore = sectionHandler(DATASTORE);
    const main = { server, name: "main", path: "/srv/backup", gcSchedule: "daily", verifyNew: true };

    test("is made by a task, found as it was made, changed in place, and leaves its backups when it goes", async () => {
      const tuning = { syncLevel: "file" as const, chunkOrder: "none" as const };
      const wanted = { ...main, reuse: true, tuning };
      const { id, outs } = await datastore.create(pbs.context, wanted);
      expect(id).toBe("office/main");
      expect(outs).toEqual({ ...main, tuning });
      expect(pbs.changes()).toEqual([
        "POST /config/datastore name=main&path=/srv/backup&reuse-datastore=1&gc-schedule=daily&verify-new=1&tuning=chunk-order=none,sync-level=file",
      ]);
      expect(await datastore.read(pbs.context, id, outs)).toEqual(outs);
      const news = { server, name: "main", path: "/srv/backup", tuning: { syncLevel: "file" as const } };
      expect(datastore.diff(outs, news)).toEqual({ changes: true, replaces: [] });
      await datastore.update(pbs.context, id, outs, news);
      expect(pbs.changes()).toEqual([
        "PUT /config/datastore/main verify-new=0&tuning=sync-level=file&delete=gc-schedule",
      ]);
      await datastore.delete(pbs.context, id, outs);
      expect(pbs.changes()).toEqual(["DELETE /config/datastore/main keep-job-configs=1"]);
      await datastore.delete(pbs.context, id, outs);
      expect(await datastore.read(pbs.context, id, outs)).toBeUndefined();
    });

    test("with the same settings is taken over untouched, whatever its comment and mail", async () => {
      pbs.sections.get("/config/datastore")!.set("main", {
        name: "main",
        path: "/srv/backup",
        "gc-schedule": "daily",
        "verify-new": true,
        comment: "by hand",
        "notification-mode": "notification-system",
      });
      expect((await datastore.create(pbs.context, main)).outs).toEqual(main);
      expect(pbs.changes()).toEqual([]);
    });

    test("with other settings is refused with all of them, or changed with a word; never moved", async () => {
      const there = { name: "main", path: "/srv/backup", "gc-schedule": "weekly" };
      pbs.sections.get("/config/datastore")!.set("main", there);
      await expect(datastore.create(pbs.context, main)).rejects.toThrow(
        /office: could not make the datastore 'main'.*gcSchedule is 'weekly', wanted 'daily'; verifyNew is not set, wanted true.*adopt: true.*datastore remove main/s,
      );
      expect(pbs.changes()).toEqual([]);
      expect((await datastore.create(pbs.context, { ...main, adopt: true })).outs).toEqual(main);
      expect(pbs.changes()).toEqual(["PUT /config/datastore/main gc-schedule=daily&verify-new=1"]);
      const moved = { ...main, path: "/mnt/other", adopt: true };
      await expect(datastore.create(pbs.context, moved)).rejects.toThrow(/path cannot be changed/);
      expect(datastore.diff(main, moved)).toEqual({ changes: true, replaces: ["path"] });
    });

    test("what somebody changed is found by a refresh and put back by the next update", async () => {
      await datastore.create(pbs.context, main);
      Object.assign(pbs.sections.get("/config/datastore")!.get("main")!, {
        "gc-schedule": "weekly",
        "verify-new": false,
      });
      const found = (await datastore.read(pbs.context, "office/main", main))!;
      expect(found).toEqual({ ...main, gcSchedule: "weekly", verifyNew: false });
      expect(datastore.diff(found, main).changes).toBe(true);
      pbs.changes();
      await datastore.update(pbs.context, "office/main", found, main);
      expect(pbs.changes()).toEqual(["PUT /config/datastore/main gc-schedule=daily&verify-new=1"]);
    });

    test("the failure of its task is the error", async () => {
      pbs.says.set("GET /nodes/localhost/tasks/UPID%3Apbs%3A0001%3Acreate/status", {
        data: { status: "stopped", exitstatus: "unable to create chunk store: not empty" },
      });
      await expect(datastore.create(pbs.context, main)).rejects.toThrow(/make the datastore 'main'.*reuse: true/s);
    });

    test.each([
      [{ name: "x" }, "name"],
      [{ name: "main", path: "srv" }, "path"],
      [{ name: "main", path: "backup", backingDevice: "sdb1" }, "backingDevice"],
      [{ name: "main", gcSchedule: "every day" }, "gcSchedule"],
    ])("%j: %s cannot be", (inputs, property) => {
      expect(datastore.check(inputs).map((failure) => failure.property)).toEqual([property]);
    });
    test("a removable one has a path on its medium", () => {
      const uuid = "8f2f7a1e-5b1d-4a39-9d7b-3a1c6f0d2b11";
      expect(datastore.check({ name: "usb", path: "backup", backingDevice: uuid })).toEqual([]);
    });
  });

  describe("jobs", () => {
    const prune = sectionHandler(PRUNE_JOB);
    const verify = sectionHandler(VERIFY_JOB);
    const sync = sectionHandler(SYNC_JOB);
    const daily = { server, jobId: "daily", store: "main", schedule: "03:00", keepLast: 3, keepDaily: 14 };

    test("a prune job: made, changed, and left off when somebody switched it off", async () => {
      const { id, outs } = await prune.create(pbs.context, daily);
      expect(pbs.changes()).toEqual([
        "POST /config/prune id=daily&store=main&schedule=03:00&keep-last=3&keep-daily=14",
      ]);
      pbs.sections.get("/config/prune")!.get("daily")!.disable = true;
      expect(await prune.read(pbs.context, id, outs)).toEqual(outs);
      const { keepLast: _, ...news } = { ...daily, ns: "office", keepYearly: 1 };
      await prune.update(pbs.context, id, outs, news);
      expect(pbs.changes()).toEqual(["PUT /config/prune/daily ns=office&keep-yearly=1&delete=keep-last"]);
      expect(pbs.sections.get("/config/prune")!.get("daily")).toMatchObject({ disable: true });
    });

    test("a retention period that we did not ask for is a difference, as it decides what is lost", async () => {
      await prune.create(pbs.context, daily);
      pbs.sections.get("/config/prune")!.get("daily")!["keep-yearly"] = 5;
      await expect(prune.create(pbs.context, daily)).rejects.toThrow(/keepYearly is 5, wanted not set/);
      expect(await prune.read(pbs.context, "office/daily", daily)).toEqual({ ...daily, keepYearly: 5 });
    });

    test.each([
      [{ schedule: "daily" }, "keepLast", /keeps everything/],
      [{ schedule: "daily", keepLast: 0 }, "keepLast", /not between 1/],
      [{ schedule: "daily", keepDaily: 3, ns: "a//b" }, "ns", /no namespace/],
      [{ schedule: "dayly", keepDaily: 3 }, "schedule", /no calendar event/],
    ])("a prune job of %j is refused: %s", (inputs, property, reason) => {
      expect(prune.check(inputs)).toEqual([{ property, reason: expect.stringMatching(reason) }]);
    });

    test("a verification job: what the server fills in is no difference", async () => {
      const weekly = { server, jobId: "weekly", store: "main", schedule: "weekly", outdatedAfter: 30 };
      const { id, outs } = await verify.create(pbs.context, weekly);
      Object.assign(pbs.sections.get("/config/verify")!.get("weekly")!, { "ignore-verified": true, "max-depth": 7 });
      expect(await verify.read(pbs.context, id, outs)).toEqual(weekly);
      expect(verify.diff(weekly, { ...weekly, ignoreVerified: true })).toEqual({ changes: false, replaces: [] });
      await verify.update(pbs.context, id, outs, { ...weekly, ignoreVerified: false });
      expect(pbs.changes()).toEqual([
        "POST /config/verify id=weekly&store=main&schedule=weekly&outdated-after=30",
        "PUT /config/verify/weekly ignore-verified=0",
      ]);
      expect(verify.diff(weekly, { ...weekly, store: "other" }).replaces).toEqual(["store"]);
    });

    test("a sync job: a flag that cannot be deleted is set to what it is without", async () => {
      const wanted = {
        server,
        jobId: "attic",
        store: "attic",
        remote: "office",
        remoteStore: "main",
        schedule: "02:30",
        rateIn: "20MB",
        transferLast: 7,
        resyncCorrupt: true,
        owner: "sync@pbs",
        groupFilter: ["type:vm", "exclude:group:vm/999"],
      };
      const { id, outs } = await sync.create(pbs.context, wanted);
      expect(await sync.read(pbs.context, id, outs)).toEqual(wanted);
      expect(sync.diff(outs, { ...wanted, groupFilter: [...wanted.groupFilter].reverse() }).changes).toBe(false);
      const { resyncCorrupt: _, transferLast: __, ...news } = wanted;
      pbs.changes();
      await sync.update(pbs.context, id, outs, news);
      expect(pbs.changes()).toEqual(["PUT /config/sync/attic resync-corrupt=0&delete=transfer-last"]);
    });

    test("a sync job from a datastore to itself is refused, but not to another namespace of it", () => {
      const local = { jobId: "copy", store: "main", remoteStore: "main", schedule: "daily" };
      expect(sync.check(local)).toEqual([{ property: "remoteStore", reason: expect.stringContaining("itself") }]);
      expect(sync.check({ ...local, ns: "copy" })).toEqual([]);
    });

    test("a traffic rule: its networks are a list", async () => {
      const traffic = sectionHandler(TRAFFIC_CONTROL);
      const rule = { server, name: "hours", networks: ["10.0.0.0/8", "192.168.0.0/16"], rateIn: "20MB" };
      const { outs } = await traffic.create(pbs.context, rule);
      expect(await traffic.read(pbs.context, "office/hours", outs)).toEqual(rule);
      expect(pbs.changes()).toEqual([
        "POST /config/traffic-control name=hours&network=10.0.0.0/8&network=192.168.0.0/16&rate-in=20MB",
      ]);
    });
  });

  describe("a namespace", () => {
    const namespace = namespaceHandler();
    const office = { server, store: "main", ns: "sites/office" };
    beforeEach(() => void pbs.namespaces.set("main", new Set([""])));

    test("is made with what is missing above it, once", async () => {
      expect((await namespace.create(pbs.context, office)).id).toBe("office/main/sites/office");
      expect(pbs.changes()).toEqual([
        "POST /admin/datastore/main/namespace name=sites",
        "POST /admin/datastore/main/namespace name=office&parent=sites",
      ]);
      await namespace.create(pbs.context, office);
      expect(pbs.changes()).toEqual([]);
      expect(await namespace.read(pbs.context, "", office)).toEqual(office);
    });

    test("with backups or namespaces in it stays, and a message says what is in it", async () => {
      await namespace.create(pbs.context, { ...office, ns: "sites/office/lab" });
      pbs.groups.set("main/sites/office/lab", [{ "backup-id": "110" }]);
      pbs.changes();
      await namespace.delete(pbs.context, "", { ...office, ns: "sites/office/lab" });
      await namespace.delete(pbs.context, "", office);
      expect(pbs.changes()).toEqual([]);
      expect(pbs.progress).toEqual([
        expect.stringMatching(/'sites\/office\/lab'.*stays, with 1 backup groups/),
        expect.stringMatching(/'sites\/office'.*the namespaces sites\/office\/lab/),
      ]);
    });

    test("that is empty goes, without the word that would take backups along", async () => {
      await namespace.create(pbs.context, office);
      pbs.changes();
      await namespace.delete(pbs.context, "", office);
      expect(pbs.changes()).toEqual(["DELETE /admin/datastore/main/namespace ns=sites/office"]);
      await namespace.delete(pbs.context, "", { ...office, store: "gone" });
      expect(await namespace.read(pbs.context, "", { ...office, store: "gone" })).toBeUndefined();
      await expect(namespace.create(pbs.context, { ...office, store: "gone" })).rejects.toThrow(/no datastore gone/);
    });
  });

  describe("users, tokens and rights", () => {
    const user = userHandler();
    const token = tokenHandler();
    const acl = aclHandler();
    const pve = { server, userId: "coldspare@pbs", tokenName: "pve" };

    test("what cannot be deleted is set to what it is without", async () => {
      const limited = { server, userId: "coldspare@pbs", expire: 1_800_000_000, enable: false };
      const { id, outs } = await user.create(pbs.context, limited);
      pbs.changes();
      expect(await user.update(pbs.context, id, outs, { server, userId: "coldspare@pbs" })).toEqual({
        server,
        userId: "coldspare@pbs",
      });
      expect(pbs.changes()).toEqual(["PUT /access/users/coldspare%40pbs enable=1&expire=0"]);
    });

    test("a user stays while it has tokens that others made", async () => {
      const { id, outs } = await user.create(pbs.context, { server, userId: "coldspare@pbs" });
      pbs.tokens.set("coldspare@pbs!by-hand", {});
      await user.delete(pbs.context, id, outs);
      expect(pbs.progress[0]).toMatch(/coldspare@pbs stays.*coldspare@pbs!by-hand.*user remove coldspare@pbs/);
      pbs.tokens.clear();
      await user.delete(pbs.context, id, outs);
      expect(pbs.changes()).toEqual([
        "POST /access/users userid=coldspare@pbs",
        "DELETE /access/users/coldspare%40pbs",
      ]);
    });

    test("a token: its secret is recorded once; another word makes another, and nothing else does", async () => {
      const { id, outs } = await token.create(pbs.context, pve);
      expect(outs).toEqual({ ...pve, tokenId: "coldspare@pbs!pve", secret: "secret-1" });
      expect(await token.read(pbs.context, id, outs)).toEqual(outs);
      expect(token.diff(outs, pve)).toEqual({ changes: false, replaces: [] });
      const commented = await token.update(pbs.context, id, outs, { ...pve, comment: "hypervisors" });
      expect(commented.secret).toBe("secret-1");
      const anew = { ...pve, regenerate: "lost in November" };
      expect(token.diff(commented, anew).changes).toBe(true);
      expect((await token.update(pbs.context, id, commented, anew)).secret).toBe("secret-2");
      expect(token.diff({ ...outs, secret: "" }, pve).changes).toBe(true);
      expect((await token.update(pbs.context, id, { ...outs, secret: "" }, pve)).secret).toBe("secret-3");
    });

    test("a token that exists has an unknown secret: an error, or a new secret with a word", async () => {
      pbs.tokens.set("coldspare@pbs!pve", { tokenid: "coldspare@pbs!pve" });
      await expect(token.create(pbs.context, pve)).rejects.toThrow(/shown only once.*regenerate/s);
      expect(pbs.changes()).toEqual([]);
      const made = await token.create(pbs.context, { ...pve, regenerate: "take over" });
      expect(made.outs.secret).toBe("secret-1");
    });

    test("a token that somebody switched off is on again after the next update; one that is gone is made anew", async () => {
      const { id, outs } = await token.create(pbs.context, pve);
      pbs.tokens.get("coldspare@pbs!pve")!.enable = false;
      const found = (await token.read(pbs.context, id, outs))!;
      expect(found).toMatchObject({ enable: false, secret: "secret-1" });
      expect(token.diff(found, pve).changes).toBe(true);
      expect(await token.update(pbs.context, id, found, pve)).toEqual(outs);
      await token.delete(pbs.context, id, outs);
      await token.delete(pbs.context, id, outs);
      expect(await token.read(pbs.context, id, outs)).toBeUndefined();
    });

    test("a server that cannot make a new secret is named, with what to do by hand", async () => {
      const { id, outs } = await token.create(pbs.context, pve);
      pbs.says.set("PUT /access/users/coldspare%40pbs/token/pve", { data: null });
      await expect(token.update(pbs.context, id, outs, { ...pve, regenerate: "x" })).rejects.toThrow(
        /user delete-token coldspare@pbs pve/,
      );
    });

    test("a right adds up with others: only itself is made, changed and taken away", async () => {
      const path = "/datastore/main/office";
      const right = { server, path, authId: "coldspare@pbs!pve", role: "DatastoreBackup" as const };
      pbs.acl.push({ path, ugid: "admin@pbs", roleid: "Audit", propagate: true });
      const { id, outs } = await acl.create(pbs.context, right);
      await acl.create(pbs.context, right);
      expect(await acl.read(pbs.context, id, outs)).toEqual(right);
      await acl.update(pbs.context, id, outs, { ...right, propagate: false });
      expect(await acl.read(pbs.context, id, outs)).toEqual({ ...right, propagate: false });
      await acl.delete(pbs.context, id, outs);
      await acl.delete(pbs.context, id, outs);
      expect(pbs.acl).toEqual([expect.objectContaining({ ugid: "admin@pbs" })]);
      const form = `path=${path}&role=DatastoreBackup&auth-id=coldspare@pbs!pve`;
      expect(pbs.changes()).toEqual([
        `PUT /access/acl ${form}&propagate=1`,
        `PUT /access/acl ${form}&propagate=0`,
        `PUT /access/acl ${form}&delete=1`,
      ]);
      expect(acl.diff(right, { ...right, role: "DatastoreReader" }).replaces).toEqual(["role"]);
    });
  });

  describe("a remote", () => {
    const remote = remoteHandler();
    const office = {
      server: "attic",
      name: "office",
      host: "192.168.10.13",
      authId: "sync@pbs!attic",
      password: "first",
      fingerprint: "AB:".repeat(31) + "AB",
    };

    test("its password is in no record; another one is written, the same one is not", async () => {
      const { id, outs } = await remote.create(pbs.context, office);
      expect(JSON.stringify(outs)).not.toContain("first");
      expect(outs.passwordHash).toMatch(/^[0-9a-f]{12}$/);
      const form = `name=office&host=192.168.10.13&auth-id=sync@pbs!attic&fingerprint=${office.fingerprint.toLowerCase()}`;
      expect(pbs.changes()).toEqual([`POST /config/remote ${form}&password=first`]);
      expect(await remote.read(pbs.context, id, outs)).toEqual(outs);
      expect(remote.diff(outs, office)).toEqual({ changes: false, replaces: [] });
      expect(remote.diff(outs, { ...office, password: "second" }).changes).toBe(true);
      await remote.update(pbs.context, id, outs, { ...office, password: "second" });
      expect(pbs.changes()).toEqual(["PUT /config/remote/office password=second"]);
    });

    test("by name of the secret: a value that changed is noticed by a refresh", async () => {
      const { password: _, ...rest } = office;
      const named = { ...rest, passwordSecret: "office-sync" };
      pbs.secrets.set("office-sync", "first");
      const { id, outs } = await remote.create(pbs.context, named);
      expect(remote.diff((await remote.read(pbs.context, id, outs))!, named).changes).toBe(false);
      pbs.secrets.set("office-sync", "second");
      const found = (await remote.read(pbs.context, id, outs))!;
      expect(remote.diff(found, named).changes).toBe(true);
      pbs.changes();
      await remote.update(pbs.context, id, found, named);
      expect(pbs.changes()).toEqual(["PUT /config/remote/office password=second"]);
    });

    test("one that is there gets the password, which nobody can compare", async () => {
      await remote.create(pbs.context, office);
      pbs.changes();
      await remote.create(pbs.context, { ...office, password: "other" });
      expect(pbs.changes()).toEqual(["PUT /config/remote/office password=other"]);
    });
  });
});
