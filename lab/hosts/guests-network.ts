import type { Domain } from "../domain";
import { parseProperties } from "../property-string";
import type { Guest } from "../state";
import { sameNetwork, toNumber, toText } from "./ipv4";

/** A guest's network card, as far as the lab's network needs to know it. */
export interface GuestCard {
  bridge: string;
  vlan?: number;
  mac: string;
  /** With prefix length. Absent: nobody told the lab. */
  address?: string;
  gateway?: string;
}

/**
 * The guest's cards with a bridge. Addresses come from cloud-init or the container's own settings; those that only the guest
 * itself knows (a Windows machine's) from the control interface or the topology.
 */
export function guestCards(domain: Domain, guest: Guest): GuestCard[] {
  const { config, vmid } = guest;
  const { topology, state } = domain.world;
  const told = state.guestAddresses?.[String(vmid)];
  const cards = Object.keys(config)
    .filter((key) => /^net\d+$/.test(key))
    .sort()
    .flatMap((key, index): GuestCard[] => {
      const values = parseProperties(config[key]!, "model");
      if (!values.bridge || values.link_down === "1") return [];
      const mac = (
        values.hwaddr ?? Object.values(values).find((value) => /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(value))
      )?.toLowerCase();
      if (!mac) return [];
      const given = guest.type === "lxc" ? values : parseProperties(config[`ipconfig${key.slice(3)}`] ?? "", "ip");
      const own = given.ip?.includes("/") ? given.ip : undefined;
      const address = (index === 0 ? told : undefined) ?? own ?? topology.guestAddresses?.[mac];
      return [
        {
          bridge: values.bridge,
          ...(values.tag ? { vlan: Number(values.tag) } : {}),
          mac,
          ...(address ? { address } : {}),
          ...(own && given.gw ? { gateway: given.gw } : {}),
        },
      ];
    });
  if (cards.some(({ gateway }) => gateway)) return cards;
  // A guest that has its address from nobody but itself knows the router of its network too.
  const routerOf = ({ address }: GuestCard) =>
    address && topology.gateways?.find((each) => sameNetwork(each.address, address))?.address.split("/")[0];
  const first = cards.findIndex((card) => routerOf(card));
  return cards.map((card, at) => (at === first ? { ...card, gateway: routerOf(card)! } : card));
}

/** An address of the same network that hardly anybody uses: for the probe. */
export function neighbour(address: string): string {
  const [ip = "", length = "24"] = address.split("/");
  const size = 2 ** (32 - Number(length));
  const value = toNumber(ip);
  const first = Math.floor(value / size) * size;
  const chosen = first + size - 3 === value ? first + size - 4 : first + size - 3;
  return `${toText(chosen)}/${length}`;
}
