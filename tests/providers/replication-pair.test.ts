import { PveClient } from "../../providers/pve";
import { replicationStatus } from "../../providers/replication-jobs";
import { type ReplicationPairState, replicationPairHandler } from "../../providers/replication-pair-handler";
import { PartlyInitialised } from "../../providers/serve";
import { startFake } from "./fake-server";
import { refusal, TwoServers } from "./two-servers";

// The lab's clock runs fast: these are real seconds.
const handler = replicationPairHandler({ start: 5, firstSync: 20, removal: 3, poll: 0.05 });
const pair = (vmid: number, more = {}) => ({
  guest: `guest-${vmid}`,
  vmid,
  kind: "qemu" as const,
  source: "srv1",
  target: "srv2",
  schedule: "*/15",
  ...more,
});

describe("a replication pair against the lab", () => {
  let site: TwoServers;
  beforeAll(async () => {
    site = await TwoServers.start();
  });
  afterAll(() => site?.end());
  const jobs = () =>
    site.pve.get<{ id: string; schedule?: string; rate?: number; target: string; source: string }[]>(
      "/cluster/replication",
    );
  const health = async (vmid: number) => (await replicationStatus(site.pve, pair(vmid)))!.health;
  const jobOf = async (vmid: number) => (await jobs()).find((job) => job.id.startsWith(`${vmid}-`));

  test("create waits for the first good run; read finds the same; delete waits until job and copy are gone", async () => {
    await site.guest(110, "srv1");
    const { id, outs } = await handler.create(site.context, pair(110, { rateMBps: 50 }));
    expect(id).toBe("110-0");
    expect(outs).toEqual({ ...pair(110), rateMBps: 50, jobId: "110-0" });
    expect((await replicationStatus(site.pve, pair(110)))!.lastSync).toBeGreaterThan(0);
    expect(await handler.read(site.context, id, outs)).toEqual(outs);
    await handler.delete(site.context, id, outs);
    expect(await jobOf(110)).toBeUndefined();
    await handler.delete(site.context, id, outs);
    expect(await handler.read(site.context, id, outs)).toBeUndefined();
    await site.pve.task("srv1", "DELETE", "/nodes/srv1/qemu/110", {}, {});
  });

  test("a guest that is already on the other server is sent the other way, and a job that is there is adopted", async () => {
    await site.guest(111, "srv2");
    const made = await handler.create(site.context, pair(111));
    expect(made.outs).toMatchObject({ source: "srv2", target: "srv1" });
    expect(await health(111)).toBe("ok");
    const adopted = await handler.create(site.context, pair(111, { schedule: "*/30" }));
    expect(adopted.id).toBe("111-0");
    expect(adopted.outs).toMatchObject({ source: "srv2", target: "srv1", schedule: "*/30" });
    expect((await jobs()).filter((job) => job.id.startsWith("111-"))).toHaveLength(1);
  });

  test("a job that somebody else made is adopted with its comment, as long as it does what is wanted", async () => {
    await site.guest(129, "srv1");
    const form = { id: "129-0", type: "local", target: "srv2", schedule: "*/20", comment: "by hand" };
    await site.pve.post("/cluster/replication", form);
    const { outs } = await handler.create(site.context, pair(129, { schedule: "*/20" }));
    expect(outs).toMatchObject({ jobId: "129-0", schedule: "*/20" });
    expect(await jobOf(129)).toMatchObject({ comment: "by hand", schedule: "*/20" });
    await handler.update(site.context, "129-0", outs, pair(129, { schedule: "*/10" }));
    expect(await jobOf(129)).toMatchObject({ comment: "coldspare: cold replica of guest-129", schedule: "*/10" });
  });

  test("swapping source and target is no change; schedule and limit are changed in place", async () => {
    await site.guest(112, "srv1");
    const { id, outs } = await handler.create(site.context, pair(112, { rateMBps: 50 }));
    expect(handler.diff(outs, pair(112, { rateMBps: 50, source: "srv2", target: "srv1" }))).toEqual({
      changes: false,
      replaces: [],
    });
    expect(handler.diff(outs, pair(112, { rateMBps: 50, schedule: "*/5" }))).toEqual({ changes: true, replaces: [] });
    expect(handler.diff(outs, pair(113, { rateMBps: 50 })).replaces).toEqual(["vmid"]);
    const changed = await handler.update(site.context, id, outs, pair(112, { schedule: "*/5" }));
    expect(changed).toEqual({ ...pair(112), schedule: "*/5", jobId: "112-0" });
    expect(await jobOf(112)).toMatchObject({ schedule: "*/5" });
    expect((await jobOf(112))!.rate).toBeUndefined();
  });

  test("after a migration the job is swapped by PVE, and the program sees no change", async () => {
    await site.guest(114, "srv1");
    const { id, outs } = await handler.create(site.context, pair(114));
    await site.pve.task("srv1", "POST", "/nodes/srv1/qemu/114/migrate", { target: "srv2" }, {});
    const seen = (await handler.read(site.context, id, outs))!;
    expect(seen).toMatchObject({ source: "srv2", target: "srv1" });
    expect(handler.diff(seen, pair(114)).changes).toBe(false);
  });

  test("a failing first run is recorded as partly initialised with PVE's words; the next update converges", async () => {
    await site.guest(115, "srv1");
    await site.control("/storage/fill", { node: "srv2", storage: "tank" });
    const error = await refusal(handler.create(site.context, pair(115)));
    await site.control("/storage/empty", { node: "srv2", storage: "tank" });
    if (!(error instanceof PartlyInitialised)) throw error;
    expect(error.message).toMatch(
      /^srv1: the first replication of guest 115 'guest-115' to srv2 \(job 115-0\) is not done: .*out of space.*\. Fix: /,
    );
    const recorded = error.properties as ReplicationPairState;
    expect(recorded).toMatchObject({ jobId: "115-0" });
    expect(await health(115)).toBe("failing");
    await site.control("/clock/advance", { seconds: 400 });
    await handler.update(site.context, "115-0", recorded, pair(115));
    expect(await health(115)).toBe("ok");
  });

  test("a disabled job stays disabled and is not waited for", async () => {
    await site.guest(116, "srv1");
    const { id, outs } = await handler.create(site.context, pair(116));
    await site.pve.put("/cluster/replication/116-0", { disable: true });
    await handler.update(site.context, id, outs, pair(116, { schedule: "*/20" }));
    expect(site.told.at(-1)).toMatch(
      /^warning: replication 116-0 .* is disabled: the copy on srv2 is as of .*Z and does not follow any more\. .*`pvesr enable 116-0`\. It stays so$/,
    );
    expect(await health(116)).toBe("disabled");
    expect(await jobOf(116)).toMatchObject({ disable: 1, schedule: "*/20" });
  });

  test("disks without ZFS: PVE's words and the way out, and nothing is left behind", async () => {
    await site.guest(117, "srv1", { scsi0: "local:1" });
    const error = await refusal(handler.create(site.context, pair(117)));
    expect(error.message).toMatch(
      /guest 117 'guest-117' .*missing replicate feature on volume 'local:117\/.* Fix: put the guest's disks on a ZFS storage/,
    );
    expect(await jobOf(117)).toBeUndefined();
  });

  test("a guest that does not exist, or is on a third server, is named", async () => {
    expect((await refusal(handler.create(site.context, pair(199)))).message).toMatch(
      /no guest 199 exists\. Fix: create the guest before/,
    );
    await site.guest(118, "srv1");
    const error = await refusal(handler.create(site.context, pair(118, { source: "srv2", target: "srv3" })));
    expect(error.message).toMatch(/the guest is on srv1, neither on srv2 nor on srv3\. Fix: move it/);
  });

  test("while a server is dead, delete ends and says what remains; the rest goes by itself when it is back", async () => {
    await site.guest(119, "srv1");
    const { id, outs } = await handler.create(site.context, pair(119));
    await site.control("/nodes/srv2/kill");
    try {
      const began = Date.now();
      await handler.delete(site.context, id, outs);
      expect(Date.now() - began).toBeLessThan(10_000);
      expect(site.told.at(-1)).toMatch(
        /119-0 .* is marked for removal .*\(srv2 is off\); until then the copy on srv2 remains/,
      );
      expect(await handler.read(site.context, id, outs)).toBeUndefined();
    } finally {
      await site.control("/nodes/srv2/revive");
    }
    await site.control("/clock/advance", { seconds: 600 });
    await site.until(async () => (await jobOf(119)) === undefined);
  }, 30_000);
});

