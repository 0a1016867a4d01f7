/** 3-2-1-1-0, counted for each subject: production and every copy of it. */
import { type Context, own } from "../context";
import { isImmutable } from "./immutable";
import { mediaOf, placeOf } from "./places";
import type { CopiesPlan, PolicyPlan, SubjectPlan } from "./plan";
import type { OfflineMediumSpec, TargetSpec } from "./schema";
import { offlineMedia, storageOf, targetsOf } from "./subjects";

type Copy = CopiesPlan["copies"][number];

/** Where a medium that is carried out of the building lies. */
const AWAY = "off site";

/** The copies of every subject of the policies, by subject. */
export function planCopies(
  context: Context,
  policies: Readonly<Record<string, PolicyPlan>>,
): Record<string, CopiesPlan> {
  const subjects = new Map<string, { subject: SubjectPlan; policies: PolicyPlan[] }>();
  for (const policy of Object.values(policies))
    for (const subject of policy.subjects) {
      const found = subjects.get(subject.subject) ?? { subject, policies: [] };
      found.policies.push(policy);
      subjects.set(subject.subject, found);
    }
  const names = [...subjects.keys()].sort();
  return Object.fromEntries(
    names.map((name) => {
      const { subject, policies: of } = subjects.get(name)!;
      return [name, count(subject.subject, copiesOf(context, subject, of))];
    }),
  );
}

function copiesOf(context: Context, subject: SubjectPlan, policies: readonly PolicyPlan[]): Copy[] {
  const copies = [production(context, subject), ...dumped(context, subject), ...replica(context, subject)];
  const targets = new Map<string, PolicyPlan[]>();
  for (const policy of policies) targets.set(policy.target, [...(targets.get(policy.target) ?? []), policy]);
  for (const [target, by] of targets) copies.push(...copiesAt(context, target, by, new Set()));
  return copies;
}

/** Of a folder that a guest's data is dumped into, the guest is production, and the folder a copy. */
function production(context: Context, { server, of }: SubjectPlan): Copy {
  return onDisk(context, own(context.spec.guests, of ?? server)?.on ?? server);
}

function dumped(context: Context, { server, of }: SubjectPlan): Copy[] {
  return of === undefined ? [] : [onDisk(context, server)];
}

function onDisk(context: Context, server: string): Copy {
  return copy(server, context.server(server)?.location, "disk");
}

function replica(context: Context, { kind, subject }: SubjectPlan): Copy[] {
  const on = kind === "guest" ? own(context.spec.guests, subject)?.coldReplica?.on : undefined;
  return on === undefined ? [] : [onDisk(context, on)];
}

/** The copy on a target, and those that are made of it: by a sync job, or on rotated media. */
function copiesAt(context: Context, target: string, policies: readonly PolicyPlan[], seen: Set<string>): Copy[] {
  if (seen.has(target)) return [];
  seen.add(target);
  const spec = own(context.spec.targets, target);
  if (spec?.kind === "offline-medium") return [];
  const verified =
    spec?.kind === "pbs" || policies.some(({ spec: { verify } }) => verify.reread !== undefined || verify.testRestore);
  const immutable = policies.some((policy) => isImmutable(spec, policy.spec));
  return [
    {
      ...copy(target, placeOf(context, target, spec).location, mediaOf(spec)),
      immutable,
      verified: Boolean(verified),
    },
    ...targetsOf(context.spec.targets, "pbs")
      .filter(([, { syncFrom }]) => syncFrom?.target === target)
      .flatMap(([name]) => copiesAt(context, name, [], seen)),
    ...offlineMedia(context.spec.targets)
      .filter(([, { copies }]) => copies === target || copies === storageIn(target, spec))
      .flatMap(([name, medium]) => mediaCopies(context, name, medium)),
  ];
}

/** Id of the storage whose content a target's copies are. */
function storageIn(target: string, spec: TargetSpec | undefined): string | undefined {
  return spec === undefined ? target : storageOf(target, spec);
}

/** A set that stays in the building, and one that leaves it, are two copies: their media are written at different times. */
function mediaCopies(context: Context, name: string, spec: OfflineMediumSpec): Copy[] {
  return spec.rotation.map((set) => ({
    ...copy(
      spec.rotation.length === 1 ? name : `${name}, set ${set.name}`,
      set.offSite ? AWAY : placeOf(context, name, spec).location,
      mediaOf(spec),
    ),
    offline: set.media.length > 1 || spec.rotation.length > 1,
    // Each copy is read again after it was written.
    verified: true,
  }));
}

function copy(where: string, location: string | undefined, media: string): Copy {
  return {
    where,
    ...(location !== undefined && { location }),
    media,
    offline: false,
    immutable: false,
    verified: false,
  };
}

function count(subject: string, copies: Copy[]): CopiesPlan {
  const home = copies[0]?.location;
  return {
    subject,
    copies,
    three: copies.length >= 3,
    two: new Set(copies.map(({ media }) => media)).size >= 2,
    // Where nobody says where something lies, it may lie beside the original.
    one: home !== undefined && copies.some(({ location }) => location !== undefined && location !== home),
    offlineOrImmutable: copies.some(({ offline, immutable }) => offline || immutable),
    zero: copies.some(({ verified }) => verified),
  };
}
