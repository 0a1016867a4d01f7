import { TrialLab, twoNodes } from "./trial-lab";

let lab: TrialLab;
afterEach(() => lab.remove());

const replicated = async () => {
  await lab.createVm("srv1", 100, { onboot: 1 });
  await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
  await lab.control("POST", "/guests/100/write", { text: "first" });
  await lab.ask("srv1", "POST", "/cluster/replication", {
    id: "100-0",
    type: "local",
    target: "srv2",
    schedule: "*/5",
  });
  return sync("srv1");
};

const sync = async (node: string) => {
  const status = () => lab.ask(node, "GET", `/nodes/${node}/replication/100-0/status`);
  const before = (await status()).last_sync;
  expect(await lab.ask(node, "POST", `/nodes/${node}/replication/100-0/schedule_now`)).toBe("");
  await lab.pass(60);
  return lab.until(status, (state) => state.last_sync > before);
};

test("a guest is replicated or migrated, never both at once: the two sides keep a common snapshot", async () => {
  lab = await TrialLab.start(twoNodes, 20);
  await replicated();
  await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/stop");
  await lab.ask("srv1", "PUT", "/cluster/replication/100-0", { rate: 1 });
  await lab.ask("srv1", "POST", "/nodes/srv1/replication/100-0/schedule_now");
  await lab.pass(60);
  const status = (node: string) => lab.ask(node, "GET", `/nodes/${node}/replication/100-0/status`);
  await lab.until(
    () => status("srv1"),
    ({ pid }) => pid !== undefined,
  );
  // In the middle of the run, which is waited for.
  const moved = await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/migrate", { target: "srv2" });
  expect(moved.exit).toBe("OK");
  expect((await status("srv2")).pid).toBeUndefined();
  const state = await sync("srv2");
  expect([state.fail_count, state.error, state.target]).toEqual([0, undefined, "srv1"]);
});

