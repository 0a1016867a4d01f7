/** Clusters for the report of `check --live`: one that is well kept, and for each finding one that is not. */

import type { LiveCode } from "../../planning/adoption/live-catalogue";
import type { LiveCopies, LiveFinding } from "../../planning/adoption/live-types";
import type { ClusterSnapshot } from "../../planning/adoption/snapshot";
import type { FindingCode } from "../../planning/catalogue";
import { backupJob, cluster, machine, node, off, replication, SMALL, storage } from "./adoption-samples";

const GIB = 1024 ** 3;
const DAY = 86_400;

/** When the samples were read. */
export const NOW = cluster().readAt;
export const NAS_DISK = "nas:101/vm-101-disk-0.qcow2,size=32G";

/** What was read of copies: all storages listed, nothing found. */
export function copies(more: Partial<LiveCopies> = {}): LiveCopies {
  return { backups: [], listed: ["nas"], replication: [], unread: [], ...more };
}

export interface Case {
  code: LiveCode | FindingCode;
  snapshot: ClusterSnapshot;
  found: LiveCopies | undefined;
  expected?: Partial<LiveFinding>;
  /** Nothing else is found. */
  only?: boolean;
  times?: number;
}

const backup = (vmid: number, at = NOW - 3600) => ({ vmid, storage: "nas", at, broken: false });
const web = (more: Record<string, string> = {}) =>
  machine(101, "web", { ...SMALL, scsi0: "tank:vm-101-disk-0,size=32G", onboot: "1", ...more });

/** One guest, replicated a minute ago and backed up within the hour; three votes. */
export function alone(more: Partial<ClusterSnapshot> = {}): ClusterSnapshot {
  return cluster({
    qdevice: true,
    guests: [web()],
    replicationJobs: [replication("101-0", "pve2")],
    backupJobs: [backupJob("nightly", { all: true })],
    ...more,
  });
}

const good: LiveCopies = copies({
  backups: [backup(101)],
  replication: [{ id: "101-0", lastSync: NOW - 60, failCount: 0 }],
});

/** The well-kept one, and cases that differ from it in one thing. */
export function nothingElse(more: Partial<ClusterSnapshot> = {}, found: Partial<LiveCopies> = {}): Case {
  return { code: "LIVE-NO-COPY", snapshot: alone(more), found: { ...good, ...found } };
}

const one = (
  code: Case["code"],
  more: Partial<ClusterSnapshot>,
  found: Partial<LiveCopies> = {},
  expected: Partial<Case> = { only: true },
): Case => ({ ...nothingElse(more, found), code, ...expected });

const withStorage = (id: string, used: number, total: number) =>
  ["pve1", "pve2"].map((name) =>
    node(name, {
      storages: node(name).storages.map((each) =>
        each.storage === id && name === "pve1" ? { ...each, used: used * GIB, total: total * GIB } : each,
      ),
    }),
  );

const lent = (server: string) => [
  ...cluster().storages.filter(({ storage: id }) => id !== "nas"),
  storage("nas", "nfs", { shared: true, content: ["images", "backup"], options: { server, export: "/x" } }),
];

const state = (lastSync: number, failCount = 0, error?: string) => ({
  replication: [{ id: "101-0", lastSync, failCount, ...(error !== undefined && { error }) }],
});

