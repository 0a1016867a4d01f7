import { labTopology } from "../../lab/from-site";
import { checkTopology } from "../../lab/topology";
import { planSite, type SiteSpec } from "../../planning";
import { MEDIUM } from "./pbs-client";

const size = { sizeGiB: 400 };
const site = {
  site: { name: "office" },
  servers: {
    srv1: {
      roles: ["hypervisor"],
      address: "192.168.20.11",
      cores: 6,
      memoryGiB: 32,
      storages: { local: { type: "dir", sizeGiB: 100, content: ["backup"] } },
    },
    pbs1: { roles: ["backup-server"], address: "192.168.20.31", cores: 4, memoryGiB: 16 },
  },
  targets: {
    main: { kind: "pbs", on: "pbs1", datastore: "main", path: "/mnt/datastore/main", ...size },
    old: { kind: "pbs", on: "pbs1", datastore: "old", managed: false, ...size },
    disk: { kind: "pbs", on: "pbs1", datastore: "disk", path: "/pbs", removableDevice: MEDIUM, ...size },
    away: { kind: "pbs", host: "pbs.example.net", datastore: "away", ...size },
  },
} as unknown as SiteSpec;

test("the backup servers of a plan are those of the day before: what is there, and disks for what is to come", () => {
  const topology = labTopology(planSite(site));
  expect(topology.backupServers).toEqual([
    { name: "pbs.example.net", address: "pbs.example.net", datastores: [{ name: "away", sizeGiB: 400 }], disks: [] },
    {
      name: "pbs1",
      address: "192.168.20.31",
      datastores: [{ name: "old", sizeGiB: 400 }],
      disks: [{ path: "/mnt/datastore/main", sizeGiB: 400 }],
    },
  ]);
  expect(topology.media).toEqual([{ uuid: MEDIUM, sizeGiB: 400, server: "pbs1" }]);
  expect(checkTopology(topology)).toEqual([]);
});