describe("a node is lost", () => {
  it("leaves the survivor with a quorum thanks to the third vote, and the dead one answers 595", async () => {
    lab = await TrialLab.start();
    await lab.createVm("srv1", 100);
    await lab.control("POST", "/nodes/srv1/kill");
    const status = await lab.ask("srv2", "GET", "/cluster/status");
    expect(status[0]).toMatchObject({ type: "cluster", quorate: 1 });
    expect(status.find((entry: { name: string }) => entry.name === "srv1").online).toBe(0);
    const config = await lab.call("srv2", "GET", "/nodes/srv1/qemu/100/config");
    expect([config.status, config.reason, config.body]).toEqual([595, "Network is unreachable", ""]);
    await expect(lab.call("srv1", "GET", "/version")).rejects.toThrow();
    const [guest] = await lab.ask("srv2", "GET", "/cluster/resources", { type: "vm" });
    expect(guest).toMatchObject({ vmid: 100, node: "srv1", status: "stopped" });
  });

  it("takes the quorum when the third vote is missing too: nothing can be written, stop still works", async () => {
    lab = await TrialLab.start();
    await lab.createVm("srv2", 100);
    await lab.task("srv2", "POST", "/nodes/srv2/qemu/100/status/start");
    await lab.control("POST", "/witnesses/backup-1/kill");
    await lab.control("POST", "/nodes/srv1/kill");
    const reason = async (method: string, call: string, form?: Record<string, string | number>) =>
      (await lab.call("srv2", method, call, form)).reason;
    expect(await reason("POST", "/nodes/srv2/qemu", { vmid: 101 })).toBe("cluster not ready - no quorum?");
    expect(await reason("POST", "/nodes/srv2/qemu/100/status/start")).toBe("cluster not ready - no quorum?");
    expect(await reason("PUT", "/nodes/srv2/qemu/100/config", { cores: 2 })).toMatch(
      /100\.conf\.tmp\.\d+' - Permission denied$/,
    );
    expect(await reason("POST", "/pools", { poolid: "a" })).toBe("cfs-lock 'file-user_cfg' error: no quorum!");
    expect((await lab.task("srv2", "POST", "/nodes/srv2/qemu/100/status/stop")).exit).toBe("OK");
    await expect(lab.control("POST", "/config-move", { vmid: 100, from: "srv2", to: "srv2" })).rejects.toThrow(
      "Permission denied",
    );
    await lab.control("POST", "/nodes/srv2/expected", { votes: 1 });
    expect(await reason("POST", "/pools", { poolid: "a" })).toBe("OK");
  });

  it("hands its guest to the survivor with what was replicated last, and the job turns round by itself", async () => {
    lab = await TrialLab.start();
    await replicated();
    await lab.control("POST", "/guests/100/write", { text: "after the last sync" });
    await lab.control("POST", "/nodes/srv1/kill");
    await lab.control("POST", "/config-move", { vmid: 100, from: "srv1", to: "srv2" });
    const [job] = await lab.ask("srv2", "GET", "/cluster/replication");
    expect(job).toMatchObject({ source: "srv2", target: "srv1" });
    expect((await lab.ask("srv2", "GET", "/nodes/srv2/replication/100-0/status")).last_sync).toBe(0);
    expect((await lab.task("srv2", "POST", "/nodes/srv2/qemu/100/status/start")).exit).toBe("OK");
    const { text } = await lab.control("GET", "/guests/100/data");
    expect(text).toContain("first");
    expect(text).not.toContain("after the last sync");
    // The old node's return changes nothing: the configuration is not its own any more.
    await lab.control("POST", "/nodes/srv1/revive");
    await lab.pass(120);
    const overview = await lab.control("GET", "/");
    expect(overview.guests).toEqual([expect.objectContaining({ vmid: 100, node: "srv2", running: true })]);
    expect(overview.strays).toEqual([]);
  });

  it("in the middle of a replication run leaves both sides with a state that they share, and the way back goes on", async () => {
    lab = await TrialLab.start(twoNodes, 20);
    await lab.createVm("srv1", 100, { scsi1: "tank:4" });
    await lab.ask("srv1", "POST", "/cluster/replication", { id: "100-0", type: "local", target: "srv2" });
    await sync("srv1");
    await lab.ask("srv1", "PUT", "/cluster/replication/100-0", { rate: 1 });
    await lab.ask("srv1", "POST", "/nodes/srv1/replication/100-0/schedule_now");
    await lab.pass(60);
    const log = async () =>
      (await lab.ask("srv1", "GET", "/nodes/srv1/replication/100-0/log")).map(({ t }: { t: string }) => t).join("\n");
    await lab.until(log, (text) => text.includes("successfully imported"));
    expect((await log()).match(/successfully imported/g)).toHaveLength(1);
    await lab.control("POST", "/nodes/srv1/kill");
    await lab.control("POST", "/config-move", { vmid: 100, from: "srv1", to: "srv2" });
    // Whatever was under way has ended long ago.
    await lab.pass(60);
    await lab.control("POST", "/nodes/srv1/revive");
    await lab.ask("srv2", "PUT", "/cluster/replication/100-0", { delete: "rate" });
    const state = await sync("srv2");
    expect([state.fail_count, state.error, state.target]).toEqual([0, undefined, "srv1"]);
  });

  it("fails the replication while the target is away, and catches up afterwards", async () => {
    lab = await TrialLab.start();
    await replicated();
    await lab.control("POST", "/nodes/srv2/kill");
    const status = () => lab.ask("srv1", "GET", "/nodes/srv1/replication/100-0/status");
    await lab.pass(360);
    const failed = await lab.until(status, (state) => state.fail_count > 0);
    expect(failed.error).toMatch(/^command '\/usr\/bin\/ssh .* failed: exit code 255$/);
    expect(failed.next_sync).toBe(failed.last_try + 300 * failed.fail_count);
    await lab.control("POST", "/nodes/srv2/revive");
    await lab.pass(1900);
    const mended = await lab.until(status, (state) => state.fail_count === 0);
    expect(mended.error).toBeUndefined();
  });

  it("shows a process that runs on after its configuration was moved away", async () => {
    lab = await TrialLab.start();
    await replicated();
    await lab.control("POST", "/config-move", { vmid: 100, from: "srv1", to: "srv2" });
    const { strays } = await lab.control("GET", "/");
    expect(strays).toEqual([expect.objectContaining({ vmid: 100, node: "srv1" })]);
  });

  it("starts what has onboot at its return", async () => {
    lab = await TrialLab.start();
    await lab.createVm("srv1", 100, { onboot: 1 });
    await lab.createVm("srv1", 101);
    await lab.control("POST", "/nodes/srv1/kill");
    await lab.control("POST", "/nodes/srv1/revive");
    await lab.pass(30);
    const { guests } = await lab.until(
      () => lab.control("GET", "/"),
      (view) => view.guests[0].running,
    );
    expect(guests.map((guest: { running: boolean }) => guest.running)).toEqual([true, false]);
  });
});

describe("a backup that dies with its node", () => {
  it("leaves the guest locked, so that it does not start at the node's return", async () => {
    lab = await TrialLab.start();
    await lab.createVm("srv1", 100, { onboot: 1 });
    await lab.control("POST", "/faults", { slowdown: 1000 });
    const upid = await lab.ask("srv1", "POST", "/nodes/srv1/vzdump", { vmid: 100, storage: "local" });
    const config = () => lab.ask("srv1", "GET", "/nodes/srv1/qemu/100/config");
    await lab.until(config, (values) => values.lock === "backup");
    await lab.control("POST", "/nodes/srv1/kill");
    await lab.control("POST", "/faults/clear");
    await lab.control("POST", "/nodes/srv1/revive");
    expect((await lab.finished(upid)).exit).toBe("unexpected status");
    await lab.pass(10_000);
    expect((await config()).lock).toBe("backup");
    expect((await lab.control("GET", "/")).guests[0].running).toBe(false);
  });
});

describe("replication", () => {
  it("needs storages that can, and is removed by the guest's node, copies and all", async () => {
    lab = await TrialLab.start();
    await lab.createVm("srv1", 110, { scsi0: "local:1,format=raw" });
    const refused = await lab.call("srv1", "POST", "/cluster/replication", {
      id: "110-0",
      type: "local",
      target: "srv2",
    });
    expect(refused.reason).toBe("missing replicate feature on volume 'local:110/vm-110-disk-0.raw'");
    await replicated();
    expect((await lab.call("srv1", "DELETE", "/nodes/srv1/qemu/100")).reason).toBe(
      "There is a replication job '100-0' for guest '100' - Please remove that first.",
    );
    const copies = () => lab.ask("srv2", "GET", "/nodes/srv2/storage/tank/content", { vmid: "100" });
    expect(await copies()).toHaveLength(1);
    await lab.ask("srv1", "DELETE", "/cluster/replication/100-0");
    const [marked] = await lab.ask("srv1", "GET", "/cluster/replication");
    expect(marked.remove_job).toBe("full");
    await lab.pass(60);
    await lab.until(
      () => lab.ask("srv1", "GET", "/cluster/replication"),
      (jobs) => jobs.length === 0,
    );
    expect(await copies()).toEqual([]);
  });
});

describe("hosts without a cluster", () => {
  it("know nothing of each other", async () => {
    const { cluster: _cluster, ...rest } = twoNodes;
    lab = await TrialLab.start({ ...rest, witnesses: [] });
    await lab.createVm("srv1", 100);
    await lab.createVm("srv2", 100);
    expect(await lab.ask("srv1", "GET", "/cluster/status")).toHaveLength(1);
    expect((await lab.call("srv1", "GET", "/nodes/srv2/qemu")).reason).toMatch(/^hostname lookup 'srv2' failed/);
    await lab.control("POST", "/nodes/srv1/kill");
    expect((await lab.task("srv2", "POST", "/nodes/srv2/qemu/100/status/start")).exit).toBe("OK");
  });
});
