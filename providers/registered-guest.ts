import type * as pulumi from "@pulumi/pulumi";
import type { RegisteredPlan } from "../planning/registered";
import { HandlerResource } from "./dynamic";

/** Arguments of {@link RegisteredGuest}: what the plan says of the guest's side on its spare. */
export type RegisteredGuestArgs = RegisteredPlan;

/**
 * The powered-off side of a machine by `zfs-sync`: registered on the spare under the same id, with the settings of the guest on its
 * primary, on volumes that are received there.
 *
 * ```ts
 * new RegisteredGuest("sql-erp-registered", {
 *   guest: "sql-erp", vmid: 113, source: "srv1", node: "srv2", settings: "1f2e3d4c5b6a",
 *   tags: ["coldspare", "coldspare-spare"], notes: "Spare of sql-erp on srv1", bootOrder: 20,
 * }, { parent, dependsOn: [vm] });
 * ```
 *
 * Both servers answer for themselves: each is asked at its own endpoint. Creation adopts a guest of that id which has the guest's
 * name and a tag of ours, and refuses any other. Volumes that have been received are attached; those that have not yet come stand in
 * the notes, from where a failover attaches them. No volume is ever made or destroyed: deletion leaves a guest with disks registered
 * and says how to take it out. One that runs is the active side and is left alone.
 */
export class RegisteredGuest extends HandlerResource {
  /** Disks whose volumes have not been received yet. */
  declare readonly waiting: pulumi.Output<string[] | undefined>;

  constructor(name: string, args: RegisteredGuestArgs, opts?: pulumi.CustomResourceOptions) {
    super("RegisteredGuest", "registered-guest-handler", name, { ...args, waiting: undefined }, opts);
  }
}
