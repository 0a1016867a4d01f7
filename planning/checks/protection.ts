/** Spares, backups and media: what is protected, and by what. */
import { KEEP_RULES } from "../backup/retention";
import type { OfflineMediumSpec } from "../backup/schema";
import { namedGuests, offlineMedia, policyStorage, policyTarget } from "../backup/subjects";
import { keepsData } from "../capacity";
import { type Context, own, type Placed, sorted } from "../context";
import { nearest } from "../nearest";
import type { SitePlan } from "../plan";
import type { BackupPolicySpec } from "../schema";
import { guestsOf } from "../storage";
import { byName, formatGiB, list } from "../units";
import { checkStorage, serverFix } from "./placement";

/** Checks who has a spare, who is backed up, and where the backups lie. */
export function checkProtection(context: Context, plan: SitePlan): void {
  const covered = new Set(Object.values(context.spec.backups).flatMap((policy) => guestsOf(context, policy)));
  for (const guest of context.guests) {
    const { name, spec } = guest;
    // What is normally off is not missed when its server is lost.
    if (spec.coldReplica === undefined && spec.started) reportNoSpare(context, guest);
    if (!covered.has(name))
      context.add(
        "GUEST-NO-BACKUP",
        `guests.${name}`,
        `${name} is in no backup policy: nothing goes back to before a mistake.`,
        `Add ${name} to the guests of a policy in the section backups.`,
      );
    if (guest.activeSide === "spare" && spec.coldReplica?.method === "restore")
      context.add(
        "ACTIVE-STANDBY-NO-BACKUP",
        `guests.${name}.coldReplica`,
        `${name} runs as a restored standby on ${guest.activeServer}: the backup policies write guest ${plan.guests[name]?.id}, which is off.`,
        `Back the standby up by hand on ${guest.activeServer} (\`vzdump ID --storage ${spec.coldReplica.backupStorage ?? "…"}\`), and bring ${name} home soon.`,
      );
    checkRole(context, guest);
  }
  for (const [name, policy] of sorted(context.spec.backups)) checkPolicy(context, name, policy);
  checkClashes(context);
  for (const [id, storage] of sorted(context.spec.storages)) {
    for (const server of storage.mountedBy ?? [])
      if (context.server(server) === undefined) {
        const path = `storages.${id}.mountedBy`;
        const close = nearest(
          server,
          context.servers.map(({ name }) => name),
        );
        context.add(
          "SERVER-UNKNOWN",
          path,
          `Storage ${id} is mounted by '${server}', which does not exist.`,
          close === undefined
            ? `Remove '${server}' from ${path}, or add servers.${server}.`
            : `Write '${close}' instead of '${server}'.`,
        );
      }
    if (storage.content.includes("backup")) checkLocation(context, id);
  }
  checkMedia(context, plan);
}

function reportNoSpare(context: Context, guest: Placed): void {
  const { name, primary, spec } = guest;
  const ids = list([...new Set(spec.disks.map(({ storage }) => storage))].sort(byName));
  const shared = keepsData(context, guest, primary);
  context.add(
    "GUEST-NO-SPARE",
    `guests.${name}`,
    shared
      ? `${name} has no spare: when ${primary} is lost, its disks on ${ids} are still there, and it is down until somebody starts it elsewhere.`
      : `${name} has no spare: when ${primary} is lost, it is down until ${primary} is back.`,
    shared
      ? `Let Proxmox VE's HA start it elsewhere, or add guests.${name}.coldReplica with the method restore.`
      : `Add guests.${name}.coldReplica.`,
  );
}

function checkRole(context: Context, { name, spec }: Placed): void {
  if (spec.coldReplica === undefined) return;
  const path = `guests.${name}.coldReplica`;
  const controllers = context.guests
    .filter(({ spec: { role } }) => role === "domain-controller")
    .map((guest) => guest.name);
  if (spec.role === "domain-controller" && controllers.length === 1)
    context.add(
      "DOMAIN-CONTROLLER-SINGLE",
      path,
      `${name} is the only domain controller and has a spare: a second controller would lose nothing at a failover.`,
      `Run a second domain controller on ${spec.coldReplica.on}, and remove ${path} then.`,
    );
  else if (spec.role === "domain-controller")
    context.add(
      "DOMAIN-CONTROLLER-GENERATION",
      path,
      `${name} is one of ${controllers.length} domain controllers (${list(controllers)}): its spare must start with a fresh VM generation id.`,
      `Remove ${path}: ${list(controllers.filter((other) => other !== name))} ${controllers.length === 2 ? "stands" : "stand"} in for it.`,
    );
  if (spec.role === "swarm-manager")
    context.add(
      "SWARM-MANAGER-SPARE",
      path,
      `${name} is a Swarm manager: after a failover its older state breaks the managers' consensus, and it has to join afresh.`,
      `Remove ${path}, and run managers on three servers.`,
    );
}

