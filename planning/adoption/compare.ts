/** A specification beside the cluster it describes: for a state that was lost, and before guests are adopted. */
import type { PolicyPlan } from "../backup/plan";
import { policyStorage } from "../backup/subjects";
import { diskInterface } from "../checks/adopted";
import type { GuestPlan, SitePlan } from "../plan";
import type { GuestSpecInput } from "../schema";
import { formatGiB, list } from "../units";
import { policyNames } from "./backup-jobs";
import { titleOf } from "./guests";
import type { Interpretation } from "./interpretation";
import type { BackupJobEntry, ClusterSnapshot, GuestSnapshot } from "./snapshot";

export interface ComparedPart {
  /** For example `guest sql-erp`, `replication of sql-erp`, `backup job office-nightly`. */
  subject: string;
  /**
   * - `exists`: as the specification says it; `coldspare adopt` takes it over untouched
   * - `differs`: it exists, and not as the specification says
   * - `missing`: the specification has it, the cluster does not
   * - `beside`: the cluster has it, the specification does not
   */
  state: "exists" | "differs" | "missing" | "beside";
  /** What differs, or what follows from it. */
  note?: string;
}

/** Every part of the specification with what the cluster has of it, and then what the cluster has beside it. */
export function compareWithCluster(
  plan: SitePlan,
  snapshot: ClusterSnapshot,
  interpretation: Interpretation,
): ComparedPart[] {
  const guests = Object.values(plan.guests);
  return [
    ...compareServers(plan, snapshot),
    ...compareStorages(plan, snapshot),
    ...guests.map((guest) => compareGuest(guest, snapshot, interpretation)),
    ...guests.flatMap((guest) => compareReplica(guest, snapshot)),
    ...compareBackups(plan, snapshot),
    ...beside(plan, snapshot),
  ];
}

function compareServers({ servers }: SitePlan, { nodes }: ClusterSnapshot): ComparedPart[] {
  const hypervisors = Object.values(servers).filter(({ roles }) => roles.includes("hypervisor"));
  return hypervisors.map(({ name }) => {
    const found = nodes.find((node) => node.name === name);
    const subject = `server ${name}`;
    if (found === undefined) return { subject, state: "missing", note: "what was read has no server of that name" };
    return found.online
      ? { subject, state: "exists" }
      : { subject, state: "exists", note: "it is off: what is there could not be read" };
  });
}

function compareStorages({ spec }: SitePlan, { storages }: ClusterSnapshot): ComparedPart[] {
  const local = Object.values(spec.servers).flatMap((server) => Object.entries(server.storages));
  const wanted = new Map(
    [...local, ...Object.entries(spec.storages)].map(([id, { type, managed }]) => [id, { type, managed }]),
  );
  return [...wanted].map(([id, { type, managed }]) => {
    const found = storages.find(({ storage }) => storage === id);
    const subject = `storage ${id}`;
    if (found === undefined)
      return {
        subject,
        state: "missing",
        note: managed ? "the next update makes its entry" : "it has to be made by hand",
      };
    return type === "other" || found.type === type
      ? { subject, state: "exists" }
      : { subject, state: "differs", note: `it is of type ${found.type}; the specification says ${type}` };
  });
}

function compareGuest(guest: GuestPlan, snapshot: ClusterSnapshot, { site, guests }: Interpretation): ComparedPart {
  const subject = `guest ${guest.name}`;
  const found = snapshot.guests.find(({ vmid }) => vmid === guest.id);
  if (found === undefined)
    return {
      subject,
      state: "missing",
      note: `there is no guest ${guest.id}: the next update makes a new one; restore it from its newest backup first`,
    };
  const told = guests.find(({ vmid }) => vmid === guest.id);
  const said = told?.name === undefined ? undefined : site.guests?.[told.name];
  const differences = [...identity(guest, found), ...(said === undefined ? [] : facts(guest, said))];
  if (differences.length > 0) return { subject, state: "differs", note: differences.join("; ") };
  if (told?.reason !== undefined) return { subject, state: "exists", note: told.reason };
  return { subject, state: "exists", ...onSpare(guest, found) };
}

/** Whether the guest of this id is the one that is meant. */
function identity(guest: GuestPlan, found: GuestSnapshot): string[] {
  const kind = found.type === "qemu" ? "vm" : "container";
  const title = titleOf(found);
  return [
    ...(kind === guest.kind ? [] : [`guest ${guest.id} is a ${kind} there`]),
    ...(title === guest.hostname ? [] : [`guest ${guest.id} is called '${title}' there: is it another one?`]),
    ...(found.node === guest.primary || found.node === guest.spare
      ? []
      : [
          `it is on ${found.node}; the specification says ${list(
            [guest.primary, guest.spare].filter((each) => each !== undefined),
            "or",
          )}`,
        ]),
  ];
}

/** A guest by storage replication goes over with its id. */
function onSpare({ name, activeServer, replica }: GuestPlan, { node }: GuestSnapshot): { note?: string } {
  if (node === activeServer || replica?.method !== "storage-replication") return {};
  return {
    note: `it runs on its other side, ${node}: record it with 'pulumi config set --path coldspare:active.${name} spare' before anything else`,
  };
}

