/** Sites of the kinds that backups are planned for; the small firm is stacks/smb-site. */
import type { SiteSpecInput } from "../../planning";

type Server = SiteSpecInput["servers"][string];

function hypervisor(location: string, address: string, more: Partial<Server> = {}): Server {
  return {
    roles: ["hypervisor"],
    cores: 16,
    memoryGiB: 128,
    location,
    address,
    storages: { tank: { type: "zfspool", sizeGiB: 4000, content: ["images", "rootdir"] } },
    ...more,
  };
}

/** Services on a rented server; their data, not the systems, is fetched by a NAS at home, behind NAT with a dynamic address. */
export function meshSite(): SiteSpecInput {
  return {
    site: { name: "mesh", timeZone: "Europe/Berlin" },
    servers: {
      rented: hypervisor("data-centre", "203.0.113.10"),
      nas: { roles: ["backup-server"], cores: 4, memoryGiB: 16, location: "home" },
    },
    targets: {
      nas: {
        kind: "zfs-receiver",
        on: "nas",
        dataset: "pool/copies",
        direction: "pull",
        raw: true,
        disks: { layout: "raidz1", count: 3, sizeTB: 6 },
        fillLimit: 0.8,
        linkMbps: 40,
        rateMBps: 4,
      },
    },
    backups: {
      services: {
        target: "nas",
        schedule: "04:00",
        datasets: [{ server: "rented", dataset: "tank/services", recursive: true, encrypted: true, usedGiB: 400 }],
        data: "files",
        keep: { daily: 30, monthly: 12 },
        systemsReproducible: true,
      },
    },
  };
}

/** A tenant of a provider: a full copy each month, data on demand with a quota, a replica in another data centre. */
export function tenantSite(): SiteSpecInput {
  return {
    site: { name: "tenant" },
    servers: {
      "dc1-node": hypervisor("dc1", "198.51.100.1"),
      "dc2-node": hypervisor("dc2", "198.51.100.2"),
      "dc1-pbs": { roles: ["backup-server"], cores: 4, memoryGiB: 16, location: "dc1", address: "198.51.100.3" },
      "dc2-pbs": { roles: ["backup-server"], cores: 4, memoryGiB: 16, location: "dc2", address: "198.51.100.4" },
    },
    guests: {
      shop: {
        kind: "vm",
        os: "linux",
        id: 201,
        on: "dc1-node",
        cores: 2,
        memoryGiB: 4,
        disks: [{ sizeGiB: 40, usedGiB: 25, storage: "tank" }],
        coldReplica: { on: "dc2-node", method: "restore", schedule: "06:00", backupStorage: "store-dc2" },
      },
    },
    targets: {
      store: { kind: "pbs", on: "dc1-pbs", datastore: "tenants", namespace: "shop", sizeGiB: 2000, storedCopies: 3 },
      "store-dc2": {
        kind: "pbs",
        on: "dc2-pbs",
        datastore: "tenants",
        sizeGiB: 2000,
        linkMbps: 200,
        syncFrom: { target: "store", schedule: "03:00" },
      },
      data: {
        kind: "restic",
        sizeGiB: 40,
        fillLimit: 1,
        quotaGiB: 40,
        storedCopies: 3,
        backend: { type: "rest", url: "https://backup.example.org:8000/shop", userPasswordSecret: "rest-password" },
        passwordSecret: "shop-password",
        appendOnly: true,
      },
    },
    backups: {
      daily: { target: "store", schedule: "01:00", keep: { daily: 7 } },
      monthly: { target: "store", schedule: "*-01 00:00", keep: { daily: 7, monthly: 3 } },
      mysql: {
        target: "data",
        schedule: "*/6:00",
        // 10 GB, 10^9 bytes each.
        folders: [
          { server: "dc1-node", paths: ["/srv/mysql-dump"], of: "shop", usedGiB: 1e10 / 2 ** 30, data: "database" },
        ],
        keep: { last: 4, daily: 7 },
      },
    },
  };
}

/** @param guests On 15 nodes, in turns. */
export function fleetSite(guests = 120): SiteSpecInput {
  const nodes = Array.from({ length: 15 }, (_, index) => `node-${index + 1}`);
  return {
    site: { name: "fleet", cluster: "fleet" },
    servers: {
      ...Object.fromEntries(
        nodes.map((name, index) => [
          name,
          hypervisor("hall", `10.1.0.${index + 1}`, { cores: 64, memoryGiB: 1024, storages: shared() }),
        ]),
      ),
      pbs: { roles: ["backup-server"], cores: 16, memoryGiB: 64, location: "barn", address: "10.1.0.100" },
    },
    guests: Object.fromEntries(
      Array.from({ length: guests }, (_, index) => [
        `guest-${index + 1}`,
        {
          kind: "vm" as const,
          os: "linux" as const,
          on: nodes[index % nodes.length]!,
          cores: 2,
          memoryGiB: 4,
          disks: [{ sizeGiB: 60, usedGiB: 30, storage: "tank" }],
          tags: [index % 4 === 0 ? "gold" : "silver"],
        },
      ]),
    ),
    targets: {
      pbs: {
        kind: "pbs",
        on: "pbs",
        datastore: "fleet",
        disks: { layout: "raidz2", count: 12, sizeTB: 12 },
        linkMbps: 10_000,
      },
    },
    backups: {
      gold: { target: "pbs", schedule: "*/6:00", guests: { tag: "gold" }, keep: { last: 8, daily: 14, weekly: 8 } },
      silver: { target: "pbs", schedule: "01:00", guests: { tag: "silver" }, keep: { daily: 14, weekly: 8 } },
    },
    policies: { restoreMBps: 500 },
  };
}

function shared(): NonNullable<Server["storages"]> {
  return { tank: { type: "zfspool", sizeGiB: 20_000, content: ["images", "rootdir"] } };
}
