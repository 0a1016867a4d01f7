/** A cluster that does not hold still while it is read. */
import { readFileSync } from "node:fs";
import { readCluster } from "../../operations/live-site/read";
import { PveClient } from "../../providers/pve/client";
import { type LiveCluster, startCluster } from "../live/clusters";

type Hook = (path: string, count: number) => Promise<void> | void;

/** A client that lets something happen before a call. `count` is how often that path was asked for before. */
class HookedClient extends PveClient {
  hook: Hook = () => undefined;
  private readonly asked = new Map<string, number>();

  override async get<T>(path: string, ...more: [Parameters?: never] | unknown[]): Promise<T> {
    const count = this.asked.get(path) ?? 0;
    this.asked.set(path, count + 1);
    await this.hook(path, count);
    return super.get<T>(path, ...(more as []));
  }
}

describe("a cluster that changes while it is read", () => {
  let cluster: LiveCluster;
  let pve: HookedClient;

  beforeEach(async () => {
    cluster = await startCluster("smb", { speed: 400 });
    const { lab } = cluster;
    const ca = readFileSync(lab.caFile, "utf8");
    const retry = { attempts: 2, baseSeconds: 0.01 };
    pve = new HookedClient({ endpoints: lab.endpoints, apiToken: lab.tokens.root, ca, retry });
  });
  afterEach(async () => {
    pve.close();
    await cluster.stop();
  });

  const move = (vmid: number, from: string, to: string) => cluster.control("POST", "/config-move", { vmid, from, to });

  test("a guest that moves before it is read is found where it is, once", async () => {
    pve.hook = async (path, count) => {
      if (path === "/nodes/srv2/qemu/113/pending" && count === 0) await move(113, "srv2", "srv1");
    };
    const { guests, replicationJobs } = await readCluster(pve);
    expect(guests.map(({ vmid }) => vmid)).toEqual([110, 111, 112, 113, 114, 115]);
    expect(guests.find(({ vmid }) => vmid === 113)).toMatchObject({ node: "srv1", config: { name: "sql-erp" } });
    expect(guests.every(({ unreadable }) => unreadable === undefined)).toBe(true);
    // Its replication job has turned around, and is not told as it was before.
    const job = replicationJobs.find(({ id }) => id === "113-0")!;
    expect(job).toMatchObject(await cluster.pve.get<object>("/cluster/replication/113-0").then(ends));
  });

  test("a guest that moves after it was read is told where it is now", async () => {
    pve.hook = async (path, count) => {
      if (path === "/cluster/resources" && count === 1) await move(113, "srv2", "srv1");
    };
    const { guests } = await readCluster(pve);
    expect(guests.filter(({ vmid }) => vmid === 113)).toMatchObject([{ node: "srv1", config: { name: "sql-erp" } }]);
  });

  test("a guest that moves there and back is not lost", async () => {
    pve.hook = async (path, count) => {
      if (path === "/nodes/srv2/qemu/113/pending" && count === 0) await move(113, "srv2", "srv1");
      if (path === "/cluster/resources" && count === 1) await move(113, "srv1", "srv2");
    };
    const { guests } = await readCluster(pve);
    expect(guests.find(({ vmid }) => vmid === 113)).toMatchObject({ node: "srv2", config: { name: "sql-erp" } });
  });

  test("a guest that is made meanwhile is read, one that is removed is not there", async () => {
    pve.hook = async (path, count) => {
      if (path !== "/cluster/resources" || count !== 1) return;
      await cluster.pve.task("srv1", "POST", "/nodes/srv1/qemu", { vmid: 500, name: "young", memory: 512 }, {});
      await cluster.pve.task("srv1", "POST", "/nodes/srv1/lxc/115/status/stop", {}, {});
      await cluster.pve.task("srv1", "DELETE", "/nodes/srv1/lxc/115", {}, {});
    };
    const { guests } = await readCluster(pve);
    expect(guests.map(({ vmid }) => vmid)).toEqual([110, 111, 112, 113, 114, 500]);
    expect(guests.at(-1)).toMatchObject({ name: "young", config: { memory: "512" } });
  });

  test("settings that change after they were read are read again", async () => {
    pve.hook = async (path, count) => {
      if (path === "/cluster/resources" && count === 1)
        await cluster.pve.put("/nodes/srv2/qemu/112/config", { tags: "windows;terminal" });
    };
    const { guests } = await readCluster(pve);
    expect(guests.find(({ vmid }) => vmid === 112)!.config!.tags).toBe("terminal;windows");
  });

  test("a lock and a stop are no reason to read again, and told as they are last", async () => {
    let asked = 0;
    pve.hook = async (path, count) => {
      if (path === "/nodes/srv2/qemu/112/pending") asked++;
      if (path === "/cluster/resources" && count === 1)
        await cluster.control("POST", "/guests/112/lock", { lock: "backup" });
    };
    const { guests } = await readCluster(pve);
    expect(guests.find(({ vmid }) => vmid === 112)).toMatchObject({ lock: "backup", node: "srv2" });
    expect(asked).toBe(1);
  });

  test("after the fourth time it gives up, and names what moved", async () => {
    let here = true;
    let looks = 0;
    pve.hook = async (path) => {
      if (path !== "/cluster/resources" || ++looks === 1) return;
      await move(113, here ? "srv2" : "srv1", here ? "srv1" : "srv2");
      here = !here;
    };
    await expect(readCluster(pve)).rejects.toMatchObject({
      name: "LiveSiteError",
      kind: "changing",
      message: expect.stringMatching(/4 times in a row.*guest 113 moved from srv[12] to srv[12].*Fix: /),
    });
    expect(looks).toBe(5);
  });

  test("a server that dies meanwhile: what it told is kept, the rest is told as unread", async () => {
    pve.hook = async (path, count) => {
      if (path === "/nodes/srv2/qemu/113/pending" && count === 0) await cluster.control("POST", "/nodes/srv2/kill");
    };
    const snapshot = await readCluster(pve);
    expect(snapshot.nodes.map(({ name, online }) => [name, online])).toEqual([
      ["srv1", true],
      ["srv2", false],
    ]);
    expect(snapshot.guests).toHaveLength(6);
    for (const { node, unreadable } of snapshot.guests)
      expect(unreadable).toBe(node === "srv2" ? "its server srv2 is off" : undefined);
    expect(snapshot.unread).toEqual([
      { what: expect.stringContaining("server srv2"), why: "it is off, or cut off from the server that was asked" },
    ]);
  });
});

function ends({ source, target }: { source?: string; target?: string } & object): object {
  return { source, target };
}
