/** Replication jobs and high availability of guests, in the words of a specification. */
import { parseCalendarEvent } from "../calendar";
import type { GuestSpecInput } from "../schema";
import { byName } from "../units";
import type { DiskInput, GuestDraft } from "./guest-draft";
import type { LeftAsItIs } from "./interpretation";
import type { ServerInput } from "./servers";
import type { ClusterSnapshot, GuestSnapshot, ReplicationEntry } from "./snapshot";
import type { SaidStorage } from "./storages";
import { oneLine } from "./words";

export type ReplicaInput = NonNullable<GuestSpecInput["coldReplica"]>;

/** What a replica is judged by. */
interface Surroundings {
  jobs: readonly ReplicationEntry[];
  servers: Readonly<Record<string, ServerInput>>;
  storages: ReadonlyMap<string, SaidStorage>;
}

/**
 * The cold replica that a guest has by a replication job. The first enabled one counts, by its number; what others there are is told,
 * in the draft.
 */
export function replicaOf(
  guest: GuestSnapshot,
  { disks, left }: GuestDraft,
  { jobs, servers, storages }: Surroundings,
): ReplicaInput | undefined {
  let found: ReplicaInput | undefined;
  for (const job of jobs.filter((each) => each.guest === guest.vmid).sort(byNumber)) {
    const problem =
      unsayable(job, guest, servers) ??
      notCarried(disks, storages) ??
      (found && "a guest has one cold replica: this is another one");
    if (problem !== undefined) left.push(`replication job ${job.id} to ${job.target} stays as it is: ${problem}`);
    else found = replicaInput(job, left);
  }
  return found;
}

function byNumber(one: ReplicationEntry, other: ReplicationEntry): number {
  const number = ({ id }: ReplicationEntry) => Number(id.split("-")[1] ?? 0);
  return number(one) - number(other) || byName(one.id, other.id);
}

function unsayable(
  { disabled, target, schedule }: ReplicationEntry,
  { node }: GuestSnapshot,
  servers: Readonly<Record<string, ServerInput>>,
): string | undefined {
  if (disabled) return "it is disabled";
  if (target === node) return "its target is the server where the guest runs";
  if (!servers[target]?.roles.includes("hypervisor")) return `the server ${target} is not in the specification`;
  const { problem } = parseCalendarEvent(schedule);
  return problem === undefined ? undefined : `its schedule '${oneLine(schedule)}' cannot be read (${problem})`;
}

/** Proxmox VE replicates ZFS and passes over everything else. */
function notCarried(disks: readonly DiskInput[], storages: ReadonlyMap<string, SaidStorage>): string | undefined {
  const other = disks.find(({ storage }) => {
    const said = storages.get(storage);
    return said?.kind !== "local" || said.type !== "zfspool";
  });
  return (
    other &&
    `its disk ${other.interface} lies on ${other.storage}, which is no local ZFS, so the job does not carry all of it`
  );
}

function replicaInput({ id, target, schedule, rateMBps }: ReplicationEntry, left: string[]): ReplicaInput {
  const hasRate = rateMBps !== undefined && rateMBps >= 1;
  if (rateMBps !== undefined && !hasRate)
    left.push(`replication job ${id} is limited to ${rateMBps} MB/s, less than the words take`);
  return { on: target, method: "storage-replication", schedule, ...(hasRate && { rateMBps }) };
}

/** Tells of a guest that Proxmox VE itself restarts elsewhere. */
export function tellHa(guest: GuestSnapshot, { ha }: ClusterSnapshot, left: string[]): void {
  const sid = `${guest.type === "qemu" ? "vm" : "ct"}:${guest.vmid}`;
  const entry = ha.find((each) => each.sid === sid);
  if (entry === undefined) return;
  left.push(
    `managed by HA (${entry.state ?? "started"}): Proxmox VE itself starts it on another server; take it out of HA before coldspare switches it`,
  );
}

/** Jobs of guests that do not exist any more. */
export function strayJobs({ guests, replicationJobs }: ClusterSnapshot): LeftAsItIs[] {
  const known = new Set(guests.map(({ vmid }) => vmid));
  return replicationJobs
    .filter(({ guest }) => !known.has(guest))
    .map(({ id, guest }) => ({
      subject: `replication job ${id}`,
      what: `there is no guest ${guest}: it stays as it is, and can be removed with 'pvesr delete ${id}'`,
    }));
}
