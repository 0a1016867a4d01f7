import { type Call, list, perm, type Route, route } from "./call";
import { digestOf } from "./domain";
import { badParameters, fail } from "./errors";
import type { DomainState } from "./state";

const AUDIT = perm("/", "Sys.Audit");
const CONSOLE = perm("/", "Sys.Console");
const NUMBERS = new Set(["max_restart", "max_relocate", "failback", "nofailback", "restricted", "strict", "disable"]);

type Table = "haResources" | "haRules";

function show(values: Record<string, string>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) shown[key] = NUMBERS.has(key) ? Number(value) : value;
  shown.digest = digestOf(values);
  return shown;
}

function tableOf(call: Call, table: Table): DomainState[Table] {
  return call.domain.state[table];
}

function requireLocks(call: Call): Promise<void> {
  return call.domain.requireClusterFile(call.node, "domain-ha");
}

/** `vm:100`, from `vm:100` or `100`. */
function sidOf(call: Call, text: string): string {
  if (/^(vm|ct):\d+$/.test(text)) return text;
  const guest = call.domain.guest(text);
  return `${guest?.type === "lxc" ? "ct" : "vm"}:${text}`;
}

async function createResource(call: Call): Promise<null> {
  const { sid: given = "", ...values } = call.params;
  const sid = sidOf(call, given);
  await requireLocks(call);
  const [kind, vmid = ""] = sid.split(":");
  const guest = call.domain.guest(vmid);
  if (!guest || (guest.type === "qemu") !== (kind === "vm"))
    throw fail(`unable to add service '${sid}' - guest does not exist`);
  if (call.domain.state.haResources[sid]) throw fail(`resource ID '${sid}' already defined`);
  call.domain.state.haResources[sid] = { type: kind!, ...values, sid };
  return null;
}

function findResource(call: Call): { sid: string; values: Record<string, string> } {
  const sid = sidOf(call, call.path.sid!);
  const values = call.domain.state.haResources[sid];
  if (!values) throw fail(`no such resource '${sid}'`);
  return { sid, values };
}

function merge(call: Call, values: Record<string, string>, own: string[]): void {
  const { delete: gone, digest, ...changes } = call.params;
  if (digest && digest !== digestOf(values))
    throw fail("detected modified configuration - file changed by other user? Try again.");
  for (const key of list(gone)) delete values[key];
  for (const [key, value] of Object.entries(changes)) if (!own.includes(key)) values[key] = value;
}

function crud(table: Table, base: string, key: string, noun: string): Route[] {
  const find = (call: Call) => {
    const values = tableOf(call, table)[call.path[key]!];
    if (!values) throw fail(`no such ha ${noun} '${call.path[key]}'`);
    return values;
  };
  return [
    route("GET", base, AUDIT, (call) => Object.values(tableOf(call, table)).map(show)),
    route("POST", base, CONSOLE, async (call) => {
      await requireLocks(call);
      const id = call.params[key] ?? "";
      if (tableOf(call, table)[id]) throw fail(`HA ${noun} '${id}' already defined`);
      for (const node of list(call.params.nodes).map((entry) => entry.split(":")[0]!))
        if (!call.domain.state.nodes[node]) throw badParameters({ nodes: `invalid format - no such node '${node}'\n` });
      tableOf(call, table)[id] = { ...call.params };
      return null;
    }),
    route("GET", `${base}/{${key}}`, AUDIT, (call) => show(find(call))),
    route("PUT", `${base}/{${key}}`, CONSOLE, async (call) => {
      await requireLocks(call);
      merge(call, find(call), [key, "type"]);
      return null;
    }),
    route("DELETE", `${base}/{${key}}`, CONSOLE, async (call) => {
      await requireLocks(call);
      find(call);
      delete tableOf(call, table)[call.path[key]!];
      return null;
    }),
  ];
}

function refuseGroups(what: string): () => never {
  return () => {
    throw fail(`cannot ${what}: ha groups have been migrated to rules`);
  };
}

function managerStatus(call: Call): Record<string, unknown>[] {
  const { domain } = call;
  const first = domain.nodeNames().find((name) => domain.reaches(call.listener, name)) ?? call.node;
  return [
    {
      id: "quorum",
      type: "quorum",
      node: call.node,
      status: domain.quorate(call.node) ? "OK" : "No quorum!",
      quorate: domain.quorate(call.node) ? 1 : 0,
    },
    { id: "master", type: "master", node: first, status: `${first} (idle)` },
    ...Object.keys(domain.state.haResources).map((sid) => ({
      id: `service:${sid}`,
      sid,
      type: "service",
      node: domain.guest(sid.split(":")[1]!)?.node ?? "",
      state: domain.state.haResources[sid]!.state ?? "started",
      status: "managed",
    })),
  ];
}

/** High availability: resources and rules. The lab records them; it moves no guest by itself. */
export const haRoutes: Route[] = [
  route("GET", "/cluster/ha/resources", AUDIT, (call) =>
    Object.values(call.domain.state.haResources)
      .filter((values) => !call.params.type || values.type === call.params.type)
      .map(show),
  ),
  route("POST", "/cluster/ha/resources", CONSOLE, createResource),
  route("GET", "/cluster/ha/resources/{sid}", AUDIT, (call) => show(findResource(call).values)),
  route("PUT", "/cluster/ha/resources/{sid}", CONSOLE, async (call) => {
    await requireLocks(call);
    merge(call, findResource(call).values, ["sid", "type"]);
    return null;
  }),
  route("DELETE", "/cluster/ha/resources/{sid}", CONSOLE, async (call) => {
    await requireLocks(call);
    const sid = sidOf(call, call.path.sid!);
    if (!call.domain.state.haResources[sid]) throw fail(`cannot delete service '${sid}', not HA managed!`);
    delete call.domain.state.haResources[sid];
    return null;
  }),
  ...crud("haRules", "/cluster/ha/rules", "rule", "rule"),
  // Groups were replaced by rules in PVE 9: the calls are still there and refuse.
  route("GET", "/cluster/ha/groups", AUDIT, refuseGroups("index groups")),
  route("POST", "/cluster/ha/groups", CONSOLE, refuseGroups("create group")),
  route("GET", "/cluster/ha/groups/{group}", AUDIT, refuseGroups("read group")),
  route("PUT", "/cluster/ha/groups/{group}", CONSOLE, refuseGroups("update group")),
  route("DELETE", "/cluster/ha/groups/{group}", CONSOLE, refuseGroups("delete group")),
  route("GET", "/cluster/ha/status/current", AUDIT, managerStatus),
  route("GET", "/cluster/ha/status/manager_status", AUDIT, (call) => ({
    manager_status: {
      node_status: Object.fromEntries(
        call.domain.nodeNames().map((name) => [name, call.domain.reaches(call.listener, name) ? "online" : "unknown"]),
      ),
    },
  })),
];
