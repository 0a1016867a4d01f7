import * as proxmoxve from "@pulumi/proxmoxve";
import type * as pulumi from "@pulumi/pulumi";
import type { VirtualMachineSpecInput } from "../planning";
import { ignoredOf } from "./adopted";
import { GuestComponent, type GuestComponentArgs, type GuestNodes } from "./guest-component";
import { type PlannedGuest, planGuest } from "./guest-plan";
import { type VirtualMachineTravel, virtualMachineInputs } from "./virtual-machine-inputs";

/** Arguments of {@link VirtualMachine}: its part of the specification, and what only travels to the provider. */
export type VirtualMachineArgs = Omit<VirtualMachineSpecInput, "kind"> & GuestComponentArgs & VirtualMachineTravel;

/**
 * A virtual machine on its primary server, with a powered-off replica on another.
 *
 * ```ts
 * new VirtualMachine("sql", {
 *   os: "linux", on: "srv1", cores: 2, memoryGiB: 4,
 *   disks: [{ sizeGiB: 40, storage: "tank" }],
 *   coldReplica: { on: "srv2", method: "storage-replication", schedule: "*\/15" },
 * });
 * ```
 *
 * Sizes are GiB. Growing is in place; a disk never shrinks. The machine is `protect`ed unless told otherwise, and a
 * change of server migrates it, never replaces it. URNs hold the guest's name and the role only: swapping primary and
 * spare leaves every URN as it was.
 *
 * @throws PlanError before anything is registered, with every error of the plan that concerns the machine.
 */
export class VirtualMachine extends GuestComponent<proxmoxve.VmLegacy> {
  readonly nodes: GuestNodes<proxmoxve.VmLegacy>;

  constructor(name: string, args: VirtualMachineArgs, opts?: pulumi.ComponentResourceOptions) {
    const planned = planVirtualMachine(name, args);
    super("coldspare:index:VirtualMachine", name, planned, opts);
    const guest = this.createGuest(planned, args);
    const replica = this.createReplica(guest, args);
    this.nodes = { guest, ...(replica ? { replica } : {}) };
    this.finish(planned, args.site !== undefined);
  }

  private createGuest(planned: PlannedGuest, args: VirtualMachineArgs): proxmoxve.VmLegacy {
    const spec = planned.guest.spec;
    if (spec.kind !== "vm") throw new Error(`${planned.guest.name} is planned as a ${spec.kind}`);
    const inputs = virtualMachineInputs(planned.guest, spec, planned.site, args);
    const options: pulumi.CustomResourceOptions = {
      parent: this,
      protect: args.protect ?? true,
      ignoreChanges: ignoredOf(spec),
    };
    args.transform?.guest?.(inputs, options);
    return new proxmoxve.VmLegacy(`${planned.guest.name}-vm`, inputs, options);
  }
}

function planVirtualMachine(name: string, args: VirtualMachineArgs): PlannedGuest {
  const {
    site,
    siteNetworks,
    siteImages,
    protect,
    refreshToken,
    replicaDependsOn,
    transform,
    password,
    rebootAfterUpdate,
    ...spec
  } = args;
  return planGuest(name, { kind: "vm", ...spec }, site, { networks: siteNetworks, images: siteImages });
}
