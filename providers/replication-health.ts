/**
 * How a replication job is doing, in words. It changes with every run and is therefore no part of the state: a line for whoever
 * looks (`pulumi refresh`, `pulumi up --refresh`) says what it means and what to type.
 */
import { longestGapSeconds, parseCalendarEvent } from "../planning/calendar";
import { formatDuration } from "../planning/units";
import type { PveClient } from "./pve/client";
import type { ReplicationJob, ReplicationJobStatus } from "./pve/types";
import { timeOn, timeText } from "./server-time";

/** How a replication job goes: `waiting` means no synchronisation since the job was made or swapped. */
export type ReplicationHealth = "ok" | "waiting" | "failing" | "disabled";

/** What a job's entry and its state on the guest's server come to. */
export function healthOf(job: ReplicationJob, status: ReplicationJobStatus | undefined): ReplicationHealth {
  if (isOn(job.disable)) return "disabled";
  if ((status?.fail_count ?? 0) > 0) return "failing";
  return (status?.last_sync ?? 0) > 0 ? "ok" : "waiting";
}

export function isOn(flag: unknown): boolean {
  return flag === true || Number(flag ?? 0) === 1;
}

/** Runs may begin late (a server runs one job after the other) without anything being wrong. */
const GRACE_SECONDS = 900;

/** What to tell of a job; `undefined` when the spare follows as it should. */
export async function healthWarning(
  pve: PveClient,
  guest: { guest: string; vmid: number },
  job: ReplicationJob,
  source: string,
  status: ReplicationJobStatus | undefined,
): Promise<string | undefined> {
  const what = `warning: replication ${job.id} of '${guest.guest}' from ${source} to ${job.target}`;
  const last = status?.last_sync ?? 0;
  const copy =
    last > 0 ? `the copy on ${job.target} is as of ${timeText(last)}` : `${job.target} has no copy by this job yet`;
  const health = healthOf(job, status);
  if (health === "disabled") {
    return `${what} is disabled: ${copy} and does not follow any more. When it is to follow again: \`pvesr enable ${job.id}\``;
  }
  if (status === undefined) {
    return `${what}: ${source} does not say how it goes (off, or the guest has just moved). When it is there: \`pvesr status\` on ${source}`;
  }
  if (health === "failing") {
    const times = status.fail_count === 1 ? "failed" : `failed ${status.fail_count} times in a row`;
    return (
      `${what} ${times}: ${status.error ?? "no reason is given"}; ${copy}. Proxmox VE tries again by itself; mend what it names, then ` +
      `\`pvesr schedule-now ${job.id}\`, and look: \`pvesr status\` on ${source}`
    );
  }
  if (status.pid !== undefined) return undefined;
  if (health === "waiting") {
    return `${what} has had no good run since it was made or its direction was turned: what is on ${job.target} does not follow yet. At once: \`pvesr schedule-now ${job.id}\`, and look: \`pvesr status\` on ${source}`;
  }
  const { event } = parseCalendarEvent(job.schedule ?? "*/15");
  const late = event === undefined ? Infinity : 2 * longestGapSeconds(event) + (status.duration ?? 0) + GRACE_SECONDS;
  const age = Number.isFinite(late) ? ((await timeOn(pve, source, guest)) ?? last) - last : 0;
  if (age <= late) return undefined;
  return `${what} last ran well ${formatDuration(age)} ago (schedule: ${job.schedule ?? "*/15"}): ${copy}. Look: \`systemctl status pvescheduler\` and \`pvesr status\` on ${source}`;
}
