/** Which backups exist, and how replication last ran: what a report needs beyond a snapshot. GET alone. */
import type { BackupCopy, LiveCopies, ReplicationState } from "../../planning/adoption/live-types";
import type { ClusterSnapshot, NodeSnapshot, StorageEntry, UnreadPart } from "../../planning/adoption/snapshot";
import type { PveClient } from "../../providers/pve/client";
import { readable } from "./error";
import type { ReadProgress } from "./read";
import { isOfThisCall, Reader, wordsOf } from "./reader";
import { isRow, number, type Row, text } from "./rows";

export interface CopiesOptions {
  say?: (progress: ReadProgress) => void;
  /** Calls at a time. Default 8. */
  concurrency?: number;
}

/**
 * Calls: one for each storage of backups (of a server's own: one for each server), and one for each server whose replication jobs
 * came without their state.
 *
 * @throws LiveSiteError when nobody answers any more; what a single call could not read stands in `unread`
 */
export async function readCopies(
  pve: PveClient,
  snapshot: ClusterSnapshot,
  options: CopiesOptions = {},
): Promise<LiveCopies> {
  const reader = new Reader(pve, options.concurrency ?? 8);
  try {
    const hidden = await hiddenStorages(reader, snapshot);
    const lists = placesOf(snapshot).filter(({ storage }) => !hidden.some((part) => part.storage === storage));
    const nodes = nodesToAsk(snapshot);
    const total = lists.length + nodes.length;
    let done = 0;
    const step = <T>(what: string, work: Promise<T>) =>
      work.then((answer) => {
        options.say?.({ done: ++done, total, what });
        return answer;
      });
    const [backups, states] = await Promise.all([
      Promise.all(lists.map((place) => step(`the backups on ${place.name}`, listBackups(reader, place)))),
      Promise.all(nodes.map((node) => step(`the replication of ${node}`, readStates(reader, node)))),
    ]);
    return {
      backups: backups.flatMap((each) => each ?? []),
      listed: lists.filter((_, index) => backups[index] !== undefined).map(({ name }) => name),
      replication: states.flat(),
      unread: [...hidden.map(({ what, why }) => ({ what, why })), ...unseen(snapshot), ...reader.unread],
    };
  } catch (error) {
    throw readable(error);
  }
}

/** Where backups may lie, and who is asked. */
interface Place {
  /** `nas`, or `local@pve1`. */
  name: string;
  storage: string;
  /** The server that is asked. */
  node: string;
  shared: boolean;
}

const takesBackups = ({ content, type, disabled }: StorageEntry): boolean =>
  !disabled && (content.includes("backup") || type === "pbs");

const hasActive =
  (storage: string) =>
  ({ online, storages }: NodeSnapshot): boolean =>
    online && storages.some((each) => each.storage === storage && each.active);

/** A shared storage is asked for once, all others of every server that has them. */
function placesOf({ storages, nodes }: ClusterSnapshot): Place[] {
  return storages.filter(takesBackups).flatMap(({ storage, shared, type }) => {
    const seeing = nodes.filter(hasActive(storage));
    const isShared = shared || type === "pbs";
    return (isShared ? seeing.slice(0, 1) : seeing).map(
      ({ name: node }): Place => ({
        name: isShared ? storage : `${storage}@${node}`,
        storage,
        node,
        shared: isShared,
      }),
    );
  });
}

/** Storages whose backups nobody could be asked for. */
function unseen({ storages, nodes }: ClusterSnapshot): UnreadPart[] {
  return storages.filter(takesBackups).flatMap(({ storage, shared, type, nodes: only }) => {
    const meant = nodes.filter(({ name }) => only === undefined || only.includes(name));
    const away = meant.filter((node) => !hasActive(storage)(node)).map(({ name }) => name);
    const isShared = shared || type === "pbs";
    if (away.length === 0 || (isShared && away.length < meant.length)) return [];
    return [
      {
        what: `the backups on ${storage}${isShared ? "" : ` of ${away.join(", ")}`}`,
        why: "it is not active there, or the server is off",
      },
    ];
  });
}

