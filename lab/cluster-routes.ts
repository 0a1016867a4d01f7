import { createHash } from "node:crypto";
import { AnswerWith, type Call, list, perm, type Route, route } from "./call";
import type { Domain } from "./domain";
import { badParameters, fail } from "./errors";
import { resourceOf } from "./guest-status";
import { hasPrivilege } from "./privileges";
import { taskListed } from "./tasks";

/** A fingerprint that stays the same for a node's name. */
function fingerprint(name: string): string {
  return createHash("sha256").update(name).digest("hex").toUpperCase().match(/../g)!.join(":");
}

function clusterStatus(call: Call): Record<string, unknown>[] {
  const { domain, listener } = call;
  const nodes = domain.nodeNames().map((name, index) => ({
    id: `node/${name}`,
    type: "node",
    name,
    nodeid: domain.state.cluster ? index + 1 : 0,
    ip: domain.address(name),
    local: name === listener ? 1 : 0,
    online: domain.reaches(listener, name) ? 1 : 0,
    level: "",
  }));
  if (!domain.state.cluster) return nodes;
  return [
    {
      id: "cluster",
      type: "cluster",
      name: domain.state.cluster,
      nodes: nodes.length,
      quorate: domain.quorate(listener) ? 1 : 0,
      version: nodes.length,
    },
    ...nodes,
  ];
}

/** Memory of running guests, as the node's own use. */
function memoryInUse(domain: Domain, node: string): number {
  const base = 1.5 * 1024 ** 3;
  return domain
    .guests(node)
    .filter((guest) => guest.running)
    .reduce((sum, guest) => sum + Number(guest.running!.config.memory ?? 512) * 1024 * 1024, base);
}

/** A node in `/nodes` and in `/cluster/resources`. */
export function nodeEntry(domain: Domain, name: string, from: string): Record<string, unknown> {
  const hardware = domain.hardware(name);
  const state = domain.state.nodes[name]!;
  const online = domain.reaches(from, name);
  const local = domain.state.storages.local;
  const usage = local ? domain.usage(local, name) : { used: 0, total: 0 };
  return {
    id: `node/${name}`,
    node: name,
    type: "node",
    status: online ? "online" : "offline",
    level: "",
    maxcpu: hardware.cores,
    maxmem: hardware.memoryGiB * 1024 ** 3,
    maxdisk: usage.total,
    ...(online
      ? {
          cpu: 0.02,
          mem: memoryInUse(domain, name),
          disk: usage.used,
          uptime: Math.floor(domain.world.clock.now() - state.bootedAt),
        }
      : {}),
  };
}

function resources(call: Call): Record<string, unknown>[] {
  const { domain, identity } = call;
  const type = call.params.type;
  const found: Record<string, unknown>[] = [];
  if (!type || type === "vm")
    for (const guest of domain.guests())
      if (hasPrivilege(domain, identity, `/vms/${guest.vmid}`, "VM.Audit")) found.push(resourceOf(domain, guest));
  if (!type || type === "pool")
    if (!type)
      for (const pool of Object.keys(domain.state.pools)) found.push({ id: `/pool/${pool}`, pool, type: "pool" });
  if (!type || type === "node")
    for (const name of domain.nodeNames()) found.push({ ...nodeEntry(domain, name, call.listener), "cgroup-mode": 2 });
  if (!type || type === "storage")
    for (const node of domain.nodeNames())
      for (const entry of Object.values(domain.state.storages)) {
        if (!domain.onNode(entry, node)) continue;
        const active = domain.active(entry, node) && domain.reaches(call.listener, node);
        const usage = active ? domain.usage(entry, node) : undefined;
        found.push({
          id: `storage/${node}/${entry.storage}`,
          node,
          storage: entry.storage,
          type: "storage",
          plugintype: entry.type,
          content: entry.content,
          shared: domain.isShared(entry) ? 1 : 0,
          status: active ? "available" : "unknown",
          ...(usage ? { disk: usage.used, maxdisk: usage.total } : {}),
        });
      }
  return found;
}

function nextId(call: Call): string {
  const { domain, params } = call;
  const wanted = params.vmid;
  if (wanted !== undefined) {
    if (domain.guest(wanted)) throw badParameters({ vmid: `VM ${wanted} already exists` });
    return wanted;
  }
  const [from, to] = nextIdRange(domain);
  for (let vmid = from; vmid < to; vmid++) if (!domain.guest(vmid)) return String(vmid);
  throw fail(`unable to get any free VMID in range [${from},${to}]`);
}

