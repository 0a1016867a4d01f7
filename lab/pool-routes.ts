import { type Call, flag, list, perm, type Route, route } from "./call";
import { fail, missing } from "./errors";
import { resourceOf } from "./guest-status";
import { hasPrivilege } from "./privileges";

const FILE = "file-user_cfg";

function members(call: Call, id: string): Record<string, unknown>[] {
  const { domain } = call;
  const pool = domain.state.pools[id]!;
  const guests = domain.guests().filter((guest) => pool.guests.includes(guest.vmid));
  return [
    ...guests.map((guest) => resourceOf(domain, guest)),
    ...pool.storages.flatMap((storage) => {
      const entry = domain.state.storages[storage];
      if (!entry) return [];
      return domain
        .nodeNames()
        .filter((node) => domain.onNode(entry, node))
        .map((node) => ({
          id: `storage/${node}/${storage}`,
          node,
          storage,
          type: "storage",
          content: entry.content,
          plugintype: entry.type,
          shared: domain.isShared(entry) ? 1 : 0,
        }));
    }),
  ];
}

function shown(call: Call, id: string, withMembers: boolean): Record<string, unknown> {
  const pool = call.domain.state.pools[id];
  if (!pool) throw fail(`pool '${id}' does not exist`);
  return {
    poolid: id,
    ...(pool.comment ? { comment: pool.comment } : {}),
    ...(withMembers ? { members: members(call, id) } : {}),
  };
}

function listPools(call: Call): Record<string, unknown>[] {
  const { domain, params, identity } = call;
  if (params.poolid) return [shown(call, params.poolid, true)];
  return Object.keys(domain.state.pools)
    .sort()
    .filter((id) => hasPrivilege(domain, identity, `/pool/${id}`, "Pool.Audit"))
    .map((id) => shown(call, id, false));
}

async function createPool(call: Call): Promise<null> {
  const { domain, params } = call;
  const id = params.poolid;
  if (!id) throw missing("poolid");
  await domain.requireClusterFile(call.node, FILE);
  if (domain.state.pools[id]) throw fail(`create pool failed: pool '${id}' already exists`);
  domain.state.pools[id] = { ...(params.comment ? { comment: params.comment } : {}), guests: [], storages: [] };
  return null;
}

async function updatePool(call: Call): Promise<null> {
  const { domain, params } = call;
  const id = call.path.poolid ?? params.poolid ?? "";
  await domain.requireClusterFile(call.node, FILE);
  const pool = domain.state.pools[id];
  if (!pool) throw fail(`update pools failed: pool '${id}' does not exist`);
  if (params.comment !== undefined) pool.comment = params.comment;
  const gone = flag(params.delete);
  for (const text of list(params.vms)) {
    const vmid = Number(text);
    if (gone) {
      if (!pool.guests.includes(vmid)) throw fail(`update pools failed: VM ${vmid} is not a pool member`);
      pool.guests = pool.guests.filter((other) => other !== vmid);
      continue;
    }
    const other = domain.poolOf(vmid);
    if (other === id) throw fail(`update pools failed: VM ${vmid} is already a pool member`);
    if (other && !flag(params["allow-move"]))
      throw fail(`update pools failed: VM ${vmid} belongs already to pool '${other}' and 'allow-move' is not set`);
    if (other)
      domain.state.pools[other]!.guests = domain.state.pools[other]!.guests.filter((member) => member !== vmid);
    pool.guests.push(vmid);
  }
  for (const storage of list(params.storage)) {
    if (gone) pool.storages = pool.storages.filter((other) => other !== storage);
    else if (pool.storages.includes(storage))
      throw fail(`update pools failed: Storage '${storage}' is already a pool member`);
    else pool.storages.push(storage);
  }
  return null;
}

async function deletePool(call: Call): Promise<null> {
  const { domain } = call;
  const id = call.path.poolid ?? call.params.poolid ?? "";
  await domain.requireClusterFile(call.node, FILE);
  const pool = domain.state.pools[id];
  if (!pool) throw fail(`delete pool failed: pool '${id}' does not exist`);
  if (pool.guests.length > 0)
    throw fail(`delete pool failed: pool '${id}' is not empty (contains VM ${pool.guests[0]})`);
  if (pool.storages.length > 0)
    throw fail(`delete pool failed: pool '${id}' is not empty (contains storage '${pool.storages[0]}')`);
  delete domain.state.pools[id];
  return null;
}

const ALLOCATE = perm("/pool/{poolid}", "Pool.Allocate");

/** Pools: the old paths with the name in them, and the newer ones with a parameter. */
export const poolRoutes: Route[] = [
  route("GET", "/pools", undefined, listPools),
  route("POST", "/pools", ALLOCATE, createPool),
  route("PUT", "/pools", ALLOCATE, updatePool),
  route("DELETE", "/pools", ALLOCATE, deletePool),
  route("GET", "/pools/{poolid}", perm("/pool/{poolid}", "Pool.Audit"), (call) => {
    const { poolid: _poolid, ...rest } = shown(call, call.path.poolid!, true);
    return rest;
  }),
  route("PUT", "/pools/{poolid}", ALLOCATE, updatePool),
  route("DELETE", "/pools/{poolid}", ALLOCATE, deletePool),
];
