import { anyOf, type Call, flag, list, perm, type Route, route } from "./call";
import { type Domain, digestOf } from "./domain";
import { badParameters, fail } from "./errors";
import { activatePbs, connectFrom, dropStorageSecret, isPbs, takeSecrets } from "./pbs-storage";
import { exportsOf, isMissingExport } from "./places";
import { hasPrivilege } from "./privileges";
import type { StorageEntry } from "./state";

const FILE = "file-storage_cfg";
const NUMBERS = new Set([
  "shared",
  "disable",
  "create-base-path",
  "create-subdirs",
  "mkdir",
  "sparse",
  "maxfiles",
  "port",
]);
const DEFAULT_CONTENT: Record<string, string> = {
  dir: "backup,images,iso,rootdir,snippets,vztmpl",
  nfs: "images",
  cifs: "images",
  zfspool: "images,rootdir",
  lvmthin: "images,rootdir",
  pbs: "backup",
};
const POSSIBLE_CONTENT: Record<string, string[]> = {
  dir: ["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "none", "import"],
  nfs: ["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import"],
  cifs: ["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import"],
  zfspool: ["images", "rootdir"],
  lvmthin: ["images", "rootdir"],
  pbs: ["backup", "none"],
};

/** A storage entry as the API answers it. */
function show(entry: StorageEntry): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(entry)) shown[key] = NUMBERS.has(key) ? Number(value) : value;
  shown.digest = digestOf(entry);
  return shown;
}

function checkContent(type: string, content: string): string {
  const parts = list(content);
  for (const part of parts)
    if (!(POSSIBLE_CONTENT[type] ?? []).includes(part))
      throw badParameters({ content: `invalid format - storage does not support content type '${part}'\n` });
  return parts.sort().join(",");
}

const REQUIRED: Record<string, string[]> = {
  dir: ["path"],
  nfs: ["server", "export"],
  cifs: ["server", "share"],
  zfspool: ["pool"],
  lvmthin: ["vgname", "thinpool"],
  pbs: ["server", "datastore"],
};

async function create(call: Call): Promise<Record<string, unknown>> {
  const { domain, params } = call;
  const { storage: id = "", type = "", password: _password, "encryption-key": _key, username, ...values } = params;
  if (!REQUIRED[type])
    throw badParameters({
      type: `value '${type}' is no storage type of this lab (${Object.keys(REQUIRED).join(", ")})`,
    });
  await domain.requireClusterFile(call.node, FILE);
  if (domain.state.storages[id]) throw fail(`create storage failed: storage ID '${id}' already defined`);
  for (const key of REQUIRED[type]!)
    if (values[key] === undefined) throw badParameters({ [key]: "property is missing and it is not optional" });
  const nodes = list(values.nodes);
  for (const node of nodes)
    if (!domain.state.nodes[node]) throw badParameters({ nodes: `invalid format - no such node '${node}'\n` });
  const entry: StorageEntry = {
    ...values,
    ...(username ? { username } : {}),
    storage: id,
    type,
    content: values.content !== undefined ? checkContent(type, values.content) : DEFAULT_CONTENT[type]!,
  };
  if (nodes.length > 0) entry.nodes = nodes.join(",");
  if (entry.disable === "0") delete entry.disable;
  if (type === "nfs" || type === "cifs") entry.path ??= `/mnt/pve/${id}`;
  const here = nodes.length === 0 || nodes.includes(call.node);
  if (here && entry.disable !== "1" && isMissingExport(call.world.topology, entry)) {
    await call.world.clock.sleep(1);
    throw fail(`create storage failed: storage '${id}' is not online`);
  }
  if (here && type === "zfspool" && domain.usage(entry, call.node).total === 0)
    throw fail(
      `create storage failed: could not activate storage '${id}', zfs error: cannot open '${entry.pool}': no such pool`,
    );
  const secrets = isPbs(entry) ? await attachPbs(call, entry, here) : undefined;
  domain.state.storages[id] = entry;
  return { storage: id, type, ...(secrets && Object.keys(secrets).length > 0 ? { config: secrets } : {}) };
}

