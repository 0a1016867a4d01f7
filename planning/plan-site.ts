/** The plan of a site: every part computed, every check run, all findings together. */

import { planAddresses } from "./addresses";
import { asFound } from "./as-found";
import { planBackups } from "./backup/plan-backups";
import { afterLoss } from "./capacity";
import { runChecks } from "./checks";
import { Context, type Placed, sorted } from "./context";
import { orderFindings } from "./findings";
import { type GuestIds, planGuestIds } from "./identity";
import { planLosses } from "./losses";
import { activeTags, guestNotes } from "./notes";
import { parseSite } from "./parse";
import type { Finding, GuestAddress, GuestPlan, PlanOptions, ReplicaPlan, ServerPlan, SitePlan } from "./plan";
import { recoveryPoint, recoveryTime } from "./recovery";
import { type SiteSpec, type SiteSpecInput, siteSpec } from "./schema";
import { planSiteLoss } from "./site-loss";
import { planSpareAddresses } from "./spare-networks";
import { planStorages } from "./storage";

/**
 * Plans a site: addresses, placement, capacity after each loss, recovery times, storage demand and all findings.
 * Pure: the same specification gives the same plan, whatever the order of its keys.
 *
 * @example
 * ```ts
 * const plan = planSite({ site: { name: "office" }, servers: { srv1: { roles: ["hypervisor"], cores: 8, memoryGiB: 32 } } });
 * if (!plan.ok) for (const { subject, message, fix } of plan.findings) console.error(subject, message, fix);
 * ```
 *
 * Never throws on a specification: one that the schema refuses gives a plan without servers and guests, `ok: false`,
 * and the schema's findings.
 */
export function planSite(input: SiteSpec | SiteSpecInput, options: PlanOptions = {}): SitePlan {
  const { spec, findings } = parseSite(input);
  return spec === undefined ? refused(input, findings) : planParsed(spec, findings, options);
}

function refused(input: unknown, findings: Finding[]): SitePlan {
  const name = siteSpec.shape.site.shape.name.safeParse((input as { site?: { name?: unknown } } | null)?.site?.name);
  const spec = siteSpec.parse({ site: { name: name.success ? name.data : "site" }, servers: {} });
  return { ...planParsed(spec, [], {}), findings, ok: false };
}

/** The specification with its names sorted: from here on no order in a file can show in the plan. */
function canonical(spec: SiteSpec): SiteSpec {
  const byKey = <T>(record: Record<string, T>) => Object.fromEntries(sorted(record));
  const servers = sorted(spec.servers).map(([name, server]) => {
    const { bridges, vlans, storages } = server;
    return [name, { ...server, bridges: byKey(bridges), vlans: byKey(vlans), storages: byKey(storages) }] as const;
  });
  return {
    ...spec,
    servers: Object.fromEntries(servers),
    storages: byKey(spec.storages),
    networks: byKey(spec.networks),
    images: byKey(spec.images),
    guests: byKey(spec.guests),
    backups: byKey(spec.backups),
    targets: byKey(spec.targets),
    devices: byKey(spec.devices),
    groups: byKey(spec.groups),
    drills: byKey(spec.drills),
  };
}

function planParsed(parsed: SiteSpec, schemaFindings: readonly Finding[], options: PlanOptions): SitePlan {
  const spec = canonical(parsed);
  const context = new Context(spec, options);
  const ids = planGuestIds(context);
  const addresses = planAddresses(context);
  const guests: Record<string, GuestPlan> = {};
  for (const guest of context.guests)
    guests[guest.name] = planGuest(context, guest, ids[guest.name] ?? { id: 0 }, addresses[guest.name] ?? []);
  const backups = planBackups(context, Object.fromEntries(Object.entries(ids).map(([name, { id }]) => [name, id])));
  const plan: SitePlan = {
    site: siteHeader(spec),
    spec,
    findings: [],
    ok: true,
    servers: planServers(context),
    guests,
    storages: planStorages(context),
    backups,
    losses: planLosses(context, guests),
    siteLoss: planSiteLoss(context, backups),
    devices: spec.devices,
  };
  runChecks(context, plan);
  plan.findings = orderFindings([...schemaFindings, ...asFound(spec, orderFindings(context.findings))]);
  plan.ok = plan.findings.every(({ severity }) => severity !== "error");
  return plan;
}

function siteHeader({ site }: SiteSpec): SitePlan["site"] {
  return {
    name: site.name,
    fencing: site.fencing,
    ...(site.cluster !== undefined && { cluster: site.cluster }),
    ...(site.domain !== undefined && { domain: site.domain }),
  };
}

function planGuest(context: Context, guest: Placed, ids: GuestIds, addresses: GuestAddress[]): GuestPlan {
  const replica = planReplica(context, guest, ids);
  const spareAddresses = planSpareAddresses(context.spec, addresses, guest.spec.coldReplica);
  return {
    name: guest.name,
    kind: guest.spec.kind,
    spec: guest.spec,
    id: ids.id,
    hostname: guest.spec.hostname ?? guest.name,
    ...(guest.spec.duty && { duty: guest.spec.duty }),
    primary: guest.primary,
    ...(guest.spare !== undefined && { spare: guest.spare }),
    activeSide: guest.activeSide,
    activeServer: guest.activeServer,
    ...(guest.standbyServer !== undefined && { standbyServer: guest.standbyServer }),
    addresses,
    ...(spareAddresses && { spareAddresses }),
    ...(replica && { replica }),
    tags: activeTags(guest),
    notes: guestNotes(context.spec.site.name, guest, replica),
  };
}

function planReplica(context: Context, guest: Placed, ids: GuestIds): ReplicaPlan | undefined {
  const replica = guest.spec.coldReplica;
  if (replica === undefined) return undefined;
  const { on, method, schedule, rateMBps, backupStorage, storage } = replica;
  return {
    server: on,
    method,
    schedule,
    ...(rateMBps !== undefined && { rateMBps }),
    ...(ids.standbyIds && { standbyIds: ids.standbyIds }),
    ...(backupStorage !== undefined && { backupStorage }),
    ...(storage !== undefined && { storage }),
    recoveryPoint: recoveryPoint(context, guest, replica),
    recoveryTime: recoveryTime(context, guest),
  };
}

function planServers(context: Context): Record<string, ServerPlan> {
  const names = (wanted: (guest: Placed) => boolean) => context.guests.filter(wanted).map(({ name }) => name);
  const before = afterLoss(context).usage;
  const after = context.servers.map(({ name: lost }) => ({ lost, usage: afterLoss(context, lost).usage }));
  const servers: Record<string, ServerPlan> = {};
  for (const { name, spec } of context.servers) {
    const own = before[name];
    if (own === undefined) continue;
    const afterLossOf: ServerPlan["capacity"]["afterLossOf"] = {};
    for (const { lost, usage } of after) if (usage[name] !== undefined) afterLossOf[lost] = usage[name];
    servers[name] = {
      name,
      roles: spec.roles,
      spec,
      primaries: names(({ primary }) => primary === name),
      spares: names(({ spare }) => spare === name),
      active: names((guest) => guest.spec.started && guest.activeServer === name),
      capacity: { before: own, afterLossOf },
    };
  }
  return servers;
}
