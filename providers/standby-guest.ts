import type * as pulumi from "@pulumi/pulumi";
import { HandlerResource } from "./dynamic";

/** Arguments of {@link StandbyGuest}. */
export interface StandbyGuestArgs {
  /** The guest's name; the standby is called `<guest>-spare`. */
  guest: string;
  /** Id of the guest that is backed up (the primary side). A change replaces the resource. */
  vmid: pulumi.Input<number>;
  /** Virtual machine or container. A change replaces the resource. */
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
  /** Tags of the standby, at least one. A guest that lacks one of them is not ours and is never destroyed. */
  tags: string[];
  /** Notes of the standby. A line with the recovery point is added. */
  notes: pulumi.Input<string>;
  /** A changed value (a date, a backup's name) makes the next `pulumi up` restore the newest backup. */
  refreshToken?: pulumi.Input<string>;
  /** The standby was activated and is the active side: it is only looked at, until this is false again. Default: false. */
  active?: boolean;
  /** Order of start on its server, for the day it is activated (PVE `startup`); without it the backup's value stays. */
  bootOrder?: number;
  /** Seconds that the next guest waits after this one was started; needs `bootOrder`. */
  bootDelaySeconds?: number;
}

/**
 * A powered-off copy of a guest on another server, made from its newest backup (method `restore`).
 *
 * ```ts
 * new StandbyGuest("files-spare", {
 *   guest: "files", vmid: 120, kind: "qemu", source: "srv1", node: "srv2", standbyIds: [9120, 9121],
 *   storage: "tank", backupStorage: "backup-1", tags: ["coldspare", "spare"], notes: "Spare of files on srv1",
 * }, { parent, dependsOn: [vm] });
 * ```
 *
 * Creation adopts a standby that is already there, else restores the newest backup; without any backup it makes the first.
 * The network cards keep their addresses, `onboot` is off and nothing is started. A changed `refreshToken` restores the
 * newest backup into the other of the two ids, checks it, and only then calls it the newest: the last good standby is
 * never touched meanwhile. A refresh of a backup that is restored already does nothing.
 *
 * A standby that runs is the active side: it is never changed or destroyed, and the error says so, unless `active` tells
 * that this is known.
 */
export class StandbyGuest extends HandlerResource {
  /** Id of the newest good standby: the one to start. */
  declare readonly standbyId: pulumi.Output<number>;
  /** Time of the backup that it was made from (ISO 8601, UTC). */
  declare readonly recoveryPoint: pulumi.Output<string>;
  /** Volume id of that backup. */
  declare readonly volid: pulumi.Output<string>;

  constructor(name: string, args: StandbyGuestArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { standbyId: undefined, recoveryPoint: undefined, volid: undefined };
    super("StandbyGuest", "standby-guest-handler", name, { ...args, ...outputs }, opts);
  }
}
