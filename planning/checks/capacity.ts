/** Whether everything fits: before any loss, and after the loss of each server. */
import { canRun, coresAtStart } from "../capacity";
import type { Context } from "../context";
import { witnessesOf } from "../losses";
import type { SitePlan, StorageUsage, Usage } from "../plan";
import { formatGiB, formatNumber, list, sum } from "../units";

/** Checks memory, cores, storage pools and votes. */
export function checkCapacity(context: Context, plan: SitePlan): void {
  for (const name of context.hypervisors) checkHostReserve(context, name);
  for (const server of Object.values(plan.servers)) {
    checkUsage(context, server.name, server.capacity.before);
    for (const [lost, usage] of Object.entries(server.capacity.afterLossOf)) {
      // What does not fit as it is, is reported once, not again for every loss that changes nothing.
      if (usage.guests.join() !== server.capacity.before.guests.join()) checkUsage(context, server.name, usage, lost);
    }
  }
  for (const { server, shed } of Object.values(plan.losses))
    if (shed.length > 0)
      context.add(
        "CAPACITY-SHEDS",
        `servers.${server}`,
        `When ${server} is lost, ${list(shed)} ${shed.length === 1 ? "stays" : "stay"} off to make room for more important guests.`,
        `Accept it, or make room: smaller guests, more memory or cores on the servers that are left.`,
      );
  for (const pool of plan.storages) checkPool(context, pool, plan.storages);
  checkQuorum(context);
}

function checkHostReserve(context: Context, name: string): void {
  const server = context.server(name);
  if (server === undefined) return;
  const { cores, memoryGiB } = server.hostReserve;
  const says: string[] = [];
  if (cores > server.cores) says.push(`${formatNumber(cores)} cores, and ${name} has ${server.cores}`);
  if (memoryGiB > server.memoryGiB)
    says.push(`${formatGiB(memoryGiB)} of memory, and ${name} has ${formatGiB(server.memoryGiB)}`);
  if (says.length > 0)
    context.add(
      "HOST-RESERVE-TOO-LARGE",
      `servers.${name}.hostReserve`,
      `hostReserve of ${name} keeps ${says.join("; ")}: nothing is left for guests.`,
      `Correct servers.${name}.hostReserve, or the cores and memory of ${name}.`,
    );
}

function checkUsage(context: Context, server: string, usage: Usage, lost?: string): void {
  // A guest on a server that is no hypervisor is a finding of its own.
  if (usage.fits || !context.isHypervisor(server)) return;
  const spec = context.server(server);
  const when =
    lost === undefined
      ? `${server} has no room for its guests`
      : `When ${lost} is lost, its guests do not fit on ${server}`;
  const subject = `servers.${server}`;
  const guests = usage.guests.map((name) => ({ name, spec: context.spec.guests[name] }));
  const shedding = shedAdvice(context, usage, lost);
  // Where the host keeps more than there is, advice to shrink guests would mislead.
  const reserve = spec?.hostReserve ?? { cores: 0, memoryGiB: 0 };
  if (usage.memoryGiB > usage.memoryLimitGiB && reserve.memoryGiB <= (spec?.memoryGiB ?? 0)) {
    const parts = guests.map(({ name, spec: guest }) => `${name} ${formatNumber(guest?.memoryGiB ?? 0)}`);
    const missing = sum([usage.memoryGiB, -usage.memoryLimitGiB]);
    context.add(
      "CAPACITY-MEMORY",
      subject,
      `${when}: ${parts.join(" + ")}${overhead(context, parts.length)} is ${formatGiB(usage.memoryGiB)} of memory, and ${server} has ` +
        `${formatGiB(usage.memoryLimitGiB)} for guests. ${formatGiB(missing)} ${missing === 1 ? "is" : "are"} missing.`,
      `Take ${formatGiB(missing)} from these guests, give ${server} that much more memory, or place a guest or its spare elsewhere.${shedding}`,
    );
  }
  if (usage.cores > usage.coreLimit && reserve.cores <= (spec?.cores ?? 0)) {
    const parts = guests.map(({ name, spec: guest }) => `${name} ${guest?.cores ?? 0}`);
    context.add(
      "CAPACITY-CORES",
      subject,
      `${when}: ${parts.join(" + ")} is ${usage.cores} virtual cores, and ${server} carries ${formatNumber(usage.coreLimit)} ` +
        `(${spec?.cores} logical cores, ${formatNumber(spec?.hostReserve.cores ?? 0)} kept for the host, times ${formatNumber(context.spec.policies.coreOvercommit)}).`,
      `Take ${formatNumber(usage.cores - usage.coreLimit)} cores from these guests, raise policies.coreOvercommit if their load allows it, or place a guest or its spare elsewhere.${shedding}`,
    );
  }
  for (const { name, spec: guest } of guests)
    if (spec && guest && !canRun(spec, guest) && (lost === undefined || movesHere(context, name, lost)))
      context.add(
        "CAPACITY-GUEST-CORES",
        `guests.${name}.cores`,
        lost === undefined
          ? `${name} needs ${coresAtStart(guest)} cores, and ${server} has ${spec.cores}: it does not start there.`
          : `When ${lost} is lost, ${name} needs ${coresAtStart(guest)} cores, and ${server} has ${spec.cores}: it does not start there.`,
        `Give ${name} at most ${spec.cores} cores, or place it elsewhere.`,
      );
}

