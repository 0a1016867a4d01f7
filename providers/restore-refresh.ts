/**
 * Refresh of a standby by restoring a backup (method `restore`). Called by the dynamic resource, and by a command.
 *
 * Two ids are used in turn: the backup is restored into the one that does not hold the newest good standby, is checked, and
 * only then gets the line in its notes that makes it the newest. Whatever breaks before that leaves the last good one as it was.
 * What was started since its restore is never restored over.
 */
import { about } from "./about";
import type { PveClient } from "./pve/client";
import { PveError } from "./pve/errors";
import type { GuestConfig, StorageVolume } from "./pve/types";
import {
  disksOf,
  type FoundStandby,
  findStandbys,
  newestOf,
  normalTags,
  notesWith,
  type RecoveryPoint,
  refuseForeign,
  refuseRunning,
  type StandbyIdentity,
  type StandbySpec,
  standbyName,
  startupOf,
} from "./standby-inspect";
import { refuseStarted } from "./standby-started";

/** What a refresh leaves behind. */
export interface RefreshResult {
  /** Id of the newest good standby. */
  standbyId: number;
  /** Time of the backup that it was made from (ISO 8601, UTC). */
  recoveryPoint: string;
  volid: string;
  /** False when the newest backup had been restored before, so that nothing was done. */
  restored: boolean;
}

/** How to refresh. */
export interface RefreshOptions {
  /** Shown to the user: one line for each step, and lines of long tasks. */
  progress?: (line: string) => void;
  /** Restore even when the newest standby is of the newest backup already. Default false. */
  force?: boolean;
  /** Tags that the standbys carry from before a change of the specification. */
  formerTags?: readonly string[];
  /** Called when the id that is restored into may hold something: from then on a failure leaves a trace. */
  onTouched?: (standbyId: number) => void;
}

/**
 * Restores the newest backup of a guest into the standby id whose turn it is; makes a first backup when there is none.
 *
 * @throws PveError that says what failed, where, and what to do; the last good standby is untouched then. Also when the one
 *   whose turn it is was started since its restore: it may be the active side, and is off for a moment only
 */
export async function refreshStandby(
  pve: PveClient,
  spec: StandbySpec,
  options: RefreshOptions = {},
): Promise<RefreshResult> {
  const progress = options.progress ?? (() => undefined);
  const found = await findStandbys(pve, spec, options.formerTags ? { tags: options.formerTags } : {});
  refuseRunning(found, spec, "refresh the standby of");
  const newest = newestOf(found);
  const backup = (await newestBackup(pve, spec)) ?? (await firstBackup(pve, spec, progress));
  const recovery: RecoveryPoint = {
    time: new Date((backup.ctime ?? 0) * 1000).toISOString().replace(".000Z", "Z"),
    volid: backup.volid,
  };
  const isThere =
    newest?.recovery?.volid === backup.volid && newest.node === spec.node && isOnStorage(newest.config, spec.storage);
  if (newest && isThere && options.force !== true) {
    return { standbyId: newest.vmid, recoveryPoint: newest.recovery!.time, volid: backup.volid, restored: false };
  }
  const moves = newest !== undefined && newest.node !== spec.node;
  if (moves) await refuseStarted(pve, newest, spec, "refresh the standby of");
  const id = spec.standbyIds.find((each) => each !== newest?.vmid)!;
  const inTheWay = found.find((each) => each.vmid === id);
  if (inTheWay) {
    refuseForeign(inTheWay, spec, "refresh the standby of");
    await refuseStarted(pve, inTheWay, spec, "refresh the standby of");
    options.onTouched?.(id);
    await destroyStandby(pve, inTheWay, spec, progress);
  }
  progress(`'${spec.guest}': restoring ${backup.volid} into ${id} on ${spec.node}`);
  options.onTouched?.(id);
  try {
    await restore(pve, spec, id, backup, progress);
    await verify(pve, spec, id);
    await label(pve, spec, { vmid: id, node: spec.node }, recovery);
  } catch (error) {
    await clearAway(pve, spec, id, options, progress);
    throw error;
  }
  progress(`'${spec.guest}': ${id} on ${spec.node} is the newest standby, as of ${recovery.time}`);
  if (moves) await destroyStandby(pve, newest, spec, progress);
  return { standbyId: id, recoveryPoint: recovery.time, volid: recovery.volid, restored: true };
}

/** After a broken restore: takes away what it left under the id, as far as it is off and ours. What stays is met by the next run. */
async function clearAway(
  pve: PveClient,
  spec: StandbySpec,
  id: number,
  options: RefreshOptions,
  progress: (line: string) => void,
): Promise<void> {
  try {
    const found = await findStandbys(pve, spec, options.formerTags ? { tags: options.formerTags } : {});
    const broken = found.find((each) => each.vmid === id);
    if (broken?.expendable && !broken.running) await destroyStandby(pve, broken, spec, progress);
  } catch (error) {
    progress(`'${spec.guest}': what the broken restore left in ${id} stays for now: ${(error as Error).message}`);
  }
}

/** Brings name, tags, `onboot`, start order and, with a recovery point, the notes of a standby to what is wanted. */
export async function label(
  pve: PveClient,
  spec: StandbySpec,
  standby: { vmid: number; node: string },
  recovery: RecoveryPoint | undefined,
): Promise<void> {
  await pve.put(
    `/nodes/${standby.node}/${spec.kind}/${standby.vmid}/config`,
    {
      [spec.kind === "qemu" ? "name" : "hostname"]: standbyName(spec.guest),
      tags: normalTags(spec.tags).join(";"),
      description: recovery === undefined ? undefined : notesWith(spec.notes, recovery),
      onboot: false,
      startup: startupOf(spec),
    },
    about(`label standby ${standby.vmid} of`, spec),
  );
}

