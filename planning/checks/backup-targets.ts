/** Targets of backups: where they are, how large, who may delete there, and whether the copies fit. */

import type { TargetPlan } from "../backup/plan";
import { raidProblem } from "../backup/raid";
import { keepInWords } from "../backup/retention";
import type { PbsTargetSpec, ResticTargetSpec, TargetSpec } from "../backup/schema";
import { targetsOf } from "../backup/subjects";
import { type Context, own, sorted } from "../context";
import type { SitePlan } from "../plan";
import { formatGiB } from "../units";
import { unknownTarget } from "./backups";
import { serverFix } from "./placement";
import { checkSchedule } from "./recovery";

/** Checks every target but rotated media. */
export function checkTargets(context: Context, plan: SitePlan): void {
  for (const [name, target] of sorted(context.spec.targets)) {
    if (target.kind === "offline-medium") continue;
    checkSize(context, name, target);
    checkHost(context, name, target);
    if (target.kind === "pbs") checkPbs(context, name, target);
    if (target.kind === "restic") checkRestic(context, name, target);
    const planned = plan.backups.targets[name];
    if (planned !== undefined) checkRoom(context, planned);
  }
  checkPolicyQuotas(context, plan);
  checkOwners(context);
}

type Sized = Exclude<TargetSpec, { kind: "offline-medium" }>;

function checkSize(context: Context, name: string, target: Sized): void {
  const path = `targets.${name}`;
  const { sizeGiB, disks, quotaGiB } = target;
  const problem = disks && raidProblem(disks);
  if (problem !== undefined)
    context.add(
      "TARGET-DISKS",
      `${path}.disks`,
      `The disks of target ${name} cannot be built: ${problem}.`,
      `Correct ${path}.disks.`,
    );
  if (sizeGiB !== undefined && disks !== undefined)
    context.add(
      "TARGET-SIZE",
      path,
      `Target ${name} has sizeGiB and disks, which say two things of one size.`,
      `Remove ${path}.sizeGiB: it is computed from the disks.`,
    );
  // A storage of Proxmox VE has a size of its own.
  if (sizeGiB === undefined && disks === undefined && quotaGiB === undefined && target.kind !== "vzdump")
    context.add(
      "TARGET-SIZE",
      path,
      `Target ${name} has neither sizeGiB nor disks: nothing can be said of the day it fills.`,
      `Add ${path}.sizeGiB or ${path}.disks; of somebody else's storage, ${path}.quotaGiB.`,
    );
}

function checkHost(context: Context, name: string, target: Sized): void {
  const place = target.kind === "restic" ? target.backend : target;
  const path = target.kind === "restic" ? `targets.${name}.backend` : `targets.${name}`;
  if (!("on" in place || "host" in place) && !needsHost(target)) return;
  const { on, host } = place as { on?: string; host?: string };
  if (target.kind === "zfs-receiver" && target.direction === "pull" && on === undefined) {
    context.add(
      "TARGET-PULL-NO-SERVER",
      `${path}.direction`,
      `Target ${name} fetches by itself, but it is no server of this site.`,
      `Add the machine to the section servers and name it in ${path}.on; behind NAT that is no hindrance, as it calls out.`,
    );
    return;
  }
  if ((on === undefined) === (host === undefined))
    context.add(
      "TARGET-HOST",
      path,
      on === undefined
        ? `Target ${name} is on no server: it has neither \`on\` nor \`host\`.`
        : `Target ${name} has \`on\` (${on}) and \`host\` (${host}).`,
      on === undefined ? `Add ${path}.on or ${path}.host.` : `Remove ${path}.host.`,
    );
  if (on !== undefined && context.server(on) === undefined) {
    const servers = context.servers.map((server) => server.name);
    context.add(
      "SERVER-UNKNOWN",
      `${path}.on`,
      `Target ${name} is on '${on}', which does not exist.`,
      serverFix(context, `${path}.on`, on, servers),
    );
  }
}

function needsHost(target: Sized): boolean {
  if (target.kind === "restic") return target.backend.type === "sftp";
  return target.kind === "pbs" || target.kind === "zfs-receiver";
}

function checkPbs(context: Context, name: string, target: PbsTargetSpec): void {
  const path = `targets.${name}`;
  checkSchedule(context, `${path}.gcSchedule`, target.gcSchedule, `garbage collection of ${name}`);
  checkSchedule(context, `${path}.pruneSchedule`, target.pruneSchedule, `pruning of ${name}`);
  checkSchedule(context, `${path}.verify.schedule`, target.verify.schedule, `verification of ${name}`);
  if (target.encryption === "client")
    context.add(
      "ENCRYPTION-KEY-COPY",
      `${path}.encryption`,
      `What target ${name} holds is encrypted by the hypervisors: without their key nothing of it is restored.`,
      "Print the key or keep a copy of it off line (`proxmox-backup-client key paperkey`).",
    );
  const { syncFrom } = target;
  if (syncFrom === undefined) return;
  checkSchedule(context, `${path}.syncFrom.schedule`, syncFrom.schedule, `synchronisation of ${name}`);
  const stores = targetsOf(context.spec.targets, "pbs").map(([store]) => store);
  if (!stores.includes(syncFrom.target)) {
    const known = stores.filter((store) => store !== name);
    unknownTarget(
      context,
      `${path}.syncFrom.target`,
      `Target ${name} fetches from '${syncFrom.target}'`,
      syncFrom.target,
      known,
    );
    return;
  }
  const circle = circleOf(context, name);
  if (circle !== undefined)
    context.add(
      "SYNC-CIRCLE",
      `${path}.syncFrom.target`,
      `Target ${name} is a copy of itself: ${circle.join(" from ")}.`,
      `Remove one syncFrom: backups are written to one of them, and fetched from it.`,
    );
}

