import { datastorePath, hasPrivilege, isOwner, limitedToOwn } from "./access";
import type { BackupServer } from "./backup-server";
import { isSet, type PbsCall, type PbsRoute, pbsRoute } from "./call";
import type { Datastore } from "./datastore";
import { forbidden, notFound, refused } from "./errors";
import { jobKey, jobStatus, runGarbageCollection } from "./jobs";
import { mountDatastore, unmountDatastore } from "./media";
import { keepOptions, pruneNamespace } from "./prune";
import { startPbsTask } from "./tasks";
import { startVerification } from "./verify";

const STORE = "/admin/datastore/{store}";
const READERS = ["Datastore.Audit", "Datastore.Backup"];

function storeOf(call: PbsCall): Datastore {
  return call.server.datastore(call.path.store ?? "");
}

function listDatastores(call: PbsCall): unknown {
  return call.server
    .datastores()
    .filter((store) => hasPrivilege(call.server, call.auth, `/datastore/${store.name}`, ...READERS))
    .map((store) => ({
      store: store.name,
      "mount-status": store.mountStatus,
      "backend-type": "filesystem",
      ...(store.section.comment ? { comment: store.section.comment } : {}),
      ...(store.section["maintenance-mode"] ? { maintenance: store.section["maintenance-mode"] } : {}),
    }));
}

function status(call: PbsCall): unknown {
  const store = storeOf(call).open("read");
  const base = { "backend-type": "filesystem" };
  // Who may only write backups learns that the datastore is there, not how full it is.
  if (!hasPrivilege(call.server, call.auth, `/datastore/${store.name}`, "Datastore.Audit"))
    return { ...base, total: 0, used: 0, avail: 0 };
  if (!isSet(call.params.verbose)) return { ...base, ...store.usage() };
  return { ...base, ...store.usage(), counts: counts(store), "gc-status": call.server.state.gc[store.name] ?? {} };
}

function counts(store: Datastore): Record<string, { groups: number; snapshots: number }> {
  const found: Record<string, { groups: number; snapshots: number }> = {};
  for (const ns of store.tree.namespaces())
    for (const group of store.tree.groups(ns)) {
      found[group.type] ??= { groups: 0, snapshots: 0 };
      found[group.type]!.groups++;
      found[group.type]!.snapshots += store.tree.snapshots(group).length;
    }
  return found;
}

/** `GET /status/datastore-usage`: all datastores at a glance. */
function usages(call: PbsCall): unknown {
  return call.server
    .datastores()
    .filter((store) => hasPrivilege(call.server, call.auth, `/datastore/${store.name}`, ...READERS))
    .map((store) => {
      try {
        return { store: store.name, "mount-status": store.mountStatus, ...store.open("read").usage() };
      } catch (error) {
        return { store: store.name, "mount-status": store.mountStatus, error: (error as Error).message };
      }
    });
}

// ---- garbage collection

function gcStatus(server: BackupServer, store: string): Record<string, unknown> {
  const schedule = server.state.datastores[store]?.["gc-schedule"];
  return {
    store,
    ...(schedule ? { schedule } : {}),
    ...server.state.gc[store],
    ...jobStatus(server, jobKey("gc", store), schedule),
  };
}

// ---- prune and verification of the whole datastore

function pruneDatastore(call: PbsCall): string {
  const { server, auth, params } = call;
  const store = storeOf(call).open("write");
  const ns = params.ns ?? "";
  const ownOnly = limitedToOwn(server, auth, datastorePath(store.name, ns), ["Datastore.Modify"], ["Datastore.Prune"]);
  return startPbsTask(server, {
    type: "prune",
    id: ns ? `${store.name}:${ns}` : store.name,
    auth,
    work: (handle) =>
      pruneNamespace(
        store,
        {
          ns,
          keep: keepOptions(params),
          dryRun: isSet(params["dry-run"]),
          ...(params["max-depth"] === undefined ? {} : { depth: Number(params["max-depth"]) }),
          ...(ownOnly ? { ownerOnly: auth } : {}),
        },
        handle,
      ),
  }).upid;
}

function verifyDatastore(call: PbsCall): string {
  const { server, auth, params } = call;
  const store = storeOf(call).open("write");
  const { ns = "", "backup-type": type, "backup-id": id, "backup-time": time } = params;
  const ownOnly = limitedToOwn(server, auth, datastorePath(store.name, ns), ["Datastore.Verify"], ["Datastore.Backup"]);
  const scope = {
    ns,
    ...(params["max-depth"] === undefined ? {} : { depth: Number(params["max-depth"]) }),
    ignoreVerified: isSet(params["ignore-verified"], true),
    ...(params["outdated-after"] === undefined ? {} : { outdatedAfterDays: Number(params["outdated-after"]) }),
    ...(ownOnly
      ? { wanted: (each: { ns: string; type: string; id: string }) => isOwner(store.tree.owner(each), auth) }
      : {}),
  };
  if (type === undefined || id === undefined) return startVerification(store, scope, auth).upid;
  const group = { ns, type, id };
  if (!store.tree.hasGroup(group)) throw notFound(`group ${type}/${id} not found`);
  if (ownOnly && !isOwner(store.tree.owner(group), auth)) throw forbidden();
  const all = store.tree.snapshots(group);
  const snapshots = time === undefined ? all : all.filter((snapshot) => snapshot.time === Number(time));
  if (snapshots.length === 0) throw notFound("snapshot not found");
  const kind = {
    type: time === undefined ? "verify_group" : "verify_snapshot",
    id: `${store.name}:${type}/${id}${time === undefined ? "" : `/${Number(time).toString(16).toUpperCase()}`}`,
  };
  // Asked for by name, a snapshot is read again even if it was verified.
  return startVerification(store, { snapshots, ignoreVerified: time === undefined && scope.ignoreVerified }, auth, kind)
    .upid;
}

