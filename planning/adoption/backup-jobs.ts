/** Backup jobs of a cluster as policies of a specification. */
import type { z } from "zod";
import { type backupPolicy, backupPolicy as policySchema } from "../backup/schema";
import { parseCalendarEvent } from "../calendar";
import { byName, list } from "../units";
import type { LeftAsItIs } from "./interpretation";
import { uniqueNames } from "./names";
import type { BackupJobEntry, ClusterSnapshot, GuestSnapshot } from "./snapshot";
import type { SaidStorage } from "./storages";
import { oneLine, parseOptions, wholeNumber } from "./words";

export type PolicyInput = z.input<typeof backupPolicy>;

export interface InterpretedBackups {
  backups: Record<string, PolicyInput>;
  left: LeftAsItIs[];
}

interface Surroundings {
  snapshot: ClusterSnapshot;
  /** Names of the guests of the specification, by id. */
  names: ReadonlyMap<number, string>;
  storages: ReadonlyMap<string, SaidStorage>;
}

const LONGEST_TITLE = 30;
const KEEP = ["last", "hourly", "daily", "weekly", "monthly", "yearly"] as const;

/** One policy for each job that runs and that the words can say. */
export function interpretBackups(around: Surroundings): InterpretedBackups {
  const { backupJobs } = around.snapshot;
  const names = policyNames(backupJobs);
  const result: InterpretedBackups = { backups: {}, left: [] };
  for (const job of backupJobs) {
    const left = (what: string) => void result.left.push({ subject: `backup job ${job.id}`, what });
    const policy = policyOf(job, around, left);
    if (typeof policy === "string") left(policy);
    else result.backups[names.get(job.id) ?? job.id] = policy;
  }
  return result;
}

/** What each job is called in a specification, by its id. */
export function policyNames(jobs: readonly BackupJobEntry[]): Map<string, string> {
  const ordered = jobs.toSorted((one, other) => byName(one.id, other.id));
  return uniqueNames(ordered.map((job) => ({ id: job.id, title: titleOf(job), fallback: "backup" })));
}

/** People call a job by its comment; its id is made up by the web interface. */
function titleOf({ id, options }: BackupJobEntry): string {
  const comment = options.comment ?? "";
  return comment !== "" && comment.length <= LONGEST_TITLE ? comment : id;
}

/** The policy, or why there is none. @param tell Takes what of the job is not said. */
function policyOf(job: BackupJobEntry, around: Surroundings, tell: (what: string) => void): PolicyInput | string {
  if (!job.enabled) return "it is disabled: it stays as it is, and no copies are planned from it";
  const { problem } = parseCalendarEvent(job.schedule);
  if (problem !== undefined)
    return `its schedule '${oneLine(job.schedule)}' cannot be read (${problem}): no copies are planned from it`;
  const said = job.storage === undefined ? undefined : around.storages.get(job.storage);
  if (job.storage === undefined || said === undefined)
    return `it writes to ${job.storage === undefined ? "no storage" : `the storage ${job.storage}`}, which is not in the specification: no copies are planned from it`;
  if (said.kind !== "pbs" && !said.content.includes("backup"))
    return `its storage ${job.storage} takes no backups: no copies are planned from it`;
  const { guests, notes } = selectionOf(job, around);
  if (guests.length === 0) return "it copies no guest of the specification: it stays as it is";
  notes.forEach(tell);
  const policy: PolicyInput = {
    ...(said.kind === "pbs" ? { target: said.target } : { storage: job.storage }),
    schedule: job.schedule,
    guests,
    ...manner(job),
    keep: keepOf(job, around.snapshot),
    managed: false,
  };
  const parsed = policySchema.safeParse(policy, { jitless: true });
  if (parsed.success) return policy;
  const [issue] = parsed.error.issues;
  return `its ${issue?.path.join(".")} cannot be said (${issue?.message}): no copies are planned from it`;
}

interface Selection {
  guests: "all" | string[];
  /** What of it the names do not say. */
  notes: string[];
}

/** The guests that a job copies now, by name; `all` as long as nothing is taken out. */
function selectionOf(job: BackupJobEntry, { snapshot, names }: Surroundings): Selection {
  if (job.all && job.exclude.length === 0 && job.node === undefined) return { guests: "all", notes: [] };
  const chosen = snapshot.guests.filter((guest) => isChosen(job, guest));
  const missing = (job.vmids ?? []).filter((vmid) => !snapshot.guests.some((guest) => guest.vmid === vmid));
  const unnamed = [...chosen.map(({ vmid }) => vmid), ...missing].filter((vmid) => !names.has(vmid));
  const live = selectionInWords(job);
  return {
    guests: chosen.flatMap(({ vmid }) => names.get(vmid) ?? []).sort(),
    notes: [
      ...(unnamed.length > 0
        ? [`it also copies ${list(unnamed.map(String))}, which the specification does not have`]
        : []),
      ...(live === undefined ? [] : [`it copies ${live}; the specification names the guests that these are today`]),
    ],
  };
}

/** Whether a job takes a guest, enabled or not. */
export function isChosen({ all, vmids, exclude, pool, node }: BackupJobEntry, guest: GuestSnapshot): boolean {
  if (node !== undefined && guest.node !== node) return false;
  if (exclude.includes(guest.vmid)) return false;
  if (pool !== undefined) return guest.pool === pool;
  return all || (vmids ?? []).includes(guest.vmid);
}

/** A selection that changes as guests come and go. */
function selectionInWords({ all, pool, node, exclude }: BackupJobEntry): string | undefined {
  const place = node === undefined ? "" : ` on ${node}`;
  if (pool !== undefined) return `the pool ${pool}${place}`;
  if (!all) return undefined;
  return `all guests${place}${exclude.length === 0 ? "" : ` but ${list(exclude.map(String))}`}`;
}

/** How copies are made, where that is not what the words take by default. */
function manner({ mode, compress, options }: BackupJobEntry): Partial<PolicyInput> {
  const compression = compress === undefined || compress === "0" ? "none" : compress === "1" ? "lzo" : compress;
  const limit = wholeNumber(options.bwlimit) ?? 0;
  const fleecing = parseOptions(options.fleecing ?? "", "enabled");
  const storage = fleecing.get("enabled") === "1" ? fleecing.get("storage") : undefined;
  return {
    ...(mode !== "snapshot" && { mode: mode as NonNullable<PolicyInput["mode"]> }),
    ...(compression !== "zstd" && { compression: compression as NonNullable<PolicyInput["compression"]> }),
    // KiB/s in Proxmox VE, MB/s here.
    ...(limit > 0 && { bandwidthMBps: (limit * 1024) / 1e6 }),
    ...(storage !== undefined && { fleecing: { storage } }),
  };
}

/** What stays of the copies: said by the job, or by the storage. Without either Proxmox VE removes nothing. */
function keepOf({ prune, storage }: BackupJobEntry, { storages }: ClusterSnapshot): NonNullable<PolicyInput["keep"]> {
  const text = storages.find((each) => each.storage === storage)?.options["prune-backups"] ?? "";
  const ofStorage = [...parseOptions(text, "")].map(([rule, count]) => [rule, Number(count)] as const);
  const rules = new Map(prune === undefined ? ofStorage : Object.entries(prune));
  if (rules.get("keep-all")) return {};
  const kept = KEEP.flatMap((rule) => {
    const count = Number(rules.get(`keep-${rule}`) ?? 0);
    return Number.isInteger(count) && count > 0 ? [[rule, count] as const] : [];
  });
  return Object.fromEntries(kept);
}
