/** Policies of backups: sources, schedules, promises, retention and verification. */
import { canBeImmutable } from "../backup/immutable";
import type { PolicyPlan } from "../backup/plan";
import { KEEP_RULES, keepsNothing } from "../backup/retention";
import { policyTarget } from "../backup/subjects";
import { longestGapSeconds } from "../calendar";
import { type Context, own, sorted } from "../context";
import { nearest } from "../nearest";
import type { SitePlan } from "../plan";
import { eventOf } from "../recovery";
import type { BackupPolicySpec } from "../schema";
import { durationCovering, formatDuration, formatGiB, list, parseDuration } from "../units";
import { serverFix } from "./placement";
import { checkSchedule } from "./recovery";

const DAY = 86_400;

/** Checks every policy. */
export function checkBackups(context: Context, plan: SitePlan): void {
  for (const [name, policy] of sorted(context.spec.backups)) {
    checkTarget(context, name, policy);
    checkSources(context, name, policy);
    checkKeep(context, name, policy);
    checkVerification(context, plan, name, policy);
    const planned = plan.backups.policies[name];
    if (planned !== undefined) checkTimes(context, planned);
    if (planned !== undefined) checkImmutable(context, planned);
  }
}

function checkTarget(context: Context, name: string, policy: BackupPolicySpec): void {
  const path = `backups.${name}`;
  const { target, storage } = policy;
  if ((target === undefined) === (storage === undefined)) {
    context.add(
      "TARGET-OR-STORAGE",
      path,
      target === undefined
        ? `Backup policy ${name} has neither a target nor a storage: nothing is written.`
        : `Backup policy ${name} has a target ('${target}') and a storage ('${storage}').`,
      target === undefined ? `Add ${path}.target or ${path}.storage.` : `Remove ${path}.storage.`,
    );
    return;
  }
  const known = Object.keys(context.spec.targets).filter(
    (each) => own(context.spec.targets, each)?.kind !== "offline-medium",
  );
  if (target !== undefined && !known.includes(target))
    unknownTarget(context, `${path}.target`, `Backup policy ${name} writes to target '${target}'`, target, known);
}

/** A name of a target that leads nowhere. */
export function unknownTarget(
  context: Context,
  path: string,
  what: string,
  wrong: string,
  known: readonly string[],
): void {
  const medium = own(context.spec.targets, wrong) !== undefined;
  context.add(
    "TARGET-UNKNOWN",
    path,
    medium ? `${what}, which is no target of that kind.` : `${what}, which does not exist.`,
    `Set ${path} to ${nearest(wrong, known) ?? (list(known, "or") || "a target")}${medium ? "" : `, or add targets.${wrong}`}.`,
  );
}

const TAKES = {
  folders: ["restic"],
  volumes: ["restic"],
  datasets: ["zfs-receiver"],
  guests: ["pbs", "vzdump"],
} as const;

function checkSources(context: Context, name: string, policy: BackupPolicySpec): void {
  const path = `backups.${name}`;
  const kind = kindOf(context, policy);
  const wantsGuests =
    policy.guests !== undefined || policy.folders.length + policy.volumes.length + policy.datasets.length === 0;
  for (const source of ["guests", "folders", "volumes", "datasets"] as const) {
    const given = source === "guests" ? wantsGuests : policy[source].length > 0;
    const kinds: readonly string[] = TAKES[source];
    if (given && kind !== undefined && !kinds.includes(kind))
      context.add(
        "SOURCE-NOT-TAKEN",
        `${path}.${source}`,
        `Backup policy ${name} has ${source}, which a ${kind} target cannot take.`,
        `Give them a policy of their own, with a target of kind ${list(kinds, "or")}.`,
      );
  }
  checkSelection(context, name, policy);
  const servers = context.servers.map((server) => server.name);
  const machines = [...servers, ...context.guests.map((guest) => guest.name)];
  const check = (at: string, server: string, known: readonly string[]) => {
    if (known.includes(server)) return;
    context.add(
      "SERVER-UNKNOWN",
      `${at}.server`,
      `Backup policy ${name} reads from '${server}', which does not exist.`,
      serverFix(context, `${at}.server`, server, known),
    );
  };
  for (const [index, { server, of }] of policy.folders.entries()) {
    check(`${path}.folders[${index}]`, server, servers);
    if (of !== undefined && own(context.spec.guests, of) === undefined)
      unknownGuest(context, `${path}.folders[${index}].of`, `A folder of backup policy ${name} has data of`, of);
  }
  for (const [index, { server }] of policy.volumes.entries()) check(`${path}.volumes[${index}]`, server, machines);
  for (const [index, { server, volume }] of policy.volumes.entries())
    if (own(context.spec.guests, server) !== undefined && context.server(server) === undefined)
      context.add(
        "VOLUME-IN-GUEST-NOT-BUILT",
        `${path}.volumes[${index}].server`,
        `Volume ${volume} is inside guest ${server}, where this release installs no program that copies it.`,
        `Let ${server} dump it to a folder on a server, and write that folder with \`of: ${server}\` to ${path}.folders.`,
      );
  for (const [index, { server }] of policy.datasets.entries()) check(`${path}.datasets[${index}]`, server, servers);
}