// ---- namespaces

function listNamespaces(call: PbsCall): unknown {
  const store = storeOf(call).open("read");
  const parent = call.params.parent ?? "";
  if (!store.tree.hasNamespace(parent)) throw notFound(`namespace '${parent}' does not exist`);
  const depth = call.params["max-depth"] === undefined ? 7 : Number(call.params["max-depth"]);
  return store.tree
    .namespaces(parent, depth)
    .filter((ns) => hasPrivilege(call.server, call.auth, datastorePath(store.name, ns), ...READERS))
    .map((ns) => ({ ns }));
}

function createNamespace(call: PbsCall): string {
  const store = storeOf(call).open("write");
  const { name = "", parent = "" } = call.params;
  if (!hasPrivilege(call.server, call.auth, datastorePath(store.name, parent), "Datastore.Modify")) throw forbidden();
  const ns = parent === "" ? name : `${parent}/${name}`;
  if (!store.tree.hasNamespace(parent))
    throw refused(`cannot create new namespace, parent ${parent} doesn't already exists`);
  // One that is there already is no error for PBS.
  store.tree.createNamespace(ns);
  return ns;
}

function deleteNamespace(call: PbsCall): unknown {
  const store = storeOf(call).open("write");
  const { ns = "" } = call.params;
  const parent = ns.split("/").slice(0, -1).join("/");
  if (ns === "") throw refused("cannot delete root namespace!");
  if (!hasPrivilege(call.server, call.auth, datastorePath(store.name, parent), "Datastore.Modify")) throw forbidden();
  if (!store.tree.hasNamespace(ns)) throw refused(`cannot delete namespace '${ns}': namespace not found`);
  const snapshots = store.tree.all(ns);
  const isEmpty = snapshots.length === 0;
  if (!isEmpty && !isSet(call.params["delete-groups"]))
    throw refused("cannot remove namespace, it is not empty: only empty namespaces can be removed");
  const kept = snapshots.filter((snapshot) => snapshot.protected);
  for (const snapshot of snapshots) if (!snapshot.protected) store.tree.removeSnapshot(snapshot);
  if (kept.length > 0) throw refused(`group(s) have protected snapshots, namespace '${ns}' only partially removed`);
  store.tree.removeNamespace(ns);
  return isEmpty
    ? null
    : {
        "removed-snapshots": snapshots.length,
        "protected-snapshots": 0,
        "removed-groups": new Set(snapshots.map(({ ns: where, type, id }) => `${where} ${type} ${id}`)).size,
      };
}

/** Datastores as a whole. */
export const datastoreRoutes: PbsRoute[] = [
  pbsRoute("GET", "/admin/datastore", undefined, listDatastores),
  pbsRoute("GET", "/status/datastore-usage", undefined, usages),
  pbsRoute("GET", `${STORE}/status`, "/datastore/{store} Datastore.Audit|Datastore.Backup", status),
  pbsRoute("GET", `${STORE}/gc`, "/datastore/{store} Datastore.Audit", (call) =>
    gcStatus(call.server, storeOf(call).name),
  ),
  pbsRoute(
    "POST",
    `${STORE}/gc`,
    "/datastore/{store} Datastore.Modify",
    (call) => runGarbageCollection(call.server, storeOf(call).name, call.auth).upid,
  ),
  pbsRoute("GET", "/admin/gc", undefined, (call) =>
    call.server
      .datastores()
      .filter((store) => hasPrivilege(call.server, call.auth, `/datastore/${store.name}`, "Datastore.Audit"))
      .filter((store) => call.params.store === undefined || store.name === call.params.store)
      .map((store) => gcStatus(call.server, store.name)),
  ),
  pbsRoute("GET", "/admin/gc/{store}", "/datastore/{store} Datastore.Audit", (call) => [
    gcStatus(call.server, storeOf(call).name),
  ]),
  pbsRoute("POST", `${STORE}/prune-datastore`, undefined, pruneDatastore),
  pbsRoute("POST", `${STORE}/verify`, undefined, verifyDatastore),
  pbsRoute("GET", `${STORE}/namespace`, undefined, listNamespaces),
  pbsRoute("POST", `${STORE}/namespace`, undefined, createNamespace),
  pbsRoute("DELETE", `${STORE}/namespace`, undefined, deleteNamespace),
  pbsRoute(
    "POST",
    `${STORE}/mount`,
    "/datastore/{store} Datastore.Audit",
    (call) => mountDatastore(storeOf(call), call.auth).upid,
  ),
  pbsRoute(
    "POST",
    `${STORE}/unmount`,
    "/datastore/{store} Datastore.Modify",
    (call) => unmountDatastore(storeOf(call), call.auth).upid,
  ),
  pbsRoute("GET", `${STORE}/active-operations`, "/datastore/{store} Datastore.Audit|Datastore.Backup", (call) => {
    const store = storeOf(call);
    return { read: 0, write: store.writers.size + (store.collecting ? 1 : 0) };
  }),
];
