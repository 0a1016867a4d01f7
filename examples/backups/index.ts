// Where copies lie and what is copied every night: a datastore of Proxmox Backup Server, and a backup job into it.
import * as pulumi from "@pulumi/pulumi";
import { BackupPolicy, BackupTarget, defineSite, planSite } from "coldspare";

const tank = { type: "zfspool" as const, pool: "tank", sizeGiB: 1800, content: ["images" as const] };
const disk = { sizeGiB: 100, usedGiB: 40, storage: "tank" };

const plan = planSite(
  defineSite({
    site: { name: "office" },
    servers: {
      srv1: { roles: ["hypervisor"], cores: 12, memoryGiB: 32, address: "192.168.10.11", storages: { tank } },
      "pbs-1": { roles: ["backup-server"], cores: 4, memoryGiB: 16, address: "192.168.10.14" },
    },
    guests: { erp: { kind: "vm", os: "linux", id: 520, on: "srv1", cores: 4, memoryGiB: 8, disks: [disk] } },
    targets: {
      main: {
        kind: "pbs",
        on: "pbs-1",
        datastore: "main",
        path: "/srv/backup",
        namespace: "office",
        // Of the backup server's certificate: `proxmox-backup-manager cert info` prints it.
        fingerprint: new pulumi.Config().require("fingerprint"),
        sizeGiB: 4000,
      },
    },
    backups: { nightly: { target: "main", schedule: "22:30", guests: ["erp"], keep: { daily: 7, monthly: 6 } } },
  }),
);

const main = new BackupTarget("main", { site: plan });
const nightly = new BackupPolicy("nightly", { site: plan, dependsOn: main.nodes.storage ? [main.nodes.storage] : [] });

export const storage = main.storageId;
export const recoveryPointSeconds = nightly.plan.recoveryPointSeconds;
