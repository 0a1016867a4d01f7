import { TrialLab, twoNodes } from "./trial-lab";

let lab: TrialLab;
beforeEach(async () => {
  // Without the operator the API of a node is not reachable: what a cut-off node answers needs a lab whose clients see both.
  lab = await TrialLab.start();
  await lab.createVm("srv2", 100, { onboot: 1 });
  await lab.createVm("srv2", 101);
  await lab.task("srv2", "POST", "/nodes/srv2/qemu/100/status/start");
});
afterEach(() => lab.remove());

const split = (a: string[], b: string[]) => lab.control("POST", "/partition", { a, b });
const reason = async (node: string, method: string, call: string, form?: Record<string, string | number>) =>
  (await lab.call(node, method, call, form)).reason;
const online = async (node: string) => {
  const [cluster, ...nodes] = await lab.ask(node, "GET", "/cluster/status");
  return {
    quorate: cluster.quorate,
    online: Object.fromEntries(nodes.map((entry: { name: string; online: number }) => [entry.name, entry.online])),
  };
};

describe("a network that splits", () => {
  it("leaves the side with most votes writable, and each side sees the other as gone", async () => {
    await split(["srv2"], ["srv1", "backup-1"]);
    expect(await online("srv1")).toEqual({ quorate: 1, online: { srv1: 1, srv2: 0 } });
    expect(await online("srv2")).toEqual({ quorate: 0, online: { srv1: 0, srv2: 1 } });
    const through = await lab.call("srv1", "GET", "/nodes/srv2/qemu");
    expect([through.status, through.reason]).toEqual([595, "Network is unreachable"]);
    expect(await reason("srv2", "POST", "/nodes/srv2/qemu/101/status/start")).toBe("cluster not ready - no quorum?");
    expect(await reason("srv2", "PUT", "/nodes/srv2/qemu/100/config", { cores: 2 })).toMatch(/Permission denied$/);
  });

  it("gives the third vote to the node with the lowest id when both reach the witness", async () => {
    await split(["srv2"], ["srv1"]);
    expect((await online("srv1")).quorate).toBe(1);
    expect((await online("srv2")).quorate).toBe(0);
  });

  it("freezes what the cut-off node knows, while its guest runs on and the other side starts it a second time", async () => {
    await split(["srv2"], ["srv1", "backup-1"]);
    await lab.control("POST", "/config-move", { vmid: 101, from: "srv2", to: "srv1" });
    await lab.ask("srv1", "POST", "/pools", { poolid: "new" });
    expect((await lab.ask("srv2", "GET", "/nodes/srv2/qemu")).map((guest: { vmid: number }) => guest.vmid)).toEqual([
      100, 101,
    ]);
    expect(await lab.ask("srv2", "GET", "/pools")).toEqual([]);
    expect((await lab.ask("srv2", "GET", "/nodes/srv2/qemu/100/status/current")).status).toBe("running");
    await lab.control("POST", "/config-move", { vmid: 100, from: "srv2", to: "srv1" });
    const { guests, strays } = await lab.control("GET", "/");
    expect(guests).toEqual([
      expect.objectContaining({ vmid: 100, node: "srv1", running: false }),
      expect.objectContaining({ vmid: 101, node: "srv1", running: false }),
    ]);
    expect(strays).toEqual([expect.objectContaining({ vmid: 100, node: "srv2" })]);
    await expect(
      lab.control("POST", "/config-move", { vmid: 100, from: "srv2", to: "srv1", on: "srv2" }),
    ).rejects.toThrow("Permission denied");
  });

  it("makes the minority follow the majority when it heals; a process without its configuration is a stray", async () => {
    await split(["srv2"], ["srv1", "backup-1"]);
    await lab.control("POST", "/config-move", { vmid: 100, from: "srv2", to: "srv1" });
    // What cannot be written must not make the old copy look newer.
    const { exit, log } = await lab.task("srv2", "POST", "/nodes/srv2/vzdump", { vmid: 100, storage: "local" });
    expect(exit).toBe("job errors");
    expect(log.join("\n")).toMatch(/Backup of VM 100 failed - unable to open file .*Permission denied/);
    await lab.control("POST", "/heal");
    expect((await lab.ask("srv2", "GET", "/nodes/srv2/qemu")).map((guest: { vmid: number }) => guest.vmid)).toEqual([
      101,
    ]);
    const { strays } = await lab.control("GET", "/");
    expect(strays).toEqual([expect.objectContaining({ vmid: 100, node: "srv2" })]);
    // Moved back, the process is the guest's again, as its pid file says.
    await lab.control("POST", "/config-move", { vmid: 100, from: "srv1", to: "srv2" });
    expect((await lab.ask("srv2", "GET", "/nodes/srv2/qemu/100/status/current")).status).toBe("running");
    expect((await lab.control("GET", "/")).strays).toEqual([]);
  });

  it("lets the cut-off node stop its guest, which both sides know after healing", async () => {
    await split(["srv2"], ["srv1", "backup-1"]);
    expect((await lab.task("srv2", "POST", "/nodes/srv2/qemu/100/status/stop")).exit).toBe("OK");
    await lab.control("POST", "/heal");
    expect((await lab.ask("srv1", "GET", "/nodes/srv2/qemu/100/status/current")).status).toBe("stopped");
  });

  it("closes the API towards an operator on the other side", async () => {
    await split(["operator"], ["srv2"]);
    await expect(lab.call("srv2", "GET", "/version")).rejects.toThrow();
    expect((await lab.call("srv1", "GET", "/nodes/srv2/qemu")).status).toBe(200);
    await lab.control("POST", "/heal");
    expect((await lab.call("srv2", "GET", "/version")).status).toBe(200);
  });

  it("survives a restart of the lab as it is", async () => {
    await split(["srv2"], ["srv1", "backup-1"]);
    await lab.control("POST", "/config-move", { vmid: 100, from: "srv2", to: "srv1" });
    lab = await lab.restart();
    expect((await lab.ask("srv2", "GET", "/nodes/srv2/qemu")).map((guest: { vmid: number }) => guest.vmid)).toEqual([
      100, 101,
    ]);
    expect((await lab.ask("srv1", "GET", "/nodes/srv1/qemu")).map((guest: { vmid: number }) => guest.vmid)).toEqual([
      100,
    ]);
  });

  it("refuses names that it does not know", async () => {
    await expect(split(["srv9"], ["srv1"])).rejects.toThrow("there is no 'srv9'");
    await expect(split(["srv1"], ["srv1"])).rejects.toThrow("cannot be on both sides");
  });
});

