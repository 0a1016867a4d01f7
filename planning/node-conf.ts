/** /etc/coldspare/node.conf: what guard and agent on a server need to know, in lines that a Perl program reads. */
import type { ManifestGuest, SiteManifest } from "./manifest";
import { byName } from "./units";

/** Number of the first line; a program on a server refuses a greater one. */
export const NODE_CONF_FORMAT = 1;

/**
 * The configuration of one server. Every guest with a spare is in it, on every server: who is no voter of a guest refuses
 * to start it.
 * @throws RangeError for a server that the manifest does not have
 */
export function renderNodeConf(manifest: SiteManifest, server: string): string {
  const self = Object.hasOwn(manifest.servers, server) ? manifest.servers[server] : undefined;
  if (self === undefined) throw new RangeError(`Site ${manifest.site} has no server '${server}'.`);
  const { lease } = manifest;
  const guests = Object.values(manifest.guests)
    .filter(({ spare }) => spare !== undefined)
    .sort((a, b) => a.boot.order - b.boot.order || byName(a.name, b.name));
  const lines = [
    `format ${NODE_CONF_FORMAT}`,
    `site ${manifest.site}`,
    `self ${server}`,
    `hypervisor ${self.roles.includes("hypervisor") ? 1 : 0}`,
    `fencing ${manifest.fencing}`,
    `term ${lease.termSeconds}`,
    `renew ${lease.renewSeconds}`,
    `margin ${lease.marginSeconds}`,
    `watchdog ${lease.watchdogSeconds}`,
    ...peers(manifest, server),
    ...guests.map(guestLine),
  ];
  return `${lines.join("\n")}\n`;
}

/** Servers ask one another at their management addresses; the operator's way to them may be another one. */
function peers(manifest: SiteManifest, server: string): string[] {
  return Object.entries(manifest.servers)
    .filter(([name, { ssh }]) => name !== server && ssh !== undefined)
    .sort(([a], [b]) => byName(a, b))
    .map(([name, { address, ssh }]) => {
      const host = address ?? ssh?.host;
      return `peer ${name} ${host} ${ssh?.host === host ? ssh?.port : 22}`;
    });
}

function guestLine(guest: ManifestGuest): string {
  const { boot } = guest;
  return [
    `guest ${guest.name} ${guest.kind}`,
    `primary=${guest.primary}`,
    `spare=${guest.spare}`,
    `voters=${guest.voters.join(",")}`,
    `ids=${idsOf(guest)
      .map(({ vmid, server }) => `${vmid}@${server}`)
      .join(",")}`,
    `order=${boot.order}`,
    `delay=${boot.delaySeconds}`,
    `onboot=${boot.atHostBoot ? 1 : 0}`,
  ].join(" ");
}

/** Every id under which a guest can run, and where: the primary's first. */
export function idsOf({ vmid, primary, spare, standbyIds }: ManifestGuest): { vmid: number; server: string }[] {
  const home = { vmid, server: primary };
  if (spare === undefined) return [home];
  const away = standbyIds ?? [vmid];
  return [home, ...away.map((id) => ({ vmid: id, server: spare }))];
}
