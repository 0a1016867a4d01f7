/** Telling volumes and backups of guests apart. Pure. */
import type { StorageVolume } from "../providers/pve/types";

/** Whether a backup is of this id and this kind of guest; a storage that does not say is believed. */
export function isStorageVolumeOf(volume: StorageVolume, kind: "qemu" | "lxc", vmid: number): boolean {
  return Number(volume.vmid ?? vmid) === vmid && (volume.subtype ?? kind) === kind;
}

/** The backup that is in the second list and not in the first one; the newest, if somebody else made one as well. */
export function newBackup(
  before: readonly StorageVolume[],
  after: readonly StorageVolume[],
): StorageVolume | undefined {
  const known = new Set(before.map(({ volid }) => volid));
  return after.filter(({ volid }) => !known.has(volid)).sort((a, b) => (b.ctime ?? 0) - (a.ctime ?? 0))[0];
}