/** Keeps password and key, and looks whether the server takes them: a storage that cannot be activated is not made. */
async function attachPbs(call: Call, entry: StorageEntry, here: boolean): Promise<Record<string, string>> {
  const { domain } = call;
  try {
    const secrets = takeSecrets(domain, entry, call.params);
    if (here && entry.disable !== "1") activatePbs(domain, call.node, entry);
    return secrets;
  } catch (error) {
    dropStorageSecret(domain, entry.storage);
    await call.world.clock.sleep(1);
    throw fail(`create storage failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function update(call: Call): Promise<Record<string, unknown>> {
  const { domain, params } = call;
  const id = call.path.storage!;
  await domain.requireClusterFile(call.node, FILE);
  const entry = domain.state.storages[id];
  if (!entry) throw fail(`update storage failed: storage '${id}' does not exist`);
  if (params.digest && params.digest !== digestOf(entry))
    throw fail("update storage failed: detected modified configuration - file changed by other user? Try again.");
  for (const key of list(params.delete)) delete entry[key];
  const { delete: _delete, digest: _digest, storage: _storage, password: _password, ...rest } = params;
  const { "encryption-key": _key, ...values } = rest;
  const secrets = isPbs(entry) ? changeSecrets(domain, entry, params) : {};
  for (const key of ["path", "pool", "server", "export", "share", "vgname", "thinpool", "datastore"])
    if (values[key] !== undefined && values[key] !== entry[key])
      throw fail(`update storage failed: can't change value of fixed parameter '${key}'`);
  if (values.content !== undefined) values.content = checkContent(entry.type, values.content);
  if (values.nodes !== undefined) values.nodes = list(values.nodes).join(",");
  Object.assign(entry, values);
  for (const key of ["disable", "nodes"]) if (entry[key] === "0" || entry[key] === "") delete entry[key];
  return { storage: id, type: entry.type, ...(Object.keys(secrets).length > 0 ? { config: secrets } : {}) };
}

function changeSecrets(domain: Domain, entry: StorageEntry, params: Record<string, string>): Record<string, string> {
  try {
    return takeSecrets(domain, entry, params, list(params.delete));
  } catch (error) {
    throw fail(`update storage failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function remove(call: Call): Promise<null> {
  const { domain } = call;
  const id = call.path.storage!;
  await domain.requireClusterFile(call.node, FILE);
  if (!domain.state.storages[id]) throw fail(`delete storage failed: storage '${id}' does not exist`);
  delete domain.state.storages[id];
  dropStorageSecret(domain, id);
  for (const pool of Object.values(domain.state.pools)) pool.storages = pool.storages.filter((other) => other !== id);
  return null;
}

/** A storage's state on a node, as `/nodes/{node}/storage` lists it. */
function listed(domain: Domain, entry: StorageEntry, node: string): Record<string, unknown> {
  const active = domain.active(entry, node);
  const usage = active ? domain.usage(entry, node) : { total: 0, used: 0, avail: 0 };
  return {
    storage: entry.storage,
    type: entry.type,
    content: entry.content,
    active: active ? 1 : 0,
    enabled: entry.disable === "1" ? 0 : 1,
    shared: domain.isShared(entry) ? 1 : 0,
    ...usage,
    ...(active && usage.total > 0 ? { used_fraction: usage.used / usage.total } : {}),
  };
}

function listOnNode(call: Call): Record<string, unknown>[] {
  const { domain, node, params, identity } = call;
  const wanted = list(params.content);
  return Object.values(domain.state.storages)
    .filter((entry) => domain.onNode(entry, node))
    .filter((entry) => !params.storage || entry.storage === params.storage)
    .filter((entry) => !flag(params.enabled) || entry.disable !== "1")
    .filter((entry) => wanted.length === 0 || wanted.some((type) => entry.content.split(",").includes(type)))
    .filter((entry) => hasPrivilege(domain, identity, `/storage/${entry.storage}`, "Datastore.Audit"))
    .map((entry) => listed(domain, entry, node));
}

function status(call: Call): Record<string, unknown> {
  const { domain, node } = call;
  const id = call.path.storage!;
  const entry = domain.state.storages[id];
  if (!entry) throw fail(`storage '${id}' does not exist`);
  if (!domain.onNode(entry, node)) throw fail(`storage '${id}' is not available on node '${node}'`);
  const { storage: _storage, used_fraction: _fraction, ...rest } = listed(domain, entry, node);
  return rest;
}

const AUDIT = anyOf("/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace");
const ALLOCATE = perm("/storage/{storage}", "Datastore.Allocate");

/** Storage configuration, and each storage as a node sees it. */
export const storageRoutes: Route[] = [
  route("GET", "/storage", undefined, (call) =>
    Object.values(call.domain.state.storages)
      .filter((entry) => !call.params.type || entry.type === call.params.type)
      .map(show),
  ),
  route("POST", "/storage", perm("/storage", "Datastore.Allocate"), create),
  route("GET", "/storage/{storage}", ALLOCATE, (call) => {
    const entry = call.domain.state.storages[call.path.storage!];
    if (!entry) throw fail(`storage '${call.path.storage}' does not exist`);
    return show(entry);
  }),
  route("PUT", "/storage/{storage}", perm("/storage", "Datastore.Allocate"), update),
  route("DELETE", "/storage/{storage}", perm("/storage", "Datastore.Allocate"), remove),
  route("GET", "/nodes/{node}/storage", undefined, listOnNode),
  route("GET", "/nodes/{node}/storage/{storage}", AUDIT, () =>
    ["content", "status", "upload", "download-url", "prunebackups", "file-restore"].map((subdir) => ({ subdir })),
  ),
  route("GET", "/nodes/{node}/storage/{storage}/status", AUDIT, status),
  route("GET", "/nodes/{node}/scan/nfs", perm("/storage", "Datastore.Allocate"), (call) =>
    exportsOf(call.world.topology, call.params.server ?? "").map((entry) => ({ path: entry.path, options: "*" })),
  ),
  route("GET", "/nodes/{node}/scan/pbs", perm("/storage", "Datastore.Allocate"), (call) => {
    const { server = "", username = "", password = "", fingerprint, port } = call.params;
    try {
      return connectFrom(call.domain, call.node, {
        host: server,
        auth: username,
        secret: password,
        ...(fingerprint ? { fingerprint } : {}),
        ...(port ? { port: Number(port) } : {}),
      })
        .datastores()
        .map((store) => ({ store: store.name, ...(store.section.comment ? { comment: store.section.comment } : {}) }));
    } catch (error) {
      throw fail(`error fetching datastores - ${error instanceof Error ? error.message : String(error)}`);
    }
  }),
  route("GET", "/nodes/{node}/scan/zfs", perm("/storage", "Datastore.Allocate"), (call) =>
    call.domain
      .hardware(call.node)
      .storages.filter((storage) => storage.type === "zfspool")
      .map((storage) => ({ pool: storage.pool ?? storage.id })),
  ),
];
