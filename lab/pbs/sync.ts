import { datastorePath, hasPrivilege, isOwner } from "./access";
import type { BackupServer } from "./backup-server";
import { ConnectError, connect } from "./connect";
import type { Datastore } from "./datastore";
import { messageOf } from "./errors";
import { type GroupId, groupText, type Snapshot, type SnapshotId, snapshotText } from "./snapshots";
import type { PbsTaskHandle } from "./tasks";
import type { Section } from "./types";

const SYNC_RATE = 120 * 1024 * 1024;

interface Source {
  server: BackupServer;
  store: Datastore;
  /** As whom the source is read. */
  auth: string;
}

interface Pull {
  from: Source;
  to: Datastore;
  /** Owner that new groups get. */
  owner: string;
  options: Section;
  /** Bytes per second of the way between the two. */
  rate: () => number;
  handle: PbsTaskHandle;
}

/** What a sync job brings from another datastore: the job of PBS, which pulls. @throws Error when something did not come */
export async function pull(server: BackupServer, job: Section, handle: PbsTaskHandle): Promise<void> {
  const to = server.datastore(job.store ?? "").open("write");
  const from = openSource(server, job);
  handle.log(`Starting datastore sync job '${handle.task.id}'`);
  handle.log(`sync datastore '${job.store}' from '${job.remote ?? "local"}/${job["remote-store"]}'`);
  const work: Pull = {
    from,
    to,
    owner: job.owner ?? "root@pam",
    options: job,
    rate: () =>
      from.server === server ? SYNC_RATE : Math.min(SYNC_RATE, server.rateTo(from.server.name), limitOf(job)),
    handle,
  };
  let failures = 0;
  const remoteNs = job["remote-ns"] ?? "";
  const localNs = job.ns ?? "";
  const depth = job["max-depth"] === undefined ? 7 : Number(job["max-depth"]);
  for (const ns of from.store.tree.namespaces(remoteNs, depth)) {
    const target = [localNs, ns.slice(remoteNs.length).replace(/^\//, "")].filter((part) => part !== "").join("/");
    if (!to.tree.hasNamespace(target)) to.tree.createNamespace(target);
    failures += await pullNamespace(work, ns, target);
  }
  if (failures > 0) throw new Error("sync failed with some errors.");
}

/** `rate-in` of a job in bytes per second. */
function limitOf(job: Section): number {
  const [, number = "", unit = ""] = /^([\d.]+)\s*([KMGT]?i?)B?$/i.exec(job["rate-in"] ?? "") ?? [];
  if (number === "") return Number.POSITIVE_INFINITY;
  const power = "KMGT".indexOf(unit.charAt(0).toUpperCase()) + 1;
  return Number(number) * (unit.length === 2 ? 1024 : 1000) ** (unit === "" ? 0 : power);
}

function openSource(server: BackupServer, job: Section): Source {
  const name = job["remote-store"] ?? "";
  if (job.remote === undefined) {
    const store = server.datastore(name).open("read");
    return { server, store, auth: job.owner ?? "root@pam" };
  }
  const remote = server.state.remotes[job.remote];
  if (!remote) throw new Error(`remote '${job.remote}' does not exist`);
  const auth = remote["auth-id"] ?? "";
  const source = connectRemote(server, remote);
  const store = source.datastore(name).open("read");
  const path = datastorePath(name, job["remote-ns"]);
  if (!hasPrivilege(source, auth, path, "Datastore.Audit", "Datastore.Read", "Datastore.Backup"))
    throw new Error("permission check failed");
  return { server: source, store, auth };
}

/** Logs into the server of a remote. @throws Error with PBS's words */
export function connectRemote(server: BackupServer, remote: Section): BackupServer {
  try {
    return connect(server.world, server.name, {
      host: remote.host ?? "",
      ...(remote.port ? { port: Number(remote.port) } : {}),
      ...(remote.fingerprint ? { fingerprint: remote.fingerprint } : {}),
      auth: remote["auth-id"] ?? "",
      secret: remote.password ?? "",
    });
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    if (error.kind === "credentials")
      throw new Error(`remote connection to '${remote.host}' failed - authentication failed`);
    const why =
      error.kind === "fingerprint"
        ? "certificate validation failed - Certificate fingerprint was not confirmed."
        : "client error (Connect)";
    throw new Error(`remote connection to '${remote.host}' failed - ${why}`);
  }
}

/** @returns how many groups did not come whole */
async function pullNamespace(work: Pull, ns: string, target: string): Promise<number> {
  const { from, to, options, handle } = work;
  const path = datastorePath(from.store.name, ns);
  const readsAll = hasPrivilege(from.server, from.auth, path, "Datastore.Read");
  const groups = from.store.tree
    .groups(ns)
    .filter((group) => readsAll || isOwner(from.store.tree.owner(group), from.auth))
    .filter((group) => passes(group, options["group-filter"]));
  handle.log(`found ${groups.length} groups to sync`);
  let failures = 0;
  for (const group of groups) {
    try {
      await pullGroup(work, group, { ...group, ns: target });
    } catch (error) {
      if (handle.task.exitstatus !== undefined) throw error;
      handle.log(`sync group ${groupText(group)} failed - ${messageOf(error)}`);
      failures++;
    }
  }
  if (options["remove-vanished"] === "1") {
    for (const group of to.tree.groups(target)) {
      if (groups.some((other) => groupText(other) === groupText(group))) continue;
      if (to.tree.owner(group) !== work.owner || !passes(group, options["group-filter"])) continue;
      handle.log(`delete vanished group '${groupText(group)}'`);
      removeGroup(to, group, handle);
    }
  }
  return failures;
}

function removeGroup(store: Datastore, group: GroupId, handle: PbsTaskHandle): void {
  for (const snapshot of store.tree.snapshots(group)) {
    if (snapshot.protected) handle.log(`kept protected snapshot '${snapshotText(snapshot)}'`);
    else store.tree.removeSnapshot(snapshot);
  }
}

/** `group-filter`: `[include:|exclude:](type:vm|group:vm/100|regex:…)`, several parted by NUL. */
export function passes(group: GroupId, filters: string | undefined): boolean {
  if (!filters) return true;
  const parsed = filters.split("\0").map((text) => {
    const [, kind = "include", what = "", value = ""] =
      /^(?:(include|exclude):)?(type|group|regex):(.*)$/.exec(text) ?? [];
    const name = groupText(group);
    const hits =
      what === "type" ? group.type === value : what === "group" ? name === value : new RegExp(value).test(name);
    return { excludes: kind === "exclude", hits };
  });
  const including = parsed.filter(({ excludes }) => !excludes);
  const isIncluded = including.length === 0 || including.some(({ hits }) => hits);
  return isIncluded && !parsed.some(({ excludes, hits }) => excludes && hits);
}

async function pullGroup(work: Pull, group: GroupId, target: GroupId): Promise<void> {
  const { from, to, options, owner, handle } = work;
  if (to.tree.hasGroup(target)) {
    const present = to.tree.owner(target);
    if (present !== owner) throw new Error(`owner check failed (${owner} != ${present})`);
  } else to.tree.setOwner(target, owner);
  const remote = from.store.tree.snapshots(group).filter((snapshot) => snapshot.manifest);
  const local = to.tree.snapshots(target);
  const newest = local.filter((snapshot) => snapshot.manifest).at(-1)?.time ?? 0;
  const first =
    options["transfer-last"] === undefined ? 0 : Math.max(0, remote.length - Number(options["transfer-last"]));
  let failed: unknown;
  for (const [position, snapshot] of remote.entries()) {
    const mine = local.find(({ time }) => time === snapshot.time);
    const isCorrupt = mine?.manifest?.unprotected.verify_state?.state === "failed";
    const again = options["resync-corrupt"] === "1" && isCorrupt;
    if (!again && (snapshot.time <= newest || position < first || !wanted(snapshot, options))) continue;
    try {
      await pullSnapshot(work, snapshot, { ...target, time: snapshot.time });
    } catch (error) {
      if (handle.task.exitstatus !== undefined) throw error;
      handle.log(`sync snapshot ${snapshotText(snapshot)} failed - ${messageOf(error)}`);
      failed = error;
      break;
    }
  }
  if (options["remove-vanished"] === "1") removeVanished(work, target, remote);
  if (to.tree.snapshots(target).length === 0) to.tree.removeGroup(target);
  if (failed !== undefined) throw failed;
}

function wanted(snapshot: Snapshot, options: Section): boolean {
  const { manifest } = snapshot;
  if (options["encrypted-only"] === "1" && !manifest?.fingerprint) return false;
  return options["verified-only"] !== "1" || manifest?.unprotected.verify_state?.state === "ok";
}

function removeVanished({ to, handle }: Pull, target: GroupId, remote: Snapshot[]): void {
  for (const snapshot of to.tree.snapshots(target)) {
    if (remote.some(({ time }) => time === snapshot.time)) continue;
    if (snapshot.protected) {
      handle.log(`don't delete vanished snapshot ${snapshotText(snapshot)} (protected)`);
      continue;
    }
    handle.log(`delete vanished snapshot ${snapshotText(snapshot)}`);
    to.tree.removeSnapshot(snapshot);
  }
}

async function pullSnapshot(work: Pull, snapshot: Snapshot, id: SnapshotId): Promise<void> {
  const { from, to, handle } = work;
  handle.log(`sync snapshot ${snapshotText(snapshot)}`);
  const began = to.server.world.clock.now();
  const isNew = to.tree.snapshot(id) === undefined;
  to.writers.add(began);
  try {
    to.tree.createSnapshot(id);
    for (const filename of snapshot.files) {
      if (filename.endsWith(".blob")) to.tree.writeFile(id, filename, from.store.tree.fileBytes(snapshot, filename));
      else await pullIndex(work, snapshot, id, filename);
    }
    // The manifest comes as it is, the state of the source's verification with it: nobody has checked the copy yet.
    to.tree.writeManifest(id, snapshot.manifest!);
  } catch (error) {
    // A server without power cleans nothing up.
    if (isNew && handle.task.exitstatus === undefined && to.tree.snapshot(id)) to.tree.removeSnapshot(id);
    throw error;
  } finally {
    to.writers.delete(began);
  }
}

async function pullIndex(work: Pull, snapshot: Snapshot, id: SnapshotId, filename: string): Promise<void> {
  const { from, to, handle } = work;
  const index = from.store.tree.index(snapshot, filename);
  to.tree.writeIndex(id, filename, index);
  const isPlain = snapshot.manifest?.fingerprint === undefined;
  for (const digest of new Set(index.digests)) {
    const now = () => to.server.world.clock.now();
    if (to.chunks.touch(digest, now())) continue;
    const data = from.store.chunks.read(digest, isPlain);
    const weight = from.store.chunks.weightOf(digest);
    to.requireSpace(weight);
    await handle.takes(weight / work.rate());
    if (!from.server.reachableFrom(to.server.name)) throw new Error("connection reset");
    to.chunks.put(digest, data, weight, now());
  }
}
