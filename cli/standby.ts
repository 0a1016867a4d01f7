/** From a guest's plan to what a refresh of its standby needs. */
import type { GuestPlan } from "../planning/plan";
import type { StandbySpec } from "../providers/standby-inspect";

/**
 * The same values that the stack gives its standby resource, so that either may refresh what the other made: with other
 * tags or notes each would undo the other's. Undefined for a guest whose spare is not made by `restore`.
 */
export function standbySpecOf(guest: GuestPlan): StandbySpec | undefined {
  const { replica, spec } = guest;
  const storage = replica?.storage ?? spec.disks[0]?.storage;
  if (replica?.method !== "restore" || !replica.standbyIds || !replica.backupStorage || storage === undefined) {
    return undefined;
  }
  return {
    guest: guest.name,
    vmid: guest.id,
    kind: guest.kind === "vm" ? "qemu" : "lxc",
    source: guest.activeServer,
    node: replica.server,
    standbyIds: replica.standbyIds,
    storage,
    backupStorage: replica.backupStorage,
    tags: guest.tags.map((tag) => (tag === "coldspare-primary" ? "coldspare-spare" : tag)).sort(),
    notes: `Powered-off spare of ${guest.name} (primary: ${guest.primary}). Managed by coldspare.`,
    bootOrder: spec.boot.order,
    ...(spec.boot.delaySeconds > 0 ? { bootDelaySeconds: spec.boot.delaySeconds } : {}),
  };
}
