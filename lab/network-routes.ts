import { AnswerWith, type Call, list, perm, type Route, route } from "./call";
import { badParameters } from "./errors";
import type { NodeState } from "./state";
import { startTask } from "./tasks";

const NETWORK = "/nodes/{node}/network";
const AUDIT = perm("/nodes/{node}", "Sys.Audit");
const MODIFY = perm("/nodes/{node}", "Sys.Modify");
const NUMBERS = new Set(["active", "autostart", "exists", "priority", "bridge_vlan_aware"]);

type Interfaces = NodeState["interfaces"];

/** What a change works on: the interfaces not yet applied, or a copy of those in force. */
function pendingOf(state: NodeState): Interfaces {
  state.pendingInterfaces ??= structuredClone(state.interfaces);
  return state.pendingInterfaces;
}

function show(values: Record<string, string>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    if (key === "families") shown[key] = value.split(",");
    else if (key === "comments") shown[key] = `${value.replace(/\n$/, "")}\n`;
    else shown[key] = NUMBERS.has(key) ? Number(value) : value;
  }
  return shown;
}

/** Derived values that PVE adds when it reads an interface. */
function complete(values: Record<string, string>, priority: number): Record<string, string> {
  const full: Record<string, string> = {
    ...values,
    method: values.cidr || values.address ? "static" : "manual",
    method6: values.cidr6 || values.address6 ? "static" : "manual",
    families: values.cidr6 || values.address6 ? "inet,inet6" : "inet",
    priority: String(priority),
  };
  if (values.cidr) Object.assign(full, { address: values.cidr.split("/")[0]!, netmask: values.cidr.split("/")[1]! });
  if (values.type === "bridge") {
    full.bridge_ports ??= "";
    full.bridge_stp ??= "off";
    full.bridge_fd ??= "0";
  }
  if (values.type === "vlan") {
    const dotted = /^(.+)\.(\d+)$/.exec(values.iface ?? "");
    full["vlan-raw-device"] ??= dotted?.[1] ?? "";
    full["vlan-id"] ??= dotted?.[2] ?? /(\d+)$/.exec(values.iface ?? "")?.[1] ?? "";
  }
  return full;
}

function lines(interfaces: Interfaces): string[] {
  const text: string[] = [];
  for (const values of Object.values(interfaces)) {
    if (values.autostart === "1") text.push(`auto ${values.iface}`);
    text.push(`iface ${values.iface} inet ${values.method ?? "manual"}`);
    for (const key of [
      "cidr",
      "gateway",
      "bridge_ports",
      "bridge_stp",
      "bridge_fd",
      "bridge_vlan_aware",
      "vlan-raw-device",
      "mtu",
    ])
      if (values[key] !== undefined && values[key] !== "") text.push(`\t${key.replaceAll("_", "-")} ${values[key]}`);
    if (values.comments) text.push(`#${values.comments}`);
    text.push("");
  }
  return text;
}

/** The difference between what is in force and what is written, as a diff would print it. */
function changes(state: NodeState): string | undefined {
  if (!state.pendingInterfaces) return undefined;
  const [before, after] = [lines(state.interfaces), lines(state.pendingInterfaces)];
  if (before.join("\n") === after.join("\n")) return undefined;
  const removed = before.filter((line) => !after.includes(line)).map((line) => `-${line}`);
  const added = after.filter((line) => !before.includes(line)).map((line) => `+${line}`);
  return [
    "--- /etc/network/interfaces",
    "+++ /etc/network/interfaces.new",
    `@@ -1,${before.length} +1,${after.length} @@`,
    ...removed,
    ...added,
    "",
  ].join("\n");
}

const TYPE_FILTER: Record<string, string[]> = {
  any_bridge: ["bridge", "OVSBridge"],
  any_local_bridge: ["bridge", "OVSBridge"],
  include_sdn: ["bridge", "OVSBridge"],
};

function listInterfaces(call: Call): AnswerWith {
  const state = call.domain.nodeState(call.node);
  const wanted = call.params.type;
  const types = wanted ? (TYPE_FILTER[wanted] ?? [wanted]) : undefined;
  const data = Object.values(state.pendingInterfaces ?? state.interfaces)
    .filter((values) => !types || types.includes(values.type ?? ""))
    .map(show);
  const diff = changes(state);
  return new AnswerWith(data, diff ? { changes: diff } : {});
}

