/** Networks that guests are in: one for each bridge and VLAN that one of them uses. */
import { contains, type Family, formatAddress, type Prefix, parseAddress, parsePrefix } from "../ip";
import type { GuestSpecInput, NetworkSpecInput } from "../schema";
import { byName, list } from "../units";
import { carrierOf } from "./bridges";
import type { Card } from "./guest-draft";
import type { LeftAsItIs } from "./interpretation";
import { uniqueNames } from "./names";
import type { ServerInput } from "./servers";
import type { ClusterSnapshot, NodeSnapshot } from "./snapshot";
import { groupBy } from "./words";

export type CardInput = NonNullable<GuestSpecInput["networks"]>[number];

export interface InterpretedNetworks {
  networks: Record<string, NetworkSpecInput>;
  /** Name of the network of a card. */
  nameOf(card: Pick<Card, "bridge" | "vlan">): string;
  /** Bridges that no server configures: virtual networks, which every server has. */
  virtual: string[];
  left: LeftAsItIs[];
}

const key = ({ bridge, vlan }: Pick<Card, "bridge" | "vlan">): string => `${bridge} ${vlan ?? ""}`;

/** @param cards Of all guests of the specification. */
export function interpretNetworks(
  snapshot: ClusterSnapshot,
  servers: Readonly<Record<string, ServerInput>>,
  cards: readonly Card[],
): InterpretedNetworks {
  const groups = [...groupBy(cards, key).values()].sort(byBridgeAndVlan);
  const names = namesOf(groups.flatMap(([first]) => first ?? []));
  const nodes = snapshot.nodes.filter(({ name }) => Object.hasOwn(servers, name));
  const result: InterpretedNetworks = {
    networks: {},
    nameOf: (card) => names.get(key(card)) ?? card.bridge,
    virtual: virtualBridges(nodes, groups),
    left: [],
  };
  for (const group of groups) {
    const [first] = group;
    if (first === undefined) continue;
    const name = result.nameOf(first);
    result.networks[name] = {
      ...(first.vlan !== undefined && { vlan: first.vlan }),
      bridge: first.bridge,
      ...factsOf(nodes, group, (what) => result.left.push({ subject: `network ${name}`, what })),
    };
  }
  for (const bridge of result.virtual)
    result.left.push({
      subject: `bridge ${bridge}`,
      what: "no server configures it: taken for a virtual network (SDN), which every server has; zones and networks of SDN stay as they are",
    });
  return result;
}

function byBridgeAndVlan([one]: readonly Card[], [other]: readonly Card[]): number {
  if (one === undefined || other === undefined) return 0;
  return byName(one.bridge, other.bridge) || (one.vlan ?? 0) - (other.vlan ?? 0);
}

/** `vmbr0`, `vlan20`; with the bridge where several carry the same VLAN. */
function namesOf(cards: readonly Card[]): Map<string, string> {
  const carriers = groupBy(cards, ({ vlan }) => vlan);
  return uniqueNames(
    cards.map((card) => {
      const { bridge, vlan } = card;
      const tag = `vlan${vlan}`;
      const title = vlan === undefined ? bridge : (carriers.get(vlan)?.length ?? 0) > 1 ? `${bridge}-${tag}` : tag;
      return { id: key(card), title, fallback: "network" };
    }),
  );
}

function virtualBridges(nodes: readonly NodeSnapshot[], groups: readonly (readonly Card[])[]): string[] {
  const configured = new Set(nodes.flatMap(({ networks }) => networks.map(({ iface }) => iface)));
  const read = nodes.some(({ networks }) => networks.length > 0);
  const wanted = new Set(groups.flatMap(([first]) => first?.bridge ?? []));
  return read ? [...wanted].filter((bridge) => !configured.has(bridge)) : [];
}

const FAMILIES = [
  { family: 4, subnet: "subnet", gateway: "gateway", address: "address", cidr: "cidr" },
  { family: 6, subnet: "subnet6", gateway: "gateway6", address: "address6", cidr: "cidr6" },
] as const;

