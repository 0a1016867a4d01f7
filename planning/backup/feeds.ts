/** Storages that are fed by sync jobs: where their backups are written first, and how long after they arrive. */
import { longestGapSeconds, parseCalendarEvent } from "../calendar";
import { type Context, own } from "../context";
import { formatDuration, MB_PER_GIB } from "../units";
import type { PbsTargetSpec } from "./schema";
import { storageOf, targetsOf } from "./subjects";

/** What comes between a backup and a storage that holds it. */
export interface Feed {
  /** Storage that the policies write to. */
  storage: string;
  /** Longest gap of the schedules of all sync jobs on the way, and the time of their transfers. */
  delaySeconds: number;
  /** In words; empty where policies write to the storage themselves. */
  basis: string;
}

/** The Proxmox Backup Server target whose storage entry has an id. */
export function pbsStorage(context: Context, storage: string): [string, PbsTargetSpec] | undefined {
  return targetsOf(context.spec.targets, "pbs").find(([name, target]) => storageOf(name, target) === storage);
}

/**
 * The way back from a storage to the one that backups are written to.
 * @param gibPerDay What the guests in question add in a day
 */
export function feedOf(context: Context, storage: string, gibPerDay: number): Feed {
  const seen = new Set<string>();
  const steps: string[] = [];
  let delaySeconds = 0;
  let at = storage;
  for (;;) {
    const [name, target] = pbsStorage(context, at) ?? [];
    const source = target?.syncFrom && own(context.spec.targets, target.syncFrom.target);
    if (name === undefined || target?.syncFrom === undefined || source === undefined || seen.has(name)) break;
    seen.add(name);
    const { event } = parseCalendarEvent(target.syncFrom.schedule);
    const gap = event === undefined ? Number.POSITIVE_INFINITY : longestGapSeconds(event);
    const link = Math.min(
      (target.linkMbps ?? context.spec.policies.linkMbps) / 8,
      target.syncFrom.rateMBps ?? Number.POSITIVE_INFINITY,
    );
    const seconds = Math.ceil((gibPerDay * (gap / 86_400) * MB_PER_GIB) / link);
    delaySeconds += gap + seconds;
    steps.push(
      ` + ${formatDuration(gap)} between two runs of '${target.syncFrom.schedule}' that fetch it to ${name} and ${formatDuration(seconds)} for the transfer`,
    );
    at = storageOf(target.syncFrom.target, source) ?? target.syncFrom.target;
  }
  return { storage: at, delaySeconds, basis: steps.reverse().join("") };
}