/** Destroys a standby that is powered off and ours. */
export async function destroyStandby(
  pve: PveClient,
  standby: FoundStandby,
  spec: StandbyIdentity,
  progress: (line: string) => void,
): Promise<void> {
  const doing = `destroy standby ${standby.vmid} of`;
  refuseRunning([standby], spec, doing);
  refuseForeign(standby, spec, doing);
  progress(`'${spec.guest}': destroying standby ${standby.vmid} on ${standby.node}`);
  const path = `/nodes/${standby.node}/${standby.kind}/${standby.vmid}`;
  try {
    await pve.task(standby.node, "DELETE", path, {}, about(doing, spec));
  } catch (error) {
    if (!(error instanceof PveError && error.isMissing)) throw error;
  }
}

/** The newest backup of the guest, as the spare sees the storage. */
export async function newestBackup(
  pve: PveClient,
  spec: Pick<StandbySpec, "guest" | "vmid" | "kind" | "node" | "backupStorage">,
): Promise<StorageVolume | undefined> {
  const volumes = await pve.get<StorageVolume[]>(
    `/nodes/${spec.node}/storage/${spec.backupStorage}/content`,
    { content: "backup", vmid: spec.vmid },
    about(`list the backups on '${spec.backupStorage}' of`, spec),
  );
  return volumes
    .filter((volume) => Number(volume.vmid ?? spec.vmid) === spec.vmid && (volume.subtype ?? spec.kind) === spec.kind)
    .reduce<StorageVolume | undefined>(
      (best, each) => (best && (best.ctime ?? 0) >= (each.ctime ?? 0) ? best : each),
      undefined,
    );
}

async function firstBackup(
  pve: PveClient,
  spec: StandbySpec,
  progress: (line: string) => void,
): Promise<StorageVolume> {
  progress(`'${spec.guest}': no backup on '${spec.backupStorage}' yet, making the first`);
  await pve.task(
    spec.source,
    "POST",
    `/nodes/${spec.source}/vzdump`,
    {
      vmid: spec.vmid,
      storage: spec.backupStorage,
      mode: "snapshot",
      compress: "zstd",
      "notes-template": "{{guestname}}",
    },
    about("make the first backup of", spec),
    { onProgress: (line) => progress(`'${spec.guest}': ${line}`) },
  );
  const made = await newestBackup(pve, spec);
  if (made) return made;
  throw new PveError({
    ...about("find the first backup of", spec),
    server: spec.node,
    call: `GET /nodes/${spec.node}/storage/${spec.backupStorage}/content`,
    status: 404,
    reason: `${spec.source} wrote a backup to '${spec.backupStorage}', but ${spec.node} does not see it there`,
    fix: `'${spec.backupStorage}' must be one storage that both servers reach (NFS, CIFS, Proxmox Backup Server), not a local folder of each`,
  });
}

async function restore(
  pve: PveClient,
  spec: StandbySpec,
  id: number,
  backup: StorageVolume,
  progress: (line: string) => void,
): Promise<void> {
  const isQemu = spec.kind === "qemu";
  await pve.task(
    spec.node,
    "POST",
    `/nodes/${spec.node}/${spec.kind}`,
    {
      vmid: id,
      ...(isQemu ? { archive: backup.volid } : { ostemplate: backup.volid, restore: true }),
      storage: spec.storage,
      [isQemu ? "name" : "hostname"]: standbyName(spec.guest),
      // Tags from the start, so that a restore which breaks later is known as ours; protection would outlive the next turn.
      tags: normalTags(spec.tags).join(";"),
      description: `Restored from ${backup.volid}, not checked yet.`,
      onboot: false,
      protection: false,
      start: false,
      unique: false,
    },
    about(`restore ${backup.volid} into ${id} for`, spec),
    { onProgress: (line) => progress(`'${spec.guest}': ${line}`) },
  );
}

/** Whether the restored guest is whole: not locked, off, and each of its disks is on the storage. */
async function verify(pve: PveClient, spec: StandbySpec, id: number): Promise<void> {
  const path = `/nodes/${spec.node}/${spec.kind}/${id}`;
  const asked = about(`check standby ${id} of`, spec);
  const config = await pve.get<GuestConfig>(`${path}/config`, {}, asked);
  const status = await pve.get<{ status: string }>(`${path}/status/current`, {}, asked);
  const volumes = await pve.get<StorageVolume[]>(
    `/nodes/${spec.node}/storage/${spec.storage}/content`,
    { vmid: id },
    asked,
  );
  const present = new Set(volumes.map((volume) => volume.volid));
  const disks = disksOf(config);
  const missing = disks.filter((disk) => disk.startsWith(`${spec.storage}:`) && !present.has(disk));
  const wrong = [
    ...(config.lock === undefined ? [] : [`it is locked (${config.lock})`]),
    ...(status.status === "stopped" ? [] : [`it is ${status.status}`]),
    ...(disks.length > 0 ? [] : ["it has no disk"]),
    ...missing.map((disk) => `its disk ${disk} is not on the storage`),
  ];
  if (wrong.length === 0) return;
  throw new PveError({
    ...asked,
    server: spec.node,
    call: `GET ${path}/config`,
    status: 409,
    reason: `the restored guest is not whole: ${wrong.join(", ")}`,
    fix: `look at the restore task's log on ${spec.node}, then run this again; the last good standby was not touched`,
  });
}

function isOnStorage(config: GuestConfig, storage: string): boolean {
  return disksOf(config).every((volume) => volume.startsWith(`${storage}:`));
}
