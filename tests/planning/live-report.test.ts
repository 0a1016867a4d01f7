/** The report of a running cluster: each case by a table, and what holds for any cluster. */
import fc from "fast-check";
import { planSite } from "../../planning";
import { interpretCluster } from "../../planning/adoption/interpret";
import { liveFindings } from "../../planning/adoption/live-catalogue";
import { liveReport } from "../../planning/adoption/live-report";
import type { GuestLoss, LiveCopies, LiveReport } from "../../planning/adoption/live-types";
import type { ClusterSnapshot } from "../../planning/adoption/snapshot";
import { FindingCatalogue } from "../../planning/catalogue";
import { keptSnapshot } from "../live/snapshot-text";
import {
  anyCluster,
  backupJob,
  byHand,
  cluster,
  container,
  machine,
  node,
  off,
  replication,
  SMALL,
  storage,
} from "./adoption-samples";
import { alone, type Case, copies, findingCases, NAS_DISK, NOW, nothingElse, twoFailing } from "./live-samples";

function report(snapshot: ClusterSnapshot, found?: LiveCopies): LiveReport {
  const interpretation = interpretCluster(snapshot);
  return liveReport(snapshot, interpretation, planSite(interpretation.site), found);
}

const lossOf = (result: LiveReport, server = "pve1") => result.servers.find((loss) => loss.server === server)!;
const guestIn = (result: LiveReport, id = 101, server = "pve1") =>
  lossOf(result, server).guests.find((guest) => guest.id === id);

