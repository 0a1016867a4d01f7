/** Which storages `pulumi up` can make, and which are only counted in the plan. */
import type { LocalStorageSpec, SharedStorageSpec } from "./schema";

/** What has to be known of a share before its storage entry can be made. */
export interface Share {
  type: "nfs" | "cifs";
  /** Name of a server or device of the site, or a host name. */
  server: string;
  export: string;
}

/** A shared storage as a share that can be mounted; undefined of other types, and of one that names no server or export. */
export function shareOf(storage: SharedStorageSpec): Share | undefined {
  const { type, server, export: exported } = storage;
  if ((type !== "nfs" && type !== "cifs") || server === undefined || exported === undefined) return undefined;
  return { type, server, export: exported };
}

/** Types that lie on one server and that no `pulumi up` makes. */
const COUNTED_LOCALLY: readonly LocalStorageSpec["type"][] = ["lvm", "btrfs"];

/** Whether a storage of one server is only counted: it must be there already. */
export function isOnlyCounted({ type }: LocalStorageSpec): boolean {
  return COUNTED_LOCALLY.includes(type);
}
