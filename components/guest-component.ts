import * as pulumi from "@pulumi/pulumi";
import { type Finding, type GuestPlan, type NetworkSpecInput, type Side, type SitePlan, standbyOf } from "../planning";
import type { ImageSpecInput } from "../planning/alone";
import { registeredOf } from "../planning/registered";
import { RegisteredGuest, ReplicationPair, StandbyGuest } from "../providers";
import type { PlannedGuest } from "./guest-plan";
import { logWarnings } from "./plan-error";

/** Arguments that machines and containers share beside their part of the specification. */
export interface GuestComponentArgs {
  /**
   * The plan of the site. Without it only the guest itself is checked, and `SITE-PARTIAL` says so. The arguments of a guest
   * that the plan knows must say what the plan says: `{ ...plan.guests.sql.spec, site: plan }`.
   */
  site?: SitePlan;
  /** Networks that the guest names, when it is used without `site`. */
  siteNetworks?: Record<string, NetworkSpecInput>;
  /**
   * Images that the guest names, when it is used without `site`: each must be on the guest's servers already, or be made
   * there by a `PhysicalServer`.
   */
  siteImages?: Record<string, ImageSpecInput>;
  /** Deny deletion of the guest by the engine until it is unprotected. Default: true. */
  protect?: boolean;
  /** A changed value (for example a date) refreshes a `restore` replica from the newest backup at the next update. */
  refreshToken?: pulumi.Input<string>;
  /** What must be there before the replica is made, beside the guest itself: the spare server's own resources. */
  replicaDependsOn?: pulumi.Resource[];
  /** Changes a child's inputs or options before it is made, for what the arguments do not foresee. */
  transform?: {
    guest?: (inputs: pulumi.Inputs, options: pulumi.CustomResourceOptions) => void;
    replica?: (inputs: pulumi.Inputs, options: pulumi.CustomResourceOptions) => void;
  };
}

/** The resources a guest consists of. */
export interface GuestNodes<G extends pulumi.CustomResource> {
  guest: G;
  replica?: RegisteredGuest | ReplicationPair | StandbyGuest;
}

/** What machines and containers do alike: outputs, the replica, warnings. */
export abstract class GuestComponent<G extends pulumi.CustomResource> extends pulumi.ComponentResource {
  /** Guest id on its active side. */
  readonly guestId: pulumi.Output<number>;
  /** The server it normally runs on. */
  readonly primary: pulumi.Output<string>;
  /** The server that keeps its powered-off replica, if there is one. */
  readonly spare: pulumi.Output<string | undefined>;
  readonly activeSide: pulumi.Output<Side>;
  /** The server it runs on now. */
  readonly activeServer: pulumi.Output<string>;
  /** What the plan says about this guest beyond errors. */
  readonly findings: pulumi.Output<Finding[]>;
  /** The resources behind the component. */
  abstract readonly nodes: GuestNodes<G>;

  /** The guest's part of the plan. */
  readonly plan: GuestPlan;

  protected constructor(
    type: string,
    name: string,
    planned: PlannedGuest,
    opts: pulumi.ComponentResourceOptions | undefined,
  ) {
    super(type, name, {}, opts);
    const { guest, findings } = planned;
    this.plan = guest;
    this.guestId = pulumi.output(guest.id);
    this.primary = pulumi.output(guest.primary);
    this.spare = pulumi.output(guest.spare);
    this.activeSide = pulumi.output(guest.activeSide);
    this.activeServer = pulumi.output(guest.activeServer);
    this.findings = pulumi.output(findings);
  }

  /** Warnings are shown once: by the site when there is one, otherwise by the guest. */
  protected finish(planned: PlannedGuest, bySite: boolean): void {
    if (!bySite) logWarnings(planned.findings, this);
    this.registerOutputs({
      guestId: this.guestId,
      primary: this.primary,
      spare: this.spare,
      activeSide: this.activeSide,
      activeServer: this.activeServer,
    });
  }

  /** The powered-off copy on the other server, made once the guest exists. */
  protected createReplica(guest: G, args: GuestComponentArgs): GuestNodes<G>["replica"] {
    const replica = this.plan.replica;
    if (!replica) return undefined;
    const kind = this.plan.kind === "vm" ? ("qemu" as const) : ("lxc" as const);
    const options: pulumi.CustomResourceOptions = {
      parent: this,
      dependsOn: [guest, ...(args.replicaDependsOn ?? [])],
    };
    if (replica.method === "storage-replication") {
      const inputs = {
        guest: this.plan.name,
        vmid: this.plan.id,
        kind,
        source: this.plan.primary,
        target: replica.server,
        schedule: replica.schedule,
        ...(replica.rateMBps === undefined ? {} : { rateMBps: replica.rateMBps }),
      };
      args.transform?.replica?.(inputs, options);
      return new ReplicationPair(`${this.plan.name}-replication`, inputs, options);
    }
    const registered = registeredOf(this.plan);
    if (registered) {
      args.transform?.replica?.(registered, options);
      return new RegisteredGuest(`${this.plan.name}-registered`, registered, options);
    }
    const standby = standbyOf(this.plan);
    if (!standby) throw new Error(`the plan of ${this.plan.name} does not say how its standby is made`);
    const inputs = { ...standby, ...(args.refreshToken === undefined ? {} : { refreshToken: args.refreshToken }) };
    args.transform?.replica?.(inputs, options);
    return new StandbyGuest(`${this.plan.name}-standby`, inputs, options);
  }
}
