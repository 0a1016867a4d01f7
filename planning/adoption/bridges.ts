/** Bridges and VLAN interfaces of a server, as it has them. */
import type { z } from "zod";
import { parsePrefix } from "../ip";
import type { bridge, vlanInterface } from "../schema";
import type { NetworkEntry, NodeSnapshot } from "./snapshot";

type BridgeInput = z.input<typeof bridge>;
type VlanInput = z.input<typeof vlanInterface>;

const BRIDGES = ["bridge", "OVSBridge"];
/** What has addresses of the server and no word of its own. */
const OTHERS = ["bond", "eth", "OVSBond", "OVSIntPort"];

export interface ServerInterfaces {
  bridges: Record<string, BridgeInput>;
  vlans: Record<string, VlanInput>;
  /** Interfaces that have no word, as a list for people: `bond0 (bond)`. */
  left: string[];
}

/** Everything of a server's network that a specification can say. */
export function interfacesOf({ networks }: NodeSnapshot): ServerInterfaces {
  const bridges = networks.filter(({ type }) => BRIDGES.includes(type));
  const vlans = networks.flatMap((entry) => {
    const found = vlanOf(entry);
    return found === undefined ? [] : [[entry.iface, found] as const];
  });
  const said = new Set([...bridges.map(({ iface }) => iface), ...vlans.map(([iface]) => iface)]);
  return {
    bridges: Object.fromEntries(bridges.map((entry) => [entry.iface, bridgeOf(entry)])),
    vlans: Object.fromEntries(vlans),
    left: networks.filter((entry) => !said.has(entry.iface) && matters(entry)).map(inWords),
  };
}

function bridgeOf(entry: NetworkEntry): BridgeInput {
  const ports = (entry.bridge_ports ?? "").split(/[\s,]+/).filter((port) => port !== "" && port !== "none");
  return {
    ...(ports.length > 0 && { ports }),
    // Open vSwitch carries VLANs in any case.
    ...(entry.bridge_vlan_aware !== true && entry.type !== "OVSBridge" && { vlanAware: false }),
    ...addressesOf(entry),
  };
}

function vlanOf(entry: NetworkEntry): VlanInput | undefined {
  const carrier = carrierOf(entry);
  return carrier && { ...carrier, ...addressesOf(entry), managed: false };
}

/** Carrier and tag of a VLAN interface: said by options, or by a name of the form `eno1.20`. */
export function carrierOf(entry: NetworkEntry): { interface: string; tag: number } | undefined {
  if (entry.type !== "vlan") return undefined;
  const [, device, number] = /^(.+)\.(\d{1,4})$/.exec(entry.iface) ?? [];
  const carrier = entry["vlan-raw-device"] ?? device;
  const tag = entry["vlan-id"] ?? Number(number ?? /^vlan(\d{1,4})$/.exec(entry.iface)?.[1] ?? 0);
  return carrier !== undefined && isTag(tag) ? { interface: carrier, tag } : undefined;
}

export function isTag(tag: number): boolean {
  return Number.isInteger(tag) && tag >= 1 && tag <= 4094;
}

function addressesOf({ cidr, cidr6, gateway }: NetworkEntry): {
  address?: string;
  address6?: string;
  gateway?: string;
} {
  return {
    ...(cidr !== undefined && parsePrefix(cidr, 4) && { address: cidr }),
    ...(cidr6 !== undefined && parsePrefix(cidr6, 6) && { address6: cidr6 }),
    ...(gateway !== undefined && gateway !== "" && { gateway }),
  };
}

/** Physical ports are only told of when they carry an address: every server has some. */
function matters({ type, cidr, cidr6 }: NetworkEntry): boolean {
  const hasAddress = cidr !== undefined || cidr6 !== undefined;
  return type === "bond" || type === "OVSBond" || hasAddress || !(OTHERS.includes(type) || type === "alias");
}

function inWords({ iface, type, cidr, cidr6 }: NetworkEntry): string {
  return `${iface} (${[type, cidr, cidr6].filter((part) => part !== undefined).join(", ")})`;
}