describe("what becomes of a guest when its server is lost", () => {
  const ZFS = { ...SMALL, scsi0: "tank:vm-101-disk-0,size=32G" };
  const SHARED = { ...SMALL, scsi0: NAS_DISK };
  const synced = copies({ replication: [{ id: "101-0", lastSync: NOW - 600, failCount: 0 }] });
  const quorate = { qdevice: true };
  const job = { replicationJobs: [replication("101-0", "pve2")] };
  const ha = { ha: [{ sid: "vm:101", state: "started" }] };

  const rows: [string, Partial<ClusterSnapshot>, Record<string, string>, LiveCopies | undefined, Partial<GuestLoss>][] =
    [
      ["nothing lies elsewhere", {}, ZFS, copies(), { fate: "nothing", comesBack: false }],
      ["shared disks and HA", { ...quorate, ...ha }, SHARED, copies(), { fate: "ha", byItself: true, on: "pve2" }],
      [
        "shared disks and HA, without a majority",
        { qdevice: false, ...ha },
        SHARED,
        copies(),
        { fate: "shared", byItself: false, comesBack: true },
      ],
      [
        "shared disks, HA told to leave it off",
        { ...quorate, ha: [{ sid: "vm:101", state: "ignored" }] },
        SHARED,
        copies(),
        { fate: "shared", byItself: false },
      ],
      ["shared disks and nobody", quorate, SHARED, copies(), { fate: "shared", byItself: false, comesBack: true }],
      [
        "an ISO of its own server",
        { ...quorate, ...ha },
        { ...SHARED, ide2: "local:iso/x.iso,media=cdrom" },
        copies(),
        { fate: "shared", byItself: false, how: expect.stringContaining("without ide2") },
      ],
      [
        "a replica",
        { ...quorate, ...job },
        ZFS,
        synced,
        { fate: "replica", comesBack: true, on: "pve2", how: expect.stringContaining("10 min old") },
      ],
      [
        "a replica, its state unread",
        { ...quorate, ...job },
        ZFS,
        copies(),
        { fate: "replica", how: expect.stringContaining("not read") },
      ],
      [
        "a replica that never ran",
        { ...quorate, ...job },
        ZFS,
        copies({ replication: [{ id: "101-0", lastSync: 0, failCount: 3 }] }),
        { fate: "nothing" },
      ],
      [
        "a replica that is switched off, and ran",
        { ...quorate, replicationJobs: [replication("101-0", "pve2", { disabled: true })] },
        ZFS,
        synced,
        { fate: "replica" },
      ],
      [
        "a replica and HA, two servers",
        { ...quorate, ...job, ...ha },
        ZFS,
        synced,
        { fate: "ha-replica", byItself: true },
      ],
      [
        "a replica and HA, three servers",
        { nodes: [node("pve1"), node("pve2"), node("pve3")], ...job, ...ha },
        ZFS,
        synced,
        { fate: "replica", byItself: false },
      ],
      [
        "a replica without one of its disks",
        { ...quorate, ...job },
        { ...ZFS, scsi1: "tank:vm-101-disk-1,size=8G,replicate=0" },
        synced,
        { fate: "nothing" },
      ],
      [
        "a replica on a server that is off",
        { nodes: [node("pve1"), off("pve2")], ...job },
        ZFS,
        synced,
        { fate: "nothing" },
      ],
      [
        "a disk of the server itself beside shared ones",
        quorate,
        { ...SHARED, scsi1: "/dev/disk/by-id/ata-x,size=1T" },
        copies(),
        { fate: "nothing" },
      ],
      [
        "a backup",
        {},
        ZFS,
        copies({ backups: [{ vmid: 101, storage: "nas", at: NOW - 7200, broken: false }] }),
        { fate: "backup", comesBack: false, backup: { storage: "nas", at: NOW - 7200 } },
      ],
      [
        "a backup that is broken",
        {},
        ZFS,
        copies({ backups: [{ vmid: 101, storage: "nas", at: NOW - 7200, broken: true }] }),
        { fate: "nothing" },
      ],
      [
        "a backup of another guest",
        {},
        ZFS,
        copies({ backups: [{ vmid: 102, storage: "nas", at: NOW, broken: false }] }),
        { fate: "nothing" },
      ],
      [
        "a backup on its own server",
        { storages: [...cluster().storages, storage("dump", "dir", { content: ["backup"] })] },
        ZFS,
        copies({
          listed: ["nas", "dump@pve1", "dump@pve2"],
          backups: [{ vmid: 101, storage: "dump", server: "pve1", at: NOW, broken: false }],
        }),
        { fate: "nothing", how: expect.stringContaining("die with the server") },
      ],
      [
        "a job, backups unread",
        { backupJobs: [backupJob("b", { all: true })] },
        ZFS,
        copies({ listed: [] }),
        { fate: "backup", how: expect.stringContaining("not read") },
      ],
      [
        "a job that has written nothing",
        { backupJobs: [backupJob("b", { all: true })] },
        ZFS,
        copies(),
        { fate: "nothing" },
      ],
      [
        "no job, backups unread",
        {},
        ZFS,
        undefined,
        { fate: "nothing", how: expect.stringContaining("what other backups exist was not read") },
      ],
      [
        "replication jobs unread",
        { unread: [{ what: "the replication jobs", why: "403" }] },
        ZFS,
        copies(),
        { fate: "unknown" },
      ],
      ["its storage unknown", {}, { ...SMALL, scsi0: "gone:vm-101-disk-0,size=8G" }, copies(), { fate: "unknown" }],
    ];
  test.each(rows)("%s", (_name, more, config, found, expected) => {
    const result = report(cluster({ guests: [machine(101, "web", config)], ...more }), found);
    expect(guestIn(result)).toMatchObject(expected);
    expect(lossOf(result, "pve2").guests).toEqual([]);
  });

  test("a configuration that was not read is never safe", () => {
    const { config: _, ...bare } = machine(101, "web", {});
    const result = report(cluster({ qdevice: true, guests: [{ ...bare, unreadable: "403" }] }), copies());
    expect(guestIn(result)).toMatchObject({ fate: "unknown", comesBack: false });
    expect(result.survives).toBe(false);
  });

  test("a guest elsewhere stops with the server that lends it its storage, and is restored", () => {
    const nas = storage("nas", "nfs", {
      shared: true,
      content: ["images", "backup"],
      options: { server: "192.168.10.11" },
    });
    const storages = [...cluster().storages.filter((each) => each.storage !== "nas"), nas];
    const guests = [machine(101, "web", SHARED, { node: "pve2" })];
    const result = report(
      cluster({ storages, guests }),
      copies({ backups: [{ vmid: 101, storage: "nas", at: NOW, broken: false }] }),
    );
    expect(guestIn(result)).toMatchObject({ server: "pve2", fate: "nothing" });
    expect(guestIn(result, 101, "pve2")).toMatchObject({ fate: "shared", on: "pve1" });
    expect(lossOf(result).storages).toContain("nas");
    expect(lossOf(result, "pve2").storages).not.toContain("nas");
  });

  test("a container's mount point is in no backup unless it says so", () => {
    const config = {
      ...SMALL,
      rootfs: "tank:subvol-101-disk-0,size=8G",
      mp0: "tank:subvol-101-disk-1,mp=/srv/data,size=90G",
    };
    const found = copies({ backups: [{ vmid: 101, storage: "nas", at: NOW - 60, broken: false }] });
    const result = report(cluster({ guests: [container(101, "files", config)] }), found);
    expect(guestIn(result)).toMatchObject({ fate: "backup", how: expect.stringContaining("without mp0") });
  });
});

