/** A guest's network cards as they have to be on its other side: another bridge, VLAN or subnet. */
import type { ManifestGuest, ManifestNetwork } from "../planning/manifest";
import type { GuestConfig } from "../providers/pve/types";
import type { Operator } from "./context";

/** Keys of the configuration with their new values. */
export type NetworkChange = Record<string, string>;

/**
 * What is to be changed in a guest's configuration so that its cards fit the side that it starts on. Pure.
 *
 * @param cards The cards of that side, `net0` first. Cards that the configuration does not have are left alone.
 */
export function networkChange(
  guest: Pick<ManifestGuest, "kind" | "cloudInit">,
  config: GuestConfig,
  cards: readonly ManifestNetwork[],
): NetworkChange {
  const change: NetworkChange = {};
  const put = (key: string, value: string) => {
    if (config[key] !== value) change[key] = value;
  };
  cards.forEach((card, index) => {
    const current = config[`net${index}`];
    if (typeof current !== "string") return;
    put(`net${index}`, guest.kind === "qemu" ? machineCard(current, card) : containerCard(current, card));
    if (guest.kind === "qemu" && guest.cloudInit) put(`ipconfig${index}`, cloudInitAddress(card));
  });
  const servers = cards.flatMap(({ dnsServers }) => dnsServers ?? []);
  const usesDns = guest.kind === "lxc" || guest.cloudInit;
  if (usesDns && servers.length > 0) put("nameserver", [...new Set(servers)].join(" "));
  return change;
}

/** `virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=20,firewall=1` */
function machineCard(current: string, { bridge, vlan }: ManifestNetwork): string {
  return withWords(current, { bridge, tag: vlan === undefined ? undefined : String(vlan) });
}

/** `name=eth0,bridge=vmbr0,hwaddr=…,ip=192.168.20.10/24,gw=192.168.20.1,type=veth` */
function containerCard(current: string, card: ManifestNetwork): string {
  const { bridge, vlan, address, address6, gateway, gateway6 } = card;
  const set: Record<string, string | undefined> = { bridge, tag: vlan === undefined ? undefined : String(vlan) };
  if (address !== undefined) Object.assign(set, { ip: address, gw: gateway });
  if (address6 !== undefined) Object.assign(set, { ip6: address6, gw6: gateway6 });
  return withWords(current, set);
}

/** Values replaced where they are, new ones at the end, `undefined` ones taken out. */
function withWords(text: string, set: Readonly<Record<string, string | undefined>>): string {
  const left = new Map(Object.entries(set));
  const words = text.split(",").flatMap((word) => {
    const key = word.split("=")[0]!;
    if (!left.has(key)) return [word];
    const value = left.get(key);
    left.delete(key);
    return value === undefined ? [] : [`${key}=${value}`];
  });
  for (const [key, value] of left) if (value !== undefined) words.push(`${key}=${value}`);
  return words.join(",");
}

function cloudInitAddress({ address, address6, gateway, gateway6 }: ManifestNetwork): string {
  const v4 = address === undefined ? "ip=dhcp" : `ip=${address}${gateway === undefined ? "" : `,gw=${gateway}`}`;
  if (address6 === undefined) return v4;
  const v6 = `ip6=${address6}${gateway6 === undefined ? "" : `,gw6=${gateway6}`}`;
  return address === undefined ? v6 : `${v4},${v6}`;
}

/** The cards that a guest has on a server of its pair. */
export function cardsOn(guest: ManifestGuest, server: string): readonly ManifestNetwork[] {
  return server === guest.spare ? (guest.spareNetworks ?? guest.networks) : guest.networks;
}

/**
 * Changes the configuration of a stopped guest to the networks of the server that it is on. Does nothing where both sides
 * have the same.
 *
 * @returns the keys that were changed
 */
export async function mapNetworks(
  operator: Operator,
  guest: ManifestGuest,
  seat: { server: string; vmid: number },
): Promise<string[]> {
  if (guest.spareNetworks === undefined) return [];
  const pve = operator.pveAt(seat.server) ?? operator.pve;
  const path = `/nodes/${seat.server}/${guest.kind}/${seat.vmid}/config`;
  const about = { guest: guest.name, doing: `change the networks of ${seat.vmid}` };
  const config = await pve.get<GuestConfig>(path, {}, about);
  const change = networkChange(guest, config, cardsOn(guest, seat.server));
  const keys = Object.keys(change);
  if (keys.length > 0) await pve.put(path, { ...change, digest: config.digest }, about);
  return keys;
}
