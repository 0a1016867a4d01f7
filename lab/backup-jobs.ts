import { randomUUID } from "node:crypto";
import { type Call, list, perm, type Route, route } from "./call";
import type { Domain } from "./domain";
import { type ApiError, badParameters, fail } from "./errors";
import { fileRestoreRoutes } from "./file-restore";
import { nameOf } from "./guest-status";
import { pruneRoutes } from "./prune-routes";
import { readArchive } from "./restore";
import { nextEvent } from "./schedule";
import { chosenGuests, startBackup, vzdump } from "./vzdump";

const FILE = "file-jobs_cfg";
const NUMBERS = new Set([
  "enabled",
  "all",
  "quiet",
  "remove",
  "repeat-missed",
  "bwlimit",
  "ionice",
  "lockwait",
  "maxfiles",
  "pigz",
  "protected",
  "stdexcludes",
  "stop",
  "stopwait",
  "zstd",
]);

function show(domain: Domain, id: string, listed = false): Record<string, unknown> {
  const job = domain.state.backupJobs[id]!;
  const shown: Record<string, unknown> = { id, type: "vzdump", enabled: 1 };
  for (const [key, value] of Object.entries(job)) {
    if (key === "prune-backups" || key === "fleecing" || key === "performance")
      shown[key] = Object.fromEntries(value.split(",").map((part) => part.split("=") as [string, string]));
    else shown[key] = NUMBERS.has(key) ? Number(value) : value;
  }
  if (listed && job.enabled !== "0") {
    const next = nextEvent(job.schedule ?? "", domain.world.clock.now());
    if (next) shown["next-run"] = next;
  }
  return shown;
}

function checkSchedule(schedule: string | undefined): void {
  if (schedule !== undefined && nextEvent(schedule, 0) === undefined)
    throw badParameters({ schedule: `invalid format - unable to parse calendar event '${schedule}'\n` });
}

async function create(call: Call): Promise<null> {
  const { domain } = call;
  const { id = randomUUID(), ...values } = call.params;
  checkSchedule(values.schedule);
  await domain.requireClusterFile(call.node, FILE);
  if (domain.state.backupJobs[id]) throw badParameters({ id: `Job '${id}' already exists` });
  domain.state.backupJobs[id] = values;
  // The first run is the next one after its creation.
  domain.state.backupLastRun[id] = domain.world.clock.now();
  return null;
}

async function update(call: Call): Promise<null> {
  const { domain } = call;
  const id = call.path.id!;
  const { id: _id, delete: gone, ...values } = call.params;
  checkSchedule(values.schedule);
  await domain.requireClusterFile(call.node, FILE);
  const job = domain.state.backupJobs[id];
  if (!job) throw unknownJob(id);
  for (const key of list(gone)) delete job[key];
  Object.assign(job, values);
  if (values.schedule !== undefined) domain.state.backupLastRun[id] = domain.world.clock.now();
  return null;
}

function unknownJob(id: string): ApiError {
  return badParameters({ id: `No such job '${id}'` });
}

/** Next run of every job, once a virtual minute; a run that fell into the lab's downtime is left out, as PVE leaves it. */
export function backupMinute(domain: Domain): void {
  const now = domain.world.clock.now();
  for (const [id, job] of Object.entries(domain.state.backupJobs)) {
    if (job.enabled === "0" || !job.schedule) continue;
    const last = domain.state.backupLastRun[id] ?? now;
    const due = nextEvent(job.schedule, last);
    if (due === undefined || due > now) continue;
    domain.state.backupLastRun[id] = now;
    for (const node of domain.nodeNames()) {
      if (
        !domain.state.nodes[node]!.up ||
        !domain.quorate(node) ||
        domain.at(node) !== domain ||
        (job.node && job.node !== node)
      )
        continue;
      const { guests } = chosenGuests(domain, node, job);
      if (guests.length === 0) continue;
      const { schedule: _schedule, enabled: _enabled, comment: _comment, "repeat-missed": _missed, ...options } = job;
      startBackup(domain, node, options, "root@pam", id);
    }
    domain.save();
  }
}

function extractConfig(call: Call): string {
  const archive = readArchive(call.domain, call.node, call.params.volume ?? "");
  return Object.entries(archive.config)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join("");
}

function included(call: Call): Record<string, unknown> {
  const job = call.domain.state.backupJobs[call.path.id!];
  if (!job) throw unknownJob(call.path.id!);
  const guests = call.domain.nodeNames().flatMap((node) => chosenGuests(call.domain, node, job).guests);
  return {
    children: guests.map((guest) => ({ id: guest.vmid, name: nameOf(guest), type: guest.type, children: [] })),
  };
}

function notBackedUp(call: Call): Record<string, unknown>[] {
  const { domain } = call;
  const covered = new Set(
    Object.values(domain.state.backupJobs)
      .filter((job) => job.enabled !== "0")
      .flatMap((job) =>
        domain.nodeNames().flatMap((node) => chosenGuests(domain, node, job).guests.map((guest) => guest.vmid)),
      ),
  );
  return domain
    .guests()
    .filter((guest) => !covered.has(guest.vmid))
    .map((guest) => ({ vmid: guest.vmid, type: guest.type, name: nameOf(guest) }));
}

/** Backups: at once, and by schedule. */
export const backupRoutes: Route[] = [
  route("POST", "/nodes/{node}/vzdump", undefined, vzdump),
  route("GET", "/nodes/{node}/vzdump/extractconfig", undefined, extractConfig),
  route("GET", "/nodes/{node}/vzdump/defaults", undefined, (call) => ({
    storage: call.params.storage ?? "local",
    mode: "snapshot",
  })),
  route("GET", "/cluster/backup", perm("/", "Sys.Audit"), (call) =>
    Object.keys(call.domain.state.backupJobs).map((id) => show(call.domain, id, true)),
  ),
  route("POST", "/cluster/backup", perm("/", "Sys.Modify"), create),
  route("GET", "/cluster/backup-info/not-backed-up", perm("/", "Sys.Audit"), notBackedUp),
  route("GET", "/cluster/backup/{id}", perm("/", "Sys.Audit"), (call) => {
    if (!call.domain.state.backupJobs[call.path.id!]) throw unknownJob(call.path.id!);
    return show(call.domain, call.path.id!);
  }),
  route("PUT", "/cluster/backup/{id}", perm("/", "Sys.Modify"), update),
  route("DELETE", "/cluster/backup/{id}", perm("/", "Sys.Modify"), async (call) => {
    await call.domain.requireClusterFile(call.node, FILE);
    if (!call.domain.state.backupJobs[call.path.id!]) throw fail("400 Parameter verification failed.");
    delete call.domain.state.backupJobs[call.path.id!];
    delete call.domain.state.backupLastRun[call.path.id!];
    return null;
  }),
  route("GET", "/cluster/backup/{id}/included_volumes", perm("/", "Sys.Audit"), included),
  ...pruneRoutes,
  ...fileRestoreRoutes,
];
