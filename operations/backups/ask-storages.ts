/** Copies on the storages of Proxmox VE, asked of the hypervisors: vzdump archives and groups of Proxmox Backup Server. */
import type { ManifestTarget } from "../../planning/backup/manifest";
import { PveError } from "../../providers/pve/errors";
import type { StorageVolume } from "../../providers/pve/types";
import { isOn } from "../../providers/replication-health";
import { hypervisors, type Operator } from "../context";
import { PATIENCE_SECONDS } from "../live-servers";
import { isoOf, type JobState, type Point, storageOfTarget, type TargetFill, type Unasked } from "./copies";
import { verificationIn } from "./notes";
import { guestOfId } from "./subjects";

export interface StorageAnswer {
  points: Omit<Point, "policies">[];
  jobs: JobState[];
  fills: TargetFill[];
  unasked: Unasked[];
  foreign: number;
}

/** One row of `/nodes/<node>/storage`. */
interface StorageRow {
  storage: string;
  shared?: number | boolean;
  active?: number | boolean;
  enabled?: number | boolean;
  total?: number;
  used?: number;
}

/** A volume with content `backup`, with what Proxmox Backup Server adds. */
interface BackupVolume extends StorageVolume {
  protected?: number | boolean;
  encrypted?: string | number | boolean;
  verification?: { state?: string; upid?: string };
}

const GIB = 1024 ** 3;

/** Asks every hypervisor for its own view. A shared storage is one thing seen by several; any other one is its server's own. */
export async function askStorages(operator: Operator): Promise<StorageAnswer> {
  const answer: StorageAnswer = { points: [], jobs: [], fills: [], unasked: [], foreign: 0 };
  const targets = Object.entries(operator.manifest.backups?.targets ?? {}).flatMap(([name, target]) => {
    const storage = storageOfTarget(target);
    return storage === undefined ? [] : [{ name, storage, target }];
  });
  if (targets.length === 0) return answer;
  const servers = hypervisors(operator.manifest);
  const views = await Promise.all(servers.map(async (server) => ({ server, rows: await rowsOf(operator, server) })));
  for (const { server, rows } of views) {
    if (rows instanceof Error) {
      const names = targets.map(({ name }) => name);
      answer.unasked.push({ server, targets: names, reason: rows.message });
    } else answer.jobs.push(...(await lastRuns(operator, server)));
  }
  for (const { name, storage, target } of targets) {
    const seenBy = views.flatMap(({ server, rows }) => {
      const row = rows instanceof Error ? undefined : rows.find((each) => each.storage === storage);
      return row === undefined ? [] : [{ server, row }];
    });
    const whole = await askTarget(operator, { name, storage, target }, seenBy, answer);
    if (whole) answer.unasked = without(answer.unasked, name);
  }
  return answer;
}

interface Asked {
  name: string;
  storage: string;
  target: ManifestTarget;
}

/** Answers whether all of it was seen, whoever else could not be asked. */
async function askTarget(
  operator: Operator,
  { name, storage, target }: Asked,
  seenBy: readonly { server: string; row: StorageRow }[],
  answer: StorageAnswer,
): Promise<boolean> {
  const active = seenBy.filter(({ row }) => row.active === undefined || isOn(row.active));
  for (const { server } of seenBy.filter((each) => !active.includes(each))) {
    answer.unasked.push({ server, targets: [name], reason: `storage '${storage}' is not online on ${server}` });
  }
  const isShared = target.kind === "pbs" || active.some(({ row }) => row.shared !== undefined && isOn(row.shared));
  const failed: Unasked[] = [];
  for (const { server, row } of active) {
    const volumes = await contentOf(operator, server, storage);
    if (volumes instanceof Error) {
      failed.push({ server, targets: [name], reason: volumes.message });
      continue;
    }
    const { used = 0, total = 0 } = row;
    answer.fills.push({
      target: name,
      server,
      usedGiB: used / GIB,
      totalGiB: total / GIB,
      limitGiB: target.limitGiB,
    });
    const servers = isShared ? active.map((each) => each.server) : [server];
    for (const volume of volumes) addVolume(operator, volume, { name, target, servers }, answer);
    // One view of a shared storage is all of it.
    if (isShared) return true;
  }
  answer.unasked.push(...failed);
  return false;
}

function addVolume(
  { manifest }: Operator,
  volume: BackupVolume,
  { name, target, servers }: { name: string; target: ManifestTarget; servers: string[] },
  answer: StorageAnswer,
): void {
  const vmid = Number(volume.vmid ?? Number.NaN);
  const guest = guestOfId(manifest, vmid);
  const kind = volume.subtype ?? kindIn(volume.volid);
  if (guest === undefined || volume.ctime === undefined || (kind !== undefined && kind !== guest.kind)) {
    answer.foreign++;
    return;
  }
  answer.points.push({
    id: volume.volid,
    subject: guest.name,
    target: name,
    kind: target.kind === "pbs" ? "pbs" : "vzdump",
    at: isoOf(volume.ctime),
    ...(volume.size !== undefined && { bytes: volume.size }),
    ...(isUnfinished(volume, target) ? UNFINISHED : verificationOf(volume, target)),
    ...(isOn(volume.protected) && { protected: true }),
    ...(isEncrypted(volume.encrypted) && { encrypted: true }),
    ...(volume.notes !== undefined && volume.notes !== "" && !isUnfinished(volume, target) && { notes: volume.notes }),
    servers,
    vmid,
    guestKind: guest.kind,
  });
}

