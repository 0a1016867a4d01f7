import { AnswerWith, type Call, flag, list, type Route, route } from "./call";
import { digestOf } from "./domain";
import { badParameters, fail, forbidden } from "./errors";
import { hasPrivilege } from "./privileges";
import { DEFAULT_SCHEDULE, newReplicationState, nextSync, replicatedVolumes, stateOf } from "./replication";
import { nextEvent } from "./schedule";
import type { ReplicationJob } from "./state";

const FILE = "file-replication_cfg";

function show(job: ReplicationJob): Record<string, unknown> {
  const { disable, rate, ...rest } = job;
  return { ...rest, ...(disable === "1" ? { disable: 1 } : {}), ...(rate ? { rate: Number(rate) } : {}) };
}

function find(call: Call): ReplicationJob {
  const id = call.path.id!;
  const job = call.domain.state.replication[id];
  if (!job) throw fail(`no such replication job '${id}'`);
  return job;
}

function checkSchedule(schedule: string | undefined): void {
  if (schedule !== undefined && nextEvent(schedule, 0) === undefined)
    throw badParameters({ schedule: `invalid format - unable to parse calendar event '${schedule}'\n` });
}

/** The published API says "all" and asks inside: VM.Replicate on the guest (pve-manager, ReplicationConfig.pm). */
function requireReplicate(call: Call, guest: string | number): void {
  const path = `/vms/${guest}`;
  if (!hasPrivilege(call.domain, call.identity, path, "VM.Replicate")) throw forbidden(path, "VM.Replicate");
}

async function create(call: Call): Promise<null> {
  const { domain, params } = call;
  const id = params.id ?? "";
  const match = /^([1-9][0-9]{2,8})-(\d{1,9})$/.exec(id);
  if (!match) throw badParameters({ id: `invalid format - invalid replication job id '${id}'\n` });
  requireReplicate(call, match[1]!);
  checkSchedule(params.schedule);
  await domain.requireClusterFile(call.node, FILE);
  if (domain.state.replication[id]) throw fail(`replication job '${id}' already exists`);
  const guest = domain.guest(match[1]!);
  if (!guest) throw fail(`guest '${match[1]}' does not exist`);
  const target = params.target ?? "";
  if (!domain.state.nodes[target]) throw fail(`no such cluster node '${target}'`);
  if (guest.node === target) throw fail("source and target cannot be the same node");
  const other = domain.replicationOf(guest.vmid).find((job) => job.target === target);
  if (other) throw fail(`replication job '${other.id}' for guest '${guest.vmid}' to target '${target}' already exists`);
  replicatedVolumes(domain, guest);
  const { schedule, comment, rate, disable } = params;
  domain.state.replication[id] = {
    id,
    guest: guest.vmid,
    jobnum: Number(match[2]),
    type: params.type ?? "local",
    target,
    source: params.source ?? guest.node,
    ...(schedule === undefined ? {} : { schedule }),
    ...(comment === undefined ? {} : { comment }),
    ...(rate === undefined ? {} : { rate }),
    ...(flag(disable) ? { disable: "1" } : {}),
  };
  domain.state.replicationState[id] = newReplicationState();
  return null;
}

async function update(call: Call): Promise<null> {
  const { domain, params } = call;
  requireReplicate(call, find(call).guest);
  checkSchedule(params.schedule);
  await domain.requireClusterFile(call.node, FILE);
  const job = find(call);
  if (params.digest && params.digest !== digestOf(job))
    throw fail("detected modified configuration - file changed by other user? Try again.");
  for (const key of list(params.delete)) delete job[key as "comment" | "schedule" | "rate" | "disable"];
  for (const key of ["comment", "schedule", "rate", "source", "remove_job"] as const)
    if (params[key] !== undefined) job[key] = params[key];
  if (params.disable !== undefined) {
    if (flag(params.disable)) job.disable = "1";
    else delete job.disable;
  }
  return null;
}

