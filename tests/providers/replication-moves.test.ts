/** A spare that moves to a third server, and what is said of a job that does not go well. */
import { replicationPairHandler } from "../../providers/replication-pair-handler";
import { PartlyInitialised } from "../../providers/serve";
import { refusal, TwoServers } from "./two-servers";

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

let site: TwoServers;
beforeAll(async () => {
  site = await TwoServers.start(["srv1", "srv2", "srv3"]);
});
afterAll(() => site?.end());

/** As `110-0 srv1 to srv2`, with `leaving` for a job that is marked for removal. */
const jobs = async (vmid: number) => {
  const rows =
    await site.pve.get<{ id: string; source: string; target: string; remove_job?: string }[]>("/cluster/replication");
  return rows
    .filter(({ id }) => id.startsWith(`${vmid}-`))
    .map(({ id, source, target, remove_job }) => `${id} ${source} to ${target}${remove_job ? ", leaving" : ""}`);
};
const copies = async (vmid: number) => {
  const found: string[] = [];
  for (const node of ["srv1", "srv2", "srv3"]) {
    const volumes = await site.pve.get<unknown[]>(`/nodes/${node}/storage/tank/content`, { vmid });
    if (volumes.length > 0) found.push(node);
  }
  return found;
};
const made = async (vmid: number) => {
  await site.guest(vmid, "srv1");
  return (await handler.create(site.context, pair(vmid))).outs;
};

describe("a spare that moves to another server", () => {
  test("gets its new job and a first good run before the old job and its copy go", async () => {
    const outs = await made(150);
    const order: string[] = [];
    const { post, delete: remove } = site.pve;
    const spies = [
      jest.spyOn(site.pve, "post").mockImplementation(async (path, ...rest) => {
        order.push(`post ${path}`);
        return post.call(site.pve, path, ...rest) as never;
      }),
      jest.spyOn(site.pve, "delete").mockImplementation(async (path, ...rest) => {
        order.push(`delete ${path}, copies on ${(await copies(150)).join(" ")}`);
        return remove.call(site.pve, path, ...rest) as never;
      }),
    ];
    const moved = await handler.update(site.context, "150-0", outs, pair(150, { target: "srv3" }));
    for (const spy of spies) spy.mockRestore();
    expect(order).toEqual([
      "post /cluster/replication",
      "post /nodes/srv1/replication/150-1/schedule_now",
      "delete /cluster/replication/150-0, copies on srv1 srv2 srv3",
    ]);
    expect(moved).toEqual(pair(150, { target: "srv3", jobId: "150-1" }));
    expect(await jobs(150)).toEqual(["150-1 srv1 to srv3"]);
    expect(await copies(150)).toEqual(["srv1", "srv3"]);
  });

  test("keeps the old job and copy while the new one fails; the next run ends the move", async () => {
    const outs = await made(151);
    const news = pair(151, { target: "srv3" });
    await site.control("/storage/fill", { node: "srv3", storage: "tank" });
    const error = await refusal(handler.update(site.context, "151-0", outs, news));
    await site.control("/storage/empty", { node: "srv3", storage: "tank" });
    if (!(error instanceof PartlyInitialised)) throw error;
    expect(error.message).toContain("out of space");
    expect(await jobs(151)).toEqual(["151-0 srv1 to srv2", "151-1 srv1 to srv3"]);
    expect(await copies(151)).toContain("srv2");
    await site.control("/clock/advance", { seconds: 400 });
    await handler.update(site.context, "151-1", error.properties as typeof outs, news);
    expect(await jobs(151)).toEqual(["151-1 srv1 to srv3"]);
    expect(await copies(151)).toEqual(["srv1", "srv3"]);
  });

  test("keeps the old copy as long as the new job is disabled", async () => {
    const outs = await made(152);
    const third = { id: "152-7", type: "local", target: "srv3", disable: true };
    await site.pve.post("/cluster/replication", third);
    const news = pair(152, { target: "srv3" });
    const error = await refusal(handler.update(site.context, "152-0", outs, news));
    expect(error.message).toMatch(
      /152-7 .* is disabled, so 152-0 to srv2 stays with its copy\. Fix: `pvesr enable 152-7`/,
    );
    expect(await copies(152)).toEqual(["srv1", "srv2"]);
    await site.pve.put("/cluster/replication/152-7", { disable: false });
    await handler.update(site.context, "152-7", { ...news, jobId: "152-7" }, news);
    expect(await jobs(152)).toEqual(["152-7 srv1 to srv3"]);
  });

  test("moves also when the old spare is dead; deletion takes what is left, and no job of somebody else's", async () => {
    const outs = await made(153);
    const news = pair(153, { target: "srv3" });
    await site.control("/nodes/srv2/kill");
    let moved: typeof outs;
    try {
      moved = await handler.update(site.context, "153-0", outs, news);
      expect(site.told.at(-1)).toMatch(/153-0 .* is marked for removal .*\(srv2 is off\); until then the copy on srv2/);
      expect(await jobs(153)).toEqual(["153-0 srv1 to srv2, leaving", "153-1 srv1 to srv3"]);
      // The one that is leaving is in nobody's way.
      moved = await handler.update(site.context, "153-1", moved, { ...news, schedule: "*/30" });
    } finally {
      await site.control("/nodes/srv2/revive");
    }
    await site.control("/clock/advance", { seconds: 600 });
    await site.until(async () => (await jobs(153)).length === 1);
    await site.pve.post("/cluster/replication", { id: "153-5", type: "local", target: "srv2", comment: "mine" });
    await handler.delete(site.context, "153-1", moved);
    expect(await jobs(153)).toEqual(["153-5 srv1 to srv2"]);
  }, 30_000);
});