function checkPolicy(context: Context, name: string, policy: BackupPolicySpec): void {
  const path = `backups.${name}.${policy.target === undefined ? "storage" : "target"}`;
  const storage = policyStorage(context.spec.targets, policy);
  const known = context.guests.map((guest) => guest.name);
  for (const wrong of namedGuests(policy).filter((guest) => !known.includes(guest)))
    context.add(
      "GUEST-UNKNOWN",
      `backups.${name}.guests`,
      `Backup policy ${name} names guest '${wrong}', which does not exist.`,
      `Did you mean ${nearest(wrong, known) ?? (list(known, "or") || "another one")}? Correct or remove '${wrong}'.`,
    );
  // All of them 0 is another mistake, reported beside the other ones of policies.
  if (KEEP_RULES.every((rule) => policy.keep[rule] === undefined))
    context.add(
      "BACKUP-KEEPS-ALL",
      `backups.${name}.keep`,
      `Backup policy ${name} keeps every backup until ${storage ?? policy.target} is full.`,
      `Set backups.${name}.keep, for example { daily: 7, weekly: 4 }.`,
    );
  // A Proxmox Backup Server's entry comes with its target, on every hypervisor.
  const target = policyTarget(context.spec.targets, policy);
  if (storage === undefined || target?.spec?.kind === "pbs") return;
  const guests = context.guests.filter((guest) => guestsOf(context, policy).includes(guest.name));
  const primaries = new Set(guests.map(({ primary }) => primary));
  const use = { storage, content: "backup", path, what: `Backup policy ${name}` } as const;
  for (const server of [...primaries].sort(byName)) checkStorage(context, { ...use, server, side: "primary" });
  const spares = new Set(guests.flatMap(({ spare }) => (spare === undefined || primaries.has(spare) ? [] : [spare])));
  for (const server of [...spares].sort(byName)) checkStorage(context, { ...use, server, side: "spare" });
}

function checkClashes(context: Context): void {
  const policies = sorted(context.spec.backups);
  const numbers = ({ keep }: BackupPolicySpec) =>
    (["last", "hourly", "daily", "weekly", "monthly", "yearly"] as const).map((key) => keep[key] ?? 0).join();
  for (const [index, [name, policy]] of policies.entries())
    for (const [otherName, other] of policies.slice(0, index)) {
      const both = guestsOf(context, policy).filter((guest) => guestsOf(context, other).includes(guest));
      const storage = policyStorage(context.spec.targets, policy);
      const isSame = storage !== undefined && storage === policyStorage(context.spec.targets, other);
      if (!isSame || both.length === 0 || numbers(policy) === numbers(other)) continue;
      context.add(
        "BACKUP-RETENTION-CLASH",
        `backups.${name}.keep`,
        `Policies ${otherName} and ${name} both write ${list(both)} to ${storage}, and each run prunes what the other one keeps.`,
        `Give both the same keep, or different storages.`,
      );
    }
}

function checkLocation(context: Context, id: string): void {
  const storage = own(context.spec.storages, id);
  const location = storage?.server === undefined ? undefined : context.server(storage.server)?.location;
  const running = [
    ...new Set(context.guests.flatMap(({ primary, spare }) => [primary, ...(spare === undefined ? [] : [spare])])),
  ];
  if (location === undefined || running.length === 0) return;
  if (running.every((server) => context.server(server)?.location === location))
    context.add(
      "BACKUP-SAME-LOCATION",
      `storages.${id}`,
      `The backups on ${id} are in '${location}', together with ${list(running.sort(byName))}: a fire there takes guests, replicas and backups.`,
      "Keep the off-line media elsewhere, or add a backup storage in another location.",
    );
}

function checkMedia(context: Context, plan: SitePlan): void {
  const targets = offlineMedia(context.spec.targets);
  // What lies on hosts elsewhere survives the site, too.
  const elsewhere = Object.values(plan.backups.policies).some(
    ({ target, subjects }) => subjects.length > 0 && plan.backups.targets[target]?.host !== undefined,
  );
  if (targets.length === 0 && context.guests.length > 0 && !elsewhere)
    context.add(
      "OFFLINE-MEDIUM-NONE",
      "targets",
      "No off-line medium is planned: nothing survives the loss of the whole site.",
      "Add an offline-medium to the section targets.",
    );
  for (const [name, target] of targets) {
    const on = `targets.${name}.on`;
    const servers = context.servers.map((server) => server.name);
    if (context.server(target.on) === undefined)
      context.add(
        "SERVER-UNKNOWN",
        on,
        `Off-line medium ${name} is attached to '${target.on}', which does not exist.`,
        serverFix(context, on, target.on, servers),
      );
    const copied = plan.backups.targets[target.copies];
    if (copied !== undefined && copied.kind !== "vzdump") {
      checkMediumSize(context, name, target, copied.forecast.peakGiB);
      continue;
    }
    const pool = plan.storages.find(
      ({ storage, server }) =>
        storage === storageCopied(context, target) && (server === "shared" || server === target.on),
    );
    if (pool === undefined) {
      const ids = plan.storages
        .filter(({ server }) => server === "shared" || server === target.on)
        .map(({ storage }) => storage);
      context.add(
        "STORAGE-UNKNOWN",
        `targets.${name}.copies`,
        `Off-line medium ${name} copies storage '${target.copies}', which does not exist.`,
        `Set targets.${name}.copies to ${nearest(target.copies, ids) ?? (list(ids, "or") || "a storage with backups")}.`,
      );
    } else checkMediumSize(context, name, target, pool.totalGiB);
  }
}

/** The storage behind a vzdump target, or the storage itself. */
function storageCopied(context: Context, { copies }: OfflineMediumSpec): string {
  const target = own(context.spec.targets, copies);
  return target?.kind === "vzdump" ? target.storage : copies;
}

function checkMediumSize(context: Context, name: string, { sizeGiB, copies }: OfflineMediumSpec, gib: number): void {
  if (gib <= sizeGiB) return;
  context.add(
    "OFFLINE-MEDIUM-TOO-SMALL",
    `targets.${name}.sizeGiB`,
    `Off-line medium ${name} has ${formatGiB(sizeGiB)}, and ${copies} is to hold ${formatGiB(gib)}.`,
    `Take media of at least ${formatGiB(Math.ceil(gib))}, or keep fewer backups.`,
  );
}
