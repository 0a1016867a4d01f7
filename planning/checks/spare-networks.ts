/** Networks and addresses of guests on their spares, where these differ from those on the primary. */
import { type Context, own, type Placed } from "../context";
import { type Family, parseAddress, parsePrefix } from "../ip";
import { nearest } from "../nearest";
import type { SitePlan } from "../plan";
import type { ColdReplicaSpec } from "../schema";
import type { ReIpRule } from "../schema-recovery";
import { sameCard, spareNetwork } from "../spare-networks";
import { list } from "../units";

/** Checks the mapping of networks and the rules for addresses. */
export function checkSpareNetworks(context: Context, plan: SitePlan): void {
  for (const guest of context.guests) {
    const replica = guest.spec.coldReplica;
    if (replica === undefined) continue;
    checkMapping(context, guest, replica);
    for (const [index, rule] of replica.reIp.entries()) checkRule(context, guest, rule, index);
    checkAddresses(context, plan, guest, replica);
  }
}

function checkMapping(context: Context, { name, spec }: Placed, replica: ColdReplicaSpec): void {
  const networks = Object.keys(context.spec.networks);
  const own = spec.networks.map(({ network }) => network);
  for (const [from, to] of Object.entries(replica.networks)) {
    const path = `guests.${name}.coldReplica.networks.${from}`;
    if (!own.includes(from))
      context.add(
        "NETWORK-MAP-UNKNOWN",
        path,
        `${name} has no card in network '${from}', which is mapped to '${to}' on its spare.`,
        own.length === 0 ? `Remove ${path}.` : `Map ${nearest(from, own) ?? list(own, "or")}, or remove ${path}.`,
      );
    if (!networks.includes(to))
      context.add(
        "NETWORK-MAP-UNKNOWN",
        path,
        `${name} is to be in network '${to}' on its spare, which does not exist.`,
        `Set ${path} to ${nearest(to, networks) ?? (list(networks, "or") || "a network of the section networks")}.`,
      );
  }
}

function checkRule(context: Context, { name }: Placed, rule: ReIpRule, index: number): void {
  const path = `guests.${name}.coldReplica.reIp[${index}]`;
  const family: Family = rule.from.includes(":") ? 6 : 4;
  for (const key of ["from", "to"] as const)
    if (parsePrefix(rule[key], family) === undefined)
      context.add(
        "SUBNET-INVALID",
        `${path}.${key}`,
        `'${rule[key]}' is no IPv${family} prefix.`,
        `Write ${path}.${key} like ${family === 4 ? "192.168.20.0/24" : "fd00:20::/64"}: both ends of a rule are of one family.`,
      );
  if (rule.gateway !== undefined && parseAddress(rule.gateway, family) === undefined)
    context.add(
      "GATEWAY-INVALID",
      `${path}.gateway`,
      `Gateway ${rule.gateway} of ${name} on its spare is no IPv${family} address.`,
      `Set ${path}.gateway to a host address of ${rule.to}.`,
    );
  for (const [place, text] of (rule.dnsServers ?? []).entries())
    if (parseAddress(text, text.includes(":") ? 6 : 4) === undefined)
      context.add(
        "ADDRESS-INVALID",
        `${path}.dnsServers[${place}]`,
        `'${text}' is no address of a DNS server.`,
        "Write an address like 192.168.20.10.",
      );
}

function checkAddresses(context: Context, plan: SitePlan, { name, spec }: Placed, replica: ColdReplicaSpec): void {
  const path = `guests.${name}.coldReplica.reIp`;
  const used = new Set<number>();
  let changes = false;
  for (const card of plan.guests[name]?.addresses ?? []) {
    const spare = spareNetwork(context.spec, card, replica);
    for (const index of spare.rules) used.add(index);
    changes ||= spare.card.address !== card.address || spare.card.address6 !== card.address6;
    // A network that stays, with an address outside it, is a finding about the primary already.
    if (sameCard(card, spare.card)) continue;
    for (const { address, problem } of spare.problems)
      context.add(
        "RE-IP-OUTSIDE",
        path,
        `${name} cannot keep the host part of ${address} on its spare: ${problem}.`,
        `Add a rule { from: …, to: … } to ${path} whose \`to\` lies in ${subnetOf(context, spare.card.network)}.`,
      );
  }
  for (const [index, { from }] of replica.reIp.entries())
    if (!used.has(index) && parsePrefix(from, from.includes(":") ? 6 : 4) !== undefined)
      context.add(
        "RE-IP-OUTSIDE",
        `${path}[${index}]`,
        `No address of ${name} is in ${from}, or an earlier rule has it: the rule changes nothing.`,
        `Correct ${path}[${index}].from, or remove the rule.`,
      );
  if (changes && spec.kind === "vm" && spec.cloudInit === undefined && !spec.agent)
    context.add(
      "RE-IP-NOT-APPLICABLE",
      path,
      `${name} has neither cloud-init nor an agent: on its spare it starts with the addresses it has on ${spec.on}.`,
      `Change its address by hand after a failover, use DHCP, or give it cloudInit or an agent.`,
    );
}

function subnetOf(context: Context, network: string): string {
  const found = own(context.spec.networks, network);
  return [found?.subnet, found?.subnet6].filter((subnet) => subnet !== undefined).join(" or ") || `network ${network}`;
}
