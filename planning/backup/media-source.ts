/** Where the archives lie that a rotated medium holds copies of. */
import type { SiteSpec } from "../schema";

/**
 * The folder on the server that has the medium: what it exports as a shared storage, or a directory storage of its own. Undefined where the
 * copies are no files there, as of Proxmox Backup Server, which synchronises its removable datastores itself.
 *
 * @param copies name of a target or id of a storage
 */
export function mediaSource(spec: SiteSpec, on: string, copies: string): string | undefined {
  const target = own(spec.targets, copies);
  if (target !== undefined && target.kind !== "vzdump") return undefined;
  const id = target?.storage ?? copies;
  const shared = own(spec.storages, id);
  if (shared?.server === on && shared.type === "nfs") return shared.export;
  const local = own(own(spec.servers, on)?.storages ?? {}, id);
  return local?.type === "dir" ? local.path : undefined;
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