/**
 * Proxmox VE lists a backup only to those who could restore it (PVE::Storage::check_volume_access): to all others the list is
 * empty, which must not be taken for 'there is none'.
 */
async function hiddenStorages(
  reader: Reader,
  { storages }: ClusterSnapshot,
): Promise<(UnreadPart & { storage: string })[]> {
  const answer = await reader.ask("what the token may list", "/access/permissions");
  const granted = (isRow(answer) ? answer : {}) as Record<string, Row | undefined>;
  const may = (privilege: string, ...paths: string[]) => {
    // The most specific path counts: Proxmox VE answers with what holds there.
    const path = paths.find((each) => granted[each] !== undefined);
    return path !== undefined && granted[path]?.[privilege] !== undefined;
  };
  return storages.filter(takesBackups).flatMap(({ storage }) => {
    const paths = [`/storage/${storage}`, "/storage", "/"];
    if (may("Datastore.Allocate", ...paths)) return [];
    const lacks = [
      ...(may("Datastore.AllocateSpace", ...paths) ? [] : [`Datastore.AllocateSpace on /storage/${storage}`]),
      ...(may("VM.Backup", "/vms", "/") ? [] : ["VM.Backup on /vms"]),
    ];
    if (lacks.length === 0) return [];
    return [
      {
        storage,
        what: `the backups on ${storage}`,
        why: `the token lacks ${lacks.join(" and ")}: without them the list is empty`,
      },
    ];
  });
}

/** Undefined: they could not be listed. */
async function listBackups(reader: Reader, { node, storage, name, shared }: Place): Promise<BackupCopy[] | undefined> {
  const rows = await volumesOn(reader, `the backups on ${name}`, `/nodes/${node}/storage/${storage}/content`);
  return rows?.flatMap((row) => {
    const vmid = number(row.vmid);
    const at = number(row.ctime);
    if (vmid === undefined || at === undefined || !isGuestBackup(row)) return [];
    return [{ vmid, storage, ...(!shared && { server: node }), at, broken: isBroken(row) }];
  });
}

async function volumesOn(reader: Reader, what: string, path: string): Promise<Row[] | undefined> {
  try {
    return await reader.rows(path, `list ${what}`, { content: "backup" });
  } catch (error) {
    if (!isOfThisCall(error)) throw error;
    reader.unread.push({ what, why: wordsOf(error) });
    return undefined;
  }
}

/** A Proxmox Backup Server has backups of hosts as well. */
function isGuestBackup({ volid, content }: Row): boolean {
  return (content === undefined || content === "backup") && !/backup\/host\//.test(String(volid));
}

/** A backup on a Proxmox Backup Server that is being made, or whose end never came, has no index yet: its size is 1. */
function isBroken({ volid, size, verification }: Row): boolean {
  const unfinished = /backup\/(vm|ct)\//.test(String(volid)) && (number(size) ?? 0) <= 1;
  return unfinished || (isRow(verification) && verification.state === "failed");
}

/** Servers with replication jobs of which nothing is known beyond their settings. */
function nodesToAsk({ nodes, guests, replicationJobs }: ClusterSnapshot): string[] {
  const bare = replicationJobs.filter(({ lastSync, failCount }) => lastSync === undefined && failCount === undefined);
  const sources = new Set(bare.map(({ guest, source }) => source ?? guests.find(({ vmid }) => vmid === guest)?.node));
  return nodes.filter(({ name, online }) => online && sources.has(name)).map(({ name }) => name);
}

async function readStates(reader: Reader, node: string): Promise<ReplicationState[]> {
  const rows = await reader.list(`how the replication of ${node} last ran`, `/nodes/${node}/replication`);
  return rows.map((row) => {
    const error = text(row.error);
    return {
      id: String(row.id),
      lastSync: number(row.last_sync) ?? 0,
      failCount: number(row.fail_count) ?? 0,
      ...(error !== undefined && { error }),
    };
  });
}
