/** The networks themselves: subnets, gateways, ranges, VLANs. */
import { type Context, sorted } from "../context";
import { contains, type Family, overlap, type Prefix, parseAddress, parsePrefix, unusable } from "../ip";
import type { NetworkSpec } from "../schema";

/** A network with what could be read of its subnets. */
export interface ReadNetwork {
  name: string;
  spec: NetworkSpec;
  prefixes: Partial<Record<Family, Prefix>>;
}

export const FAMILIES = [
  {
    family: 4,
    subnet: "subnet",
    gateway: "gateway",
    address: "address",
    example: "192.168.20.0/24",
    host: "192.168.20.10",
  },
  {
    family: 6,
    subnet: "subnet6",
    gateway: "gateway6",
    address: "address6",
    example: "fd00:20::/64",
    host: "fd00:20::10",
  },
] as const;

/** Reads and checks the networks. */
export function checkNetworks(context: Context): Record<string, ReadNetwork> {
  const networks = sorted(context.spec.networks).map(([name, spec]) => readNetwork(context, name, spec));
  for (const [index, network] of networks.entries()) {
    checkGateways(context, network);
    checkRanges(context, network);
    checkDnsServers(context, network);
    for (const other of networks.slice(0, index)) checkPair(context, network, other);
  }
  return Object.fromEntries(networks.map((network) => [network.name, network]));
}

function readNetwork(context: Context, name: string, spec: NetworkSpec): ReadNetwork {
  const prefixes: ReadNetwork["prefixes"] = {};
  for (const { family, subnet, example } of FAMILIES) {
    const text = spec[subnet];
    if (text === undefined) continue;
    const prefix = parsePrefix(text, family);
    if (prefix) prefixes[family] = prefix;
    else
      context.add(
        "SUBNET-INVALID",
        `networks.${name}.${subnet}`,
        `'${text}' is no IPv${family} prefix.`,
        `Write networks.${name}.${subnet} like ${example}.`,
      );
  }
  return { name, spec, prefixes };
}

function checkGateways(context: Context, { name, spec, prefixes }: ReadNetwork): void {
  for (const { family, gateway, subnet } of FAMILIES) {
    const text = spec[gateway];
    if (text === undefined) continue;
    const path = `networks.${name}.${gateway}`;
    const address = parseAddress(text, family);
    const prefix = prefixes[family];
    const problem =
      address === undefined
        ? `is no IPv${family} address`
        : spec[subnet] === undefined
          ? `has no ${subnet} around it`
          : prefix === undefined
            ? undefined
            : !contains(prefix, address)
              ? `is outside ${prefix.text}`
              : unusable(prefix, address) && `is ${unusable(prefix, address)} of ${prefix.text}`;
    // Routers on IPv6 may well have the anycast address as their own.
    if (problem && !(family === 6 && problem.includes("anycast")))
      context.add(
        "GATEWAY-INVALID",
        path,
        `Gateway ${text} of network ${name} ${problem}.`,
        `Set ${path} to a host address of the subnet.`,
      );
  }
}

function checkRanges(context: Context, { name, spec, prefixes }: ReadNetwork): void {
  const ranges = spec.reserved.map((range, index) => ({ range, path: `networks.${name}.reserved[${index}]` }));
  if (spec.dhcp) ranges.push({ range: spec.dhcp, path: `networks.${name}.dhcp` });
  for (const { range, path } of ranges) {
    const family: Family = range.from.includes(":") ? 6 : 4;
    const [from, to] = [parseAddress(range.from, family), parseAddress(range.to, family)];
    const prefix = prefixes[family];
    const problem =
      from === undefined || to === undefined
        ? `has an end that is no IPv${family} address`
        : from > to
          ? "ends before it begins"
          : prefix && !(contains(prefix, from) && contains(prefix, to))
            ? `is not inside ${prefix.text}`
            : undefined;
    if (problem)
      context.add(
        "RANGE-INVALID",
        path,
        `Range ${range.from} to ${range.to} of network ${name} ${problem}.`,
        `Correct ${path}.from and ${path}.to.`,
      );
  }
}

function checkDnsServers(context: Context, { name, spec }: ReadNetwork): void {
  for (const [index, text] of spec.dnsServers.entries())
    if (parseAddress(text, text.includes(":") ? 6 : 4) === undefined)
      context.add(
        "ADDRESS-INVALID",
        `networks.${name}.dnsServers[${index}]`,
        `'${text}' is no address of a DNS server.`,
        "Write an address like 192.168.20.10.",
      );
}

function checkPair(context: Context, one: ReadNetwork, other: ReadNetwork): void {
  for (const { family, subnet } of FAMILIES) {
    const [a, b] = [one.prefixes[family], other.prefixes[family]];
    if (a && b && overlap(a, b))
      context.add(
        "SUBNET-OVERLAP",
        `networks.${one.name}.${subnet}`,
        `${a.text} of network ${one.name} overlaps ${b.text} of network ${other.name}.`,
        `Give networks.${one.name} or networks.${other.name} another ${subnet}.`,
      );
  }
  const { vlan, bridge } = one.spec;
  if (vlan !== undefined && vlan === other.spec.vlan && bridge === other.spec.bridge)
    context.add(
      "VLAN-DUPLICATE",
      `networks.${one.name}.vlan`,
      `VLAN ${vlan} on ${bridge} is used by network ${other.name} and network ${one.name}.`,
      `Give networks.${one.name} or networks.${other.name} another vlan.`,
    );
}