function check(call: Call, interfaces: Interfaces, iface: string): void {
  const { params } = call;
  for (const port of list(params.bridge_ports)) {
    if (!interfaces[port] && !/^(eno|enp|ens|eth|bond)/.test(port))
      throw badParameters({ bridge_ports: `interface '${port}' does not exist` });
    const holder = Object.values(interfaces).find(
      (other) => other.iface !== iface && list(other.bridge_ports).includes(port),
    );
    if (holder) throw badParameters({ bridge_ports: `${port} is already used on interface '${holder.iface}'` });
  }
  const raw = params["vlan-raw-device"];
  if (raw && !interfaces[raw]) throw badParameters({ "vlan-raw-device": `interface '${raw}' does not exist` });
  if (params.gateway) {
    const holder = Object.values(interfaces).find((other) => other.iface !== iface && other.gateway);
    if (holder) throw badParameters({ gateway: `Default gateway already exists on interface '${holder.iface}'.` });
  }
}

function create(call: Call): null {
  const state = call.domain.nodeState(call.node);
  const { node: _node, ...values } = call.params;
  const iface = values.iface ?? "";
  if ((state.pendingInterfaces ?? state.interfaces)[iface]) throw badParameters({ iface: "interface already exists" });
  check(call, state.pendingInterfaces ?? state.interfaces, iface);
  const interfaces = pendingOf(state);
  interfaces[iface] = complete(values, Object.keys(interfaces).length + 2);
  return null;
}

function update(call: Call): null {
  const state = call.domain.nodeState(call.node);
  const { node: _node, delete: gone, ...values } = call.params;
  const iface = call.path.iface!;
  const before = (state.pendingInterfaces ?? state.interfaces)[iface];
  if (!before) throw badParameters({ iface: "interface does not exist" });
  check(call, state.pendingInterfaces ?? state.interfaces, iface);
  const interfaces = pendingOf(state);
  const merged: Record<string, string> = { ...before, ...values, iface };
  for (const key of list(gone)) {
    delete merged[key];
    if (key === "cidr") for (const derived of ["address", "netmask"]) delete merged[derived];
  }
  interfaces[iface] = complete(merged, Number(before.priority ?? 3));
  return null;
}

function remove(call: Call): null {
  const state = call.domain.nodeState(call.node);
  const iface = call.path.iface!;
  if (!(state.pendingInterfaces ?? state.interfaces)[iface]) throw badParameters({ iface: "interface does not exist" });
  delete pendingOf(state)[iface];
  return null;
}

function reload(call: Call): string {
  const { domain, node } = call;
  return startTask(domain, {
    node,
    type: "srvreload",
    id: "networking",
    user: call.identity.full,
    seconds: 1,
    work: () => {
      const state = domain.nodeState(node);
      if (state.pendingInterfaces) {
        state.interfaces = state.pendingInterfaces;
        for (const values of Object.values(state.interfaces)) values.active = "1";
      }
      delete state.pendingInterfaces;
      domain.save();
    },
  });
}

/** Interfaces of a node: changes are written first and take effect at the reload. */
export const networkRoutes: Route[] = [
  route("GET", NETWORK, undefined, listInterfaces),
  route("POST", NETWORK, MODIFY, create),
  route("PUT", NETWORK, MODIFY, reload),
  route("DELETE", NETWORK, MODIFY, (call) => {
    delete call.domain.nodeState(call.node).pendingInterfaces;
    return null;
  }),
  route("GET", `${NETWORK}/{iface}`, AUDIT, (call) => {
    const state = call.domain.nodeState(call.node);
    const values = (state.pendingInterfaces ?? state.interfaces)[call.path.iface!];
    if (!values) throw badParameters({ iface: "interface does not exist" });
    const { iface: _iface, ...rest } = show(values);
    return rest;
  }),
  route("PUT", `${NETWORK}/{iface}`, MODIFY, update),
  route("DELETE", `${NETWORK}/{iface}`, MODIFY, remove),
];