async function remove(call: Call): Promise<null> {
  const { domain, params } = call;
  requireReplicate(call, find(call).guest);
  await domain.requireClusterFile(call.node, FILE);
  const job = find(call);
  if (flag(params.force)) {
    delete domain.state.replication[job.id];
    delete domain.state.replicationState[job.id];
  } else {
    // Only marked; the guest's node removes the copies at its next run and the job with them.
    job.remove_job = flag(params.keep) ? "local" : "full";
    const state = stateOf(domain, job.id);
    state.fail_count = 0;
  }
  return null;
}

function status(call: Call, job: ReplicationJob): Record<string, unknown> {
  const { domain } = call;
  const state = stateOf(domain, job.id);
  return {
    id: job.id,
    type: job.type,
    guest: job.guest,
    jobnum: job.jobnum,
    source: job.source,
    target: job.target,
    schedule: job.schedule ?? DEFAULT_SCHEDULE,
    vmtype: domain.guest(job.guest)?.type ?? "qemu",
    last_sync: state.last_sync,
    last_try: state.last_try,
    next_sync: nextSync(job, state),
    fail_count: state.fail_count,
    ...(job.disable === "1" ? { disable: 1 } : {}),
    ...(job.comment ? { comment: job.comment } : {}),
    ...(job.remove_job ? { remove_job: job.remove_job } : {}),
    ...(state.duration === undefined ? {} : { duration: state.duration }),
    ...(state.error ? { error: state.error } : {}),
    ...(state.running ? { pid: 1 } : {}),
  };
}

/** Jobs whose guest is on this node. */
function onNode(call: Call): ReplicationJob[] {
  return Object.values(call.domain.state.replication)
    .filter((job) => job.source === call.node)
    .filter((job) => !call.params.guest || String(job.guest) === call.params.guest)
    .filter((job) => hasPrivilege(call.domain, call.identity, `/vms/${job.guest}`, "VM.Audit"))
    .sort((a, b) => a.id.localeCompare(b.id));
}

function findOnNode(call: Call): ReplicationJob {
  const job = call.domain.state.replication[call.path.id!];
  if (!job || job.source !== call.node) throw fail(`no such replication job '${call.path.id}'`);
  return job;
}

const NODE = "/nodes/{node}/replication";

/** Replication jobs of the cluster, and their state on the node that runs them. */
export const replicationRoutes: Route[] = [
  route("GET", "/cluster/replication", undefined, (call) =>
    Object.values(call.domain.state.replication)
      .filter((job) => hasPrivilege(call.domain, call.identity, `/vms/${job.guest}`, "VM.Audit"))
      .sort((a, b) => a.id.localeCompare(b.id))
      .map(show),
  ),
  route("POST", "/cluster/replication", undefined, create),
  route("GET", "/cluster/replication/{id}", undefined, (call) => {
    const job = find(call);
    return { ...show(job), digest: digestOf(job) };
  }),
  route("PUT", "/cluster/replication/{id}", undefined, update),
  route("DELETE", "/cluster/replication/{id}", undefined, remove),
  route("GET", NODE, undefined, (call) => onNode(call).map((job) => status(call, job))),
  route("GET", `${NODE}/{id}`, undefined, () => ["schedule_now", "log", "status"].map((name) => ({ name }))),
  route("GET", `${NODE}/{id}/status`, undefined, (call) => status(call, findOnNode(call))),
  route("GET", `${NODE}/{id}/log`, undefined, (call) => {
    const { log } = stateOf(call.domain, findOnNode(call).id);
    const start = Number(call.params.start ?? 0);
    const limit = Number(call.params.limit ?? 50);
    return new AnswerWith(
      log.slice(start, start + limit).map((t, index) => ({ n: start + index + 1, t })),
      { total: log.length },
    );
  }),
  route("POST", `${NODE}/{id}/schedule_now`, undefined, (call) => {
    const job = findOnNode(call);
    requireReplicate(call, job.guest);
    stateOf(call.domain, job.id).due = true;
    return "";
  }),
];