describe("read says what is wrong and what to type, and records nothing of it", () => {
  const said = async (outs: Awaited<ReturnType<typeof made>>) => {
    const before = site.told.length;
    expect(await handler.read(site.context, outs.jobId, outs)).toEqual(outs);
    return site.told.slice(before);
  };

  test("nothing of a job that goes well", async () => {
    expect(await said(await made(160))).toEqual([]);
  });

  test("disabled: since when the copy does not follow", async () => {
    const outs = await made(161);
    await site.pve.put("/cluster/replication/161-0", { disable: true });
    expect(await said(outs)).toEqual([
      expect.stringMatching(
        /^warning: replication 161-0 of 'guest-161' from srv1 to srv2 is disabled: the copy on srv2 is as of \d{4}-.*Z and does not follow any more\. .*`pvesr enable 161-0`$/,
      ),
    ]);
  });

  test("failing: how often, PVE's words, the age of the copy", async () => {
    const outs = await made(162);
    await site.control("/nodes/srv2/kill");
    try {
      await site.pve.post("/nodes/srv1/replication/162-0/schedule_now", {});
      await site.control("/clock/advance", { seconds: 120 });
      const failed = async () => (await status(162)).fail_count > 0;
      await site.until(failed);
      expect(await said(outs)).toEqual([
        expect.stringMatching(
          /^warning: replication 162-0 .* failed.*: command '\/usr\/bin\/ssh.*exit code 255; the copy on srv2 is as of .*`pvesr schedule-now 162-0`.*`pvesr status` on srv1$/,
        ),
      ]);
    } finally {
      await site.control("/nodes/srv2/revive");
    }
  });

  test("late: the scheduler does nothing though the job is not failing", async () => {
    const outs = await made(163);
    const get = site.pve.get.bind(site.pve);
    const spy = jest.spyOn(site.pve, "get").mockImplementation(async (path, ...rest) => {
      const answer = await get(path, ...rest);
      return (path.endsWith("/time") ? { time: (answer as { time: number }).time + 7200 } : answer) as never;
    });
    const [line, ...more] = await said(outs);
    spy.mockRestore();
    expect(line).toMatch(/^warning: replication 163-0 .* last ran well 2 h.* ago \(schedule: \*\/15\).*pvescheduler/);
    expect(more).toEqual([]);
  });

  const status = (vmid: number) => site.pve.get<{ fail_count: number }>(`/nodes/srv1/replication/${vmid}-0/status`);
});
