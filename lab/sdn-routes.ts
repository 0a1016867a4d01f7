import { type Call, list, type Permission, perm, type Route, route } from "./call";
import { digestOf } from "./domain";
import { badParameters, fail } from "./errors";
import { startTask } from "./tasks";

const SDN = "/cluster/sdn";
const AUDIT = perm("/sdn", "SDN.Audit");
const ALLOCATE = perm("/sdn", "SDN.Allocate");
const NUMBERS = new Set([
  "tag",
  "vlanaware",
  "mtu",
  "isolate-ports",
  "snat",
  "vxlan-port",
  "advertise-subnets",
  "exitnodes-local-routing",
  "disable-arp-nd-suppression",
  "dp-id",
]);

type Table = Record<string, Record<string, string>>;

function tableOf(call: Call, name: string): Table {
  const { sdn } = call.domain.state;
  let table = sdn[name];
  if (!table) {
    table = {};
    sdn[name] = table;
  }
  return table;
}

function show(values: Record<string, string>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) shown[key] = NUMBERS.has(key) ? Number(value) : value;
  shown.digest = digestOf(values);
  return shown;
}

interface Kind {
  table: string;
  base: string;
  key: string;
  noun: string;
  /** Who may make one, see one and change one. Default: {@link AUDIT} and {@link ALLOCATE}. */
  permissions?: { create?: Permission; read?: Permission; write?: Permission };
  check?: (call: Call, values: Record<string, string>) => void;
  inUse?: (call: Call, id: string) => string | undefined;
}

function crud(kind: Kind): Route[] {
  const find = (call: Call) => {
    const values = tableOf(call, kind.table)[call.path[kind.key]!];
    if (!values) throw fail(`sdn '${call.path[kind.key]}' does not exist`);
    return values;
  };
  return [
    route("GET", kind.base, AUDIT, (call) =>
      Object.values(tableOf(call, kind.table))
        .filter((values) => kind.table !== "subnets" || values.vnet === call.path.vnet)
        .map(show),
    ),
    route("POST", kind.base, kind.permissions?.create ?? ALLOCATE, (call) => {
      const values: Record<string, string> = {
        ...call.params,
        ...(call.path.vnet && kind.table === "subnets" ? { vnet: call.path.vnet } : {}),
      };
      kind.check?.(call, values);
      const id = values[kind.key] ?? "";
      if (tableOf(call, kind.table)[id]) throw fail(`sdn ${kind.noun} object ID '${id}' already defined`);
      tableOf(call, kind.table)[id] = values;
      return null;
    }),
    route("GET", `${kind.base}/{${kind.key}}`, kind.permissions?.read ?? AUDIT, (call) => show(find(call))),
    route("PUT", `${kind.base}/{${kind.key}}`, kind.permissions?.write ?? ALLOCATE, (call) => {
      const values = find(call);
      const { delete: gone, digest: _digest, [kind.key]: _id, ...changes } = call.params;
      for (const key of list(gone)) delete values[key];
      Object.assign(values, changes);
      return null;
    }),
    route("DELETE", `${kind.base}/{${kind.key}}`, kind.permissions?.write ?? ALLOCATE, (call) => {
      find(call);
      const user = kind.inUse?.(call, call.path[kind.key]!);
      if (user) throw fail(user);
      delete tableOf(call, kind.table)[call.path[kind.key]!];
      return null;
    }),
  ];
}

const zones: Kind = {
  table: "zones",
  base: `${SDN}/zones`,
  key: "zone",
  noun: "zone",
  permissions: {
    create: perm("/sdn/zones", "SDN.Allocate"),
    read: perm("/sdn/zones/{zone}", "SDN.Allocate"),
    write: perm("/sdn/zones/{zone}", "SDN.Allocate"),
  },
  inUse: (call, id) => {
    const vnet = Object.values(tableOf(call, "vnets")).find((values) => values.zone === id);
    return vnet ? `zone ${id} is used by vnet ${vnet.vnet}` : undefined;
  },
};

const vnets: Kind = {
  table: "vnets",
  base: `${SDN}/vnets`,
  key: "vnet",
  noun: "vnet",
  permissions: { create: perm("/sdn/zones/{zone}", "SDN.Allocate") },
  check: (call, values) => {
    values.type ??= "vnet";
    const zone = tableOf(call, "zones")[values.zone ?? ""];
    if (!zone) throw fail(`zone ${values.zone} don't exist`);
    if (["vlan", "qinq", "vxlan", "evpn"].includes(zone.type ?? "") && !values.tag)
      throw badParameters({ tag: "missing vlan tag" });
  },
  inUse: (call, id) => {
    const subnet = Object.values(tableOf(call, "subnets")).find((values) => values.vnet === id);
    return subnet ? `Can't delete vnet if subnets exists` : undefined;
  },
};

const subnets: Kind = {
  table: "subnets",
  base: `${SDN}/vnets/{vnet}/subnets`,
  key: "subnet",
  noun: "subnet",
  check: (call, values) => {
    const vnet = tableOf(call, "vnets")[values.vnet ?? ""];
    if (!vnet) throw fail(`sdn '${values.vnet}' does not exist`);
    // The id of a subnet is made of its zone and its network.
    values.cidr = values.subnet ?? "";
    values.subnet = `${vnet.zone}-${(values.subnet ?? "").replace("/", "-")}`;
    values.zone = vnet.zone ?? "";
  },
};

function apply(call: Call): string {
  const { domain, node } = call;
  return startTask(domain, {
    node,
    type: "reloadnetworkall",
    id: "",
    user: call.identity.full,
    seconds: 1,
    work: (handle) => {
      for (const name of domain.nodeNames())
        if (domain.reaches(call.node, name)) handle.log(`${name}: reloading network config`);
    },
  });
}

/** Software-defined networks. What is written shows at once; `PUT /cluster/sdn` makes the task that applies it. */
export const sdnRoutes: Route[] = [
  route("GET", SDN, AUDIT, () => ["vnets", "zones", "controllers", "ipams", "dns"].map((id) => ({ id }))),
  route("PUT", SDN, ALLOCATE, apply),
  ...crud(zones),
  ...crud(vnets),
  ...crud(subnets),
  route("GET", `${SDN}/ipams`, AUDIT, () => [{ ipam: "pve", type: "pve" }]),
  route("GET", "/nodes/{node}/sdn/zones", AUDIT, (call) =>
    Object.keys(tableOf(call, "zones")).map((zone) => ({ zone, status: "available" })),
  ),
];
