import { planSite, type SiteSpecInput } from "../../planning";
import { compareWithCluster } from "../../planning/adoption/compare";
import { interpretCluster } from "../../planning/adoption/interpret";
import type { ClusterSnapshot } from "../../planning/adoption/snapshot";
import { backupJob, byHand, cluster, container, machine, node, replication, SMALL } from "./adoption-samples";

const server = {
  roles: ["hypervisor" as const],
  cores: 16,
  memoryGiB: 63,
  storages: { tank: { type: "zfspool" as const, sizeGiB: 1800, content: ["images" as const, "rootdir" as const] } },
};

const site: SiteSpecInput = {
  site: { name: "office", cluster: "office" },
  servers: { pve1: server, pve2: server },
  storages: {
    nas: { type: "nfs", server: "192.168.10.5", export: "/volume1/pve", sizeGiB: 4000, content: ["backup"] },
  },
  guests: {
    web: {
      kind: "vm",
      id: 100,
      on: "pve1",
      os: "linux",
      cores: 2,
      memoryGiB: 2,
      disks: [{ sizeGiB: 32, storage: "tank" }],
      coldReplica: { on: "pve2", method: "storage-replication", schedule: "*/15" },
    },
    dns: {
      kind: "container",
      id: 101,
      on: "pve2",
      os: "debian",
      cores: 1,
      memoryGiB: 0.5,
      disks: [{ sizeGiB: 8, storage: "tank" }],
    },
  },
  backups: { nightly: { storage: "nas", schedule: "22:30", guests: "all" } },
};

const WEB = machine(100, "web", SMALL);
const DNS = container(101, "dns", { cores: "1", memory: "512", rootfs: "tank:x,size=8G" }, { node: "pve2" });
const asSaid: Partial<ClusterSnapshot> = {
  guests: [WEB, DNS],
  replicationJobs: [replication("100-0", "pve2")],
  backupJobs: [backupJob("office-nightly", { vmids: [100, 101] })],
};

function compared(more: Partial<ClusterSnapshot>, spec: SiteSpecInput = site) {
  const snapshot = cluster({ ...asSaid, ...more });
  return compareWithCluster(planSite(spec), snapshot, interpretCluster(snapshot));
}

test("a cluster that is as the specification says it", () => {
  expect(compared({})).toEqual([
    { subject: "server pve1", state: "exists" },
    { subject: "server pve2", state: "exists" },
    { subject: "storage tank", state: "exists" },
    { subject: "storage nas", state: "exists" },
    { subject: "guest dns", state: "exists" },
    { subject: "guest web", state: "exists" },
    { subject: "replication of web", state: "exists" },
    { subject: "backup job office-nightly", state: "exists" },
  ]);
});

test("a site that was imported is as it was found", () => {
  const snapshot = byHand();
  const interpretation = interpretCluster(snapshot);
  const parts = compareWithCluster(planSite(interpretation.site), snapshot, interpretation);
  expect(parts.filter(({ state }) => state === "differs" || state === "missing")).toEqual([]);
  expect(parts.filter(({ state }) => state === "beside").map(({ subject }) => subject)).toEqual([
    "guest 120",
    "guest 9000",
    "backup job backup-9f33",
  ]);
});

test("a job that was there before and is gone", () => {
  const snapshot = byHand();
  const { site: found } = interpretCluster(snapshot);
  const without = { ...snapshot, backupJobs: [] };
  expect(compareWithCluster(planSite(found), without, interpretCluster(without))).toContainEqual({
    subject: "backup job backup-4a1c",
    state: "missing",
    note: "it has to be made by hand",
  });
});

test.each<[string, Partial<ClusterSnapshot>, string, string, RegExp]>([
  ["a guest that is gone", { guests: [DNS] }, "guest web", "missing", /restore it from its newest backup first/],
  ["another guest of its id", { guests: [machine(100, "mail", SMALL), DNS] }, "guest web", "differs", /called 'mail'/],
  ["another kind", { guests: [container(100, "web", {}), DNS] }, "guest web", "differs", /is a container there/],
  [
    "a guest elsewhere",
    { nodes: [node("pve1"), node("pve2"), node("pve3")], guests: [{ ...WEB, node: "pve3" }, DNS] },
    "guest web",
    "differs",
    /it is on pve3; the specification says pve1 or pve2/,
  ],
  [
    "a guest on its spare",
    { guests: [{ ...WEB, node: "pve2" }, DNS] },
    "guest web",
    "exists",
    /coldspare:active\.web spare/,
  ],
  [
    "more cores",
    { guests: [machine(100, "web", { ...SMALL, cores: "4" }), DNS] },
    "guest web",
    "differs",
    /^cores: 4 there, 2/,
  ],
  [
    "a larger disk",
    { guests: [machine(100, "web", { ...SMALL, scsi0: "tank:x,size=40G" }), DNS] },
    "guest web",
    "differs",
    /^scsi0: 40/,
  ],
  [
    "another disk",
    { guests: [machine(100, "web", { ...SMALL, scsi3: "tank:x,size=1G" }), DNS] },
    "guest web",
    "differs",
    /^scsi3 is there/,
  ],
  ["a locked guest", { guests: [{ ...WEB, lock: "backup" }, DNS] }, "guest web", "exists", /it is locked/],
  ["no replication", { replicationJobs: [] }, "replication of web", "missing", /makes its replication job/],
  [
    "replication that is off",
    { replicationJobs: [replication("100-0", "pve2", { disabled: true })] },
    "replication of web",
    "differs",
    /100-0 is disabled/,
  ],
  [
    "another schedule",
    { replicationJobs: [replication("100-0", "pve2", { schedule: "*/5" })] },
    "replication of web",
    "differs",
    /^schedule: \*\/5 there/,
  ],
  ["no backup job", { backupJobs: [] }, "backup job office-nightly", "missing", /makes it/],
  [
    "another time",
    { backupJobs: [backupJob("office-nightly", { schedule: "01:00" })] },
    "backup job office-nightly",
    "differs",
    /01:00 there/,
  ],
  ["a server that is not there", { nodes: [node("pve1")] }, "server pve2", "missing", /no server of that name/],
  ["a storage that is not there", { storages: [] }, "storage nas", "missing", /makes its entry/],
  ["a guest beside", { guests: [WEB, DNS, machine(200, "old", SMALL)] }, "guest 200", "beside", /'old' on pve1/],
  ["a job beside", { backupJobs: [backupJob("office-nightly"), backupJob("b2")] }, "backup job b2", "beside", /^$/],
])("%s", (_what, more, subject, state, note) => {
  const part = compared(more).find((each) => each.subject === subject);
  expect(part?.state).toBe(state);
  expect(part?.note ?? "").toMatch(note);
});
