/** Sites that the tests of the planner start from. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { overrideSite, type PlanOptions, planSite, type SitePlan, type SiteSpecInput } from "../../planning";

/** The small firm of stacks/smb-site, as it is read from its file. */
export function smbSite(): SiteSpecInput {
  return parse(readFileSync(join(__dirname, "../../stacks/smb-site/site.yaml"), "utf8"));
}

/** A site without any finding: two hypervisors, a backup server elsewhere, two guests. */
export function cleanSite(): SiteSpecInput {
  const hypervisor = {
    roles: ["hypervisor" as const],
    cores: 8,
    memoryGiB: 32,
    location: "hall",
    bridges: { vmbr0: {} },
    storages: {
      tank: { type: "zfspool" as const, sizeGiB: 1000, content: ["images" as const, "rootdir" as const] },
      local: {
        type: "dir" as const,
        path: "/var/lib/vz",
        sizeGiB: 80,
        content: ["import" as const, "vztmpl" as const, "snippets" as const],
      },
    },
  };
  return {
    site: { name: "office", cluster: "office" },
    servers: {
      one: { ...hypervisor, network: "lan", address: "10.0.1.1" },
      two: { ...hypervisor, network: "lan", address: "10.0.1.2" },
      vault: {
        roles: ["backup-server", "witness"],
        cores: 2,
        memoryGiB: 8,
        location: "barn",
        network: "lan",
        address: "10.0.1.3",
        storages: { dumps: { type: "dir", path: "/srv/dumps", sizeGiB: 4000, content: ["backup"] } },
      },
    },
    storages: {
      backups: { type: "nfs", server: "vault", export: "/srv/dumps", sizeGiB: 4000, content: ["backup"] },
    },
    networks: {
      lan: { vlan: 1, subnet: "10.0.1.0/24", gateway: "10.0.1.254" },
      apps: {
        vlan: 2,
        subnet: "10.0.2.0/24",
        subnet6: "fd00:2::/64",
        gateway: "10.0.2.1",
        gateway6: "fd00:2::1",
        reserved: [{ from: "10.0.2.2", to: "10.0.2.9", purpose: "switches" }],
        dhcp: { from: "10.0.2.100", to: "10.0.2.200" },
      },
    },
    images: { debian: { kind: "disk-image", url: "https://images.example/debian.qcow2", fileName: "debian.qcow2" } },
    guests: {
      mail: {
        kind: "vm",
        os: "linux",
        id: 101,
        on: "one",
        cores: 2,
        memoryGiB: 8,
        image: "debian",
        disks: [{ sizeGiB: 100, usedGiB: 40, storage: "tank" }],
        networks: [{ network: "apps", address: "10.0.2.10", address6: "fd00:2::10" }],
        probes: [{ kind: "tcp", port: 25 }],
        coldReplica: {
          on: "two",
          method: "storage-replication",
          schedule: "*/15",
          recoveryPoint: "20m",
          recoveryTime: "10m",
        },
      },
      wiki: {
        kind: "vm",
        os: "linux",
        id: 102,
        on: "two",
        cores: 4,
        memoryGiB: 4,
        disks: [{ sizeGiB: 50, usedGiB: 20, storage: "tank" }],
        networks: [{ network: "apps", address: "10.0.2.11" }],
        probes: [{ kind: "http", port: 8080 }],
        coldReplica: { on: "one", method: "restore", schedule: "12:00", backupStorage: "backups", recoveryPoint: "2d" },
      },
    },
    backups: { nightly: { storage: "backups", schedule: "01:00", keep: { daily: 7, weekly: 4 } } },
    targets: {
      shelf: {
        kind: "offline-medium",
        on: "vault",
        copies: "backups",
        sizeGiB: 4000,
        rotation: [{ name: "weekly", media: ["disk-a", "disk-b"], swap: "mon 09:00" }],
      },
    },
    devices: { gateway: { kind: "router", network: "lan", address: "10.0.1.254" } },
  };
}

/** A plan of a specification with some values replaced, as `--set` does it. */
export function planWith(spec: SiteSpecInput, overrides: readonly string[] = [], options: PlanOptions = {}): SitePlan {
  return planSite(overrideSite(spec, overrides) as SiteSpecInput, options);
}
