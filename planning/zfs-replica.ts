/** What a replica by `zfs-sync` consists of: data sets that have the same names on both servers, and points in time of them. */
import type { Context, Placed } from "./context";
import type { GuestSpec, SiteSpec } from "./schema";
import { byName } from "./units";

/** Recovery points that a replica by `zfs-sync` keeps on both servers, unless the specification says another number. */
export const DEFAULT_RECOVERY_POINTS = 24;

/** What a guest's method `zfs-sync` works on; part of the manifest. */
export interface ZfsReplica {
  /** Full names, the same on both servers: `tank/vm-113-disk-0`. Sorted. */
  datasets: string[];
  /** Complete points that both servers keep. */
  points: number;
  /** Calendar event of its timer, as the specification has it. */
  schedule: string;
  /** MB/s. Absent: no limit. */
  rateMBps?: number;
}

/** ZFS pool of a storage on a server: what stands at its entry, or its id. `undefined` when it is no ZFS there. */
export function zfsPool(spec: SiteSpec, server: string, storage: string): string | undefined {
  const storages = Object.hasOwn(spec.servers, server) ? spec.servers[server]?.storages : undefined;
  const entry = storages && Object.hasOwn(storages, storage) ? storages[storage] : undefined;
  return entry?.type === "zfspool" ? (entry.pool ?? storage) : undefined;
}

/**
 * Data sets of a machine's volumes on its primary. Proxmox VE numbers them per pool from 0 (pve-storage,
 * `find_free_diskname`), firmware and TPM among them; the cloud-init drive is made anew at each start and is none of them.
 */
export function zfsDatasets(spec: SiteSpec, guest: GuestSpec, id: number): string[] {
  const counts = new Map<string, number>();
  const system = guest.disks[0]?.storage;
  const firmware =
    guest.kind === "vm" && system !== undefined
      ? [...(guest.bios === "ovmf" ? [system] : []), ...(guest.tpm ? [system] : [])]
      : [];
  for (const storage of [...guest.disks.map((disk) => disk.storage), ...firmware]) {
    const pool = zfsPool(spec, guest.on, storage);
    if (pool !== undefined) counts.set(pool, (counts.get(pool) ?? 0) + 1);
  }
  const prefix = guest.kind === "vm" ? "vm" : "subvol";
  return [...counts]
    .flatMap(([pool, count]) => Array.from({ length: count }, (_, index) => `${pool}/${prefix}-${id}-disk-${index}`))
    .sort(byName);
}

/** What the manifest says of a guest by `zfs-sync`; `undefined` for every other guest. */
export function zfsReplicaOf(spec: SiteSpec, guest: GuestSpec, id: number): ZfsReplica | undefined {
  const replica = guest.coldReplica;
  if (replica?.method !== "zfs-sync") return undefined;
  return {
    datasets: zfsDatasets(spec, guest, id),
    points: replica.recoveryPoints ?? DEFAULT_RECOVERY_POINTS,
    schedule: replica.schedule,
    ...(replica.rateMBps !== undefined && { rateMBps: replica.rateMBps }),
  };
}

/** Disks whose pool has another name on the spare: their copies could not have the same names. */
export function differingPools(
  context: Context,
  { spec, primary, spare }: Placed,
): { index: number; storage: string; pools: [string, string] }[] {
  if (spare === undefined) return [];
  return spec.disks.flatMap(({ storage }, index) => {
    const pools = [zfsPool(context.spec, primary, storage), zfsPool(context.spec, spare, storage)] as const;
    return pools[0] === undefined || pools[1] === undefined || pools[0] === pools[1]
      ? []
      : [{ index, storage, pools: [pools[0], pools[1]] as [string, string] }];
  });
}
