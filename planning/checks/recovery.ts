/** Schedules that can be parsed, refreshes that keep up, promises that are kept. */
import { CALENDAR_EXAMPLES, longestGapSeconds, parseCalendarEvent } from "../calendar";
import { type Context, sorted } from "../context";
import type { SitePlan } from "../plan";
import { backupSeconds, changeRate, eventOf, refreshQueue, replicationTransfer } from "../recovery";
import { usedGiB } from "../storage";
import { durationCovering, formatDuration, formatGiB, formatNumber, list } from "../units";

/** Checks every schedule and every promise. */
export function checkRecovery(context: Context, plan: SitePlan): void {
  for (const { name, spec } of context.guests)
    if (spec.coldReplica)
      checkSchedule(context, `guests.${name}.coldReplica.schedule`, spec.coldReplica.schedule, `replica of ${name}`);
  for (const [name, policy] of sorted(context.spec.backups))
    checkSchedule(context, `backups.${name}.schedule`, policy.schedule, `backup policy ${name}`);
  checkQueues(context);
  for (const guest of Object.values(plan.guests)) {
    checkKeepsUp(context, guest.name);
    checkPromises(context, guest);
  }
}

/** Checks that a text is a calendar event that comes round for ever. */
export function checkSchedule(context: Context, path: string, text: string, what: string): void {
  const { event, problem } = parseCalendarEvent(text);
  if (problem !== undefined)
    context.add(
      "SCHEDULE-INVALID",
      path,
      `Proxmox VE cannot parse the schedule '${text}' of the ${what}: ${problem}.`,
      `Write a calendar event: ${CALENDAR_EXAMPLES}.`,
    );
  else if (event.years)
    context.add(
      "SCHEDULE-ENDS",
      path,
      `The schedule '${text}' of the ${what} names years, and ends with the last of them.`,
      `Leave the year out of ${path}.`,
    );
}

function checkKeepsUp(context: Context, name: string): void {
  const guest = context.spec.guests[name];
  const event = guest?.coldReplica && eventOf(guest.coldReplica.schedule);
  if (!guest?.coldReplica || !event || event.years) return;
  const { policies } = context.spec;
  const gap = longestGapSeconds(event);
  const path = `guests.${name}.coldReplica.schedule`;
  if (guest.coldReplica.method === "restore") {
    const seconds = backupSeconds(usedGiB(guest), policies);
    if (seconds > gap)
      context.add(
        "REPLICA-CANNOT-KEEP-UP",
        path,
        `Restoring ${formatGiB(usedGiB(guest))} of ${name} takes ${formatDuration(seconds)}, longer than the ${formatDuration(gap)} between two restores.`,
        `Restore less often, or raise policies.restoreMBps if the storage is faster.`,
      );
    return;
  }
  const transfer = replicationTransfer(guest, gap, policies);
  if (transfer.seconds > gap)
    context.add(
      "REPLICA-CANNOT-KEEP-UP",
      path,
      `${name} changes ${formatNumber(changeRate(guest))} GiB/h: sending what ${formatDuration(gap)} brought takes ${formatDuration(transfer.seconds)} at ${formatNumber(transfer.mbPerSecond)} MB/s.`,
      guest.coldReplica.rateMBps !== undefined && guest.coldReplica.rateMBps < policies.linkMbps / 8
        ? `Raise guests.${name}.coldReplica.rateMBps.`
        : "Use a faster link between the servers (policies.linkMbps).",
    );
}

/** Refreshes that run one after another, and are too much together though each keeps up alone. */
function checkQueues(context: Context): void {
  const seen = new Set<string>();
  for (const guest of context.guests) {
    const replica = guest.spec.coldReplica;
    const queue = refreshQueue(context, guest);
    const names = queue.map(({ name }) => name);
    if (replica === undefined || queue.length < 2 || seen.has(names.join())) continue;
    seen.add(names.join());
    const share = queue.reduce((total, { seconds, gapSeconds }) => total + seconds / gapSeconds, 0);
    if (share <= 1 || queue.some(({ seconds, gapSeconds }) => seconds > gapSeconds)) continue;
    const each = queue.map(
      ({ name, seconds, gapSeconds }) => `${name} ${formatDuration(seconds)} every ${formatDuration(gapSeconds)}`,
    );
    const restored = replica.method === "restore";
    context.add(
      "REPLICA-CANNOT-KEEP-UP",
      restored ? "guests" : `servers.${guest.activeServer}`,
      `${restored ? "Restores run" : `${guest.activeServer} sends its replicas`} one after another: ${list(each)} is ${Math.ceil(share * 100)} % of the time there is.`,
      restored
        ? "Restore less often, or raise policies.restoreMBps if the storage is faster."
        : `Use a faster link (policies.linkMbps), raise rateMBps, or let some of these guests run on another server.`,
    );
  }
}

function checkPromises(context: Context, { name, replica }: SitePlan["guests"][string]): void {
  if (replica === undefined) return;
  const { recoveryPoint: point, recoveryTime: time } = replica;
  const path = `guests.${name}.coldReplica`;
  // Without an end there is no schedule or no backup, which is a finding already.
  if (Number.isFinite(point.seconds) && point.promisedSeconds !== undefined && point.seconds > point.promisedSeconds)
    context.add(
      "RPO-BROKEN",
      `${path}.recoveryPoint`,
      `${name} promises to lose at most ${formatDuration(point.promisedSeconds)}, and may lose ${formatDuration(point.seconds)}: ${point.basis}.`,
      `Refresh more often (${path}.schedule), or promise ${durationCovering(point.seconds)}.`,
    );
  if (time.promisedSeconds !== undefined && time.seconds > time.promisedSeconds)
    context.add(
      "RTO-BROKEN",
      `${path}.recoveryTime`,
      `${name} promises to answer within ${formatDuration(time.promisedSeconds)}, and takes ${formatDuration(time.seconds)}: ${time.basis}.`,
      `Start it earlier (guests.${name}.boot.order), shorten boot delays, or promise ${durationCovering(time.seconds)}.`,
    );
}
