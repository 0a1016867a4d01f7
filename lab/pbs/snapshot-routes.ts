import { checkOwner, datastorePath, hasPrivilege, isOwner, isToken, limitedToOwn, userOf } from "./access";
import { isSet, PbsBytes, type PbsCall, type PbsRoute, pbsRoute } from "./call";
import type { Datastore } from "./datastore";
import { notFound, PbsError, refused } from "./errors";
import { keepOptions, pruneGroup } from "./prune";
import { type GroupId, groupText, type Snapshot, snapshotText } from "./snapshots";
import { startPbsTask } from "./tasks";

const STORE = "/admin/datastore/{store}";

/** What a call does with groups: the privilege for anybody's, and the one for the caller's own. */
interface Need {
  operation: "read" | "write";
  full: string[];
  own: string[];
}

const LIST: Need = { operation: "read", full: ["Datastore.Audit"], own: ["Datastore.Backup"] };
const CHANGE: Need = { operation: "write", full: ["Datastore.Modify"], own: ["Datastore.Backup"] };
const REMOVE: Need = { operation: "write", full: ["Datastore.Modify"], own: ["Datastore.Prune"] };
const DOWNLOAD: Need = { operation: "read", full: ["Datastore.Read"], own: ["Datastore.Backup"] };

function storeFor(call: PbsCall, need: Need): { store: Datastore; ns: string; ownOnly: boolean } {
  const store = call.server.datastore(call.path.store ?? "");
  const ns = call.params.ns ?? "";
  const ownOnly = limitedToOwn(call.server, call.auth, datastorePath(store.name, ns), need.full, need.own);
  store.open(need.operation);
  if (!store.tree.hasNamespace(ns)) throw refused(`namespace not found: '${ns}'`);
  return { store, ns, ownOnly };
}

function groupFor(call: PbsCall, need: Need): { store: Datastore; group: GroupId } {
  const { store, ns, ownOnly } = storeFor(call, need);
  const group = { ns, type: call.params["backup-type"] ?? "", id: call.params["backup-id"] ?? "" };
  if (!store.tree.hasGroup(group)) throw notFound(`backup group ${groupText(group)} does not exist`);
  if (ownOnly) checkOwner(store.tree.owner(group), call.auth);
  return { store, group };
}

function snapshotFor(call: PbsCall, need: Need): { store: Datastore; snapshot: Snapshot } {
  const { store, group } = groupFor(call, need);
  const snapshot = store.tree.snapshot({ ...group, time: Number(call.params["backup-time"]) });
  if (!snapshot) throw notFound(`snapshot not found`);
  return { store, snapshot };
}

function visibleGroups(call: PbsCall): { store: Datastore; groups: GroupId[] } {
  const { store, ns, ownOnly } = storeFor(call, LIST);
  const { "backup-type": type, "backup-id": id } = call.params;
  const groups = store.tree
    .groups(ns)
    .filter((group) => (type === undefined || group.type === type) && (id === undefined || group.id === id))
    .filter((group) => !ownOnly || isOwner(store.tree.owner(group), call.auth));
  return { store, groups };
}

function listGroups(call: PbsCall): unknown {
  const { store, groups } = visibleGroups(call);
  return groups.flatMap((group) => {
    const all = store.tree.snapshots(group);
    const newest = all.at(-1);
    if (!newest) return [];
    const comment = store.tree.groupNotes(group)?.split("\n")[0];
    return {
      "backup-type": group.type,
      "backup-id": group.id,
      "last-backup": newest.time,
      "backup-count": all.length,
      files: fileNames(newest),
      owner: store.tree.owner(group),
      ...(comment ? { comment } : {}),
    };
  });
}

function fileNames(snapshot: Snapshot): string[] {
  return [...snapshot.files, ...(snapshot.manifest ? ["index.json.blob"] : [])];
}