function unknownGuest(context: Context, path: string, what: string, wrong: string): void {
  const known = context.guests.map((guest) => guest.name);
  context.add(
    "GUEST-UNKNOWN",
    path,
    `${what} guest '${wrong}', which does not exist.`,
    `Did you mean ${nearest(wrong, known) ?? (list(known, "or") || "another one")}? Correct or remove '${wrong}'.`,
  );
}

/** The kind of a policy's target; undefined when it has none. */
function kindOf(context: Context, policy: BackupPolicySpec): string | undefined {
  const target = policyTarget(context.spec.targets, policy);
  return target && (target.spec?.kind ?? "vzdump");
}

function checkSelection(context: Context, name: string, { guests }: BackupPolicySpec): void {
  if (guests === undefined || guests === "all" || Array.isArray(guests)) return;
  const [what, wanted] = "pool" in guests ? ["pool", guests.pool] : ["tag", guests.tag];
  const present = context.guests.flatMap(({ spec }) => (what === "tag" ? spec.tags : (spec.pool ?? [])));
  if (present.includes(wanted)) return;
  const close = nearest(wanted, present);
  context.add(
    "BACKUP-NOTHING",
    `backups.${name}.guests`,
    `Backup policy ${name} backs up nothing: no guest ${what === "tag" ? "has the tag" : "is in the pool"} '${wanted}'.`,
    close === undefined ? `Correct the ${what}, or name guests.` : `Write '${close}' instead of '${wanted}'.`,
  );
}

function checkKeep(context: Context, name: string, { keep }: BackupPolicySpec): void {
  if (!keepsNothing(keep) || KEEP_RULES.every((rule) => keep[rule] === undefined)) return;
  context.add(
    "BACKUP-KEEPS-NOTHING",
    `backups.${name}.keep`,
    `Backup policy ${name} keeps nothing: every number in keep is 0.`,
    `Set backups.${name}.keep, for example { daily: 7, weekly: 4 }.`,
  );
}

function checkTimes(context: Context, policy: PolicyPlan): void {
  const { name, spec, recoveryPointSeconds: point, promisedSeconds, laterRunSeconds } = policy;
  const event = eventOf(spec.schedule);
  if (event === undefined || event.years) return;
  const gap = longestGapSeconds(event);
  if (laterRunSeconds > gap)
    context.add(
      "BACKUP-RUN-TOO-LONG",
      `backups.${name}.schedule`,
      `A run of backup policy ${name} takes ${formatDuration(laterRunSeconds)}, and the next one begins after ${formatDuration(gap)}.`,
      `Back up less often, use a faster link (targets.${policy.target}.linkMbps, policies.linkMbps), or raise its limits.`,
    );
  if (promisedSeconds !== undefined && point > promisedSeconds)
    context.add(
      "BACKUP-RPO-BROKEN",
      `backups.${name}.recoveryPoint`,
      `Backup policy ${name} promises copies of at most ${formatDuration(promisedSeconds)}, and they may be ${formatDuration(point)} old: ` +
        `${formatDuration(gap)} between two runs of '${spec.schedule}' + ${formatDuration(laterRunSeconds)} for a run.`,
      laterRunSeconds > promisedSeconds
        ? `Use a faster link to ${policy.target} (linkMbps), or promise ${durationCovering(point)}.`
        : `Back up more often (backups.${name}.schedule), or promise ${durationCovering(point)}.`,
    );
}

