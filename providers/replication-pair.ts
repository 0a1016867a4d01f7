import type * as pulumi from "@pulumi/pulumi";
import { HandlerResource } from "./dynamic";

/** Arguments of {@link ReplicationPair}. */
export interface ReplicationPairArgs {
  /** The guest's name, for messages and the job's comment. */
  guest: string;
  /** The guest's id, the same on both servers. A change replaces the resource. */
  vmid: pulumi.Input<number>;
  /** Virtual machine or container. */
  kind: "qemu" | "lxc";
  /** One server of the pair, as planned: the primary. Where the guest really is decides the direction of the job. */
  source: string;
  /** The other server of the pair, as planned: the spare. */
  target: string;
  /** PVE calendar event, for instance `*:0/15` or `mon..fri 22:00`. */
  schedule: string;
  /** Limit of the transfer in MB/s; without it none. */
  rateMBps?: number;
}

/**
 * A replication job of Proxmox VE between two servers, for a guest on ZFS (method `storage-replication`).
 *
 * ```ts
 * new ReplicationPair("sql-erp-replication", {
 *   guest: "sql-erp", vmid: 110, kind: "qemu", source: "srv2", target: "srv1", schedule: "*:0/15",
 * }, { parent, dependsOn: [vm] });
 * ```
 *
 * The pair is unordered: PVE swaps source and target by itself when the guest moves, and so swapping `source` and
 * `target` here changes nothing and never deletes the copy. Another server in the pair is a new job; the old one
 * and its copy go only after the first good synchronisation of the new one. A job that somebody disabled stays disabled: only failback and commit enable it.
 *
 * Creation waits for the first good synchronisation; when that fails, the job is recorded as partly initialised, and
 * the next `pulumi up` tries again. Deletion removes the job and the copy on the spare.
 *
 * How the job goes (health, last synchronisation, failures) changes all the time and is therefore not in the state: `pulumi refresh`
 * and `pulumi up --refresh` print a warning with what to type when it fails, waits, is late or is disabled.
 */
export class ReplicationPair extends HandlerResource {
  /** The job's id in PVE, normally `<vmid>-0`. */
  declare readonly jobId: pulumi.Output<string>;
  /** The server that sends now (the active side). */
  declare readonly source: pulumi.Output<string>;
  /** The server that receives now. */
  declare readonly target: pulumi.Output<string>;

  constructor(name: string, args: ReplicationPairArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { jobId: undefined };
    super("ReplicationPair", "replication-pair-handler", name, { ...args, ...outputs }, opts);
  }
}
