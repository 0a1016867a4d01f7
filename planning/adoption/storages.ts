/** Storages of a cluster: local ones of each server, shared ones once, Proxmox Backup Servers as targets. */
import type { z } from "zod";
import { pbsTarget } from "../backup/schema";
import { localStorage, type sharedStorage, sharedStorage as sharedStorageSchema } from "../schema";
import { list } from "../units";
import type { LeftAsItIs } from "./interpretation";
import { uniqueNames } from "./names";
import type { ServerInput } from "./servers";
import type { ClusterSnapshot, NodeStorage, StorageEntry } from "./snapshot";
import { floorGiB } from "./words";

type LocalInput = z.input<typeof localStorage>;
type SharedInput = z.input<typeof sharedStorage>;
export type PbsInput = z.input<typeof pbsTarget>;
type Content = LocalInput["content"][number];

/** What a storage of a given id is in the specification; absent from the map: it is not said, and `left` says why. */
export type SaidStorage =
  | { kind: "local"; type: string; servers: Set<string>; content: readonly string[] }
  | { kind: "shared"; servers: Set<string>; content: readonly string[] }
  | { kind: "pbs"; target: string };

export interface InterpretedStorages {
  /** By server and storage. */
  local: Record<string, Record<string, LocalInput>>;
  shared: Record<string, SharedInput>;
  targets: Record<string, PbsInput>;
  said: Map<string, SaidStorage>;
  /** Servers that run a Proxmox Backup Server beside their guests. */
  backupServers: Set<string>;
  left: LeftAsItIs[];
}

const LOCAL = localStorage.shape.type.options as readonly string[];
const SHARED = sharedStorageSchema.shape.type.options as readonly string[];
/** Proxmox VE treats these as shared whatever their entry says. */
const ALWAYS_SHARED = ["nfs", "cifs", "rbd", "cephfs", "iscsi", "iscsidirect", "zfs", "glusterfs"];
const CONTENTS = localStorage.shape.content.element.options as readonly string[];

/** @param servers Servers of the specification, by name. */
export function interpretStorages(
  snapshot: ClusterSnapshot,
  servers: Readonly<Record<string, ServerInput>>,
): InterpretedStorages {
  const result: InterpretedStorages = {
    local: {},
    shared: {},
    targets: {},
    said: new Map(),
    backupServers: new Set(),
    left: [],
  };
  const sizes = sizesOf(snapshot, servers);
  const targetNames = uniqueNames(
    snapshot.storages.map(({ storage }) => ({ id: storage, title: storage, fallback: "storage" })),
  );
  for (const entry of snapshot.storages) {
    const problem = takeStorage(result, { entry, sizes, servers, targetName: targetNames.get(entry.storage) ?? "" });
    if (problem !== undefined) result.left.push({ subject: `storage ${entry.storage}`, what: problem });
  }
  return result;
}

interface Sized {
  server: string;
  size: NodeStorage;
}

/** What the servers of the specification say about each storage. */
function sizesOf(snapshot: ClusterSnapshot, servers: Readonly<Record<string, ServerInput>>): Map<string, Sized[]> {
  const sizes = new Map<string, Sized[]>();
  for (const { name, storages } of snapshot.nodes) {
    if (!Object.hasOwn(servers, name)) continue;
    for (const size of storages) sizes.set(size.storage, [...(sizes.get(size.storage) ?? []), { server: name, size }]);
  }
  return sizes;
}

interface Storage {
  entry: StorageEntry;
  sizes: ReadonlyMap<string, readonly Sized[]>;
  servers: Readonly<Record<string, ServerInput>>;
  targetName: string;
}

/** Adds a storage to the result. @returns What is not said of it, if anything. */
function takeStorage(result: InterpretedStorages, storage: Storage): string | undefined {
  const { entry, sizes } = storage;
  if (entry.disabled) return "it is disabled: it stays as it is, and nothing is planned with it";
  const known = (sizes.get(entry.storage) ?? []).filter(({ size }) => size.active && floorGiB(size.total) > 0);
  if (entry.type === "pbs") return takePbs(result, storage, known);
  const content = contentOf(entry);
  if (content.length === 0)
    return `it takes ${list(entry.content) || "nothing"}, which a specification has no word for: it stays as it is`;
  const shared = entry.shared || ALWAYS_SHARED.includes(entry.type);
  if (!shared && !LOCAL.includes(entry.type))
    return `local storages of type ${entry.type} have no word: it stays as it is, and nothing is planned with it`;
  if (known.length === 0)
    return "no server that answered has it active, so its size is not known: nothing is planned with it; import again when it is there";
  return shared ? takeShared(result, storage, known, content) : takeLocal(result, storage, known, content);
}

