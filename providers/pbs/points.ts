/** The copies in a datastore and what becomes of them: read, verify, protect, and what a prune would remove. For commands. */
import type { PbsClient } from "./client";
import type { PbsTaskOptions } from "./tasks";

/** Where backups of one guest or host lie. */
export interface PbsGroup {
  store: string;
  /** Empty: the root. */
  ns: string;
  type: "vm" | "ct" | "host";
  /** Guest id, or a name. */
  id: string;
}

/** One backup that can be restored. */
export interface PbsPoint extends PbsGroup {
  /** Epoch seconds. */
  time: number;
  /** Sum of its archives, before deduplication. Absent while it is being written. */
  sizeBytes?: number;
  verified: "ok" | "failed" | "none";
  /** Epoch seconds of that verification. */
  verifiedAt?: number;
  protected: boolean;
  owner?: string;
  encrypted: boolean;
  comment?: string;
}

/** How full a datastore is. */
export interface PbsUsage {
  store: string;
  totalBytes: number;
  usedBytes: number;
  availableBytes: number;
  /** Epoch seconds at which it is full if it goes on as in the last month. Absent: not foreseeable. */
  fullAt?: number;
  /** false: a removable datastore whose medium is not there. */
  isMounted: boolean;
  /** Why it cannot be read. */
  error?: string;
}

/** Retention as Proxmox Backup Server has it. */
export interface PbsKeep {
  last?: number;
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
}

interface FileRow {
  filename: string;
  "crypt-mode"?: "none" | "encrypt" | "sign-only";
}

interface SnapshotRow {
  "backup-type": PbsGroup["type"];
  "backup-id": string;
  "backup-time": number;
  files?: (string | FileRow)[];
  fingerprint?: string;
  owner?: string;
  protected?: boolean | number;
  size?: number;
  comment?: string;
  verification?: { state: string; upid: string };
}

interface UsageRow {
  store: string;
  total?: number;
  used?: number;
  avail?: number;
  "estimated-full-date"?: number;
  "mount-status"?: string;
  error?: string;
}

/** Which backups to list. */
export interface PointsQuery {
  /** Namespace. Default: the root. */
  ns?: string;
  /** Namespaces below it, too. Default: false. */
  recursive?: boolean;
  type?: PbsGroup["type"];
  id?: string;
}

/** Backups of a datastore, by group, the newest first. @throws PbsError */
export async function listPoints(pbs: PbsClient, store: string, query: PointsQuery = {}): Promise<PbsPoint[]> {
  const points: PbsPoint[] = [];
  for (const ns of await namespacesOf(pbs, store, query)) {
    const rows = await pbs.get<SnapshotRow[]>(
      `${pathOf(store)}/snapshots`,
      { ...inNamespace(ns), "backup-type": query.type, "backup-id": query.id },
      { doing: `list the backups in ${placeOf(store, ns)}` },
    );
    points.push(...rows.map((row) => pointOf(store, ns, row)));
  }
  return points.sort((a, b) => compare(groupText(a), groupText(b)) || b.time - a.time);
}

/** How full a datastore is; `undefined` when there is none of that name, or the token may not see it. @throws PbsError */
export async function readUsage(pbs: PbsClient, store: string): Promise<PbsUsage | undefined> {
  const about = { doing: `read how full the datastore '${store}' is` };
  const rows = await pbs.get<UsageRow[]>("/status/datastore-usage", {}, about);
  const row = rows.find((each) => each.store === store);
  if (row === undefined) return undefined;
  const fullAt = row["estimated-full-date"] ?? 0;
  return {
    store,
    totalBytes: row.total ?? 0,
    usedBytes: row.used ?? 0,
    availableBytes: row.avail ?? 0,
    ...(fullAt > 0 ? { fullAt } : {}),
    isMounted: row["mount-status"] !== "notmounted",
    ...(row.error === undefined ? {} : { error: row.error }),
  };
}

/** Reads backups again and compares their checksums, whatever was verified before. @throws PbsError when one is damaged */
export async function verifyNow(
  pbs: PbsClient,
  what: { store: string; ns?: string } | PbsGroup | PbsPoint,
  options: PbsTaskOptions = {},
): Promise<void> {
  const { store, ns } = what;
  const group = "type" in what ? { "backup-type": what.type, "backup-id": what.id } : {};
  const time = "time" in what ? { "backup-time": what.time } : {};
  const doing = "type" in what ? `verify ${labelOf(what)}` : `verify ${placeOf(store, ns ?? "")}`;
  const parameters = { ...inNamespace(ns ?? ""), ...group, ...time, "ignore-verified": false };
  await pbs.task("POST", `${pathOf(store)}/verify`, parameters, { doing }, options);
}

/** A protected backup is kept by every prune, and cannot be removed by hand either. @throws PbsError */
export async function setProtected(pbs: PbsClient, point: PbsPoint, isProtected: boolean): Promise<void> {
  await pbs.put<null>(
    `${pathOf(point.store)}/protected`,
    { ...inNamespace(point.ns), ...snapshotOf(point), protected: isProtected },
    { doing: `${isProtected ? "protect" : "take the protection off"} ${labelOf(point)}` },
  );
}

