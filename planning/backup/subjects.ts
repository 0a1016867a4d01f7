/** What a policy backs up, and where its copies go. */
import type { GuestSpec, SiteSpec } from "../schema";
import { byName } from "../units";
import type { BackupPolicySpec, OfflineMediumSpec, TargetSpec } from "./schema";

type Named<T> = { name: string } & T;

/** Guests of a policy, by name. A policy of folders, volumes or data sets has none unless it names them. */
export function policyGuests(
  guests: readonly { name: string; spec: Pick<GuestSpec, "pool" | "tags"> }[],
  policy: BackupPolicySpec,
): string[] {
  const wanted = policy.guests ?? (hasOtherSources(policy) ? [] : "all");
  const takes = ({ name, spec }: (typeof guests)[number]) => {
    if (wanted === "all") return true;
    if (Array.isArray(wanted)) return wanted.includes(name);
    return "pool" in wanted ? spec.pool === wanted.pool : spec.tags.includes(wanted.tag);
  };
  return guests.filter(takes).map(({ name }) => name);
}

/** Guest names that a policy writes out; empty where it takes all, a pool or a tag. */
export function namedGuests({ guests }: BackupPolicySpec): string[] {
  return Array.isArray(guests) ? guests : [];
}

function hasOtherSources({ folders, volumes, datasets }: BackupPolicySpec): boolean {
  return folders.length + volumes.length + datasets.length > 0;
}

/** The target of a policy; one of its storage alone stands for a `vzdump` target there. Undefined: there is none of that name. */
export function policyTarget(
  targets: SiteSpec["targets"],
  policy: BackupPolicySpec,
): Named<{ spec?: TargetSpec }> | undefined {
  if (policy.target !== undefined) {
    const spec = Object.hasOwn(targets, policy.target) ? targets[policy.target] : undefined;
    return spec && { name: policy.target, spec };
  }
  if (policy.storage === undefined) return undefined;
  const own = Object.entries(targets).find(([name, spec]) => storageOf(name, spec) === policy.storage);
  return own ? { name: own[0], spec: own[1] } : { name: policy.storage };
}

/** Id of the storage entry on the hypervisors that a policy's backups of guests are written to. */
export function policyStorage(targets: SiteSpec["targets"], policy: BackupPolicySpec): string | undefined {
  const target = policyTarget(targets, policy);
  if (target === undefined) return undefined;
  return target.spec === undefined ? policy.storage : storageOf(target.name, target.spec);
}

/** Id of the storage entry of a target; undefined for one that is no storage of Proxmox VE. */
export function storageOf(name: string, target: TargetSpec): string | undefined {
  if (target.kind === "pbs") return target.storage ?? name;
  return target.kind === "vzdump" ? target.storage : undefined;
}

/** Targets of one kind, sorted by name. */
export function targetsOf<K extends TargetSpec["kind"]>(
  targets: SiteSpec["targets"],
  kind: K,
): [string, Extract<TargetSpec, { kind: K }>][] {
  return Object.entries(targets)
    .filter((entry): entry is [string, Extract<TargetSpec, { kind: K }>] => entry[1].kind === kind)
    .sort(([a], [b]) => byName(a, b));
}

/** Rotated media, sorted by name. */
export function offlineMedia(targets: SiteSpec["targets"]): [string, OfflineMediumSpec][] {
  return targetsOf(targets, "offline-medium");
}
