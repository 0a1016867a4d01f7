/** The SMB site as the proof builds it: the same servers, guests and methods, with boots and leases of seconds. */
import { readFileSync } from "node:fs";
import type { LabHosts } from "../../lab/hosts/types";
import type { Fencing, SiteSpecInput } from "../../planning";
import { smbSite } from "../../tests/engine/site-lab";

/** Written before the last refresh, so it is on the spare; the site is built with it. */
export const BEFORE = "written before the last refresh";

/** Seconds from power-on until a guest of the proof answers, unless a scenario says otherwise. */
export const BOOT_SECONDS = 1;

/** Terms of the lease that make a scenario short. The watchdog of a real server is PVE's, 60 s. */
const LEASE = { termSeconds: 15, renewSeconds: 3, marginSeconds: 30, watchdogSeconds: 15 };

export function proofSite(fencing: Fencing): SiteSpecInput {
  const site = smbSite();
  const guests = Object.entries(site.guests ?? {}).map(([name, guest]): [string, typeof guest] => [
    name,
    {
      ...guest,
      boot: { ...guest.boot, delaySeconds: 0, seconds: BOOT_SECONDS },
      // Every guest of the lab answers there.
      probes: [{ kind: "http", port: 80, path: "/", timeoutSeconds: 30 }],
    },
  ]);
  for (const server of Object.values(site.servers)) {
    // Room for what is kept of an old side: a copy of everything.
    if (server.storages?.tank) server.storages.tank.sizeGiB = 4000;
  }
  // Failover needs the backups that a standby is restored from; a bucket and its secrets are another proof's business.
  const { nightly } = site.backups ?? {};
  return {
    ...site,
    targets: {},
    backups: nightly === undefined ? {} : { nightly },
    site: { ...site.site, fencing, lease: LEASE },
    guests: Object.fromEntries(guests),
    policies: { ...site.policies, confirmSeconds: 5 },
  };
}

/** The ways to switch servers off, known once the lab runs. */
export function withPower(site: SiteSpecInput, hosts: LabHosts): SiteSpecInput {
  const servers = Object.entries(site.servers).map(([name, server]): [string, typeof server] => {
    if (!server.roles.includes("hypervisor")) return [name, server];
    return [
      name,
      {
        ...server,
        power: {
          kind: "redfish",
          url: hosts.bmcUrl(name),
          username: "admin",
          passwordSecret: "bmc",
          ca: readFileSync(hosts.bmcCaFile(), "utf8"),
        },
      },
    ];
  });
  return { ...site, servers: Object.fromEntries(servers) };
}
