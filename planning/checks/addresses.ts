/** Addresses of guests, servers and devices: one plan for all of them. */
import { type Context, own, sorted } from "../context";
import { contains, type Family, formatAddress, type Prefix, parseAddress, parsePrefix, unusable } from "../ip";
import type { GuestPlan, SitePlan } from "../plan";
import { spareNetwork } from "../spare-networks";
import { list } from "../units";
import { checkNetworks, FAMILIES, type ReadNetwork } from "./networks";

interface Claim {
  owner: string;
  path: string;
  text: string;
  value: bigint;
  family: Family;
  network: string | undefined;
}

/** Checks networks, addresses and MAC addresses. */
export function checkAddresses(context: Context, plan: SitePlan): void {
  const networks = checkNetworks(context);
  const claims: Claim[] = [];
  const taken = new Map<string, Claim[]>();
  for (const host of hosts(context, plan)) claims.push(...read(context, networks, host));
  for (const claim of claims) {
    const key = `${claim.family}/${claim.value}`;
    taken.set(key, [...(taken.get(key) ?? []), claim]);
  }
  for (const same of taken.values()) reportDuplicates(context, networks, same, taken);
  for (const claim of claims) checkClaim(context, networks, claim, taken);
  checkMacs(context, plan);
}

interface Host {
  owner: string;
  path: string;
  network: string | undefined;
  address?: string | undefined;
  address6?: string | undefined;
  /** Where both addresses come from, if they do not stand in the specification themselves. */
  derivedAt?: string;
}

function hosts(context: Context, plan: SitePlan): Host[] {
  const { guests, devices } = context.spec;
  return [
    ...sorted(guests).flatMap(([name, guest]) =>
      guest.networks.map((nic, index) => ({
        ...nic,
        owner: `guest ${name}`,
        path: `guests.${name}.networks[${index}]`,
      })),
    ),
    ...Object.values(plan.guests).flatMap((guest) => onSpare(context, guest)),
    ...context.servers.map(({ name, spec }) => ({
      ...spec,
      network: spec.network,
      owner: `server ${name}`,
      path: `servers.${name}`,
    })),
    ...context.servers.flatMap(({ name, spec }) =>
      [...interfacesOf(name, "bridges", spec.bridges), ...interfacesOf(name, "vlans", spec.vlans)].map(
        ({ path, address, address6 }) => ({
          owner: `server ${name}`,
          path,
          network: undefined,
          address: bridgeAddress(context, `${path}.address`, address, 4),
          address6: bridgeAddress(context, `${path}.address6`, address6, 6),
        }),
      ),
    ),
    ...sorted(devices).map(([name, device]) => ({
      owner: `device ${name}`,
      path: `devices.${name}`,
      network: device.network,
      address: device.address,
      address6: device.address6,
    })),
  ];
}

/** The addresses that a guest gets on its spare by a rule; what does not fit there is a finding of its own. */
function onSpare(context: Context, { name, spec, addresses }: GuestPlan): Host[] {
  const replica = spec.coldReplica;
  if (replica === undefined) return [];
  return addresses.flatMap((card) => {
    const { card: spare, problems, rules } = spareNetwork(context.spec, card, replica);
    if (problems.length > 0 || rules.length === 0) return [];
    const changed = (key: "address" | "address6") => (spare[key] === card[key] ? undefined : spare[key]?.split("/")[0]);
    const path = `guests.${name}.coldReplica.reIp`;
    return [
      {
        owner: `guest ${name}`,
        path,
        derivedAt: path,
        network: spare.network,
        address: changed("address"),
        address6: changed("address6"),
      },
    ];
  });
}

/** Bridges or VLAN interfaces of a server, with the paths at which they stand. */
function interfacesOf(
  server: string,
  section: "bridges" | "vlans",
  interfaces: Record<string, { address?: string | undefined; address6?: string | undefined }>,
) {
  return sorted(interfaces).map(([name, { address, address6 }]) => ({
    path: `servers.${server}.${section}.${name}`,
    address,
    address6,
  }));
}

