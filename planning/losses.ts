/** What the loss of each server means: who starts elsewhere, who stays off, what lapses, and the votes that are left. */
import { placeOf } from "./backup/places";
import type { BackupPolicySpec } from "./backup/schema";
import { offlineMedia, policyStorage, policyTarget } from "./backup/subjects";
import { afterLoss, keepsData, liesOn } from "./capacity";
import type { Context, Placed } from "./context";
import type { GuestPlan, LossPlan, QuorumPlan } from "./plan";
import { recoveryTime } from "./recovery";
import type { Side } from "./schema";
import { startOrder } from "./start-order";
import { backingPool, guestsOf } from "./storage";
import { byName, list } from "./units";

/** Votes of the cluster, with one server lost or none; undefined without a cluster. */
export function quorum(context: Context, lostServer?: string): QuorumPlan | undefined {
  if (context.spec.site.cluster === undefined) return undefined;
  // A cluster has one QDevice at most; on a hypervisor it would go down with a vote that is counted already.
  const witness = context.hypervisors.length < 2 ? undefined : witnessesOf(context)[0];
  const expected = context.hypervisors.length + (witness === undefined ? 0 : 1);
  const nodes = context.hypervisors.filter((name) => name !== lostServer).length;
  const votes = nodes + (witness === undefined || witness === lostServer ? 0 : 1);
  const needed = Math.floor(expected / 2) + 1;
  return { votes, expected, needed, quorate: votes >= needed };
}

/** Servers that can give a third vote: witnesses that are no hypervisors, by name. The first one holds the vote. */
export function witnessesOf(context: Context): string[] {
  return context.servers
    .filter(({ spec: { roles } }) => roles.includes("witness") && !roles.includes("hypervisor"))
    .map(({ name }) => name);
}

/** One plan per server that could be lost. */
export function planLosses(context: Context, guests: Record<string, GuestPlan>): Record<string, LossPlan> {
  const losses: Record<string, LossPlan> = {};
  for (const { name } of context.servers) losses[name] = planLoss(context, guests, name);
  return losses;
}

function planLoss(context: Context, guests: Record<string, GuestPlan>, server: string): LossPlan {
  const outcome = afterLoss(context, server);
  const votes = quorum(context, server);
  const order = startOrder(
    outcome.moved.map(({ guest: { name, spec } }) => ({ name, boot: spec.boot })),
    context.spec.groups,
  ).map(({ guest }) => guest);
  const restarts = [...outcome.moved]
    .sort((a, b) => order.indexOf(a.guest.name) - order.indexOf(b.guest.name))
    .map(({ guest, to }) => ({
      guest: guest.name,
      on: to,
      recoveryPointSeconds: guests[guest.name]?.replica?.recoveryPoint.seconds ?? Number.POSITIVE_INFINITY,
      recoveryTimeSeconds: recoveryTime(context, guest, server).seconds,
    }));
  const dataKept = outcome.lost.filter((guest) => keepsData(context, guest, server)).map(({ name }) => name);
  const fits = Object.values(outcome.usage).every((usage) => usage.fits);
  return {
    server,
    survives: fits && outcome.lost.length === 0 && (votes?.quorate ?? true),
    restarts,
    lost: outcome.lost.map(({ name }) => name),
    ...(dataKept.length > 0 && { dataKept }),
    shed: outcome.shed.map(({ name }) => name),
    lapses: lapses(context, server),
    ...(votes && { quorum: votes }),
  };
}

/** Protections that lapse while a server is away, in words. */
export function lapses(context: Context, server: string): string[] {
  const { spec } = context;
  const gone: string[] = [];

  const exported = Object.entries(spec.storages).filter(([, storage]) => storage.server === server);
  const storages = new Set(exported.map(([id]) => id));
  const used = new Set<string>();
  for (const [name, policy] of Object.entries(spec.backups)) {
    const target = policyTarget(spec.targets, policy);
    if (target === undefined) continue;
    const storage = policyStorage(spec.targets, policy);
    if (storage !== undefined) used.add(storage);
    if (placeOf(context, target.name, target.spec).server === server)
      gone.push(`backups '${name}' of ${backedUp(context, policy)} stop: ${storage ?? target.name} is on ${server}`);
  }
  for (const id of storages) if (!used.has(id)) gone.push(`storage ${id} is away`);

  const withSpare = context.guests.filter(({ standbyServer }) => standbyServer !== undefined);
  for (const { name, spec: guest } of withSpare) {
    const replica = guest.coldReplica;
    if (replica?.method === "restore" && replica.backupStorage !== undefined && storages.has(replica.backupStorage))
      gone.push(`the spare of ${name} is not refreshed: it is restored from ${replica.backupStorage}`);
  }
  const uncovered = withSpare
    .filter((guest) => guest.standbyServer === server || liesOn(context, guest, otherSide(guest), server))
    .map(({ name }) => name);
  if (uncovered.length > 0)
    gone.push(`${list(uncovered)} ${uncovered.length === 1 ? "has" : "have"} no spare: it was on ${server}`);
  const onSpare = afterLoss(context, server)
    .moved.map(({ guest }) => guest.name)
    .sort(byName);
  if (onSpare.length > 0)
    gone.push(`${list(onSpare)} ${onSpare.length === 1 ? "runs" : "run"} without a spare until ${server} is back`);

  if (spec.site.cluster !== undefined && witnessesOf(context)[0] === server)
    gone.push(`the vote of the witness: the cluster stands on the votes of ${list(context.hypervisors)}`);
  for (const [name, target] of offlineMedia(spec.targets))
    if (target.on === server)
      gone.push(`off-line medium '${name}' is neither written nor swapped: it is attached to ${server}`);
    else if (storages.has(target.copies))
      gone.push(`off-line medium '${name}' gets nothing new: ${target.copies} is away`);
  if (backupPoolsOn(context, server).length > 0 && storages.size === 0)
    gone.push(`backups on ${list(backupPoolsOn(context, server))} of ${server} are out of reach`);
  return gone.sort();
}

function backedUp(context: Context, policy: BackupPolicySpec): string {
  const servers = [...policy.folders, ...policy.volumes, ...policy.datasets].map((source) => source.server);
  const others = [...new Set(servers)].sort(byName).map((server) => `data on ${server}`);
  return list([...guestsOf(context, policy), ...others]) || "no guest";
}

function otherSide({ activeSide }: Placed): Side {
  return activeSide === "primary" ? "spare" : "primary";
}

function backupPoolsOn(context: Context, server: string): string[] {
  const exports = Object.values(context.spec.storages).map((storage) => backingPool(context, storage)?.storage);
  return Object.entries(context.server(server)?.storages ?? {})
    .filter(([id, pool]) => pool.content.includes("backup") && !exports.includes(id))
    .map(([id]) => id);
}