describe("room", () => {
  const big = (vmid: number, gib: number) =>
    machine(vmid, `big${vmid}`, { cores: "2", memory: String(gib * 1024), scsi0: NAS_DISK });

  test("what does not fit does not come back, and by how much is said", () => {
    const guests = [big(101, 20), big(102, 20), { ...big(103, 40), node: "pve2" }];
    const result = report(cluster({ qdevice: true, guests }), copies());
    const { room, counts } = lossOf(result);
    // 64 GiB less 4 for the host (and 5 MB that the firmware keeps); each guest takes 0.15 GiB beside its own.
    expect(room).toEqual([
      { server: "pve2", memoryGiB: 80.45, memoryLimitGiB: 59.99, cores: 6, coreLimit: 45, takes: 2, fits: false },
    ]);
    expect(counts).toMatchObject({ person: 0, noRoom: 2 });
    expect(result.findings.find(({ code }) => code === "CAPACITY-MEMORY")?.message).toContain(
      "pve2 lacks 20.46 GiB of memory",
    );
  });

  test("each goes where most memory is left", () => {
    const nodes = [node("pve1"), node("pve2"), node("pve3")];
    const result = report(
      cluster({ nodes, guests: [big(101, 20), big(102, 20), { ...big(103, 40), node: "pve2" }] }),
      copies(),
    );
    expect(lossOf(result).guests.map(({ on }) => on)).toEqual(["pve3", "pve3"]);
    expect(lossOf(result).counts.person).toBe(2);
  });

  test("a guest with more cores than any other server has does not start there", () => {
    const guest = machine(101, "wide", { cores: "24", memory: "1024", scsi0: NAS_DISK });
    const nodes = [node("pve1", { cores: 32 }), node("pve2")];
    expect(guestIn(report(cluster({ qdevice: true, nodes, guests: [guest] }), copies()))).toMatchObject({
      comesBack: false,
      how: expect.stringContaining("24 cores, more than pve2"),
    });
  });
});

describe("votes", () => {
  test.each([
    ["two servers", { qdevice: false }, 2, { votes: 1, expected: 2, needed: 2, quorate: false, unsure: false }],
    [
      "two servers and a QDevice",
      { qdevice: true },
      2,
      { votes: 2, expected: 3, needed: 2, quorate: true, unsure: false },
    ],
    ["two servers, QDevice unread", {}, 2, { votes: 1, expected: 2, needed: 2, quorate: false, unsure: true }],
    ["three servers", { qdevice: false }, 3, { votes: 2, expected: 3, needed: 2, quorate: true, unsure: false }],
  ])("%s", (_name, more, count, expected) => {
    const nodes = Array.from({ length: count }, (_, index) => node(`pve${index + 1}`));
    expect(lossOf(report(cluster({ nodes, ...more }))).quorum).toEqual(expected);
  });

  test("of three servers one is off: the next loss costs the majority", () => {
    const nodes = [node("pve1"), node("pve2"), off("pve3")];
    const result = report(cluster({ nodes, qdevice: false }), copies());
    expect(lossOf(result).quorum?.quorate).toBe(false);
    expect(result.findings.map(({ code }) => code)).toContain("LIVE-QUORUM-LOST");
  });

  test("a server in no cluster has no votes", () => {
    const { cluster: _, ...rest } = cluster({ nodes: [node("pve1")] });
    expect(lossOf(report(rest)).quorum).toBeUndefined();
  });
});

describe("the headline", () => {
  const shared = { ...SMALL, scsi0: NAS_DISK };
  const zfs = (vmid: number) => machine(vmid, `g${vmid}`, { ...SMALL, scsi0: `tank:vm-${vmid}-disk-0,size=8G` });
  const dump = (vmid: number) => ({ vmid, storage: "nas", at: NOW, broken: false });

  test.each<[string, Partial<ClusterSnapshot>, LiveCopies | undefined, string]>([
    [
      "some without a backup",
      { guests: [zfs(101), zfs(102), machine(103, "web", shared)] },
      copies({ backups: [dump(101)] }),
      "If pve1 dies tonight, 2 of 3 guests do not come back; 1 of them has no backup that survives.",
    ],
    [
      "backups unread",
      { guests: [zfs(101), machine(103, "web", shared)] },
      undefined,
      "If pve1 dies tonight, 1 of 2 guests does not come back, and it has no known backup that survives.",
    ],
    [
      "all come back",
      { qdevice: true, guests: [machine(103, "web", shared)] },
      copies(),
      "If any one server dies tonight, the only guest comes back once somebody starts it.",
    ],
    [
      "all come back, not all read",
      { qdevice: true, guests: [machine(103, "web", shared)] },
      undefined,
      "As far as could be read: if any one server dies tonight, the only guest comes back once somebody starts it.",
    ],
    ["no guest", {}, copies(), "No guest runs here: nothing is lost with any server."],
    [
      "one server is off",
      { nodes: [node("pve1"), off("pve2")], guests: [zfs(101), { ...zfs(102), node: "pve2", status: "unknown" }] },
      copies(),
      "1 guest is down already. If pve1 dies tonight, too, 1 of 2 guests does not come back, and it has no backup that survives.",
    ],
  ])("%s", (_name, more, found, expected) => {
    expect(report(cluster(more), found).headline).toBe(expected);
  });
});

