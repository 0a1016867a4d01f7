/** What the policies of a manifest back up, and which servers know of the copies. Pure. */
import { folderSubject, volumeSubject } from "../../planning/backup/conf-words";
import type { ManifestBackups, ManifestPolicy } from "../../planning/backup/manifest";
import type { ManifestGuest, SiteManifest } from "../../planning/manifest";
import { byName } from "../../planning/units";

/** One thing that is backed up. */
export interface Subject {
  name: string;
  kind: "guest" | "folder" | "volume" | "dataset";
  /** The server that reads it; of a guest its home. */
  server: string;
  /** Policies that take it, by name. */
  policies: string[];
  /** The shortest age that one of them promises for its newest copy. */
  promisedSeconds: number;
}

/** Everything that a policy takes, by name. */
export function subjectsOf(manifest: SiteManifest): Subject[] {
  const found = new Map<string, Subject>();
  for (const [policy, spec] of Object.entries(manifest.backups?.policies ?? {})) {
    for (const each of takenBy(manifest, spec)) {
      const known = found.get(each.name) ?? { ...each, policies: [], promisedSeconds: Number.POSITIVE_INFINITY };
      known.policies.push(policy);
      known.promisedSeconds = Math.min(known.promisedSeconds, spec.recoveryPointSeconds);
      found.set(each.name, known);
    }
  }
  const subjects = [...found.values()].map((each) => ({ ...each, policies: [...each.policies].sort(byName) }));
  return subjects.sort((a, b) => byName(a.name, b.name));
}

/** Names of what one policy takes. */
export function takenBy(
  manifest: Pick<SiteManifest, "guests">,
  policy: Pick<ManifestPolicy, "guests" | "folders" | "volumes" | "datasets">,
): Pick<Subject, "name" | "kind" | "server">[] {
  return [
    ...policy.guests.flatMap((name) => {
      const guest = manifest.guests[name];
      return guest === undefined ? [] : [{ name, kind: "guest" as const, server: guest.primary }];
    }),
    ...policy.folders.map(({ server, paths }) => ({
      name: folderSubject(server, paths),
      kind: "folder" as const,
      server,
    })),
    ...policy.volumes.map(({ server, volume }) => ({
      name: volumeSubject(server, volume),
      kind: "volume" as const,
      server,
    })),
    ...policy.datasets.map(({ server, dataset }) => ({
      name: `dataset:${server}:${dataset}`,
      kind: "dataset" as const,
      server,
    })),
  ];
}

/** The guest that has this id on one of its sides. */
export function guestOfId({ guests }: Pick<SiteManifest, "guests">, vmid: number): ManifestGuest | undefined {
  return Object.values(guests).find((guest) => guest.vmid === vmid || guest.standbyIds?.includes(vmid) === true);
}

/** A program of ours that knows of copies, and the targets that it can tell of. */
export interface Keeper {
  server: string;
  program: "coldspare-backup" | "coldspare-zfs";
  targets: string[];
  /** Rotations whose media hang on this server. */
  rotations: string[];
}

/** Servers whose programs know of copies: those that read folders, volumes or data sets, those that receive, those with media. */
export function keepersOf(backups: ManifestBackups): Keeper[] {
  const found = new Map<string, Keeper>();
  const add = (program: Keeper["program"], server: string, target: string, rotation = false) => {
    const key = `${server}/${program}`;
    const known = found.get(key) ?? { server, program, targets: [], rotations: [] };
    if (!known.targets.includes(target)) known.targets.push(target);
    if (rotation) known.rotations.push(target);
    found.set(key, known);
  };
  for (const { target, folders, volumes, datasets } of Object.values(backups.policies)) {
    for (const { server } of [...folders, ...volumes]) add("coldspare-backup", server, target);
    const spec = backups.targets[target];
    // A receiver that pulls runs the job itself.
    const puller = spec?.kind === "zfs-receiver" && spec.direction === "pull" ? spec.on : undefined;
    for (const { server } of datasets) add("coldspare-zfs", puller ?? server, target);
  }
  for (const [target, { on }] of Object.entries(backups.rotations)) add("coldspare-backup", on, target, true);
  return [...found.values()].sort((a, b) => byName(a.server, b.server) || byName(a.program, b.program));
}

/** Policies that write this subject to this target. */
export function policiesFor(manifest: SiteManifest, subject: string, target: string): string[] {
  return Object.entries(manifest.backups?.policies ?? {})
    .filter(([, policy]) => policy.target === target && takenBy(manifest, policy).some(({ name }) => name === subject))
    .map(([name]) => name)
    .sort(byName);
}
