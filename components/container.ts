import * as proxmoxve from "@pulumi/proxmoxve";
import type * as pulumi from "@pulumi/pulumi";
import type { ContainerSpecInput } from "../planning";
import { ignoredOf } from "./adopted";
import { type ContainerTravel, containerInputs } from "./container-inputs";
import { GuestComponent, type GuestComponentArgs, type GuestNodes } from "./guest-component";
import { type PlannedGuest, planGuest } from "./guest-plan";

/** Arguments of {@link Container}: its part of the specification, and what only travels to the provider. */
export type ContainerArgs = Omit<ContainerSpecInput, "kind"> & GuestComponentArgs & ContainerTravel;

/**
 * A container (LXC) on its primary server, with a powered-off replica on another.
 *
 * ```ts
 * new Container("web", {
 *   os: "debian", image: "debian-13", on: "srv1", cores: 2, memoryGiB: 1,
 *   disks: [{ sizeGiB: 8, storage: "tank" }],
 *   coldReplica: { on: "srv2", method: "storage-replication", schedule: "*\/15" },
 *   siteImages: { "debian-13": { kind: "container-template", url: "https://...", fileName: "debian-13.tar.zst" } },
 * });
 * ```
 *
 * The provider can only replace a container whose server, mount points, template or storage change, which would destroy
 * it; so the engine never acts upon such a change: it is made by a command on the server. Memory and the root disk grow in
 * place, and the provider restarts a running container after a change of memory, network or features.
 *
 * @throws PlanError before anything is registered, with every error of the plan that concerns the container.
 */
export class Container extends GuestComponent<proxmoxve.ContainerLegacy> {
  readonly nodes: GuestNodes<proxmoxve.ContainerLegacy>;

  constructor(name: string, args: ContainerArgs, opts?: pulumi.ComponentResourceOptions) {
    const planned = planContainer(name, args);
    super("coldspare:index:Container", name, planned, opts);
    const guest = this.createGuest(planned, args);
    const replica = this.createReplica(guest, args);
    this.nodes = { guest, ...(replica ? { replica } : {}) };
    this.finish(planned, args.site !== undefined);
  }

  private createGuest(planned: PlannedGuest, args: ContainerArgs): proxmoxve.ContainerLegacy {
    const spec = planned.guest.spec;
    if (spec.kind !== "container") throw new Error(`${planned.guest.name} is planned as a ${spec.kind}`);
    const inputs = containerInputs(planned.guest, spec, planned.site, args);
    const options: pulumi.CustomResourceOptions = {
      parent: this,
      protect: args.protect ?? true,
      ignoreChanges: ignoredOf(spec),
    };
    args.transform?.guest?.(inputs, options);
    return new proxmoxve.ContainerLegacy(`${planned.guest.name}-container`, inputs, options);
  }
}

function planContainer(name: string, args: ContainerArgs): PlannedGuest {
  const {
    site,
    siteNetworks,
    siteImages,
    protect,
    refreshToken,
    replicaDependsOn,
    transform,
    password,
    sshKeys,
    ...spec
  } = args;
  return planGuest(name, { kind: "container", ...spec }, site, { networks: siteNetworks, images: siteImages });
}