/** A bridge's address has a prefix length, unlike all others: the installer asks for it in this form. */
function bridgeAddress(context: Context, path: string, text: string | undefined, family: Family): string | undefined {
  if (text === undefined) return undefined;
  if (parsePrefix(text, family)) return text.split("/")[0];
  const { example, host } = FAMILIES[family === 4 ? 0 : 1];
  const hint = `${host}/${example.split("/")[1]}`;
  context.add(
    "ADDRESS-INVALID",
    path,
    `'${text}' is no IPv${family} address with prefix length.`,
    `Write ${path} like ${hint}.`,
  );
  return undefined;
}

function read(context: Context, networks: Record<string, ReadNetwork>, host: Host): Claim[] {
  if (host.network !== undefined && own(networks, host.network) === undefined)
    context.add(
      "NETWORK-UNKNOWN",
      `${host.path}.network`,
      `${capital(host.owner)} is in network '${host.network}', which does not exist.`,
      `Name one of ${list(Object.keys(networks), "or") || "the networks"}, or add networks.${host.network}.`,
    );
  const claims: Claim[] = [];
  for (const { family, address: key, host: example } of FAMILIES) {
    const text = host[key];
    if (text === undefined) continue;
    const path = host.derivedAt ?? `${host.path}.${key}`;
    const value = parseAddress(text, family);
    if (value === undefined)
      context.add(
        "ADDRESS-INVALID",
        path,
        `'${text}' is no IPv${family} address.`,
        `Write ${path} like ${example}, without prefix length.`,
      );
    else claims.push({ owner: host.owner, path, text, value, family, network: host.network });
  }
  return claims;
}

type Taken = ReadonlyMap<string, readonly Claim[]>;

function reportDuplicates(
  context: Context,
  networks: Record<string, ReadNetwork>,
  same: readonly Claim[],
  taken: Taken,
): void {
  // A server's own address stands in its entry and on one of its bridges.
  const owners = [...new Set(same.map(({ owner }) => owner))];
  const last = same.findLast(({ owner }) => owner === owners.at(-1));
  if (owners.length < 2 || last === undefined) return;
  const first = same.find(({ path }) => path.startsWith("guests.")) ?? last;
  const network = same.map(({ network: name }) => name && own(networks, name)).find((found) => found !== undefined);
  context.add(
    "ADDRESS-DUPLICATE",
    first.path,
    `${first.text} is used by ${list(owners)}.`,
    `Give each its own address.${freeHint(network || undefined, first, taken)}`,
  );
}

function checkClaim(context: Context, networks: Record<string, ReadNetwork>, claim: Claim, taken: Taken): void {
  const network = claim.network === undefined ? undefined : own(networks, claim.network);
  if (network === undefined) return;
  const { subnet, gateway } = FAMILIES[claim.family === 4 ? 0 : 1];
  const prefix = network.prefixes[claim.family];
  if (network.spec[subnet] === undefined) {
    context.add(
      "ADDRESS-NO-SUBNET",
      claim.path,
      `${claim.text} of ${claim.owner} is in network ${network.name}, which has no ${subnet}.`,
      `Add networks.${network.name}.${subnet}, or leave ${claim.path} out.`,
    );
    return;
  }
  if (prefix === undefined) return;
  const free = () => freeHint(network, claim, taken);
  if (!contains(prefix, claim.value)) {
    const other = Object.values(networks).find((candidate) => {
      const found = candidate.prefixes[claim.family];
      return found !== undefined && contains(found, claim.value);
    });
    const hint = other === undefined ? "" : ` It is in network ${other.name}.`;
    context.add(
      "ADDRESS-OUTSIDE-SUBNET",
      claim.path,
      `${claim.text} of ${claim.owner} is outside ${prefix.text} of network ${network.name}.${hint}`,
      `Take an address of ${prefix.text}.${free()}`,
    );
    return;
  }
  const meaning = unusable(prefix, claim.value);
  if (meaning)
    context.add(
      "ADDRESS-UNUSABLE",
      claim.path,
      `${claim.text} of ${claim.owner} is ${meaning} of ${prefix.text}.`,
      `Take another address.${free()}`,
    );
  const router = context.spec.devices[claim.owner.replace(/^device /, "")]?.kind === "router";
  const gatewayText = network.spec[gateway];
  if (!router && gatewayText !== undefined && parseAddress(gatewayText, claim.family) === claim.value)
    context.add(
      "ADDRESS-IS-GATEWAY",
      claim.path,
      `${claim.text} of ${claim.owner} is the gateway of network ${network.name}.`,
      `Take another address.${free()}`,
    );
  if (!claim.path.startsWith("devices.")) checkRanges(context, network, claim, free);
}