describe("waiting for the first run", () => {
  const hasty = replicationPairHandler({ start: 0.2, firstSync: 20, removal: 3, poll: 0.02 });
  /** A server whose scheduler is at work on another guest, or idle, until our job has been asked about `runs` times. */
  async function create(others: object[], runs: number): Promise<{ jobId: string; looks: number }> {
    let looks = 0;
    const server = await startFake(({ method, path }) => {
      if (path === "/cluster/resources")
        return { data: [{ vmid: 121, node: "srv1", type: "qemu", status: "running" }] };
      if (path === "/cluster/replication") return { data: method === "GET" ? [] : null };
      if (path === "/nodes/srv1/replication") return { data: others };
      if (path.endsWith("/status")) return { data: { fail_count: 0, last_sync: ++looks > runs ? 1 : 0 } };
      return { data: "" };
    });
    const pve = new PveClient({ endpoints: { srv1: server.url }, apiToken: "a@pve!b=c", ca: server.pem });
    try {
      const { outs } = await hasty.create({ pve, ssh: () => ({ hostKeys: {} }), progress: () => undefined }, pair(121));
      return { jobId: outs.jobId, looks };
    } finally {
      pve.close();
      await server.close();
    }
  }

  test("goes on while the server is at work on another guest's first copy", async () => {
    const { jobId, looks } = await create([{ id: "120-0", pid: 7 }], 30);
    expect(jobId).toBe("121-0");
    expect(looks).toBeGreaterThan(30);
  });

  test("ends when the scheduler does nothing at all, and the job is recorded", async () => {
    const error = await refusal(create([{ id: "120-0" }], 1e9));
    if (!(error instanceof PartlyInitialised)) throw error;
    expect(error.message).toMatch(/it was not begun after \d+ s\. Fix: look at `pvesr status` on srv1/);
    expect(error.properties).toMatchObject({ jobId: "121-0" });
  });
});

test("inputs that cannot be are refused with what to write", () => {
  const reasons = handler.check({ ...pair(50), target: "srv1", schedule: "every day", rateMBps: 0 });
  expect(reasons.map(({ property }) => property)).toEqual(["vmid", "target", "schedule", "rateMBps"]);
  expect(reasons.find(({ property }) => property === "schedule")!.reason).toMatch(
    /'every day' is no calendar event of PVE: .*write for instance/,
  );
  expect(handler.check(pair(110))).toEqual([]);
});
