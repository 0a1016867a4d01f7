import { manifestText, parseManifest, siteManifest } from "../../planning";
import { replicaEnds, replicaJobs } from "../../planning/backup/replica-jobs";
import { renderZfsConf, zfsServer, zfsUnits } from "../../planning/backup/zfs-conf";
import { idsOf, renderNodeConf } from "../../planning/node-conf";
import { zfsDatasets } from "../../planning/zfs-replica";
import { cleanSite, planWith } from "./sites";

/** Two hypervisors that share nothing but a link. */
const INDEPENDENT = [
  "site.cluster=null",
  "guests.wiki=null",
  "storages.backups.managed=false",
  "backups.nightly=null",
  "guests.mail.coldReplica.method=zfs-sync",
  "guests.mail.coldReplica.schedule=*/15",
];

const access = { endpoints: { one: "https://10.0.1.1:8006", two: "https://10.0.1.2:8006" } };

describe("a guest by zfs-sync on independent hypervisors", () => {
  const plan = planWith(cleanSite(), INDEPENDENT);

  test("has no error", () => {
    expect(plan.findings.filter(({ severity }) => severity === "error")).toEqual([]);
  });

  test("may lose what one gap of its timer and the sending bring", () => {
    // 15 minutes at 1 % of 40 GiB per hour are 0.1 GiB, 0.86 s at 125 MB/s.
    expect(plan.guests.mail?.replica?.recoveryPoint.seconds).toBe(15 * 60 + 1);
  });

  test.each<[string, string[], number]>([
    // 24 points of 0.1 GiB each.
    ["counts its points on both servers", [], 2.4],
    ["as many as are kept", ["guests.mail.coldReplica.recoveryPoints=100"], 10],
    ["no more than the disk for each", ["guests.mail.changeGiBPerHour=10000"], 24 * 100],
  ])("%s", (_, set, points) => {
    const { storages } = planWith(cleanSite(), [...INDEPENDENT, ...set]);
    const pool = (server: string) => storages.find((each) => each.server === server && each.storage === "tank");
    expect(pool("one")?.replicaGiB).toBeCloseTo(points);
    expect(pool("two")?.replicaGiB).toBeCloseTo(100 + points);
  });

  test("is told to the commands with its data sets, and to the guard under one id on both servers", () => {
    const manifest = siteManifest(plan, access);
    expect(manifest.guests.mail?.zfs).toEqual({ datasets: ["tank/vm-101-disk-0"], points: 24, schedule: "*/15" });
    expect(idsOf(manifest.guests.mail!)).toEqual([
      { vmid: 101, server: "one" },
      { vmid: 101, server: "two" },
    ]);
    expect(renderNodeConf(manifest, "two")).toContain("ids=101@one,101@two");
    expect(parseManifest(manifestText(manifest)).guests.mail?.zfs).toEqual(manifest.guests.mail?.zfs);
  });
});

test.each<[string, string[], string[]]>([
  ["one disk", [], ["tank/vm-101-disk-0"]],
  [
    "firmware and TPM count",
    ["guests.mail.bios=ovmf", "guests.mail.tpm=true"],
    ["tank/vm-101-disk-0", "tank/vm-101-disk-1", "tank/vm-101-disk-2"],
  ],
  ["the pool of the entry", ["servers.one.storages.tank.pool=rpool/data"], ["rpool/data/vm-101-disk-0"]],
  [
    "two storages in one pool are numbered on",
    [
      'servers.one.storages.fast={"type":"zfspool","pool":"tank","sizeGiB":10,"content":["images"]}',
      'guests.mail.disks=[{"sizeGiB":10,"storage":"tank"},{"sizeGiB":10,"storage":"fast"}]',
    ],
    ["tank/vm-101-disk-0", "tank/vm-101-disk-1"],
  ],
])("data sets: %s", (_, set, datasets) => {
  const { spec, guests } = planWith(cleanSite(), [...INDEPENDENT, ...set]);
  expect(zfsDatasets(spec, guests.mail!.spec, 101)).toEqual(datasets);
});

describe("what coldspare-zfs is told", () => {
  const plan = planWith(cleanSite(), [...INDEPENDENT, "guests.mail.coldReplica.rateMBps=50"]);
  const manifest = siteManifest(plan, access);

  test.each(["one", "two"])("%s has the replica, its partner and a timer", (server) => {
    const zfs = zfsServer(server, [], replicaJobs(manifest, server), replicaEnds(manifest));
    const partner = server === "one" ? "two 10.0.1.2" : "one 10.0.1.1";
    expect(renderZfsConf(zfs)).toContain(`peer ${partner.replace(" ", " address=")}`);
    expect(renderZfsConf(zfs)).toContain(
      "replica mail sides=one,two volumes=tank%2Fvm-101-disk-0 keep=24 rate=50000000",
    );
    expect(zfsUnits(zfs, "UTC").map(({ name }) => name)).toEqual([
      "coldspare-zfs-replica-mail.service",
      "coldspare-zfs-replica-mail.timer",
    ]);
  });

  test("a server without a side has none", () => {
    expect(replicaJobs(manifest, "vault")).toEqual([]);
  });
});
