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
 * `target` here changes nothing and never deletes the copy. Another server in the pair ends the old job (and its copy) and
 * starts a new one. A job that somebody disabled stays disabled: only failback and commit enable it.
 *
 * Creation waits for the first good synchronisation; when that fails, the job is recorded as partly initialised, and
 * the next `pulumi up` tries again. Deletion removes the job and the copy on the spare.
 *
 * The last synchronisation and the count of failures change all the time and are therefore not in the state: read them with
 * `replicationStatus`.
 */
export class ReplicationPair extends HandlerResource {
  /** The job's id in PVE, normally `<vmid>-0`. */
  declare readonly jobId: pulumi.Output<string>;
  /** The server that sends now (the active side). */
  declare readonly source: pulumi.Output<string>;
  /** The server that receives now. */
  declare readonly target: pulumi.Output<string>;
  /** `ok`, `waiting` (no synchronisation since the job was made or swapped), `failing` or `disabled`. */
  declare readonly health: pulumi.Output<ReplicationHealth>;

  constructor(name: string, args: ReplicationPairArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { jobId: undefined, health: undefined };
    super("ReplicationPair", "replication-pair-handler", name, { ...args, ...outputs }, opts);
  }
}

/** State of a replication job, see {@link ReplicationPair.health}. */
export type ReplicationHealth = "ok" | "waiting" | "failing" | "disabled";
