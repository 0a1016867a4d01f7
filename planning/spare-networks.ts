/** A guest's network cards as they are on its spare: other networks, and addresses with the same host part elsewhere. */
import { contains, type Family, formatAddress, type Prefix, parseAddress, parsePrefix, unusable } from "./ip";
import type { GuestAddress, GuestPlan, SpareAddress } from "./plan";
import type { ColdReplicaSpec, NetworkSpec, SiteSpec } from "./schema";
import type { ReIpRule } from "./schema-recovery";

/** One card on the spare. */
export interface SpareNetwork {
  card: SpareAddress;
  /** What keeps an address from being one of the network on the spare, in words; empty when all is well. */
  problems: { family: Family; address: string; problem: string }[];
  /** Rules that were applied, by their place in the list. */
  rules: number[];
}

const KEYS = {
  4: { address: "address", gateway: "gateway", subnet: "subnet" },
  6: { address: "address6", gateway: "gateway6", subnet: "subnet6" },
} as const;

/** The card on the spare, from the one on the primary. An unknown network on the spare leaves the primary's. */
export function spareNetwork(spec: SiteSpec, on: GuestAddress, replica: ColdReplicaSpec): SpareNetwork {
  const wanted = Object.hasOwn(replica.networks, on.network) ? replica.networks[on.network] : undefined;
  const name = wanted !== undefined && Object.hasOwn(spec.networks, wanted) ? wanted : on.network;
  const network = Object.hasOwn(spec.networks, name) ? spec.networks[name] : undefined;
  const found: SpareNetwork = {
    card: {
      network: name,
      bridge: network?.bridge ?? on.bridge,
      mac: on.mac,
      dnsServers: network?.dnsServers ?? [],
      ...(network?.vlan !== undefined && { vlan: network.vlan }),
    },
    problems: [],
    rules: [],
  };
  for (const family of [4, 6] as const) address(found, family, on[KEYS[family].address], network, replica.reIp);
  return found;
}

function address(
  found: SpareNetwork,
  family: Family,
  text: string | undefined,
  network: NetworkSpec | undefined,
  rules: readonly ReIpRule[],
): void {
  if (text === undefined) return;
  const key = KEYS[family];
  const plain = text.split("/")[0] ?? text;
  const value = parseAddress(plain, family);
  const subnet = network?.[key.subnet];
  const within = subnet === undefined ? undefined : parsePrefix(subnet, family);
  const index = value === undefined ? -1 : rules.findIndex((rule) => covers(rule, family, value));
  const rule = rules[index];
  let moved = value;
  let length = within?.length ?? text.split("/")[1];
  if (value !== undefined && rule !== undefined) {
    found.rules.push(index);
    const [from, to] = [parsePrefix(rule.from, family), parsePrefix(rule.to, family)];
    moved = from && to && sameHost(value, from, to);
    length = to?.length ?? length;
    if (moved === undefined) {
      const why = to === undefined ? `is no IPv${family} prefix` : "has no room for its host part";
      found.problems.push({ family, address: plain, problem: `${rule.to} ${why}` });
      moved = value;
    }
    if (rule.dnsServers !== undefined) found.card.dnsServers = rule.dnsServers;
  }
  const result = moved === undefined ? plain : formatAddress(moved, family);
  found.card[key.address] = length === undefined ? result : `${result}/${length}`;
  if (within !== undefined && moved !== undefined && !contains(within, moved))
    found.problems.push({
      family,
      address: plain,
      problem: `${moved === value ? "it" : result} is outside ${within.text} of network ${found.card.network}`,
    });
  const gateway = rule?.gateway ?? (rule === undefined ? network?.[key.gateway] : inside(rule, family, network));
  if (gateway !== undefined) found.card[key.gateway] = gateway;
}

function covers(rule: ReIpRule, family: Family, value: bigint): boolean {
  const from = parsePrefix(rule.from, family);
  return from !== undefined && contains(from, value);
}

/** The address with the same distance from the start of the other subnet; undefined where no host may have it. */
function sameHost(value: bigint, from: Prefix, to: Prefix): bigint | undefined {
  const moved = to.first + (value - from.first);
  return contains(to, moved) && unusable(to, moved) === undefined ? moved : undefined;
}

/** The gateway of the network on the spare, where it is one of the subnet that addresses get. */
function inside(rule: ReIpRule, family: Family, network: NetworkSpec | undefined): string | undefined {
  const gateway = network?.[KEYS[family].gateway];
  const [to, value] = [parsePrefix(rule.to, family), gateway && parseAddress(gateway, family)];
  return to !== undefined && typeof value === "bigint" && contains(to, value) ? gateway : undefined;
}

/** Whether two cards are the same to the guest and to the hypervisor. */
export function sameCard(a: GuestAddress, b: GuestAddress): boolean {
  return (["network", "bridge", "vlan", "mac", "address", "address6", "gateway", "gateway6"] as const).every(
    (key) => a[key] === b[key],
  );
}

/** The cards on the spare; undefined where all are as they are on the primary. */
export function planSpareAddresses(
  spec: SiteSpec,
  addresses: readonly GuestAddress[],
  replica: ColdReplicaSpec | undefined,
): SpareAddress[] | undefined {
  if (replica === undefined || (Object.keys(replica.networks).length === 0 && replica.reIp.length === 0))
    return undefined;
  const cards = addresses.map((on) => ({ on, spare: spareNetwork(spec, on, replica).card }));
  return cards.some(({ on, spare }) => !sameCard(on, spare)) ? cards.map(({ spare }) => spare) : undefined;
}

/** The cards that a guest has on its active side. */
export function activeAddresses({ activeSide, addresses, spareAddresses }: GuestPlan): readonly GuestAddress[] {
  return activeSide === "spare" ? (spareAddresses ?? addresses) : addresses;
}