/** What a prune of a group would keep and remove, by the server's own reckoning. Nothing is removed. @throws PbsError */
export async function pruneDryRun(
  pbs: PbsClient,
  group: PbsGroup,
  keep: PbsKeep,
): Promise<{ keep: number[]; remove: number[] }> {
  const keeps = Object.entries(keep).filter(([, count]) => count !== undefined && count > 0);
  const rows = await pbs.post<{ "backup-time": number; keep: boolean | number }[]>(
    `${pathOf(group.store)}/prune`,
    {
      ...inNamespace(group.ns),
      "backup-type": group.type,
      "backup-id": group.id,
      "dry-run": true,
      ...Object.fromEntries(keeps.map(([period, count]) => [`keep-${period}`, count])),
    },
    { doing: `work out what a prune of ${labelOf(group)} would remove` },
  );
  const times = (isKept: boolean) =>
    rows.filter((row) => Boolean(row.keep) === isKept).map((row) => row["backup-time"]);
  return { keep: times(true), remove: times(false) };
}

/** Starts garbage collection and waits for it: space is free only after it. @throws PbsError */
export async function collectGarbage(pbs: PbsClient, store: string, options: PbsTaskOptions = {}): Promise<void> {
  await pbs.task(
    "POST",
    `${pathOf(store)}/gc`,
    {},
    { doing: `collect the garbage of the datastore '${store}'` },
    options,
  );
}

/** The name that Proxmox Backup Server gives a backup: `vm/110/2026-11-22T22:30:05Z`. */
export function snapshotName({ type, id, time }: Pick<PbsPoint, "type" | "id" | "time">): string {
  return `${type}/${id}/${new Date(time * 1000).toISOString().replace(/\.\d+Z$/, "Z")}`;
}

async function namespacesOf(
  pbs: PbsClient,
  store: string,
  { ns = "", recursive = false }: PointsQuery,
): Promise<string[]> {
  if (!recursive) return [ns];
  const about = { doing: `list the namespaces in ${placeOf(store, ns)}` };
  const query = ns === "" ? {} : { parent: ns };
  const rows = await pbs.get<{ ns: string }[]>(`${pathOf(store)}/namespace`, query, about);
  return [...new Set([ns, ...rows.map((row) => row.ns)])].sort(compare);
}

function pointOf(store: string, ns: string, row: SnapshotRow): PbsPoint {
  const { verification } = row;
  const verifiedAt = verification === undefined ? undefined : startOf(verification.upid);
  return {
    store,
    ns,
    type: row["backup-type"],
    id: row["backup-id"],
    time: row["backup-time"],
    ...(row.size === undefined ? {} : { sizeBytes: row.size }),
    verified: verification === undefined ? "none" : verification.state === "ok" ? "ok" : "failed",
    ...(verifiedAt === undefined ? {} : { verifiedAt }),
    protected: row.protected === true || row.protected === 1,
    ...(row.owner === undefined ? {} : { owner: row.owner }),
    encrypted: isEncrypted(row),
    ...(row.comment === undefined ? {} : { comment: row.comment }),
  };
}

/** All archives of it; the index and the client's log never are. A server that names no modes shows the key's fingerprint. */
function isEncrypted({ files = [], fingerprint }: SnapshotRow): boolean {
  const archives = files.filter(
    (file): file is FileRow => typeof file === "object" && !/^(index\.json|client\.log)\.blob$/.test(file.filename),
  );
  if (archives.length === 0) return fingerprint !== undefined;
  return archives.every((file) => file["crypt-mode"] === "encrypt");
}

/** Start of a task, from its id: the sixth part, in hexadecimal. */
function startOf(upid: string): number | undefined {
  const seconds = Number.parseInt(upid.split(":")[5] ?? "", 16);
  return Number.isNaN(seconds) ? undefined : seconds;
}

function snapshotOf(point: PbsPoint) {
  return { "backup-type": point.type, "backup-id": point.id, "backup-time": point.time };
}

function inNamespace(ns: string): { ns?: string } {
  return ns === "" ? {} : { ns };
}

function placeOf(store: string, ns: string): string {
  return ns === "" ? `the datastore '${store}'` : `the namespace '${ns}' of the datastore '${store}'`;
}

function labelOf(what: PbsGroup | PbsPoint): string {
  const name = "time" in what ? snapshotName(what) : `${what.type}/${what.id}`;
  return `${name} in ${placeOf(what.store, what.ns)}`;
}

function groupText({ ns, type, id }: PbsGroup): string {
  // Ids of guests in the order of their numbers.
  return [ns, type, /^\d+$/.test(id) ? id.padStart(10, "0") : id].join("\0");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function pathOf(store: string): string {
  return `/admin/datastore/${encodeURIComponent(store)}`;
}