type Facts = Pick<NetworkSpecInput, "subnet" | "subnet6" | "gateway" | "gateway6">;

/** Subnets and gateways: what the servers themselves have there, otherwise what all guests agree on. */
function factsOf(nodes: readonly NodeSnapshot[], cards: readonly Card[], tell: (what: string) => void): Facts {
  const facts: Facts = {};
  const [first] = cards;
  if (first === undefined) return facts;
  const own = nodes.flatMap((node) => interfacesOn(node, first));
  for (const { family, subnet, gateway, address, cidr } of FAMILIES) {
    const ofServers = subnetsOf(
      own.map((entry) => entry[cidr]),
      family,
    );
    const ofGuests = subnetsOf(
      cards.map((card) => card[address]),
      family,
    );
    const candidates = ofServers.length > 0 ? ofServers : ofGuests;
    const [found, ...others] = candidates;
    if (found === undefined) continue;
    if (others.length > 0) {
      const whose = ofServers.length > 0 ? "servers" : "guests";
      tell(`its ${whose} have addresses in ${list(candidates)}: its subnet is left open`);
      continue;
    }
    facts[subnet] = found;
    const way = agreed(own.map((entry) => entry[gateway])) ?? agreed(cards.map((card) => card[gateway]));
    if (way !== undefined && isWithin(way, found, family)) facts[gateway] = way;
  }
  return facts;
}

/** A server's own interfaces in the network of a card. */
function interfacesOn({ networks }: NodeSnapshot, { bridge, vlan }: Card) {
  if (vlan === undefined) return networks.filter(({ iface }) => iface === bridge);
  const ports = networks.find(({ iface }) => iface === bridge)?.bridge_ports?.split(/\s+/) ?? [];
  return networks.filter((entry) => {
    const carrier = carrierOf(entry);
    return carrier?.tag === vlan && (carrier.interface === bridge || ports.includes(carrier.interface));
  });
}

/** The different subnets of some addresses with prefix lengths. */
function subnetsOf(cidrs: readonly (string | undefined)[], family: Family): string[] {
  const prefixes = cidrs.flatMap((cidr) => (cidr === undefined ? [] : (parsePrefix(cidr, family) ?? [])));
  return [...new Set(prefixes.map(subnetText))].sort(byName);
}

export function subnetText({ first, family, length }: Prefix): string {
  return `${formatAddress(first, family)}/${length}`;
}

/** What all that say anything say; undefined where they differ or nobody does. */
function agreed(values: readonly (string | undefined)[]): string | undefined {
  const said = new Set(values.filter((value) => value !== undefined && value !== ""));
  return said.size === 1 ? [...said][0] : undefined;
}

function isWithin(address: string, subnet: string, family: Family): boolean {
  const [prefix, value] = [parsePrefix(subnet, family), parseAddress(address, family)];
  return prefix !== undefined && value !== undefined && contains(prefix, value);
}

/**
 * A card as the specification says it. An address that its network does not explain is told of and left out.
 *
 * @param network Name and facts of the network it is in.
 */
export function cardInput(card: Card, network: string, facts: NetworkSpecInput, left: string[]): CardInput {
  const input: CardInput = {
    network,
    interface: card.interface,
    ...(card.mac !== undefined && { mac: card.mac }),
    ...(!card.firewall && { firewall: false }),
  };
  for (const { family, subnet, gateway, address } of FAMILIES) {
    const own = card[address];
    const prefix = own === undefined ? undefined : parsePrefix(own, family);
    if (own === undefined || prefix === undefined) continue;
    if (subnetText(prefix) === facts[subnet]) input[address] = own.split("/")[0] ?? own;
    else left.push(`${card.interface} has the address ${own}, which is not in the network ${network} as it is said`);
    const way = card[gateway];
    if (way !== undefined && way !== facts[gateway]) left.push(`${card.interface} has the gateway ${way}`);
  }
  return input;
}