function checkRanges(context: Context, network: ReadNetwork, claim: Claim, free: () => string): void {
  const { dhcp, reserved } = network.spec;
  // Reserved ranges keep guests out; servers and devices are what they are usually reserved for.
  for (const range of claim.path.startsWith("guests.") ? reserved : [])
    if (inRange(claim.value, range, claim.family))
      context.add(
        "ADDRESS-RESERVED",
        claim.path,
        `${claim.text} of ${claim.owner} is in ${range.from} to ${range.to} of network ${network.name}, reserved for ${range.purpose ?? "something else"}.`,
        `Take an address outside that range.${free()}`,
      );
  if (dhcp && inRange(claim.value, dhcp, claim.family))
    context.add(
      "ADDRESS-IN-DHCP",
      claim.path,
      `${claim.text} of ${claim.owner} is in ${dhcp.from} to ${dhcp.to}, which the DHCP server of network ${network.name} hands out.`,
      `Take an address outside that range.${free()}`,
    );
}

function inRange(value: bigint, range: { from: string; to: string }, family: Family): boolean {
  const [from, to] = [parseAddress(range.from, family), parseAddress(range.to, family)];
  return from !== undefined && to !== undefined && value >= from && value <= to;
}

/** ' 192.168.20.16 is free.': the next address that breaks no rule. */
function freeHint(network: ReadNetwork | undefined, claim: Claim, taken: Taken): string {
  const prefix = network?.prefixes[claim.family];
  if (network === undefined || prefix === undefined) return "";
  const { gateway } = FAMILIES[claim.family === 4 ? 0 : 1];
  const gatewayText = network.spec[gateway];
  const gatewayValue = gatewayText === undefined ? undefined : parseAddress(gatewayText, claim.family);
  const ranges = [...network.spec.reserved, ...(network.spec.dhcp ? [network.spec.dhcp] : [])].map((range) => ({
    from: parseAddress(range.from, claim.family),
    to: parseAddress(range.to, claim.family),
  }));
  const usable = (value: bigint, within: Prefix) =>
    contains(within, value) &&
    !unusable(within, value) &&
    value !== gatewayValue &&
    !taken.has(`${claim.family}/${value}`) &&
    !ranges.some(({ from, to }) => from !== undefined && to !== undefined && value >= from && value <= to);
  const start = contains(prefix, claim.value) ? claim.value : prefix.first;
  for (let step = 1n; step <= 1024n; step++)
    for (const value of [start + step, start - step])
      if (usable(value, prefix)) return ` ${formatAddress(value, claim.family)} is free.`;
  return "";
}

function checkMacs(context: Context, plan: SitePlan): void {
  const owners = new Map<string, string[]>();
  for (const guest of Object.values(plan.guests))
    for (const [index, { mac }] of guest.addresses.entries()) {
      const path = `guests.${guest.name}.networks[${index}].mac`;
      if (!/^[0-9A-F][02468ACE](:[0-9A-F]{2}){5}$/.test(mac) || mac === "00:00:00:00:00:00")
        context.add(
          "MAC-INVALID",
          path,
          `'${mac}' is no MAC address that a guest can have.`,
          `Write ${path} like BC:24:11:00:00:01, or leave it out.`,
        );
      owners.set(mac, [...(owners.get(mac) ?? []), path]);
    }
  for (const [mac, [first, ...others]] of owners)
    if (first !== undefined && others.length > 0)
      context.add(
        "MAC-DUPLICATE",
        others[0] ?? first,
        `MAC address ${mac} is used by ${list([first, ...others].map((path) => path.replace(/^guests\./, "").replace(/\.mac$/, "")))}.`,
        `Leave ${others[0] ?? first} out, or give it another one.`,
      );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
