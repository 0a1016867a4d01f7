import type * as pulumi from "@pulumi/pulumi";
import type { StandbyPlan } from "../planning/standby";
import { HandlerResource } from "./dynamic";

/** Arguments of {@link StandbyGuest}: what the plan says of a standby, and when to refresh it. */
export interface StandbyGuestArgs extends Omit<StandbyPlan, "vmid" | "notes"> {
  /** Id of the guest that is backed up (the primary side). A change replaces the resource, as one of `kind` does. */
  vmid: pulumi.Input<number>;
  /** Notes of the standby. A line with the recovery point is added. */
  notes: pulumi.Input<string>;
  /** A changed value (a date, a backup's name) makes the next `pulumi up` restore the newest backup. */
  refreshToken?: pulumi.Input<string>;
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
 * that this is known. The same holds for one that is off but was started since its restore, as far as a refresh or a move
 * would destroy it: it may hold newer data than any backup. The task list of its server decides, and so the token needs
 * `Sys.Audit` there. Only deletion destroys what is off.
 *
 * `pulumi refresh` and `pulumi up --refresh` print a warning with what to do when the standby is older than `promisedSeconds`.
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
