/** What a restored standby is made of: the same for the stack that makes it and for the command that refreshes it. */
import type { GuestPlan } from "./plan";

/** A standby by the method `restore`: a powered-off guest on the spare, out of the newest backup. */
export interface StandbyPlan {
  /** The guest's name; the standby is called `<guest>-spare`. */
  guest: string;
  /** Id of the guest that is backed up (the primary side). */
  vmid: number;
  /** Virtual machine or container. */
  kind: "qemu" | "lxc";
  /** The server where the guest runs now; its first backup is made there. */
  source: string;
  /** The spare: the server that keeps the standby. */
  node: string;
  /** Two guest ids, used in turn, so that a broken restore never costs the last good standby. */
  standbyIds: [number, number];
  /** Storage on the spare for the standby's disks. */
  storage: string;
  /** Storage with the backups, seen by both servers. */
  backupStorage: string;
  /** Tags of the standby, at least one: a guest that lacks one of them is not ours and is never destroyed. */
  tags: string[];
  /** Notes of the standby. A line with the recovery point is added. */
  notes: string;
  /** Promised RPO in seconds: whoever looks at an older standby is warned. Without it nobody is. */
  promisedSeconds?: number;
  /** The standby was activated and is the active side: it is only looked at, until this is false again. Default: false. */
  active?: boolean;
  /** Order of start on its server, for the day it is activated (PVE `startup`); without it the backup's value stays. */
  bootOrder?: number;
  /** Seconds that the next guest waits after this one was started; needs `bootOrder`. */
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
    // The active side's tags, with the word for its role changed.
    tags: guest.tags.map((tag) => (tag === "coldspare-primary" ? "coldspare-spare" : tag)).sort(),
    // One line: it is kept in the state of every standby.
    notes: `Powered-off spare of ${guest.name} (primary: ${guest.primary}). Managed by coldspare.`,
    ...(replica.recoveryPoint.promisedSeconds === undefined
      ? {}
      : { promisedSeconds: replica.recoveryPoint.promisedSeconds }),
    ...(guest.activeSide === "spare" ? { active: true } : {}),
    bootOrder: spec.boot.order,
    ...(spec.boot.delaySeconds > 0 ? { bootDelaySeconds: spec.boot.delaySeconds } : {}),
  };
}
