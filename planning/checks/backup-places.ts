/** Copies that share the fate of their original: on its disks, or on its server. */
import type { PolicyPlan, SubjectPlan } from "../backup/plan";
import type { TargetSpec } from "../backup/schema";
import { type Context, own } from "../context";
import type { SitePlan } from "../plan";
import { byName, list } from "../units";

/** Checks every policy's target against the servers and disks of what it copies. */
export function checkPlaces(context: Context, plan: SitePlan): void {
  for (const policy of Object.values(plan.backups.policies)) {
    const target = plan.backups.targets[policy.target];
    if (target === undefined) continue;
    const near = policy.subjects.filter((subject) => isBeside(context, policy, subject, target.server));
    if (near.length === 0) continue;
    const subject = target.spec === undefined ? `backups.${policy.name}.storage` : `targets.${policy.target}`;
    const disk = diskInWords(context, policy, near, target.spec);
    if (disk === undefined && near.every((each) => isReplicated(context, each))) continue;
    if (disk !== undefined)
      context.add(
        "TARGET-SAME-DISK",
        subject,
        `Target ${policy.target} is on the disks of what it copies: ${disk}.`,
        "Put the copies on other disks, of another server if there is one.",
      );
    else
      context.add(
        "TARGET-SAME-SERVER",
        subject,
        `Target ${policy.target} is on ${target.server}, and so is what it copies: ${names(near)}.`,
        "Put the target on another server, or add a second one elsewhere.",
      );
  }
  checkSnapshots(context, plan);
}

/** A guest that runs on two servers in turn is not lost with the one that has its backups. */
function isReplicated(context: Context, { kind, subject }: SubjectPlan): boolean {
  return kind === "guest" && own(context.spec.guests, subject)?.coldReplica !== undefined;
}

function names(subjects: readonly SubjectPlan[]): string {
  const all = subjects.map(({ subject }) => subject);
  return all.length > 8 ? `${list([...all.slice(0, 8), `${all.length - 8} more`])}` : list(all);
}

function isBeside(context: Context, policy: PolicyPlan, subject: SubjectPlan, server: string | undefined): boolean {
  const home = own(context.spec.guests, subject.server)?.on ?? subject.server;
  // A local storage: each server writes to its own.
  if (policy.storage !== undefined && context.storageOn(home, policy.storage)?.shared === false) return true;
  return server === home;
}

/** The disk that carries both, in words; undefined when none is known to. */
function diskInWords(
  context: Context,
  policy: PolicyPlan,
  near: readonly SubjectPlan[],
  target: TargetSpec | undefined,
): string | undefined {
  for (const subject of near) {
    const server = own(context.spec.guests, subject.server)?.on ?? subject.server;
    const found = sharedDisk(context, server, subject, policy, target);
    if (found !== undefined) return found;
  }
  return undefined;
}

function sharedDisk(
  context: Context,
  server: string,
  subject: SubjectPlan,
  policy: PolicyPlan,
  target: TargetSpec | undefined,
): string | undefined {
  if (policy.storage !== undefined && subject.kind === "guest") {
    const seen = context.storageOn(server, policy.storage);
    if (seen?.shared === false) return `storage ${policy.storage} is ${server}'s own, where ${subject.subject} runs`;
  }
  const path = pathOf(target);
  const pools = Object.entries(context.server(server)?.storages ?? {});
  if (path !== undefined && subject.kind === "folder") {
    const source = policy.spec.folders.find((folder) => folder.paths.some((each) => isInside(path, each)));
    if (source !== undefined && source.server === server) return `${path} is inside what is backed up of ${server}`;
  }
  const disks = own(context.spec.guests, subject.subject)?.disks.map(({ storage }) => storage) ?? [];
  const carrying = pools.filter(([id]) => disks.includes(id));
  const pool = carrying.find(
    ([id, storage]) =>
      (path !== undefined && storage.path !== undefined && isInside(path, storage.path)) ||
      (target?.kind === "zfs-receiver" && storage.type === "zfspool" && isInside(target.dataset, storage.pool ?? id)),
  );
  if (pool === undefined) return undefined;
  const where = target?.kind === "zfs-receiver" ? target.dataset : path;
  return `${where} is inside storage ${pool[0]} of ${server}, where ${subject.subject} runs`;
}

function pathOf(target: TargetSpec | undefined): string | undefined {
  if (target?.kind === "pbs") return target.path;
  if (target?.kind !== "restic") return undefined;
  return target.backend.type === "local" || target.backend.type === "sftp" ? target.backend.path : undefined;
}

function isInside(path: string, folder: string): boolean {
  const end = folder.replace(/\/+$/, "");
  return path.replace(/\/+$/, "") === end || path.startsWith(`${end}/`);
}

/** Data sets whose only copies are snapshots on their own server. */
function checkSnapshots(context: Context, plan: SitePlan): void {
  const policies = Object.values(plan.backups.policies);
  const alone = new Map<string, string>();
  for (const { subjects, target } of policies)
    for (const { subject, kind, server } of subjects)
      if (kind === "dataset" && plan.backups.targets[target]?.server === server) alone.set(subject, server);
  for (const { subjects, target } of policies)
    for (const { subject, server } of subjects)
      if (plan.backups.targets[target]?.server !== server) alone.delete(subject);
  for (const [subject, server] of [...alone].sort(([a], [b]) => byName(a, b)))
    context.add(
      "SNAPSHOTS-ALONE",
      "backups",
      `${subject} has snapshots on ${server} alone, its own server: a snapshot is not a backup, and many slow a machine down.`,
      "Add a policy that sends it to a zfs-receiver on another server.",
    );
}
