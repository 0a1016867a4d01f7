import { PbsClient } from "../../../providers/pbs/client";
import {
  collectGarbage,
  listPoints,
  pruneDryRun,
  readUsage,
  setProtected,
  snapshotName,
  verifyNow,
} from "../../../providers/pbs/points";
import { type Fake, type FakeAnswer, type FakeRequest, startFake } from "../fake-server";

const UPID = "UPID:pbs:00000A1F:0001E240:00000001:66A0F3C1:verify:main:root@pam:";
const file = (filename: string, mode: string) => ({ filename, "crypt-mode": mode, size: 1 });
const row = (id: string, time: number, more = {}) => ({
  "backup-type": "vm",
  "backup-id": id,
  "backup-time": time,
  files: [file("drive-scsi0.img.fidx", "none"), file("index.json.blob", "none")],
  protected: false,
  size: 4096,
  owner: "coldspare@pbs!pve",
  ...more,
});

describe("the copies in a datastore", () => {
  let fake: Fake;
  let pbs: PbsClient;
  let answers: Record<string, (request: FakeRequest) => FakeAnswer>;
  beforeAll(async () => {
    fake = await startFake(
      (request) => answers[request.path]?.(request) ?? { status: 400, body: `nothing at ${request.path}` },
    );
    pbs = new PbsClient({
      server: "office",
      endpoint: fake.url,
      token: "a@pbs!b:0d6ef4a0",
      fingerprint: fake.fingerprint,
      pollSeconds: 0.01,
    });
  });
  afterAll(() => {
    pbs.close();
    return fake.close();
  });
  beforeEach(() => {
    fake.requests.length = 0;
    answers = {};
  });
  const snapshots = "/admin/datastore/main/snapshots";

  test("points are in the order of guests, the newest first, with what was verified and when", async () => {
    answers[snapshots] = () => ({
      data: [
        row("1010", 100),
        row("110", 200, { verification: { state: "failed", upid: UPID } }),
        row("110", 300, { protected: true, verification: { state: "ok", upid: UPID }, comment: "before the update" }),
      ],
    });
    const points = await listPoints(pbs, "main");
    expect(points.map(({ id, time, verified }) => [id, time, verified])).toEqual([
      ["110", 300, "ok"],
      ["110", 200, "failed"],
      ["1010", 100, "none"],
    ]);
    expect(points[0]).toEqual({
      store: "main",
      ns: "",
      type: "vm",
      id: "110",
      time: 300,
      sizeBytes: 4096,
      verified: "ok",
      verifiedAt: 0x66a0f3c1,
      protected: true,
      owner: "coldspare@pbs!pve",
      encrypted: false,
      comment: "before the update",
    });
    expect(points[2]).not.toHaveProperty("verifiedAt");
    expect(fake.requests[0]!.query).toEqual({});
  });

  test.each([
    [
      "all archives encrypted; the index never is",
      [file("a.fidx", "encrypt"), file("index.json.blob", "sign-only")],
      true,
    ],
    ["one in clear", [file("a.fidx", "encrypt"), file("b.fidx", "none")], false],
    ["signed only", [file("a.fidx", "sign-only")], false],
    ["names alone", ["a.fidx", "index.json.blob"], true],
  ])("encrypted: %s", async (_, files, encrypted) => {
    answers[snapshots] = () => ({ data: [row("110", 1, { files, fingerprint: "ab:cd" })] });
    expect((await listPoints(pbs, "main"))[0]!.encrypted).toBe(encrypted);
  });

  test("namespaces below are read where asked for, each once", async () => {
    answers["/admin/datastore/main/namespace"] = () => ({ data: [{ ns: "office" }, { ns: "office/lab" }] });
    answers[snapshots] = ({ query }) => ({ data: query.ns === "office/lab" ? [row("7", 1)] : [] });
    const points = await listPoints(pbs, "main", { ns: "office", recursive: true, type: "vm", id: "7" });
    expect(points).toEqual([expect.objectContaining({ ns: "office/lab", id: "7" })]);
    expect(fake.requests.map(({ query }) => query)).toEqual([
      { parent: "office" },
      { ns: "office", "backup-type": "vm", "backup-id": "7" },
      { ns: "office/lab", "backup-type": "vm", "backup-id": "7" },
    ]);
  });

  test.each([
    [
      { total: 100, used: 60, avail: 40, "estimated-full-date": 1_800_000_000 },
      { fullAt: 1_800_000_000, isMounted: true },
    ],
    [{ total: 100, used: 60, avail: 40, "estimated-full-date": -1 }, { isMounted: true }],
    [
      { "mount-status": "notmounted", error: "not mounted" },
      { isMounted: false, error: "not mounted", totalBytes: 0 },
    ],
  ])("usage %j", async (usage, expected) => {
    answers["/status/datastore-usage"] = () => ({ data: [{ store: "other" }, { store: "main", ...usage }] });
    const found = (await readUsage(pbs, "main"))!;
    expect(found).toMatchObject(expected);
    expect("fullAt" in found).toBe("fullAt" in expected);
    expect(await readUsage(pbs, "none")).toBeUndefined();
  });

  const point = {
    store: "main",
    ns: "office",
    type: "vm" as const,
    id: "110",
    time: 1_795_386_605,
    verified: "none" as const,
    protected: false,
    encrypted: false,
  };
  const task = (exit: string) => {
    answers[`/nodes/localhost/tasks/${encodeURIComponent(UPID)}/status`] = () => ({
      data: { status: "stopped", exitstatus: exit },
    });
    answers[`/nodes/localhost/tasks/${encodeURIComponent(UPID)}/log`] = () => ({
      data: [{ n: 1, t: "chunk 5f3a… is corrupt" }],
    });
    return { data: UPID };
  };

  test("a verification is of one backup, a group or a namespace, and passes over nothing", async () => {
    answers["/admin/datastore/main/verify"] = () => task("OK");
    await verifyNow(pbs, point);
    await verifyNow(pbs, { store: "main", ns: "office", type: "vm", id: "110" });
    await verifyNow(pbs, { store: "main" });
    const asked = fake.requests.filter(({ method }) => method === "POST").map(({ form }) => form);
    const group = { ns: "office", "backup-type": "vm", "backup-id": "110", "ignore-verified": "0" };
    expect(asked).toEqual([{ ...group, "backup-time": "1795386605" }, group, { "ignore-verified": "0" }]);
  });

  test("a damaged backup is the error, by its name, with the log", async () => {
    answers["/admin/datastore/main/verify"] = () => task("verification failed - please check the log for details");
    await expect(verifyNow(pbs, point)).rejects.toThrow(
      /office: could not verify vm\/110\/2026-11-22T22:30:05Z in the namespace 'office' of the datastore 'main'.*is corrupt/s,
    );
  });

  test("protection, a prune that removes nothing, and garbage collection", async () => {
    answers["/admin/datastore/main/protected"] = () => ({});
    answers["/admin/datastore/main/gc"] = () => task("OK");
    answers["/admin/datastore/main/prune"] = () => ({
      data: [
        { ...row("110", 1), keep: false },
        { ...row("110", 2), keep: true },
      ],
    });
    await setProtected(pbs, point, true);
    expect(await pruneDryRun(pbs, point, { last: 1, daily: 0 })).toEqual({ keep: [2], remove: [1] });
    await collectGarbage(pbs, "main");
    const snapshot = { ns: "office", "backup-type": "vm", "backup-id": "110" };
    expect(fake.requests.slice(0, 2).map(({ form }) => form)).toEqual([
      { ...snapshot, "backup-time": "1795386605", protected: "1" },
      { ...snapshot, "dry-run": "1", "keep-last": "1" },
    ]);
  });

  test("names are those of the server's own lists", () => {
    expect(snapshotName(point)).toBe("vm/110/2026-11-22T22:30:05Z");
  });
});