function checkImmutable(context: Context, { name, spec, target }: PolicyPlan): void {
  if (spec.immutableFor === undefined) return;
  const path = `backups.${name}.immutableFor`;
  if (!canBeImmutable(own(context.spec.targets, target))) {
    context.add(
      "IMMUTABLE-IMPOSSIBLE",
      path,
      `Copies of policy ${name} are to be immutable for ${spec.immutableFor}, which target ${target} cannot keep.`,
      `Write to a managed pbs target, a zfs-receiver that pulls, or a restic target with appendOnly; or remove ${path}.`,
    );
    return;
  }
  const end = retentionEnd(spec);
  if (parseDuration(spec.immutableFor) > end)
    context.add(
      "IMMUTABLE-BEYOND-KEEP",
      path,
      `Copies of policy ${name} are immutable for ${spec.immutableFor}, and its retention ends after ${formatDuration(end)}.`,
      `Keep copies at least so long (backups.${name}.keep), or shorten ${path}.`,
    );
}

/** About how old the oldest copy becomes that a retention keeps, in seconds. */
function retentionEnd({ keep, schedule }: BackupPolicySpec): number {
  const event = eventOf(schedule);
  const gap = event === undefined ? DAY : longestGapSeconds(event);
  const period = { last: gap, hourly: 3600, daily: DAY, weekly: 7 * DAY, monthly: 31 * DAY, yearly: 366 * DAY };
  if (keepsNothing(keep)) return Number.POSITIVE_INFINITY;
  return Math.max(...KEEP_RULES.map((rule) => (keep[rule] ?? 0) * Math.max(period[rule], rule === "last" ? 0 : gap)));
}

function checkVerification(context: Context, plan: SitePlan, name: string, { verify }: BackupPolicySpec): void {
  const path = `backups.${name}.verify`;
  if (verify.reread !== undefined)
    checkSchedule(context, `${path}.reread`, verify.reread, `verification of backup policy ${name}`);
  const test = verify.testRestore;
  if (test === undefined) return;
  checkSchedule(context, `${path}.testRestore.schedule`, test.schedule, `test restore of backup policy ${name}`);
  const known = context.guests.map((guest) => guest.name);
  for (const wrong of (test.guests ?? []).filter((guest) => !known.includes(guest)))
    unknownGuest(context, `${path}.testRestore.guests`, `The test restore of backup policy ${name} names`, wrong);
  if (test.on !== undefined && !context.isHypervisor(test.on))
    context.add(
      "SERVER-UNKNOWN",
      `${path}.testRestore.on`,
      `The test restore of backup policy ${name} runs on '${test.on}', which is no hypervisor of this site.`,
      serverFix(context, `${path}.testRestore.on`, test.on, context.hypervisors),
    );
  const subjects = plan.backups.policies[name]?.subjects.filter(({ kind }) => kind === "guest") ?? [];
  for (const guest of test.guests ?? subjects.map(({ subject }) => subject))
    checkRoom(context, plan, `${path}.testRestore.on`, guest, test.on);
}

/** A copy is booted beside what runs on the server. */
function checkRoom(context: Context, plan: SitePlan, path: string, guest: string, on: string | undefined): void {
  const placed = plan.guests[guest];
  const server = on ?? placed?.spare ?? placed?.primary;
  const usage = server === undefined ? undefined : plan.servers[server]?.capacity.before;
  if (placed === undefined || server === undefined || usage === undefined) return;
  const left = usage.memoryLimitGiB - usage.memoryGiB;
  if (placed.spec.memoryGiB <= left) return;
  const roomy = context.hypervisors.filter((name) => {
    const before = plan.servers[name]?.capacity.before;
    return before !== undefined && before.memoryLimitGiB - before.memoryGiB >= placed.spec.memoryGiB;
  });
  context.add(
    "TEST-RESTORE-NO-ROOM",
    path,
    `The test restore of ${guest} needs ${formatGiB(placed.spec.memoryGiB)} of memory on ${server}, which has ${formatGiB(Math.max(0, left))} left.`,
    roomy.length === 0 ? `Leave ${guest} out of the test restore.` : `Set ${path} to ${list(roomy, "or")}.`,
  );
}
