/** Recovery points from schedules and transfer times, recovery times from boot order, delays and boot times. */
import { feedOf } from "./backup/feeds";
import { ratioOf } from "./backup/ratios";
import { policyStorage } from "./backup/subjects";
import { type CalendarEvent, longestGapSeconds, parseCalendarEvent } from "./calendar";
import { afterLoss } from "./capacity";
import type { Context, Placed } from "./context";
import type { Estimate } from "./plan";
import { type BackupRun, worstRestoreAge } from "./restore-age";
import type { BackupPolicySpec, ColdReplicaSpec, GuestSpec, SiteSpec } from "./schema";
import { startOrder } from "./start-order";
import { guestsOf, usedGiB } from "./storage";
import { formatDuration, formatGiB, formatNumber, list, MB_PER_GIB, parseDuration, sum } from "./units";

/** Making a spare the active side and asking for its start, in seconds: a figure of the plan, measured by a drill. */
export const ACTIVATION_SECONDS = 15;

/** With `fencing: power`: until somebody has seen the loss and typed the command. A figure of the plan. */
export const DECISION_SECONDS = 60;

/**
 * With `fencing: power`: until the state reads Off. A BMC cuts the power at once (Redfish `ForceOff`, DSP2046 Reset; IPMI
 * chassis control 'power down', section 28.3); the rest is logging on, and asking until several readings agree.
 */
export const POWER_OFF_SECONDS = 30;

/** GiB per hour that a guest changes. Default: 1 % of what it uses. */
export function changeRate(guest: GuestSpec): number {
  return guest.changeGiBPerHour ?? usedGiB(guest) / 100;
}

/** What a replication run has to carry, and how long that takes. */
export interface Transfer {
  gapSeconds: number;
  gib: number;
  mbPerSecond: number;
  seconds: number;
}

/** The transfer of one replication run after the longest gap of its schedule. */
export function replicationTransfer(guest: GuestSpec, gapSeconds: number, policies: SiteSpec["policies"]): Transfer {
  const link = policies.linkMbps / 8;
  const mbPerSecond = Math.min(link, guest.coldReplica?.rateMBps ?? link);
  // Nothing changes in no time, nor in time without end.
  const rate = changeRate(guest);
  const gib = rate === 0 ? 0 : (rate * gapSeconds) / 3600;
  return { gapSeconds, gib, mbPerSecond, seconds: Math.ceil((gib * MB_PER_GIB) / mbPerSecond) };
}

/** A refresh of another guest that may run first, because both are done one after another. */
export interface Queued {
  name: string;
  gapSeconds: number;
  seconds: number;
}

/**
 * The refreshes that run one after another with a guest's own, the guest's among them: Proxmox VE sends a server's
 * storage replications one by one (`pvesr run`), and one `coldspare refresh` restores guest after guest.
 */
export function refreshQueue(context: Context, { activeServer, spec }: Placed): Queued[] {
  const method = spec.coldReplica?.method;
  const { policies } = context.spec;
  return context.guests.flatMap((other) => {
    const replica = other.spec.coldReplica;
    const event = replica && eventOf(replica.schedule);
    if (replica === undefined || replica.method !== method || event === undefined || event.years) return [];
    const gapSeconds = longestGapSeconds(event);
    // Of a restore the active standby is left alone; a replication follows the active side.
    if (method === "restore")
      return other.activeSide === "spare"
        ? []
        : [{ name: other.name, gapSeconds, seconds: backupSeconds(usedGiB(other.spec), policies) }];
    // Timers of zfs-sync may meet: what they send shares the link, which takes as long as one after another.
    if (other.activeServer !== activeServer) return [];
    return [{ name: other.name, gapSeconds, seconds: replicationTransfer(other.spec, gapSeconds, policies).seconds }];
  });
}