function listSnapshots(call: PbsCall): unknown {
  const { store, groups } = visibleGroups(call);
  return groups.flatMap((group) =>
    store.tree.snapshots(group).map((snapshot) => showSnapshot(snapshot, store.tree.owner(group))),
  );
}

function showSnapshot(snapshot: Snapshot, owner: string): Record<string, unknown> {
  const base = {
    "backup-type": snapshot.type,
    "backup-id": snapshot.id,
    "backup-time": snapshot.time,
    protected: snapshot.protected,
    owner,
  };
  const { manifest } = snapshot;
  // What is still being written, or never was finished, has neither size nor manifest.
  if (!manifest) return { ...base, files: snapshot.files.map((filename) => ({ filename })) };
  const { notes, verify_state: verification } = manifest.unprotected;
  return {
    ...base,
    files: showFiles(snapshot),
    size: manifest.files.reduce((sum, file) => sum + file.size, 0),
    ...(manifest.fingerprint ? { fingerprint: manifest.fingerprint } : {}),
    ...(notes ? { comment: notes.split("\n")[0] } : {}),
    ...(verification ? { verification } : {}),
  };
}

function showFiles({ manifest }: Snapshot): unknown[] {
  return [
    ...(manifest?.files ?? []),
    {
      filename: "index.json.blob",
      "crypt-mode": manifest?.fingerprint ? "sign-only" : "none",
      size: JSON.stringify(manifest).length,
    },
  ];
}

function deleteSnapshot(call: PbsCall): null {
  const { store, snapshot } = snapshotFor(call, REMOVE);
  if (snapshot.protected) throw refused("cannot remove protected snapshot");
  store.tree.removeSnapshot(snapshot);
  return null;
}

function deleteGroup(call: PbsCall): unknown {
  const { store, group } = groupFor(call, REMOVE);
  const all = store.tree.snapshots(group);
  const kept = all.filter((snapshot) => snapshot.protected);
  for (const snapshot of all) if (!snapshot.protected) store.tree.removeSnapshot(snapshot);
  if (kept.length > 0 && isSet(call.params["error-on-protected"], true))
    throw refused(`group only partially deleted due to ${kept.length} protected snapshots`);
  return {
    "removed-groups": kept.length === 0 ? 1 : 0,
    "removed-snapshots": all.length - kept.length,
    "protected-snapshots": kept.length,
  };
}

function prune(call: PbsCall): unknown {
  const { store, group } = groupFor(call, REMOVE);
  const { params } = call;
  const dryRun = isSet(params["dry-run"]);
  const run = (log?: (line: string) => void) =>
    pruneGroup(store, group, keepOptions(params), dryRun, log).map(({ snapshot, mark }) => ({
      "backup-type": snapshot.type,
      "backup-id": snapshot.id,
      "backup-time": snapshot.time,
      keep: mark !== "remove",
      protected: mark === "protected",
      mark,
      ...(snapshot.ns ? { ns: snapshot.ns } : {}),
    }));
  if (dryRun) return run();
  if (!isSet(params["use-task"])) {
    // The call answers what was done, and a task has its log.
    const lines: string[] = [];
    const decided = run((line) => lines.push(line));
    startPbsTask(call.server, {
      type: "prune",
      id: `${store.name}:${groupText(group)}`,
      auth: call.auth,
      work: (handle) => {
        for (const line of lines) handle.log(line);
      },
    });
    return decided;
  }
  return startPbsTask(call.server, {
    type: "prune",
    id: `${store.name}:${groupText(group)}`,
    auth: call.auth,
    work: (handle) => void run((line) => handle.log(line)),
  }).upid;
}