/** The way through sync jobs back to where it began; undefined when there is none. */
function circleOf(context: Context, name: string): string[] | undefined {
  const way = [name];
  for (let at = name; ; ) {
    const spec = own(context.spec.targets, at);
    const next = spec?.kind === "pbs" ? spec.syncFrom?.target : undefined;
    if (next === undefined) return undefined;
    if (next === name) return [...way, name];
    if (way.includes(next)) return undefined;
    way.push(next);
    at = next;
  }
}

function checkRestic(context: Context, name: string, { backend, appendOnly }: ResticTargetSpec): void {
  const path = `targets.${name}`;
  const url = backend.type === "rest" ? backend.url : backend.type === "s3" ? backend.endpoint : undefined;
  const key = backend.type === "rest" ? "url" : "endpoint";
  if (url !== undefined && hasCredentials(url))
    context.add(
      "SECRET-IN-CLEAR",
      `${path}.backend.${key}`,
      `${path}.backend.${key} contains a user and a password.`,
      backend.type === "rest"
        ? `Write the user to ${path}.backend.username, name the secret in userPasswordSecret, and change the password: it is known now.`
        : `Name the secrets in accessKeySecret and secretKeySecret, and change the key: it is known now.`,
    );
  if (url !== undefined && !/^https:\/\//i.test(url))
    context.add(
      "TARGET-NOT-HTTPS",
      `${path}.backend.${key}`,
      `Target ${name} is reached at '${url.replace(/\/\/[^/@]*@/, "//…@")}', without TLS.`,
      `Write https:// there; the certificate of an authority of your own goes into ${path}.backend.ca.`,
    );
  if (appendOnly && (backend.type === "sftp" || backend.type === "local"))
    context.add(
      "APPEND-ONLY-IMPOSSIBLE",
      `${path}.appendOnly`,
      `Target ${name} cannot be append-only: ${backend.type === "sftp" ? "over sftp" : "on a local disk"} whoever writes can also delete.`,
      `Use a rest-server or S3 without the right to delete, or remove ${path}.appendOnly.`,
    );
}

/** A user with a password before the host: https://user:pw@… */
export function hasCredentials(url: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]*:[^/?#@]*@/i.test(url);
}

function checkRoom(context: Context, { name, kind, forecast, limitGiB, quotaGiB }: TargetPlan): void {
  const { peakGiB, fillsAfterDays, largestKeep } = forecast;
  if (fillsAfterDays === undefined) return;
  const path = `targets.${name}`;
  const way =
    largestKeep === undefined
      ? "Not even one copy of each rule fits."
      : `Of policy ${largestKeep.policy} at most ${keepInWords(largestKeep.keep)} fits.`;
  const fix =
    largestKeep === undefined
      ? `Take more room for ${name}, or back up less to it.`
      : `Set backups.${largestKeep.policy}.keep to ${keepInWords(largestKeep.keep)}, or take more room for ${name}.`;
  if (quotaGiB !== undefined && limitGiB === quotaGiB)
    context.add(
      "QUOTA-EXCEEDED",
      `${path}.quotaGiB`,
      `The copies on target ${name} take up to ${formatGiB(peakGiB)}, and its quota is ${formatGiB(quotaGiB)}: it is exceeded after ${days(fillsAfterDays)}. ${way}`,
      fix,
    );
  // What a storage of Proxmox VE has to hold is compared with its size by STORAGE-FULL.
  else if (kind !== "vzdump")
    context.add(
      "TARGET-FULL",
      path,
      `Target ${name} is full after ${days(fillsAfterDays)}: its copies take up to ${formatGiB(peakGiB)}, and ${formatGiB(limitGiB)} may be filled. ${way}`,
      fix,
    );
}

function days(count: number): string {
  return `${count} ${count === 1 ? "day" : "days"}`;
}

function checkPolicyQuotas(context: Context, plan: SitePlan): void {
  for (const policy of Object.values(plan.backups.policies)) {
    const { name, spec, forecast } = policy;
    if (spec.quotaGiB === undefined || forecast === undefined || forecast.peakGiB <= spec.quotaGiB) continue;
    context.add(
      "QUOTA-EXCEEDED",
      `backups.${name}.quotaGiB`,
      `The copies of policy ${name} take up to ${formatGiB(forecast.peakGiB)}, and its quota is ${formatGiB(spec.quotaGiB)}.`,
      forecast.largestKeep === undefined
        ? `Raise backups.${name}.quotaGiB, or back up less.`
        : `Set backups.${name}.keep to ${keepInWords(forecast.largestKeep.keep)}, or raise backups.${name}.quotaGiB.`,
    );
  }
}

/** A group of backups belongs to the token that made it. */
function checkOwners(context: Context): void {
  const first = new Map<string, string>();
  for (const [name, target] of targetsOf(context.spec.targets, "pbs")) {
    const { on, host, port, datastore, namespace } = target;
    const place = [on ?? host, port, datastore, namespace ?? ""].join("|");
    const known = first.get(place);
    if (known === undefined) {
      first.set(place, name);
      continue;
    }
    const where = namespace === undefined ? "the root" : `namespace ${namespace}`;
    context.add(
      "PBS-OWNER-SHARED",
      `targets.${name}.namespace`,
      `Targets ${known} and ${name} write to ${where} of datastore ${datastore} with two tokens: the second to come is refused.`,
      `Give each a namespace of its own, or let both policies use one of them.`,
    );
  }
}
