// Two hypervisors that form no cluster: each has an API and a provider of its own, and every guest is made by its server's.
import * as pulumi from "@pulumi/pulumi";
import { defineSite, Site } from "coldspare";
import * as proxmoxve from "coldspare/proxmoxve";

const config = new pulumi.Config("coldspare");
const endpoints = config.requireObject<Record<string, string>>("endpoints");
const apiToken = config.requireSecret("apiToken");

const providerOf = (server: string) =>
  new proxmoxve.Provider(`pve-${server}`, { endpoint: endpoints[server] ?? "", apiToken });
const serverProviders = { srv1: providerOf("srv1"), srv2: providerOf("srv2") };

const tank = { type: "zfspool" as const, pool: "tank", sizeGiB: 1800, content: ["images" as const] };
const server = { roles: ["hypervisor" as const], cores: 12, memoryGiB: 32, storages: { tank } };

const site = new Site(
  "pair",
  {
    site: defineSite({
      site: { name: "pair", fencing: "confirm" },
      servers: {
        srv1: { ...server, address: "192.168.10.11" },
        srv2: { ...server, address: "192.168.10.12" },
        witness: { roles: ["witness"], cores: 1, memoryGiB: 8, address: "192.168.10.13" },
      },
      guests: {
        erp: {
          kind: "vm",
          os: "linux",
          id: 530,
          on: "srv1",
          cores: 4,
          memoryGiB: 8,
          disks: [{ sizeGiB: 100, usedGiB: 40, storage: "tank" }],
          // The only method without a cluster that loses minutes, not hours.
          coldReplica: { on: "srv2", method: "zfs-sync", schedule: "*/15" },
        },
      },
    }),
    serverProviders,
  },
  { providers: { proxmoxve: serverProviders.srv1 } },
);

export const spare = site.report.guests.erp?.spare;
