/** A running cluster in the words of a specification: what of it can be said is said as it is, the rest is listed. */
import { type GuestSpecInput, type SiteSpecInput, siteSpec } from "../schema";
import { byName } from "../units";
import { type InterpretedBackups, interpretBackups } from "./backup-jobs";
import type { GuestDraft } from "./guest-draft";
import { checkedGuest, type ReadGuest, readGuest, titleOf } from "./guests";
import type { Interpretation, InterpretedGuest, LeftAsItIs } from "./interpretation";
import { hostNameForm, uniqueNames } from "./names";
import { type CardInput, cardInput, type InterpretedNetworks, interpretNetworks } from "./networks";
import { replicaOf, strayJobs, tellHa } from "./replicas";
import { interpretServers, type ServerInput } from "./servers";
import type { ClusterSnapshot, GuestSnapshot } from "./snapshot";
import { type InterpretedStorages, interpretStorages, type SaidStorage } from "./storages";
import { counted, oneLine } from "./words";

export interface InterpretOptions {
  /** Default: the cluster's name, or that of the only server. */
  siteName?: string;
}

/**
 * Interprets a snapshot. Pure: the same snapshot gives the same result, in an order of its own.
 *
 * ```ts
 * const { site, guests, left } = interpretCluster(await readCluster(pve));
 * const plan = planSite(site);
 * ```
 *
 * A guest is taken over in full or not at all: then `guests` says why. Whatever the snapshot is, `site` fits the schema, and no error of
 * its plan stops the first update.
 */
export function interpretCluster(read: ClusterSnapshot, options: InterpretOptions = {}): Interpretation {
  const snapshot = inOrder(read);
  const { servers, left: leftOfServers } = interpretServers(snapshot);
  const storages = interpretStorages(snapshot, servers);
  const reading = readGuests(snapshot, servers, storages);
  const cards = [...reading.read.values()].flatMap(({ draft }) => draft.cards);
  const networks = interpretNetworks(snapshot, servers, cards);
  const taken = takeOver(snapshot, { servers, storages: storages.said, networks, reading });
  const names = new Map(taken.guests.flatMap(({ vmid, name }) => (name === undefined ? [] : [[vmid, name] as const])));
  const backups = interpretBackups({ snapshot, names, storages: storages.said });
  const head = siteHead(snapshot, options);
  return {
    site: assemble({ head, snapshot, servers, storages, networks, guests: taken.inputs, backups }),
    guests: taken.guests,
    left: [
      ...head.left,
      ...leftOfServers,
      ...storages.left,
      ...networks.left,
      ...backups.left,
      ...strayJobs(snapshot),
      ...poolsAndFirewall(snapshot),
      ...snapshot.unread.map(({ what, why }) => ({ subject: what, what: `not read: ${oneLine(why)}` })),
    ],
  };
}

/** The order in which a cluster was read must not show in what it becomes. */
function inOrder(snapshot: ClusterSnapshot): ClusterSnapshot {
  const { nodes, guests, storages, replicationJobs, backupJobs, pools } = snapshot;
  return {
    ...snapshot,
    nodes: nodes.toSorted((one, other) => byName(one.name, other.name)),
    guests: guests.toSorted((one, other) => one.vmid - other.vmid),
    storages: storages.toSorted((one, other) => byName(one.storage, other.storage)),
    replicationJobs: replicationJobs.toSorted((one, other) => byName(one.id, other.id)),
    backupJobs: backupJobs.toSorted((one, other) => byName(one.id, other.id)),
    pools: pools.toSorted((one, other) => byName(one.poolid, other.poolid)),
  };
}

interface Reading {
  read: Map<number, ReadGuest>;
  reasons: Map<number, string>;
}

function readGuests(
  snapshot: ClusterSnapshot,
  servers: Readonly<Record<string, ServerInput>>,
  { said }: InterpretedStorages,
): Reading {
  const off = new Set(snapshot.nodes.filter(({ online }) => !online).map(({ name }) => name));
  const reading: Reading = { read: new Map(), reasons: new Map() };
  for (const guest of snapshot.guests) {
    const result = readGuest(guest, { servers, off, storages: said });
    if ("reason" in result) reading.reasons.set(guest.vmid, result.reason);
    else reading.read.set(guest.vmid, result);
  }
  return reading;
}

interface Surroundings {
  servers: Readonly<Record<string, ServerInput>>;
  storages: ReadonlyMap<string, SaidStorage>;
  networks: InterpretedNetworks;
  reading: Reading;
}

/** Guests with their networks and replicas; what the schema refuses all the same is not taken over. */
function takeOver(
  snapshot: ClusterSnapshot,
  around: Surroundings,
): { guests: InterpretedGuest[]; inputs: Record<string, GuestSpecInput> } {
  const { read, reasons } = around.reading;
  const names = uniqueNames(
    snapshot.guests
      .filter(({ vmid }) => read.has(vmid))
      .map((guest) => ({
        id: String(guest.vmid),
        title: titleOf(guest),
        fallback: `${guest.type === "qemu" ? "vm" : "ct"}-${guest.vmid}`,
      })),
  );
  const inputs: Record<string, GuestSpecInput> = {};
  const guests = snapshot.guests.map((guest): InterpretedGuest => {
    const { vmid, node, type } = guest;
    const title = oneLine(titleOf(guest));
    const kind = type === "qemu" ? "vm" : "container";
    const found = read.get(vmid);
    if (found === undefined) return { vmid, node, kind, title, reason: reasons.get(vmid) ?? "", left: [] };
    const name = names.get(String(vmid)) ?? "";
    const checked = checkedGuest(guestInput(snapshot, guest, found, name, around));
    if ("reason" in checked) return { vmid, node, kind, title, reason: checked.reason, left: [] };
    inputs[name] = checked.input;
    return { vmid, node, kind, title, name, left: found.draft.left.map(oneLine) };
  });
  return { guests, inputs };
}