describe("findings", () => {
  const known: Record<string, { severity: string; example: string }> = { ...FindingCatalogue, ...liveFindings };
  const run = ({ snapshot, found }: Case) => report(snapshot, found);

  test("a well-kept cluster has none, survives and is ok", () => {
    const { findings, survives, ok } = run(nothingElse());
    expect(findings).toEqual([]);
    expect({ survives, ok }).toEqual({ survives: true, ok: true });
  });

  test.each(findingCases)("$code", (one) => {
    const found = run(one).findings.filter(({ code }) => code === one.code);
    expect(found).toHaveLength(one.times ?? 1);
    expect(found[0]).toMatchObject(one.expected ?? {});
    expect(found[0]!.fix).not.toBe("");
    // One that is well kept but for this: nothing else may speak up where the case says so.
    if (one.only) expect(run(one).findings.map(({ code }) => code)).toEqual([one.code]);
  });

  test("replications that fail are told together", () => {
    const told = run(twoFailing).findings.filter(({ code }) => code === "LIVE-REPLICATION-FAILS");
    expect(told).toEqual([
      expect.objectContaining({
        guests: [101, 102],
        message:
          "2 replications fail: web (101) to pve2 and db (102) to pve2. web: No tank on pve2. It never succeeded.",
      }),
    ]);
  });

  test("each code of the catalogue has a case, with the example as its message", () => {
    const own = Object.keys(liveFindings);
    expect([...new Set(findingCases.map(({ code }) => code).filter((code) => code in liveFindings))].sort()).toEqual(
      own.sort(),
    );
    for (const code of own) {
      const real = findingCases.filter((one) => one.code === code).flatMap((one) => run(one).findings);
      expect(real.map(({ message }) => message)).toContain(known[code]!.example);
    }
  });
});

describe("any cluster", () => {
  const found: fc.Arbitrary<LiveCopies | undefined> = fc.option(
    fc.record({
      backups: fc.array(
        fc.record({
          vmid: fc.integer({ min: 100, max: 120 }),
          storage: fc.constantFrom("nas", "pbs", "gone"),
          at: fc.integer({ min: NOW - 1e7, max: NOW + 1000 }),
          broken: fc.boolean(),
        }),
        { maxLength: 8 },
      ),
      listed: fc.subarray(["nas", "pbs", "local@pve1", "tank@pve1"]),
      replication: fc.constant([]),
      unread: fc.constant([]),
    }),
    { nil: undefined },
  );

  test("every running guest is in the loss of its server once, counts add up, and nothing unread is safe", () => {
    fc.assert(
      fc.property(anyCluster, found, (snapshot, seen) => {
        const result = report(snapshot, seen);
        expect(report(snapshot, seen)).toEqual(result);
        const running = snapshot.guests.filter(({ template, status }) => !template && status !== "stopped");
        expect(result.counts.running).toBe(running.length);
        for (const { vmid, node: server } of running) {
          const loss = result.servers.find((each) => each.server === server);
          if (loss) expect(loss.guests.filter(({ id }) => id === vmid)).toHaveLength(1);
        }
        for (const { guests, counts, withoutBackup } of result.servers) {
          const { itself, person, noRoom, backup, nothing, unknown } = counts;
          expect(itself + person + noRoom + backup + nothing + unknown).toBe(guests.length);
          expect(new Set(guests.map(({ id }) => id)).size).toBe(guests.length);
          expect(withoutBackup).toBeLessThanOrEqual(guests.length - itself - person);
          for (const { comesBack, on, fate } of guests) {
            expect(comesBack).toBe(on !== undefined);
            if (fate === "unknown" || fate === "nothing" || fate === "backup") expect(comesBack).toBe(false);
          }
        }
        // The samples never read the firewall: of no weight. A report without copies never says that all is well.
        if (seen === undefined) expect(result.survives).toBe(false);
        if (result.survives)
          expect(result.servers.flatMap(({ guests }) => guests).every(({ comesBack }) => comesBack)).toBe(true);
        for (const { message, fix } of result.findings)
          expect(`${message}${fix}`).not.toMatch(/undefined|NaN|Infinity/);
        expect(result.headline).not.toMatch(/undefined|NaN|Infinity/);
      }),
      { numRuns: 300 },
    );
  });

  test.each(["smb", "large", "by-hand", "half"] as const)("the kept snapshot %s", (kind) => {
    const result = report(keptSnapshot(kind));
    expect(result.headline).toMatch(/dies tonight/);
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  test("the one made by hand", () => {
    expect(report(byHand()).servers.map(({ server }) => server)).toEqual(["pve1", "pve2", "pve3"]);
    expect(alone().guests).toHaveLength(1);
  });
});