function overhead(context: Context, guests: number): string {
  const each = context.spec.policies.memoryOverheadGiB;
  return each === 0 ? "" : `, with ${formatNumber(each)} of overhead${guests === 1 ? "" : " each"},`;
}

function movesHere(context: Context, name: string, lost: string): boolean {
  return context.guests.some((guest) => guest.name === name && guest.activeServer === lost);
}

/** What shedding could do, or why it did not help. */
function shedAdvice(context: Context, usage: Usage, lost: string | undefined): string {
  if (lost === undefined) return "";
  const sheddable = usage.guests.filter((name) => context.spec.guests[name]?.sheddable);
  if (context.spec.policies.allowShedding)
    return sheddable.length === 0 ? "" : ` Leaving ${list(sheddable)} off would not be enough.`;
  return sheddable.length === 0 ? "" : ` policies.allowShedding would let ${list(sheddable)} stay off.`;
}

function checkPool(context: Context, pool: StorageUsage, all: readonly StorageUsage[]): void {
  const exports = all.filter(({ backedBy }) => backedBy === `${pool.server}/${pool.storage}`);
  // The pool behind an export says the same about the same bytes; the export has the name that policies use.
  if (pool.fits || exports.some((shared) => !shared.fits && shared.totalGiB === pool.totalGiB)) return;
  const kinds = [
    ["primary disks", pool.primaryGiB],
    ["replicas", pool.replicaGiB],
    ["backups", pool.backupGiB],
    ["images", pool.imageGiB],
  ] as const;
  const parts = kinds.filter(([, gib]) => gib > 0).map(([kind, gib]) => `${kind} ${formatNumber(gib)}`);
  const over = sum([pool.totalGiB, -pool.limitGiB]);
  const shared = pool.server === "shared";
  const path = shared ? `storages.${pool.storage}` : `servers.${pool.server}.storages.${pool.storage}`;
  const share = pool.sizeGiB === 0 ? 0 : pool.totalGiB / (pool.limitGiB / pool.sizeGiB);
  context.add(
    "STORAGE-FULL",
    path,
    `Storage ${pool.storage}${shared ? "" : ` on ${pool.server}`} is to hold ${formatGiB(pool.totalGiB)} (${parts.join(" + ")}), and may be filled ` +
      `up to ${formatGiB(pool.limitGiB)} of ${formatGiB(pool.sizeGiB)}.`,
    `Free ${formatGiB(over)} (${advice(pool)}), or enlarge it to ${formatGiB(Math.ceil(share))}.`,
  );
}

function advice(pool: StorageUsage): string {
  const most = Math.max(pool.primaryGiB, pool.replicaGiB, pool.backupGiB, pool.imageGiB);
  if (most === pool.backupGiB) {
    const room = pool.limitGiB - (pool.totalGiB - pool.backupGiB);
    const fit = Math.floor((room / pool.backupGiB) * 100);
    return fit <= 0 ? "no backup fits beside the rest" : `keep fewer backups: ${fit} % of them fit`;
  }
  return most === pool.replicaGiB ? "smaller disks, or a spare elsewhere" : "smaller disks, or another storage";
}

function checkQuorum(context: Context): void {
  const { cluster } = context.spec.site;
  const nodes = context.hypervisors;
  if (cluster === undefined) return;
  for (const { name, spec } of context.servers)
    if (spec.roles.includes("witness") && spec.roles.includes("hypervisor"))
      context.add(
        "WITNESS-IS-NODE",
        `servers.${name}.roles`,
        `${name} is a hypervisor of cluster ${cluster} and its witness: its loss would cost two votes at once, so the witness does not count.`,
        `Put the witness on a machine that is no hypervisor.`,
      );
  const witness = witnessesOf(context)[0];
  if (nodes.length < 2) return;
  if (nodes.length === 2 && witness === undefined) {
    context.add(
      "QUORUM-NO-THIRD-VOTE",
      "site.cluster",
      `Cluster ${cluster} has two nodes, ${list(nodes)}, and no third vote: when one is lost, the other has 1 vote of 2 and cannot start anything.`,
      "Give a third machine that is no hypervisor the role witness.",
    );
  }
  if (witness !== undefined && nodes.length % 2 === 1)
    context.add(
      "WITNESS-WITH-ODD-NODES",
      `servers.${witness}.roles`,
      `Cluster ${cluster} has ${nodes.length} nodes and a witness: a QDevice is for an even number of nodes.`,
      `Remove the role witness from ${witness}, or add a node.`,
    );
}