function nextIdRange(domain: Domain): [number, number] {
  const text = domain.state.options["next-id"] ?? "";
  const lower = Number(/lower=(\d+)/.exec(text)?.[1] ?? "100");
  const upper = Number(/upper=(\d+)/.exec(text)?.[1] ?? "1000000");
  return [lower, upper];
}

function showOptions(domain: Domain): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(domain.state.options)) {
    if (key === "max_workers") shown[key] = Number(value);
    // PVE parses property strings of the options and answers them as objects.
    else if (
      [
        "migration",
        "next-id",
        "notify",
        "crs",
        "ha",
        "tag-style",
        "webauthn",
        "u2f",
        "bwlimit",
        "user-tag-access",
      ].includes(key)
    )
      shown[key] = Object.fromEntries(value.split(",").map((part) => part.split("=") as [string, string]));
    else shown[key] = value;
  }
  return shown;
}

async function putOptions(call: Call): Promise<null> {
  const { domain, params } = call;
  await domain.requireClusterFile(call.node, "file-datacenter_cfg");
  for (const key of list(params.delete)) delete domain.state.options[key];
  for (const [key, value] of Object.entries(params)) if (key !== "delete") domain.state.options[key] = value;
  return null;
}

/** The calls on the cluster as a whole. */
export const clusterRoutes: Route[] = [
  route("GET", "/version", undefined, () => ({ version: "9.2.11", release: "9.2", repoid: "1ab0000000000000" })),
  route("GET", "/cluster", undefined, () =>
    [
      "replication",
      "config",
      "firewall",
      "backup",
      "ha",
      "log",
      "resources",
      "tasks",
      "options",
      "status",
      "nextid",
      "sdn",
    ].map((name) => ({ name })),
  ),
  route("GET", "/cluster/status", perm("/", "Sys.Audit"), clusterStatus),
  route("GET", "/cluster/resources", undefined, resources),
  route("GET", "/cluster/nextid", undefined, nextId),
  route("GET", "/cluster/options", undefined, (call) => showOptions(call.domain)),
  route("PUT", "/cluster/options", perm("/", "Sys.Modify"), putOptions),
  route("GET", "/cluster/log", undefined, (call) =>
    call.domain.state.log
      .slice(-Number(call.params.max ?? 50))
      .reverse()
      .map((entry, index) => ({ ...entry, uid: index, pid: 1, id: `${index}` })),
  ),
  route("GET", "/cluster/tasks", undefined, (call) =>
    call.domain.state.tasks
      .slice(-100)
      .reverse()
      .map((task) => ({ ...taskListed(task), saved: task.endtime === undefined ? "0" : "1" })),
  ),
  route("GET", "/cluster/config/join", perm("/", "Sys.Audit"), (call) => ({
    nodelist: call.domain.nodeNames().map((name, index) => ({
      name,
      nodeid: String(index + 1),
      ring0_addr: call.domain.address(name),
      quorum_votes: "1",
      pve_addr: call.domain.address(name),
      pve_fp: fingerprint(name),
    })),
    preferred_node: call.listener,
    config_digest: fingerprint("config").slice(0, 20),
    totem: { version: "2", cluster_name: call.domain.state.cluster ?? "" },
  })),
  route("GET", "/cluster/config/qdevice", perm("/", "Sys.Audit"), (call) => {
    const [name, up] = Object.entries(call.world.state.witnesses)[0] ?? [];
    if (name === undefined || !call.domain.state.cluster) return {};
    return {
      Model: "Net",
      "QNetd host": `${name}:5403`,
      Algorithm: "Fifty-Fifty split",
      State: up ? "Connected" : "Connect failed",
    };
  }),
  route("GET", "/cluster/config/nodes", perm("/", "Sys.Audit"), (call) =>
    call.domain.nodeNames().map((node) => ({ node })),
  ),
  route("GET", "/nodes", undefined, (call) =>
    call.domain
      .nodeNames()
      .map((name) => ({ ...nodeEntry(call.domain, name, call.listener), ssl_fingerprint: fingerprint(name) })),
  ),
  route("GET", "/cluster/metrics/export", perm("/", "Sys.Audit"), () => new AnswerWith({ data: [] }, {})),
];
