/** The network interfaces of every guest, with the network's facts filled in. */
import { type Context, own, type Placed } from "./context";
import { deriveMac } from "./identity";
import type { GuestAddress } from "./plan";

/** Interfaces by guest, in the order of the specification: net0, net1 … */
export function planAddresses(context: Context): Record<string, GuestAddress[]> {
  return Object.fromEntries(context.guests.map((guest) => [guest.name, interfaces(context, guest)]));
}

function interfaces(context: Context, guest: Placed): GuestAddress[] {
  return guest.spec.networks.map((nic, index) => {
    const network = own(context.spec.networks, nic.network);
    const prefix = (address: string, subnet: string | undefined) =>
      subnet?.includes("/") ? `${address}/${subnet.split("/")[1]}` : address;
    return {
      network: nic.network,
      ...(network?.vlan !== undefined && { vlan: network.vlan }),
      bridge: network?.bridge ?? "vmbr0",
      mac: (nic.mac ?? deriveMac(context.spec.site.name, guest.name, index)).toUpperCase(),
      ...(nic.address !== undefined && { address: prefix(nic.address, network?.subnet) }),
      ...(nic.address6 !== undefined && { address6: prefix(nic.address6, network?.subnet6) }),
      ...(nic.address !== undefined && network?.gateway !== undefined && { gateway: network.gateway }),
      ...(nic.address6 !== undefined && network?.gateway6 !== undefined && { gateway6: network.gateway6 }),
    };
  });
}