describe("servers that return one after the other", () => {
  it("have what they knew when they went, until they meet one that knows more", async () => {
    await lab.control("POST", "/nodes/srv2/kill");
    await lab.control("POST", "/config-move", { vmid: 100, from: "srv2", to: "srv1" });
    await lab.control("POST", "/nodes/srv1/kill");
    // With the witness srv2 has a quorum, and a cluster file system in which the guest is still its own.
    await lab.control("POST", "/nodes/srv2/revive");
    expect((await online("srv2")).quorate).toBe(1);
    const mine = async () =>
      (await lab.ask("srv2", "GET", "/nodes/srv2/qemu")).map((guest: { vmid: number }) => guest.vmid);
    expect(await mine()).toEqual([100, 101]);
    await lab.control("POST", "/nodes/srv1/revive");
    expect(await mine()).toEqual([101]);
    expect((await lab.ask("srv1", "GET", "/nodes/srv1/qemu")).map((guest: { vmid: number }) => guest.vmid)).toEqual([
      100,
    ]);
  });

  it("leave a host without a cluster alone", async () => {
    await lab.remove();
    const { cluster: _cluster, ...rest } = twoNodes;
    lab = await TrialLab.start({ ...rest, witnesses: [] });
    await lab.createVm("srv1", 100);
    await split(["srv1"], ["srv2"]);
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start")).exit).toBe("OK");
  });
});