function guestInput(
  snapshot: ClusterSnapshot,
  guest: GuestSnapshot,
  { title, words, draft }: ReadGuest,
  name: string,
  { servers, storages, networks }: Surroundings,
): GuestSpecInput {
  const replica = replicaOf(guest, draft, { jobs: snapshot.replicationJobs, servers, storages });
  tellHa(guest, snapshot, draft.left);
  return {
    ...words,
    ...(title !== name && { hostname: title }),
    id: guest.vmid,
    on: guest.node,
    disks: draft.disks,
    ...(draft.cards.length > 0 && { networks: cardInputs(draft, networks) }),
    ...(guest.status !== "running" && { started: false }),
    ...(replica && { coldReplica: replica }),
    adopted: true,
    ...(draft.keeps.length > 0 && { keep: draft.keeps }),
  };
}

function cardInputs({ cards, left }: GuestDraft, { nameOf, networks }: InterpretedNetworks): CardInput[] {
  return cards.map((card) => {
    const network = nameOf(card);
    return cardInput(card, network, networks[network] ?? {}, left);
  });
}

interface Head {
  site: SiteSpecInput["site"];
  left: LeftAsItIs[];
}

/** What the site is called, and its cluster. */
function siteHead({ cluster, nodes }: ClusterSnapshot, { siteName }: InterpretOptions): Head {
  const name = hostNameForm(siteName ?? cluster ?? (nodes.length === 1 ? (nodes[0]?.name ?? "") : "")) || "site";
  if (cluster === undefined) return { site: { name, asFound: true }, left: [] };
  const takes = siteSpec.shape.site.shape.cluster.safeParse(cluster).success;
  const said = takes ? cluster : hostNameForm(hostNameForm(cluster).slice(0, 15)) || "cluster";
  const left = takes
    ? []
    : [
        {
          subject: `cluster ${oneLine(cluster)}`,
          what: `its name is none that a specification can have: said as ${said}`,
        },
      ];
  return { site: { name, asFound: true, cluster: said }, left };
}

function poolsAndFirewall({ pools, guests, firewall }: ClusterSnapshot): LeftAsItIs[] {
  const left = pools.map(({ poolid }) => {
    const members = guests.filter(({ pool }) => pool === poolid).length;
    return { subject: `pool ${poolid}`, what: `${counted(members, "guest")}: pools and their rights stay as they are` };
  });
  const { enabled, rules, groups } = firewall;
  if (enabled || rules > 0 || groups > 0)
    left.push({
      subject: "firewall",
      what: `${enabled ? "on" : "off"}, with ${counted(rules, "rule")} of the cluster and ${counted(groups, "group")}: its rules stay as they are, here and on every guest`,
    });
  return left;
}

interface Parts {
  head: Head;
  snapshot: ClusterSnapshot;
  servers: Record<string, ServerInput>;
  storages: InterpretedStorages;
  networks: InterpretedNetworks;
  guests: Record<string, GuestSpecInput>;
  backups: InterpretedBackups;
}

function assemble({ head, servers, storages, networks, guests, backups }: Parts): SiteSpecInput {
  return {
    site: head.site,
    servers: byKey(withEverything(servers, storages, networks.virtual)),
    ...section("storages", byKey(storages.shared)),
    ...section("networks", byKey(networks.networks)),
    ...section("guests", byKey(guests)),
    ...section("targets", byKey(storages.targets)),
    ...section("backups", byKey(backups.backups)),
  };
}

/** Servers with their storages, the virtual networks, and the role of those that keep copies. */
function withEverything(
  servers: Record<string, ServerInput>,
  { local, backupServers }: InterpretedStorages,
  virtual: readonly string[],
): Record<string, ServerInput> {
  const entries = Object.entries(servers).map(([name, server]): [string, ServerInput] => {
    if (!server.roles.includes("hypervisor")) return [name, server];
    const vnets = virtual.map((bridge) => [bridge, {}] as const);
    return [
      name,
      {
        ...server,
        roles: backupServers.has(name) ? [...server.roles, "backup-server"] : server.roles,
        ...section("bridges", byKey({ ...server.bridges, ...Object.fromEntries(vnets) })),
        ...section("vlans", byKey(server.vlans ?? {})),
        ...section("storages", byKey(local[name] ?? {})),
      },
    ];
  });
  return Object.fromEntries(entries);
}

function byKey<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([one], [other]) => byName(one, other)));
}

/** A section is left out where it is empty. */
function section<K extends string, T>(key: K, value: Record<string, T>): Partial<Record<K, Record<string, T>>> {
  return Object.keys(value).length === 0 ? {} : ({ [key]: value } as Partial<Record<K, Record<string, T>>>);
}
