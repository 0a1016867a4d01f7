/** The handlers against the lab's backup servers, whose requests are checked against the published API schema when it is at hand. */
import { remoteHandler, userHandler } from "../../../providers/pbs/access";
import { aclHandler } from "../../../providers/pbs/acl";
import { PbsClient } from "../../../providers/pbs/client";
import { DATASTORE } from "../../../providers/pbs/datastore";
import { PRUNE_JOB, SYNC_JOB, VERIFY_JOB } from "../../../providers/pbs/jobs";
import { namespaceHandler } from "../../../providers/pbs/namespace";
import {
  collectGarbage,
  listPoints,
  pruneDryRun,
  readUsage,
  setProtected,
  verifyNow,
} from "../../../providers/pbs/points";
import { type Section, type SectionInputs, sectionHandler } from "../../../providers/pbs/section";
import { type PbsTokenState, tokenHandler } from "../../../providers/pbs/token";
import type { PbsContext } from "../../../providers/serve";
import { BackupLab, MEDIUM } from "../../lab/pbs-client";

if (process.env.COLDSPARE_PBS_SCHEMA === undefined)
  process.stdout.write("SKIPPED: checks of these calls against the published API schema; run the setup to fetch it\n");

describe("against the lab's backup servers", () => {
  let lab: BackupLab;
  const clients = new Map<string, PbsClient>();
  const told: string[] = [];
  const client = (server: string, token?: string) => {
    const { url, fingerprint, token: root } = lab.lab.backupServers[server]!;
    return new PbsClient({ server, endpoint: url, fingerprint, token: token ?? root, pollSeconds: 0.02 });
  };
  const context: PbsContext = {
    pbs: (server) => {
      const known = clients.get(server) ?? client(server);
      clients.set(server, known);
      return known;
    },
    secret: () => "",
    progress: (line) => void told.push(line),
  };
  const pbs1 = () => context.pbs("pbs1");

  beforeAll(async () => {
    lab = await BackupLab.start();
  });
  afterAll(async () => {
    for (const each of clients.values()) each.close();
    await lab?.remove();
  });

  /** Made, found as it was made, made again without a change, changed, found so, removed, gone. */
  async function lives<In extends SectionInputs>(section: Section<In>, first: In, second: In): Promise<void> {
    const handler = sectionHandler(section);
    const { id, outs } = await handler.create(context, first);
    expect(await handler.read(context, id, outs)).toEqual(outs);
    expect(handler.diff(outs, first)).toEqual({ changes: false, replaces: [] });
    expect((await handler.create(context, first)).outs).toEqual(outs);
    await expect(handler.create(context, second)).rejects.toThrow(/exists with other settings/);
    expect(handler.diff(outs, second).changes).toBe(true);
    const changed = await handler.update(context, id, outs, second);
    expect(await handler.read(context, id, changed)).toEqual(changed);
    expect(handler.diff(changed, second).changes).toBe(false);
    await handler.delete(context, id, changed);
    await handler.delete(context, id, changed);
    expect(await handler.read(context, id, changed)).toBeUndefined();
  }

  const server = "pbs1";

  test("a datastore lives, and comes back with its namespaces after it was taken out", async () => {
    const spare = { server, name: "spare", path: "/mnt/spare/store", gcSchedule: "daily" };
    const second = {
      server,
      name: "spare",
      path: "/mnt/spare/store",
      verifyNew: true,
      tuning: { chunkOrder: "inode" as const, syncLevel: "file" as const },
      comment: "second",
    };
    await lives(DATASTORE, spare, second);
    const datastore = sectionHandler(DATASTORE);
    await expect(datastore.create(context, spare)).rejects.toThrow(/reuse: true/);
    await datastore.create(context, { ...spare, reuse: true });
    const office = { server, store: "spare", ns: "sites/office" };
    await namespaceHandler().create(context, office);
    await datastore.delete(context, "", spare);
    await datastore.create(context, { ...spare, reuse: true });
    expect(await namespaceHandler().read(context, "", office)).toEqual(office);
    await datastore.delete(context, "", spare);
  });

  test("a removable datastore is made on its medium", async () => {
    const datastore = sectionHandler(DATASTORE);
    const usb = { server, name: "usb", path: "store", backingDevice: MEDIUM };
    const { id, outs } = await datastore.create(context, usb);
    expect(await datastore.read(context, id, outs)).toEqual(usb);
    expect((await readUsage(pbs1(), "usb"))!.isMounted).toBe(true);
    await datastore.delete(context, id, outs);
  });

  test("jobs live", async () => {
    const job = { server, store: "main", schedule: "daily" };
    await lives(
      PRUNE_JOB,
      { ...job, jobId: "prune-1", keepLast: 3, keepDaily: 14 },
      { ...job, jobId: "prune-1", keepDaily: 7, keepYearly: 1, maxDepth: 0, comment: "less" },
    );
    await lives(
      VERIFY_JOB,
      { ...job, jobId: "verify-1", ignoreVerified: true, outdatedAfter: 30 },
      { ...job, jobId: "verify-1", schedule: "sat 04:00", ignoreVerified: false, maxDepth: 2 },
    );
    const sync = { server, jobId: "sync-1", store: "main", remoteStore: "main", ns: "copy", schedule: "daily" };
    await namespaceHandler().create(context, { server, store: "main", ns: "copy" });
    await lives(
      SYNC_JOB,
      { ...sync, resyncCorrupt: true, transferLast: 7, rateIn: "20MB", groupFilter: ["type:vm", "exclude:group:vm/9"] },
      { ...sync, removeVanished: true, verifiedOnly: true, rateOut: "5MB", comment: "other" },
    );
    await namespaceHandler().delete(context, "", { server, store: "main", ns: "copy" });
  });

  test("a remote lives with its password, which nobody reads back", async () => {
    const { address, fingerprint, token } = lab.lab.backupServers.pbs1!;
    const [authId = "", password = ""] = token.split(/:(.*)/s);
    const inputs = { server: "pbs2", name: "office", host: address, authId, password, fingerprint };
    const remote = remoteHandler();
    const { id, outs } = await remote.create(context, inputs);
    expect(JSON.stringify(outs)).not.toContain(password);
    expect(await remote.read(context, id, outs)).toEqual(outs);
    await remote.update(context, id, outs, { ...inputs, password: "another", comment: "renewed" });
    await remote.update(context, id, outs, inputs);
    await remote.delete(context, id, outs);
    expect(await remote.read(context, id, outs)).toBeUndefined();
  });

  describe("a hypervisor with a token of its own", () => {
    const user = userHandler();
    const tokens = tokenHandler();
    const acl = aclHandler();
    const userId = "coldspare@pbs";
    const place = { server, store: "main", ns: "office" };
    let token: PbsTokenState;

    const pve = () => {
      const { address, fingerprint } = lab.lab.backupServers.pbs1!;
      const entry = { type: "pbs", server: address, datastore: "main", namespace: "office", fingerprint };
      const form = { storage: "office", ...entry, username: token.tokenId, password: token.secret };
      return lab.pve("srv1", "POST", "/storage", { ...form, content: "backup" });
    };
    const backup = () =>
      lab.pveTask("srv1", "POST", "/nodes/srv1/vzdump", { vmid: 100, storage: "office", mode: "snapshot" });
    const own = () => client(server, `${token.tokenId}:${token.secret}`);

    test("user, token and rights are enough for the storage entry and for backups of its own", async () => {
      await namespaceHandler().create(context, place);
      await user.create(context, { server, userId });
      token = (await tokens.create(context, { server, userId, tokenName: "pve" })).outs;
      expect(token.secret).toMatch(/^[0-9a-f-]{36}$/);
      await lab.machine("srv1", 100);
      for (const authId of [userId, token.tokenId]) {
        const right = { server, path: "/datastore/main/office", authId, role: "DatastoreBackup" as const };
        const { id, outs } = await acl.create(context, right);
        expect(await acl.read(context, id, outs)).toEqual(right);
        await acl.create(context, { ...right, path: "/datastore/main", role: "DatastoreAudit", propagate: false });
      }
      await pve();
      await lab.control("POST", "/guests/100/write", { text: "first" });
      await backup();
      await lab.control("POST", "/guests/100/write", { text: "second" });
      await backup();
      const points = await listPoints(own(), "main", { ns: "office" });
      expect(points).toHaveLength(2);
      expect(points[0]).toMatchObject({
        type: "vm",
        id: "100",
        owner: token.tokenId,
        verified: "none",
        encrypted: false,
      });
      expect(points[0]!.sizeBytes).toBeGreaterThan(0);
      expect(points[0]!.time).toBeGreaterThan(points[1]!.time);
      expect(await listPoints(pbs1(), "main", { recursive: true })).toEqual(points);
    });

    test("it can remove nothing: retention is the backup server's own work", async () => {
      const [newest, oldest] = await listPoints(own(), "main", { ns: "office" });
      const gone = { "backup-type": "vm", "backup-id": "100", "backup-time": oldest!.time, ns: "office" };
      await expect(own().delete("/admin/datastore/main/snapshots", gone)).rejects.toThrow(/permission check failed/);
      const reckoned = await pruneDryRun(pbs1(), newest!, { last: 1 });
      expect(reckoned).toEqual({ keep: [newest!.time], remove: [oldest!.time] });
      expect(await listPoints(own(), "main", { ns: "office" })).toHaveLength(2);
    });

    test("what is verified is told, and what is damaged is named", async () => {
      await verifyNow(pbs1(), { store: "main", ns: "office" });
      const [newest] = await listPoints(pbs1(), "main", { ns: "office" });
      expect(newest).toMatchObject({ verified: "ok", verifiedAt: expect.any(Number) });
      await setProtected(pbs1(), newest!, true);
      expect((await listPoints(pbs1(), "main", { ns: "office" }))[0]!.protected).toBe(true);
      await setProtected(pbs1(), newest!, false);
      const harm = { group: "vm/100", ns: "office" };
      await lab.control("POST", "/backup-servers/pbs1/datastores/main/corrupt", harm);
      await expect(verifyNow(pbs1(), newest!)).rejects.toThrow(/could not verify vm\/100\/.*in the namespace 'office'/);
      expect((await listPoints(pbs1(), "main", { ns: "office" }))[0]!.verified).toBe("failed");
    });

    test("how full it is, and garbage collection", async () => {
      expect(await readUsage(pbs1(), "main")).toMatchObject({
        store: "main",
        isMounted: true,
        totalBytes: 200 * 1024 ** 3,
      });
      expect(await readUsage(pbs1(), "none")).toBeUndefined();
      await collectGarbage(pbs1(), "main");
    });

    test("a new secret replaces the old one at once", async () => {
      const old = own();
      const anew = { server, userId, tokenName: "pve", regenerate: "lost" };
      await expect(tokens.create(context, { server, userId, tokenName: "pve" })).rejects.toThrow(/shown only once/);
      token = await tokens.update(context, "", token, anew);
      await expect(old.get("/admin/datastore/main/groups", { ns: "office" })).rejects.toThrow(/Make a new one/);
      expect(await listPoints(own(), "main", { ns: "office" })).toHaveLength(2);
    });

    test("what holds backups stays when the program goes, and the backups with it", async () => {
      told.length = 0;
      await user.delete(context, "", { server, userId });
      await tokens.delete(context, "", token);
      await user.delete(context, "", { server, userId });
      expect(await user.read(context, "", { server, userId })).toBeUndefined();
      await namespaceHandler().delete(context, "", place);
      expect(told).toEqual([
        expect.stringMatching(/coldspare@pbs stays/),
        expect.stringMatching(/namespace 'office'.*stays, with 1 backup groups/),
      ]);
      expect(await listPoints(pbs1(), "main", { ns: "office" })).toHaveLength(2);
    });
  });

  test("a server that is off is named", async () => {
    await lab.control("POST", "/backup-servers/pbs2/kill");
    await expect(readUsage(client("pbs2"), "offsite")).rejects.toThrow(/pbs2: could not read.*coldspare:pbs\.pbs2/s);
    await lab.control("POST", "/backup-servers/pbs2/revive");
  });
});