/** Sizes that the next update would change. */
function facts({ spec }: GuestPlan, said: GuestSpecInput): string[] {
  const differences: string[] = [];
  const compare = (what: string, there: number, here: number, unit = (value: number) => String(value)) => {
    if (there !== here) differences.push(`${what}: ${unit(there)} there, ${unit(here)} in the specification`);
  };
  if (!spec.keep.includes("cpu")) compare("cores", said.cores, spec.cores);
  if (!spec.keep.includes("memory")) compare("memory", said.memoryGiB, spec.memoryGiB, formatGiB);
  if (spec.keep.includes("disks")) return differences;
  const here = new Map(spec.disks.map((disk, index) => [diskInterface(spec.kind, disk, index), disk]));
  const there = new Map(said.disks.map((disk) => [disk.interface, disk]));
  for (const [place, disk] of here) {
    const found = there.get(place);
    if (found === undefined) differences.push(`${place} is missing there`);
    else if (found.storage !== disk.storage)
      differences.push(`${place} lies on ${found.storage} there, not on ${disk.storage}`);
    else compare(place, found.sizeGiB, disk.sizeGiB, formatGiB);
  }
  for (const place of there.keys())
    if (place !== undefined && !here.has(place)) differences.push(`${place} is there, and not in the specification`);
  return differences;
}

function compareReplica(
  { name, id, primary, spare, replica }: GuestPlan,
  { guests, replicationJobs }: ClusterSnapshot,
): ComparedPart[] {
  const subject = `replication of ${name}`;
  if (replica?.method === "restore") {
    const ids = replica.standbyIds ?? [];
    const present = ids.filter((standby) => guests.some(({ vmid }) => vmid === standby));
    return [
      present.length > 0
        ? { subject, state: "exists", note: `standby ${list(present.map(String))}` }
        : {
            subject,
            state: "missing",
            note: `there is no standby ${list(ids.map(String), "or")}: the next update restores one`,
          },
    ];
  }
  if (replica?.method !== "storage-replication") return [];
  const job = replicationJobs.find((each) => each.guest === id && (each.target === spare || each.target === primary));
  if (job === undefined) return [{ subject, state: "missing", note: "the next update makes its replication job" }];
  if (job.disabled) return [{ subject, state: "differs", note: `its replication job ${job.id} is disabled` }];
  return job.schedule === replica.schedule
    ? [{ subject, state: "exists" }]
    : [
        {
          subject,
          state: "differs",
          note: `schedule: ${job.schedule} there, ${replica.schedule} in the specification`,
        },
      ];
}

function compareBackups(plan: SitePlan, { backupJobs }: ClusterSnapshot): ComparedPart[] {
  const ids = jobsOf(plan, backupJobs);
  return Object.values(plan.backups.policies).flatMap((policy): ComparedPart[] => {
    const id = ids.get(policy.name);
    if (id === undefined) return [];
    const subject = `backup job ${id}`;
    const job = backupJobs.find((each) => each.id === id);
    if (job === undefined)
      return [
        {
          subject,
          state: "missing",
          note: policy.spec.managed ? "the next update makes it" : "it has to be made by hand",
        },
      ];
    const differences = jobDifferences(job, policy, policyStorage(plan.spec.targets, policy.spec));
    return [
      differences.length === 0
        ? { subject, state: "exists" }
        : { subject, state: "differs", note: differences.join("; ") },
    ];
  });
}

/**
 * Ids of the jobs of policies that copy guests, by policy: those that coldspare makes bear the site's and the policy's name, of the
 * others the policy was called after the job.
 */
function jobsOf({ site, backups }: SitePlan, backupJobs: readonly BackupJobEntry[]): Map<string, string> {
  const found = new Map([...policyNames(backupJobs)].map(([id, name]) => [name, id]));
  const copying = Object.values(backups.policies).filter(({ subjects }) =>
    subjects.some(({ vmid }) => vmid !== undefined),
  );
  return new Map(
    copying.map(({ name, spec }) => [name, spec.managed ? `${site.name}-${name}` : (found.get(name) ?? name)]),
  );
}

function jobDifferences(job: BackupJobEntry, { spec }: PolicyPlan, storage: string | undefined): string[] {
  return [
    ...(job.enabled ? [] : ["it is disabled there"]),
    ...(job.schedule === spec.schedule
      ? []
      : [`schedule: ${job.schedule} there, ${spec.schedule} in the specification`]),
    ...(storage === undefined || job.storage === storage
      ? []
      : [`it writes to ${job.storage ?? "no storage"} there, not to ${storage}`]),
  ];
}

/** What the cluster has and the specification does not say: it stays as it is. */
function beside(plan: SitePlan, snapshot: ClusterSnapshot): ComparedPart[] {
  const ids = new Set(Object.values(plan.guests).flatMap(({ id, replica }) => [id, ...(replica?.standbyIds ?? [])]));
  const jobs = new Set(jobsOf(plan, snapshot.backupJobs).values());
  return [
    ...snapshot.guests
      .filter(({ vmid }) => !ids.has(vmid))
      .sort((one, other) => one.vmid - other.vmid)
      .map(
        (guest): ComparedPart => ({
          subject: `guest ${guest.vmid}`,
          state: "beside",
          note: `'${titleOf(guest)}' on ${guest.node}${guest.template ? ", a template" : ""}`,
        }),
      ),
    ...snapshot.backupJobs
      .filter(({ id }) => !jobs.has(id))
      .map(({ id }): ComparedPart => ({ subject: `backup job ${id}`, state: "beside" })),
  ];
}
