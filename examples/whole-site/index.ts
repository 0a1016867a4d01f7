// A whole site: proved before anything is registered, then servers, guests, replicas and the backup job.
import { defineSite, Site } from "coldspare";

const tank = { type: "zfspool" as const, pool: "tank", sizeGiB: 1800, content: ["images" as const] };
const server = { roles: ["hypervisor" as const], cores: 12, memoryGiB: 32, bridges: { vmbr0: {} }, storages: { tank } };
const disks = [{ sizeGiB: 100, usedGiB: 40, storage: "tank" }];
const every15Minutes = { method: "storage-replication" as const, schedule: "*/15" };

const office = new Site("office", {
  site: defineSite({
    site: { name: "office", cluster: "office", fencing: "confirm" },
    servers: {
      srv1: { ...server, address: "192.168.10.11" },
      srv2: { ...server, address: "192.168.10.12" },
      // The third vote: two servers alone cannot tell a dead one from a cut cable.
      "backup-1": {
        roles: ["backup-server", "witness"],
        cores: 2,
        memoryGiB: 4,
        hostReserve: { cores: 1, memoryGiB: 2 },
        address: "192.168.10.13",
        storages: { vzdump: { type: "dir", path: "/srv/vzdump", sizeGiB: 5400, content: ["backup"] } },
      },
    },
    storages: {
      "backup-nfs": { type: "nfs", server: "backup-1", export: "/srv/vzdump", sizeGiB: 5400, content: ["backup"] },
    },
    networks: { servers: { vlan: 20, subnet: "192.168.20.0/24", gateway: "192.168.20.1" } },
    guests: {
      erp: {
        kind: "vm",
        os: "linux",
        on: "srv1",
        cores: 4,
        memoryGiB: 8,
        disks,
        networks: [{ network: "servers", address: "192.168.20.30" }],
        coldReplica: { on: "srv2", ...every15Minutes },
      },
    },
    backups: { nightly: { storage: "backup-nfs", schedule: "22:30", guests: "all", keep: { daily: 5, weekly: 3 } } },
  }),
});

export const guests = office.report.guests;
// What `coldspare failover` and the other commands read: they need neither this program nor its state.
export const manifest = office.manifest;