function takeLocal(
  result: InterpretedStorages,
  { entry, sizes }: Storage,
  known: readonly Sized[],
  content: Content[],
): string | undefined {
  const { options } = entry;
  const group = options.vgname;
  const pool = options.pool ?? (group && [group, options.thinpool].filter(Boolean).join("/"));
  for (const { server, size } of known) {
    const own: LocalInput = {
      type: entry.type as LocalInput["type"],
      sizeGiB: floorGiB(size.total),
      content,
      ...(pool && { pool }),
      ...(options.path && { path: options.path }),
    };
    result.local[server] = { ...result.local[server], [entry.storage]: own };
  }
  const servers = new Set(known.map(({ server }) => server));
  result.said.set(entry.storage, { kind: "local", type: entry.type, servers, content });
  return inactiveOn(sizes.get(entry.storage) ?? [], servers);
}

function inactiveOn(all: readonly Sized[], active: ReadonlySet<string>): string | undefined {
  const others = all.map(({ server }) => server).filter((server) => !active.has(server));
  return others.length === 0
    ? undefined
    : `it is not active on ${list(others)}: there its size is not known, and nothing is planned with it`;
}

function takeShared(
  result: InterpretedStorages,
  { entry, servers }: Storage,
  known: readonly Sized[],
  content: Content[],
): string | undefined {
  const { options, nodes } = entry;
  const type = (SHARED.includes(entry.type) ? entry.type : "other") as SharedInput["type"];
  const from = options.server ?? options.portal;
  const exported = options.export ?? options.share;
  if ((type === "nfs" || type === "cifs") && (from === undefined || exported === undefined))
    return "where it is exported from could not be read: nothing is planned with it";
  const mountedBy = (nodes ?? Object.keys(servers)).filter((name) => servers[name]?.roles.includes("hypervisor"));
  if (mountedBy.length === 0) return "no server of the plan mounts it: nothing is planned with it";
  result.shared[entry.storage] = {
    type,
    ...(from !== undefined && { server: serverAt(servers, from) ?? from }),
    ...(exported !== undefined && { export: exported }),
    sizeGiB: Math.max(...known.map(({ size }) => floorGiB(size.total))),
    content,
    ...(nodes && { mountedBy }),
    managed: false,
  };
  result.said.set(entry.storage, { kind: "shared", servers: new Set(mountedBy), content });
  return undefined;
}

/** Copies on a Proxmox Backup Server; the storage entry on the hypervisors is there already. */
function takePbs(
  result: InterpretedStorages,
  { entry, servers, targetName }: Storage,
  known: readonly Sized[],
): string | undefined {
  const { options } = entry;
  const on = serverAt(servers, options.server ?? "");
  const total = Math.max(0, ...known.map(({ size }) => floorGiB(size.total)));
  const port = Number(options.port ?? 8007);
  const target: PbsInput = {
    kind: "pbs",
    ...(on === undefined ? { host: options.server ?? "" } : { on }),
    ...(port !== 8007 && { port }),
    datastore: options.datastore ?? "",
    ...(options.namespace && { namespace: options.namespace }),
    ...(options.fingerprint && { fingerprint: options.fingerprint }),
    ...(total > 0 && { sizeGiB: total }),
    ...(options["encryption-key"] && { encryption: "client" }),
    ...(options.username && { username: options.username }),
    managed: false,
    storage: entry.storage,
  };
  const parsed = pbsTarget.safeParse(target);
  if (!parsed.success)
    return `${parsed.error.issues[0]?.path.join(".")} ${parsed.error.issues[0]?.message}: it stays as it is, and no copies on it are planned with`;
  result.targets[targetName] = target;
  result.said.set(entry.storage, { kind: "pbs", target: targetName });
  if (on !== undefined) result.backupServers.add(on);
  return total > 0 ? undefined : "how large its datastore is could not be read: add sizeGiB to the target";
}

/** The server of the site that an address or a name belongs to. */
function serverAt(servers: Readonly<Record<string, ServerInput>>, host: string): string | undefined {
  const short = host.toLowerCase().split(".")[0];
  const found = Object.entries(servers).find(
    ([name, { address, address6 }]) =>
      host === address || host === address6 || (name.toLowerCase() === short && !/^\d/.test(host)),
  );
  return found?.[0];
}

/** Content that has a word; `none` and what newer releases add has none. */
function contentOf({ content }: StorageEntry): Content[] {
  return CONTENTS.filter((each) => content.includes(each)) as Content[];
}