/** Whoever may modify changes any owner; a user may hand his own groups to his tokens and back. */
function changeOwner(call: PbsCall): null {
  const { store, group } = groupFor(call, CHANGE);
  const next = call.params["new-owner"] ?? "";
  const present = store.tree.owner(group);
  const [user = "", token] = next.split("!");
  const found = call.server.state.users[user];
  if (!found || (token !== undefined && !found.tokens[token]))
    throw refused(isToken(next) ? `API token '${next}' is invalid or deactivated` : `user '${next}' is not active`);
  const free = hasPrivilege(call.server, call.auth, datastorePath(store.name, group.ns), "Datastore.Modify");
  if (!free && !(userOf(present) === userOf(next) && userOf(next) === userOf(call.auth) && !isToken(call.auth)))
    throw new PbsError(
      403,
      `${call.auth} does not have permission to change owner of backup group '${groupText(group)}' to '${next}'`,
    );
  store.tree.setOwner(group, next);
  return null;
}

function downloadFile(call: PbsCall, decoded: boolean): PbsBytes {
  const { store, snapshot } = snapshotFor(call, DOWNLOAD);
  const name = call.params["file-name"] ?? "";
  if (!snapshot.files.includes(name))
    throw notFound(`file '${name}' not found in snapshot '${snapshotText(snapshot)}'`);
  if (!decoded || name.endsWith(".blob")) return new PbsBytes(store.tree.fileBytes(snapshot, name));
  const file = snapshot.manifest?.files.find(({ filename }) => filename === name);
  if (file?.["crypt-mode"] === "encrypt") throw refused(`cannot decode '${name}' - is encrypted`);
  const { digests } = store.tree.index(snapshot, name);
  return new PbsBytes(Buffer.concat(digests.map((digest) => store.chunks.read(digest, true))));
}

/** What lies in a datastore: groups and snapshots. */
export const snapshotRoutes: PbsRoute[] = [
  pbsRoute("GET", `${STORE}/groups`, undefined, listGroups),
  pbsRoute("DELETE", `${STORE}/groups`, undefined, deleteGroup),
  pbsRoute("GET", `${STORE}/snapshots`, undefined, listSnapshots),
  pbsRoute("DELETE", `${STORE}/snapshots`, undefined, deleteSnapshot),
  pbsRoute("GET", `${STORE}/files`, undefined, (call) =>
    showFiles(snapshotFor(call, { ...LIST, full: ["Datastore.Audit", "Datastore.Read"] }).snapshot),
  ),
  pbsRoute("POST", `${STORE}/prune`, undefined, prune),
  pbsRoute("POST", `${STORE}/change-owner`, undefined, changeOwner),
  pbsRoute(
    "GET",
    `${STORE}/notes`,
    undefined,
    (call) => snapshotFor(call, LIST).snapshot.manifest?.unprotected.notes ?? "",
  ),
  pbsRoute("PUT", `${STORE}/notes`, undefined, (call) => {
    const { store, snapshot } = snapshotFor(call, CHANGE);
    store.tree.changeUnprotected(snapshot, { notes: call.params.notes ?? "" });
    return null;
  }),
  pbsRoute("GET", `${STORE}/group-notes`, undefined, (call) => {
    const { store, group } = groupFor(call, LIST);
    return store.tree.groupNotes(group) ?? "";
  }),
  pbsRoute("PUT", `${STORE}/group-notes`, undefined, (call) => {
    const { store, group } = groupFor(call, CHANGE);
    store.tree.setGroupNotes(group, call.params.notes ?? "");
    return null;
  }),
  pbsRoute("GET", `${STORE}/protected`, undefined, (call) => snapshotFor(call, LIST).snapshot.protected),
  pbsRoute("PUT", `${STORE}/protected`, undefined, (call) => {
    const { store, snapshot } = snapshotFor(call, CHANGE);
    store.tree.setProtected(snapshot, isSet(call.params.protected));
    return null;
  }),
  pbsRoute("GET", `${STORE}/download`, undefined, (call) => downloadFile(call, false)),
  pbsRoute("GET", `${STORE}/download-decoded`, undefined, (call) => downloadFile(call, true)),
];