/** What the other refreshes of a guest's queue may take before its own begins. */
function waiting(context: Context, guest: Placed): { seconds: number; basis: string } {
  const others = refreshQueue(context, guest).filter(({ name, seconds }) => name !== guest.name && seconds > 0);
  const seconds = others.reduce((total, other) => total + other.seconds, 0);
  const what = guest.spec.coldReplica?.method === "restore" ? "restored" : "sent";
  const names = list(others.map(({ name }) => name));
  return { seconds, basis: seconds === 0 ? "" : ` + ${formatDuration(seconds)} while ${names} may be ${what} first` };
}

/** Seconds to write or read back a guest's backup at the rate of the backup storage. */
export function backupSeconds(gib: number, policies: SiteSpec["policies"]): number {
  return Math.ceil((gib * MB_PER_GIB) / policies.restoreMBps);
}

function promised(text: string | undefined): { promisedSeconds?: number } {
  return text === undefined ? {} : { promisedSeconds: parseDuration(text) };
}

/** The event of a schedule; undefined when it cannot be parsed, which is a finding elsewhere. */
export function eventOf(schedule: string): CalendarEvent | undefined {
  return parseCalendarEvent(schedule).event;
}

/** How much of a guest may be lost when the server that runs it is lost. */
export function recoveryPoint(context: Context, guest: Placed, replica: ColdReplicaSpec): Estimate {
  const event = eventOf(replica.schedule);
  const promise = promised(replica.recoveryPoint);
  if (event === undefined)
    return { seconds: Number.POSITIVE_INFINITY, ...promise, basis: `'${replica.schedule}' is no schedule` };
  const { policies } = context.spec;
  if (replica.method === "restore") return { ...restorePoint(context, guest, replica, event), ...promise };
  const transfer = replicationTransfer(guest.spec, longestGapSeconds(event), policies);
  const wait = waiting(context, guest);
  return {
    seconds: transfer.gapSeconds + transfer.seconds + wait.seconds,
    ...promise,
    basis:
      `${formatDuration(transfer.gapSeconds)} between two runs of '${replica.schedule}' + ` +
      `${formatDuration(transfer.seconds)} to send ${formatGiB(transfer.gib)} ` +
      `(${formatNumber(changeRate(guest.spec))} GiB/h) at ${formatNumber(transfer.mbPerSecond)} MB/s${wait.basis}`,
  };
}

/** Backup jobs that write the guest to the storage which 'restore' reads. */
export function backupRuns(context: Context, guest: Placed, storage: string | undefined): BackupRun[] {
  const runs: BackupRun[] = [];
  for (const policy of Object.values(context.spec.backups)) {
    const event = eventOf(policy.schedule);
    const covered = guestsOf(context, policy);
    if (policyStorage(context.spec.targets, policy) !== storage || event === undefined || !covered.includes(guest.name))
      continue;
    runs.push({ event, seconds: jobSeconds(context, policy) });
  }
  return runs;
}

/** One job backs its guests up one after another: a guest's backup is complete when the job is, at the latest. */
export function jobSeconds(context: Context, policy: BackupPolicySpec): number {
  const covered = guestsOf(context, policy);
  const gib = sum(context.guests.filter(({ name }) => covered.includes(name)).map(({ spec }) => usedGiB(spec)));
  return backupSeconds(gib, context.spec.policies);
}

