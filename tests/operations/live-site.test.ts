import { type ReadProgress, readCluster } from "../../operations/live-site/read";
import type { ClusterSnapshot } from "../../planning/adoption/snapshot";
import { type ClusterKind, clusterKinds, type LiveCluster, startCluster } from "../live/clusters";
import { keptSnapshot, SNAPSHOT_TIME, snapshotText } from "../live/snapshot-text";

const clusters = {} as Record<ClusterKind, LiveCluster>;

beforeAll(async () => {
  for (const kind of clusterKinds) clusters[kind] = await startCluster(kind, { at: SNAPSHOT_TIME, speed: 0.001 });
});
afterAll(async () => {
  for (const cluster of Object.values(clusters)) await cluster.stop();
});

/** The most calls that a cluster may cost. */
function bound({ nodes, guests, firewall }: ClusterSnapshot): number {
  const containers = guests.filter(({ type }) => type === "lxc").length;
  const snapshots = guests.filter((guest) => guest.snapshots.length > 0).length;
  const firewalls = firewall.enabled
    ? guests.filter(({ config = {} }) => Object.values(config).some((value) => value.includes("firewall=1"))).length
    : 0;
  return 16 + nodes.length + guests.length + containers + snapshots + 2 * firewalls;
}

describe.each(clusterKinds)("the cluster '%s'", (kind) => {
  const clock = () => SNAPSHOT_TIME * 1000;

  test("is read as the kept snapshot has it, with GET alone and few calls", async () => {
    const cluster = clusters[kind];
    await cluster.resetCalls();
    const snapshot = await readCluster(cluster.pve, { clock });
    const calls = await cluster.calls();
    // The lab's locks of guests are set by its control interface, which is no call of the API.
    expect(snapshotText(snapshot)).toBe(snapshotText(keptSnapshot(kind)));
    expect(calls.changing).toBe(0);
    expect(Object.keys(calls.calls).filter((call) => !call.startsWith("GET "))).toEqual([]);
    expect(calls.total).toBeLessThanOrEqual(bound(snapshot));
  });

  test("PVEAuditor on / suffices", async () => {
    const cluster = clusters[kind];
    // Without a quorum no token can be made.
    if (kind === "half") return;
    const auditor = cluster.client(await cluster.token(`auditor-${kind}`, { "/": "PVEAuditor" }));
    const snapshot = await readCluster(auditor, { clock });
    auditor.close();
    expect(snapshotText(snapshot)).toBe(snapshotText(keptSnapshot(kind)));
  });
});

test("15 servers with 120 guests take no more than 16 calls, one for each server and machine, two for each container", async () => {
  const { large } = clusters;
  await large.resetCalls();
  const snapshot = await readCluster(large.pve);
  expect([snapshot.nodes.length, snapshot.guests.length]).toEqual([15, 120]);
  const containers = snapshot.guests.filter(({ type }) => type === "lxc").length;
  expect((await large.calls()).total).toBeLessThanOrEqual(16 + 15 + 120 + containers);
});

test("progress counts every server and guest once, up to the total", async () => {
  const said: ReadProgress[] = [];
  await readCluster(clusters.smb.pve, { say: (progress) => said.push(progress) });
  expect(said.map(({ done }) => done)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(new Set(said.map(({ total }) => total))).toEqual(new Set([8]));
  expect(said.map(({ what }) => what).sort()).toEqual(
    ["guest 110", "guest 111", "guest 112", "guest 113", "guest 114", "guest 115", "server srv1", "server srv2"].sort(),
  );
});

test("no more calls at a time than allowed", async () => {
  let now = 0;
  let most = 0;
  const { pve } = clusters["by-hand"];
  const counting = Object.create(pve, {
    tokenId: { get: () => pve.tokenId },
    get: {
      value: async (...call: Parameters<typeof pve.get>) => {
        most = Math.max(most, ++now);
        return pve.get(...call).finally(() => now--);
      },
    },
  }) as typeof pve;
  await readCluster(counting, { concurrency: 3 });
  expect(most).toBe(3);
});

test("without a quorum and half of the servers, what is there is read and the rest is told", async () => {
  const snapshot = await readCluster(clusters.half.pve);
  expect(snapshot.quorate).toBe(false);
  expect(snapshot.guests).toHaveLength(12);
  for (const guest of snapshot.guests) {
    const isOff = ["node-d", "node-e", "node-f"].includes(guest.node);
    expect(guest.config === undefined).toBe(isOff);
    expect(guest.unreadable).toBe(isOff ? `its server ${guest.node} is off` : undefined);
  }
  expect(snapshot.unread.map(({ what }) => what)).toEqual([
    expect.stringContaining("server node-d"),
    expect.stringContaining("server node-e"),
    expect.stringContaining("server node-f"),
  ]);
});

test("oddities of a hand-made cluster: changes that wait, LXC's own lines, snapshots, a made-up name, firewall", () => {
  const { guests, firewall } = keptSnapshot("by-hand");
  const of = (vmid: number) => guests.find((guest) => guest.vmid === vmid)!;
  expect(of(300)).toMatchObject({ pending: ["cores", "machine", "memory", "vga"], config: { cores: "4", vga: "std" } });
  expect(of(300).config!.machine).toBeUndefined();
  expect(of(4711).config).toMatchObject({ "lxc.mount.entry": "/dev/dri dev/dri none bind,optional,create=dir" });
  expect(of(304).snapshots).toEqual(["after-update", "before"]);
  expect(of(304).config!.parent).toBeUndefined();
  expect(of(301).name).toBeUndefined();
  expect([of(301).lock, of(205).lock]).toEqual(["backup", "snapshot"]);
  expect(of(100).firewall).toEqual({ enabled: true, rules: 1 });
  expect(firewall).toEqual({ enabled: true, rules: 2, groups: 3 });
  expect(of(300).config!.cipassword).toBe("**********");
});