export const findingCases: Case[] = [
  one("LIVE-NO-COPY", { replicationJobs: [], backupJobs: [] }, { backups: [] }),
  one("GUEST-NO-BACKUP", { backupJobs: [] }, { backups: [] }),
  one("GUEST-NO-SPARE", { replicationJobs: [] }),
  one("LIVE-IN-NO-JOB", { backupJobs: [] }),
  one("LIVE-BACKUP-OLD", {}, { backups: [backup(101, NOW - 9 * DAY)] }),
  one("LIVE-BACKUP-BROKEN", {}, { backups: [backup(101, NOW - 5 * 3600), { ...backup(101), broken: true }] }),
  one("LIVE-BACKUP-JOB-DISABLED", {
    backupJobs: [backupJob("nightly", { all: true }), backupJob("backup-4a1c", { enabled: false, all: true })],
  }),
  one(
    "LIVE-BACKUP-JOB-NOWHERE",
    { backupJobs: [backupJob("nightly", { all: true }), backupJob("backup-4a1c", { all: true, storage: "old-nas" })] },
    {},
    {},
  ),
  one("LIVE-BACKUP-IN-CLUSTER", { storages: lent("192.168.10.12") }, {}, {}),
  one("TARGET-SAME-SERVER", { storages: lent("192.168.10.11") }, {}, {}),
  one("STORAGE-SINGLE-POINT", { storages: lent("pve2.example.org"), guests: [web({ scsi0: NAS_DISK })] }, {}, {}),
  one("LIVE-REPLICATION-FAILS", {}, state(NOW - 7200, 3, "no tank on pve2"), {}),
  one("LIVE-REPLICATION-LATE", {}, state(NOW - 4 * 3600)),
  one(
    "LIVE-REPLICATION-DISABLED",
    { replicationJobs: [replication("101-0", "pve2", { disabled: true })] },
    state(NOW - DAY),
  ),
  one("LIVE-DISK-LEFT-OUT", { guests: [web({ scsi1: "tank:vm-101-disk-1,size=200G,backup=0" })] }),
  one("LIVE-NO-QUORUM", { quorate: false, nodes: [node("pve1"), off("pve2"), off("pve3"), off("pve4")] }, {}, {}),
  one("LIVE-SERVER-OFF", { nodes: [node("pve1"), node("pve2"), off("pve3")] }, {}, {}),
  one("LIVE-QUORUM-LOST", { qdevice: false, nodes: [node("pve1"), node("pve2"), off("pve3")] }, {}, {}),
  one("QUORUM-NO-THIRD-VOTE", { qdevice: false }),
  one("LIVE-STORAGE-FULL", { nodes: withStorage("tank", 1740, 1800) }),
  one("LIVE-STORAGE-FILLING", { nodes: withStorage("tank", 1600, 1800) }),
  one("LIVE-THIN-OVERCOMMITTED", { nodes: withStorage("tank", 10, 30) }, {}, {}),
  one("LIVE-STORAGE-INACTIVE", {
    nodes: [
      node("pve1"),
      node("pve2", {
        storages: node("pve2").storages.map((each) => (each.storage === "local" ? { ...each, active: false } : each)),
      }),
    ],
  }),
  one("LIVE-HA-LOCAL", { replicationJobs: [], ha: [{ sid: "vm:101", state: "started" }] }, {}, {}),
  one("LIVE-BOUND-TO-SERVER", {
    guests: [web({ ide2: "local:iso/virtio-win.iso,media=cdrom", hostpci0: "0000:01:00" })],
  }),
  one("LIVE-ONE-SERVER", { nodes: [node("pve1")] }, {}, {}),
  one("LIVE-LOCKED", { guests: [{ ...web(), lock: "backup" }] }),
  one("LIVE-SNAPSHOTS", { guests: [{ ...web(), snapshots: ["before-update"] }] }),
  one("LIVE-NOT-AT-BOOT", { guests: [web({ onboot: "0" })] }),
  one("LIVE-TEMPLATE-ONCE", {
    guests: [
      web(),
      machine(
        900,
        "debian-13",
        { ...SMALL, scsi0: "tank:base-900-disk-0,size=8G" },
        { template: true, status: "stopped" },
      ),
    ],
  }),
  one("LIVE-UNREAD", { unread: [{ what: "the pools", why: "the token lacks Pool.Audit on /pool" }] }),
  one(
    "CAPACITY-MEMORY",
    {
      guests: [
        web({ memory: String(40 * 1024) }),
        {
          ...machine(102, "db", {
            ...SMALL,
            memory: String(40 * 1024),
            scsi0: "nas:102/vm-102-disk-0.qcow2,size=8G",
            onboot: "1",
          }),
          node: "pve2",
        },
      ],
    },
    { backups: [backup(101), backup(102)] },
    { times: 2 },
  ),
  one("CAPACITY-CORES", { guests: [web({ cores: "16", sockets: "3" })] }, {}, { times: 2 }),
];

/** Two guests with one code: told together. */
export const twoFailing: Case = one(
  "LIVE-REPLICATION-FAILS",
  {
    guests: [web(), machine(102, "db", { ...SMALL, scsi0: "tank:vm-102-disk-0,size=8G", onboot: "1" })],
    replicationJobs: [replication("101-0", "pve2"), replication("102-0", "pve2")],
  },
  {
    replication: [
      { id: "101-0", lastSync: 0, failCount: 2, error: "no tank on pve2" },
      { id: "102-0", lastSync: NOW - 60, failCount: 1 },
    ],
  },
);