function restorePoint(context: Context, guest: Placed, replica: ColdReplicaSpec, event: CalendarEvent): Estimate {
  // Backup jobs name the primary's id, which is off then: what the standby writes is in no backup until the return.
  if (guest.activeSide === "spare")
    return {
      seconds: Number.POSITIVE_INFINITY,
      basis: `the restored standby is the active side, and no backup policy writes it`,
    };
  const { compression, dailyChange } = ratioOf("mixed");
  // A sync job fetches the guests one after another: at worst this one comes last.
  const perDay = sum(context.guests.map((other) => usedGiB(other.spec))) * compression * dailyChange;
  const feed = feedOf(context, replica.backupStorage ?? "", perDay);
  const runs = backupRuns(context, guest, feed.storage);
  if (runs.length === 0)
    return {
      seconds: Number.POSITIVE_INFINITY,
      basis: `no backup of ${guest.name} reaches ${replica.backupStorage ?? "a backup storage"}`,
    };
  const used = usedGiB(guest.spec);
  const restoreSeconds = backupSeconds(used, context.spec.policies);
  const worst = worstRestoreAge(runs, event, restoreSeconds);
  const wait = waiting(context, guest);
  const schedules = runs.map((run) => `'${run.event.text}' (${formatDuration(run.seconds)} long)`).join(" and ");
  return {
    seconds: worst.seconds + feed.delaySeconds + wait.seconds,
    basis:
      `backups at ${schedules}, restored at '${replica.schedule}': at worst ${formatDuration(worst.gapSeconds)} from the ` +
      `backup that is restored to the restore after it + ${formatDuration(restoreSeconds)} to restore ` +
      `${formatGiB(used)} at ${formatNumber(context.spec.policies.restoreMBps)} MB/s${feed.basis}${wait.basis}`,
  };
}

/** How long it takes until nothing can run on a lost server any more, and why. */
export function settled({ site, policies }: Pick<SiteSpec, "site" | "policies">): { seconds: number; basis: string } {
  if (site.fencing === "power")
    return {
      seconds: DECISION_SECONDS + POWER_OFF_SECONDS,
      basis: `${formatDuration(DECISION_SECONDS)} until decided + ${formatDuration(POWER_OFF_SECONDS)} to switch it off`,
    };
  if (site.fencing === "lease") {
    const { termSeconds, marginSeconds } = site.lease;
    return {
      seconds: termSeconds + marginSeconds,
      basis: `${formatDuration(termSeconds)} until its leases end + ${formatDuration(marginSeconds)} of margin`,
    };
  }
  return { seconds: policies.confirmSeconds, basis: `${formatDuration(policies.confirmSeconds)} until confirmed` };
}

/**
 * Seconds until a guest answers after the loss of a server, by default the one that runs it. One command starts everything
 * that the loss moves, one guest after another in the order of {@link startOrder}, with the waits in between.
 */
export function recoveryTime(context: Context, guest: Placed, lostServer = guest.activeServer): Estimate {
  const { spec } = context;
  const moved = afterLoss(context, lostServer).moved.map((each) => each.guest);
  const bootOf = (name: string) => spec.guests[name]?.boot ?? guest.spec.boot;
  const steps = startOrder(
    moved.map(({ name, spec: { boot } }) => ({ name, boot })),
    spec.groups,
  );
  // A guest that is shed is started by hand afterwards: it comes last.
  const place = steps.findIndex((step) => step.guest === guest.name);
  const before = place < 0 ? steps : steps.slice(0, place);
  const fenced = settled(spec);
  const activation = ACTIVATION_SECONDS * (before.length + 1);
  const delays = before.reduce((total, { waitSeconds }) => total + waitSeconds, 0);
  const answered = before.filter(({ untilUp }) => untilUp).map((step) => step.guest);
  const answering = answered.reduce((total, name) => total + bootOf(name).seconds, 0);
  const { seconds: boot } = guest.spec.boot;
  const queue = before.length === 0 ? "first to start" : `after ${before.map((step) => step.guest).join(", ")}`;
  return {
    seconds: fenced.seconds + activation + delays + answering + boot,
    ...promised(guest.spec.coldReplica?.recoveryTime),
    basis:
      `${fenced.basis} + ${formatDuration(activation)} for ${before.length + 1} ` +
      `activation${before.length === 0 ? "" : "s"} (${queue}) + ${formatDuration(delays)} of boot delays + ` +
      `${answered.length === 0 ? "" : `${formatDuration(answering)} until ${list(answered)} ${answered.length === 1 ? "answers" : "answer"} + `}` +
      `${formatDuration(boot)} to boot`,
  };
}
