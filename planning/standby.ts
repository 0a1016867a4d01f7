/** What a restored standby is made of: the same for the stack that makes it and for the command that refreshes it. */
import type { GuestPlan } from "./plan";

/** A standby by the method `restore`: a powered-off guest on the spare, out of the newest backup. */
export interface StandbyPlan {
  guest: string;
  vmid: number;
  kind: "qemu" | "lxc";
  /** The server of the guest that is backed up. */
  source: string;
  /** The spare's server. */
  node: string;
  standbyIds: [number, number];
  /** Storage on the spare. */
  storage: string;
  backupStorage: string;
  /** True once the standby was activated; absent otherwise. */
  active?: boolean;
  /** The active side's tags, with the word for its role changed. */
  tags: string[];
  notes: string;
  bootOrder: number;
  /** Seconds; absent: none. */
  bootDelaySeconds?: number;
}

/** The standby of a guest; undefined for a guest whose spare is not made by `restore`, or whose plan has errors there. */
export function standbyOf(guest: GuestPlan): StandbyPlan | undefined {
  const { replica, spec } = guest;
  const storage = replica?.storage ?? spec.disks[0]?.storage;
  if (replica?.method !== "restore" || !replica.standbyIds || !replica.backupStorage || storage === undefined) {
    return undefined;
  }
  return {
    guest: guest.name,
    vmid: guest.id,
    kind: guest.kind === "vm" ? "qemu" : "lxc",
    source: guest.primary,
    node: replica.server,
    standbyIds: replica.standbyIds,
    storage,
    backupStorage: replica.backupStorage,
    tags: guest.tags.map((tag) => (tag === "coldspare-primary" ? "coldspare-spare" : tag)).sort(),
    // One line: it is kept in the state of every standby.
    notes: `Powered-off spare of ${guest.name} (primary: ${guest.primary}). Managed by coldspare.`,
    ...(guest.activeSide === "spare" ? { active: true } : {}),
    bootOrder: spec.boot.order,
    ...(spec.boot.delaySeconds > 0 ? { bootDelaySeconds: spec.boot.delaySeconds } : {}),
  };
}