/** A backup that is being made, or whose end never came, has no index yet: Proxmox VE lists it with a size of 1. */
function isUnfinished({ size }: BackupVolume, target: ManifestTarget): boolean {
  return target.kind === "pbs" && (size ?? 0) <= 1;
}

const UNFINISHED = { verified: "failed", notes: "unfinished: it is being made, or was interrupted" } as const;

/** `vzdump-qemu-113-…`, or `vm/113/…` on a backup server. */
function kindIn(volid: string): string | undefined {
  if (/vzdump-qemu-|backup\/vm\//.test(volid)) return "qemu";
  return /vzdump-lxc-|backup\/ct\//.test(volid) ? "lxc" : undefined;
}

/** By the backup server, or by the line that our own verification leaves in the notes of an archive. */
function verificationOf(
  { verification, notes }: BackupVolume,
  target: ManifestTarget,
): Pick<Point, "verified" | "verifiedAt"> {
  if (verification?.state === "ok") return { verified: wasReadThere(verification.upid, target) ? "ok" : "none" };
  if (verification?.state === "failed") return { verified: "failed" };
  const noted = verificationIn(notes);
  return noted === undefined ? { verified: "none" } : { verified: noted.state, verifiedAt: noted.at };
}

/** A sync job brings along what was found at the source: that says nothing of the bytes here. The task names its host. */
function wasReadThere(upid: string | undefined, target: ManifestTarget): boolean {
  if (target.kind !== "pbs" || target.syncFrom === undefined) return true;
  return upid?.split(":")[1] === (target.on ?? target.host.split(".")[0]);
}

/** The fingerprint of the key, or 1. */
function isEncrypted(value: BackupVolume["encrypted"]): boolean {
  return value !== undefined && value !== "" && value !== 0 && value !== "0" && value !== false;
}

async function rowsOf(operator: Operator, server: string): Promise<StorageRow[] | Error> {
  return listOf<StorageRow>(operator, server, `/nodes/${server}/storage`, { content: "backup" });
}

async function contentOf(operator: Operator, server: string, storage: string): Promise<BackupVolume[] | Error> {
  return listOf<BackupVolume>(operator, server, `/nodes/${server}/storage/${storage}/content`, { content: "backup" });
}

/** How the newest backup task of each guest, or of each job, ended. */
async function lastRuns(operator: Operator, server: string): Promise<JobState[]> {
  interface Row {
    id?: string;
    starttime: number;
    endtime?: number;
    status?: string;
  }
  const rows = await listOf<Row>(operator, server, `/nodes/${server}/tasks`, { typefilter: "vzdump", limit: 50 });
  if (rows instanceof Error) return [];
  const newest = new Map<string, Row>();
  for (const row of rows) {
    const known = newest.get(row.id ?? "");
    if (known === undefined || known.starttime < row.starttime) newest.set(row.id ?? "", row);
  }
  return [...newest].map(([id, { starttime, endtime, status }]): JobState => {
    const failed = endtime !== undefined && status !== undefined && !/^(OK|WARNINGS)/.test(status);
    const guest = guestOfId(operator.manifest, Number(id || Number.NaN));
    return {
      name: guest?.name ?? (id === "" ? "backup job" : id),
      server,
      kind: "vzdump",
      state: failed ? "failed" : endtime === undefined ? "running" : "ok",
      began: isoOf(starttime),
      ...(endtime !== undefined && { at: isoOf(endtime) }),
      ...(failed && { error: status }),
    };
  });
}

async function listOf<T>(
  operator: Operator,
  server: string,
  path: string,
  query: Record<string, string | number>,
): Promise<T[] | Error> {
  const pve = operator.pveAt(server);
  if (pve === undefined) return new Error(`no way to the API of ${server} is known`);
  try {
    return await within(pve.get<T[]>(path, query), server);
  } catch (error) {
    if (error instanceof PveError) return new Error(`${server}: ${error.reason}`);
    if (error instanceof Error && error.message.endsWith(SLOW)) return error;
    throw error;
  }
}

const SLOW = `does not answer within ${PATIENCE_SECONDS * 4} s`;

/** A storage whose server is gone keeps a hypervisor waiting: longer than a dead hypervisor may cost, and not for ever. */
async function within<T>(work: Promise<T>, server: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${server}: ${SLOW}`)), PATIENCE_SECONDS * 4000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}

/** A server that is down hides nothing of a shared storage that another one has shown. */
function without(unasked: readonly Unasked[], target: string): Unasked[] {
  return unasked.flatMap((each) => {
    const targets = each.targets.filter((name) => name !== target);
    return targets.length === 0 ? [] : [{ ...each, targets }];
  });
}
