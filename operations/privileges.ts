/** What the token in use may do. */
import type { PveClient } from "../providers/pve/client";
import { PveError } from "../providers/pve/errors";

/** Privileges on a path such as `/vms/113`, inherited ones included; `undefined`: it could not be asked. */
export async function privilegesOn(pve: PveClient, path: string): Promise<ReadonlySet<string> | undefined> {
  try {
    const granted = await pve.get<Record<string, Record<string, unknown>>>("/access/permissions", { path });
    const parent = path.slice(0, path.indexOf("/", 1));
    // Proxmox VE answers for the path itself, with what it inherits.
    return new Set(Object.keys(granted[path] ?? { ...granted["/"], ...granted[parent] }));
  } catch (error) {
    if (error instanceof PveError) return undefined;
    throw error;
  }
}
