import { type Call, list, type Permission, perm, type Route, route } from "./call";
import { digestOf } from "./domain";
import { badParameters, fail } from "./errors";
import type { FirewallRule, FirewallScope } from "./state";

const NUMBERS = new Set([
  "enable",
  "dhcp",
  "ndp",
  "radv",
  "macfilter",
  "ipfilter",
  "ebtables",
  "log_nf_conntrack",
  "nf_conntrack_max",
  "nosmurfs",
  "tcpflags",
  "nomatch",
  "pos",
  "ipversion",
  "nftables",
  "nf_conntrack_allow_invalid",
  "nf_conntrack_tcp_timeout_established",
  "nf_conntrack_tcp_timeout_syn_recv",
  "protection_synflood",
  "protection_synflood_burst",
  "protection_synflood_rate",
]);

function empty(): FirewallScope {
  return { options: {}, rules: [], aliases: {}, ipset: {} };
}

/** Firewall settings are kept for the cluster, each node and each guest. */
function scopeOf(call: Call, key: string): FirewallScope {
  const { firewall } = call.domain.state;
  let scope = firewall[key];
  if (!scope) {
    scope = empty();
    firewall[key] = scope;
  }
  return scope;
}

function show(values: Record<string, string>, digest: string): Record<string, unknown> {
  const shown: Record<string, unknown> = { digest };
  for (const [key, value] of Object.entries(values)) shown[key] = NUMBERS.has(key) ? Number(value) : value;
  return shown;
}

function filled(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
}

function versionOf(rule: FirewallRule): Record<string, string> {
  const address = rule.source ?? rule.dest;
  if (!address || !/^[0-9a-f.:/]+$/i.test(address)) return {};
  return { ipversion: address.includes(":") ? "6" : "4" };
}

const RULE_KEYS = new Set(["pos", "digest", "moveto", "delete", "node", "vmid", "group"]);

function ruleValues(params: Record<string, string>): FirewallRule {
  return filled(Object.fromEntries(Object.entries(params).filter(([key]) => !RULE_KEYS.has(key))));
}

/** The five calls on a list of rules, wherever the list is kept. */
function ruleRoutes(
  base: string,
  permissions: { read: Permission; write: Permission },
  rulesOf: (call: Call) => FirewallRule[],
): Route[] {
  const at = (call: Call) => {
    const rules = rulesOf(call);
    const pos = Number(call.path.pos);
    if (!rules[pos]) throw fail(`no rule at position ${call.path.pos}`);
    return { rules, pos };
  };
  const checkDigest = (call: Call, rules: FirewallRule[]) => {
    if (call.params.digest && call.params.digest !== digestOf(JSON.stringify(rules)))
      throw fail("detected modified configuration - file changed by other user? Try again.");
  };
  return [
    route("GET", base, permissions.read, (call) => {
      const rules = rulesOf(call);
      const digest = digestOf(JSON.stringify(rules));
      return rules.map((rule, pos) => show({ ...rule, ...versionOf(rule), pos: String(pos) }, digest));
    }),
    route("POST", base, permissions.write, (call) => {
      const rules = rulesOf(call);
      checkDigest(call, rules);
      if (!call.params.action) throw badParameters({ action: "property is missing and it is not optional" });
      // PVE puts a new rule first unless a position is given.
      rules.splice(Number(call.params.pos ?? 0), 0, ruleValues(call.params));
      return null;
    }),
    route("GET", `${base}/{pos}`, permissions.read, (call) => {
      const { rules, pos } = at(call);
      return {
        ...show({ ...rules[pos]!, ...versionOf(rules[pos]!) }, digestOf(JSON.stringify(rules))),
        pos: String(pos),
      };
    }),
    route("PUT", `${base}/{pos}`, permissions.write, (call) => {
      const { rules, pos } = at(call);
      checkDigest(call, rules);
      if (call.params.moveto !== undefined) {
        const [moved] = rules.splice(pos, 1);
        const to = Number(call.params.moveto);
        rules.splice(to > pos ? to - 1 : to, 0, moved!);
        return null;
      }
      const rule = rules[pos]!;
      for (const key of list(call.params.delete)) delete rule[key];
      rules[pos] = filled({
        ...rule,
        ...Object.fromEntries(Object.entries(call.params).filter(([key]) => !RULE_KEYS.has(key))),
      });
      return null;
    }),
    route("DELETE", `${base}/{pos}`, permissions.write, (call) => {
      const { rules, pos } = at(call);
      checkDigest(call, rules);
      rules.splice(pos, 1);
      return null;
    }),
  ];
}

