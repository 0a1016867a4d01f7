import { startLab } from "../../lab";
import { VirtualClock } from "../../lab/clock";
import { Faults } from "../../lab/faults";
import { checkTopology } from "../../lab/topology";
import { TrialLab, twoNodes } from "./trial-lab";

describe("a lab's state", () => {
  it("survives a restart: guests, jobs, data, tokens; a task that was running has ended", async () => {
    let lab = await TrialLab.start(twoNodes, 20);
    await lab.createVm("srv1", 100);
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
    await lab.control("POST", "/guests/100/write", { text: "kept" });
    await lab.ask("srv1", "POST", "/cluster/replication", { id: "100-0", type: "local", target: "srv2" });
    await lab.control("POST", "/nodes/srv2/kill");
    await lab.control("POST", "/faults", { slowdown: 10_000 });
    const upid = await lab.ask("srv1", "POST", "/nodes/srv1/qemu/100/snapshot", { snapname: "s" });
    const token = lab.lab.tokens.root;
    lab = await lab.restart();
    expect(lab.lab.tokens.root).toBe(token);
    const view = await lab.control("GET", "/");
    expect(view.guests).toEqual([expect.objectContaining({ vmid: 100, running: true })]);
    expect(view.nodes.find((node: { name: string }) => node.name === "srv2").up).toBe(false);
    expect((await lab.control("GET", "/guests/100/data")).text).toContain("kept");
    expect(await lab.ask("srv1", "GET", "/cluster/replication")).toHaveLength(1);
    expect((await lab.finished(upid)).exit).toBe("unexpected status");
    await lab.remove();
  });

  it("is refused with every mistake of the topology at once", async () => {
    const wrong = { ...twoNodes, witnesses: ["srv1"], nodes: [twoNodes.nodes[0]!, twoNodes.nodes[0]!] };
    expect(checkTopology(wrong)).toEqual([
      "nodes[1].name: 'srv1' is used twice",
      "witnesses: 'srv1' is a node; a third vote must be another machine",
    ]);
    await expect(startLab({ folder: "/nowhere", topology: wrong })).rejects.toThrow(
      /is used twice\n.*must be another machine/,
    );
  });
});

describe("faults", () => {
  let lab: TrialLab;
  beforeAll(async () => {
    lab = await TrialLab.start();
  });
  afterAll(() => lab.remove());

  it("fail the next task of a kind, once, and leave nothing half-made", async () => {
    await lab.control("POST", "/faults/task", { type: "qmcreate", message: "disk broken" });
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu", { vmid: 100 })).exit).toBe("disk broken");
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu", { vmid: 100 })).exit).toBe("OK");
  });

  it("answer with 5xx as often as asked, the same ones for the same seed", () => {
    const run = (seed: number) => {
      const faults = new Faults();
      faults.errorRate = 0.5;
      faults.seed(seed);
      return Array.from({ length: 50 }, () => faults.forRequest("GET", "/version")?.status ?? 200);
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
    expect(new Set(run(7)).size).toBeGreaterThan(2);
  });

  it("count calls, and those that change something", async () => {
    await lab.control("POST", "/calls/reset");
    await lab.ask("srv1", "GET", "/version");
    await lab.ask("srv1", "PUT", "/nodes/srv1/qemu/100/config", { cores: 2 });
    expect(await lab.control("GET", "/calls")).toEqual({
      total: 2,
      changing: 1,
      calls: { "GET /version": 1, "PUT /nodes/{node}/qemu/{vmid}/config": 1 },
    });
  });

  it("are listed when the control interface does not know a call", async () => {
    await expect(lab.control("POST", "/nodes/srv9/kill")).rejects.toThrow("there is no node 'srv9'");
    await expect(lab.control("POST", "/nope")).rejects.toThrow("the control interface has no POST /nope");
  });
});

describe("the virtual clock", () => {
  it("runs ahead as fast as it was told, and lets what falls due happen in its order", async () => {
    const clock = new VirtualClock(1000, 1000);
    const seen: string[] = [];
    clock.at(1500, () => seen.push("b"));
    clock.at(1200, () => seen.push("a"));
    clock.at(90_000, () => seen.push("later"));
    clock.advance(600);
    expect(seen).toEqual(["a", "b"]);
    const before = clock.now();
    await clock.sleep(20);
    expect(clock.now() - before).toBeGreaterThanOrEqual(20);
    expect(() => clock.advance(-1)).toThrow("forwards");
    clock.stop();
  });
});