function aliasRoutes(
  base: string,
  permissions: { read: Permission; write: Permission },
  scope: (call: Call) => FirewallScope,
): Route[] {
  const find = (call: Call) => {
    const alias = scope(call).aliases[call.path.name!];
    if (!alias) throw badParameters({ name: "no such alias" });
    return alias;
  };
  const shown = (call: Call, alias: Record<string, string>) =>
    show({ ...alias, ipversion: (alias.cidr ?? "").includes(":") ? "6" : "4" }, digestOf(scope(call).aliases));
  return [
    route("GET", base, permissions.read, (call) =>
      Object.values(scope(call).aliases).map((alias) => shown(call, alias)),
    ),
    route("POST", base, permissions.write, (call) => {
      const { name = "", cidr = "", comment } = call.params;
      if (scope(call).aliases[name]) throw badParameters({ name: `alias '${name}' already exists` });
      scope(call).aliases[name] = filled({ name, cidr, comment: comment ?? "" });
      return null;
    }),
    route("GET", `${base}/{name}`, permissions.read, (call) => shown(call, find(call))),
    route("PUT", `${base}/{name}`, permissions.write, (call) => {
      const alias = find(call);
      const { rename, cidr, comment } = call.params;
      if (cidr !== undefined) alias.cidr = cidr;
      if (comment !== undefined) alias.comment = comment;
      if (rename !== undefined && rename !== alias.name) {
        delete scope(call).aliases[alias.name!];
        scope(call).aliases[rename] = { ...alias, name: rename };
      }
      return null;
    }),
    route("DELETE", `${base}/{name}`, permissions.write, (call) => {
      find(call);
      delete scope(call).aliases[call.path.name!];
      return null;
    }),
  ];
}

function ipsetRoutes(
  base: string,
  permissions: { read: Permission; write: Permission },
  scope: (call: Call) => FirewallScope,
): Route[] {
  const find = (call: Call) => {
    const set = scope(call).ipset[call.path.name!];
    if (!set) throw fail(`no such IPSet '${call.path.name}'`);
    return set;
  };
  return [
    route("GET", base, permissions.read, (call) =>
      Object.entries(scope(call).ipset).map(([name, set]) =>
        show(filled({ name, comment: set.comment ?? "" }), digestOf(set)),
      ),
    ),
    route("POST", base, permissions.write, (call) => {
      const { name = "", rename, comment } = call.params;
      const sets = scope(call).ipset;
      if (rename) {
        const set = sets[rename];
        if (!set) throw badParameters({ name: `IPSet '${rename}' does not exist` });
        delete sets[rename];
        sets[name] = { ...set, ...(comment ? { comment } : {}) };
        return null;
      }
      if (sets[name]) throw badParameters({ name: `IPSet '${name}' already exists` });
      sets[name] = { ...(comment ? { comment } : {}), entries: {} };
      return null;
    }),
    route("GET", `${base}/{name}`, permissions.read, (call) => {
      const set = find(call);
      return Object.values(set.entries).map((entry) => show(entry, digestOf(set)));
    }),
    route("POST", `${base}/{name}`, permissions.write, (call) => {
      const { cidr = "", comment, nomatch } = call.params;
      const set = find(call);
      if (set.entries[cidr]) throw badParameters({ cidr: `address '${cidr}' already exists` });
      set.entries[cidr] = filled({ cidr, comment: comment ?? "", nomatch: nomatch === "1" ? "1" : "" });
      return null;
    }),
    route("DELETE", `${base}/{name}`, permissions.write, (call) => {
      const set = find(call);
      if (Object.keys(set.entries).length > 0 && call.params.force !== "1")
        throw fail(`IPSet '${call.path.name}' is not empty`);
      delete scope(call).ipset[call.path.name!];
      return null;
    }),
    route("GET", `${base}/{name}/{cidr}`, permissions.read, (call) => {
      const set = find(call);
      const entry = set.entries[call.path.cidr!];
      if (!entry) throw badParameters({ cidr: "no such IP/Network" });
      return show(entry, digestOf(set));
    }),
    route("PUT", `${base}/{name}/{cidr}`, permissions.write, (call) => {
      const entry = find(call).entries[call.path.cidr!];
      if (!entry) throw badParameters({ cidr: "no such IP/Network" });
      if (call.params.comment !== undefined) entry.comment = call.params.comment;
      if (call.params.nomatch !== undefined) entry.nomatch = call.params.nomatch;
      return null;
    }),
    route("DELETE", `${base}/{name}/{cidr}`, permissions.write, (call) => {
      delete find(call).entries[call.path.cidr!];
      return null;
    }),
  ];
}

function optionRoutes(
  base: string,
  permissions: { read: Permission; write: Permission },
  scope: (call: Call) => FirewallScope,
): Route[] {
  return [
    route("GET", base, permissions.read, (call) => show(scope(call).options, digestOf(scope(call).options))),
    route("PUT", base, permissions.write, (call) => {
      const { options } = scope(call);
      const { delete: gone, digest, node: _node, vmid: _vmid, ...values } = call.params;
      if (digest && digest !== digestOf(options))
        throw fail("detected modified configuration - file changed by other user? Try again.");
      for (const key of list(gone)) delete options[key];
      Object.assign(options, values);
      return null;
    }),
  ];
}

const CLUSTER = { read: perm("/", "Sys.Audit"), write: perm("/", "Sys.Modify") };
const NODE = { read: perm("/nodes/{node}", "Sys.Audit"), write: perm("/nodes/{node}", "Sys.Modify") };
const GUEST = { read: perm("/vms/{vmid}", "VM.Audit"), write: perm("/vms/{vmid}", "VM.Config.Network") };

const clusterScope = (call: Call) => scopeOf(call, "cluster");
const nodeScope = (call: Call) => scopeOf(call, `node/${call.node}`);
const guestScope = (call: Call) => scopeOf(call, `guest/${call.path.vmid}`);

function groupOf(call: Call): { comment?: string; rules: FirewallRule[] } {
  const group = call.domain.state.firewallGroups[call.path.group!];
  if (!group) throw fail(`no such security group '${call.path.group}'`);
  return group;
}

function guestRoutes(kind: "qemu" | "lxc"): Route[] {
  const base = `/nodes/{node}/${kind}/{vmid}/firewall`;
  return [
    ...optionRoutes(`${base}/options`, GUEST, guestScope),
    ...ruleRoutes(`${base}/rules`, GUEST, (call) => guestScope(call).rules),
    ...aliasRoutes(`${base}/aliases`, GUEST, guestScope),
    ...ipsetRoutes(`${base}/ipset`, GUEST, guestScope),
  ];
}

/** Firewall of the cluster, its nodes and its guests, and the security groups. */
export const firewallRoutes: Route[] = [
  ...optionRoutes("/cluster/firewall/options", CLUSTER, clusterScope),
  ...ruleRoutes("/cluster/firewall/rules", CLUSTER, (call) => clusterScope(call).rules),
  ...aliasRoutes("/cluster/firewall/aliases", CLUSTER, clusterScope),
  ...ipsetRoutes("/cluster/firewall/ipset", CLUSTER, clusterScope),
  route("GET", "/cluster/firewall/groups", undefined, (call) =>
    Object.entries(call.domain.state.firewallGroups).map(([group, { comment }]) => ({
      group,
      ...(comment ? { comment } : {}),
      digest: digestOf(group),
    })),
  ),
  route("POST", "/cluster/firewall/groups", CLUSTER.write, (call) => {
    const { group = "", rename, comment } = call.params;
    const groups = call.domain.state.firewallGroups;
    if (rename && groups[rename]) {
      const found = groups[rename]!;
      delete groups[rename];
      groups[group] = { ...found, ...(comment ? { comment } : {}) };
      return null;
    }
    if (groups[group]) throw badParameters({ name: `Security group '${group}' already exists` });
    groups[group] = { ...(comment ? { comment } : {}), rules: [] };
    return null;
  }),
  ...ruleRoutes("/cluster/firewall/groups/{group}", CLUSTER, (call) => groupOf(call).rules),
  route("DELETE", "/cluster/firewall/groups/{group}", CLUSTER.write, (call) => {
    if (groupOf(call).rules.length > 0) throw fail(`Security group '${call.path.group}' is not empty`);
    delete call.domain.state.firewallGroups[call.path.group!];
    return null;
  }),
  ...optionRoutes("/nodes/{node}/firewall/options", NODE, nodeScope),
  ...ruleRoutes("/nodes/{node}/firewall/rules", NODE, (call) => nodeScope(call).rules),
  ...guestRoutes("qemu"),
  ...guestRoutes("lxc"),
];
