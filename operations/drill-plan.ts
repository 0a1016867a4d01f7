/** What a drill would do: which copies, where, in which order, and why not. Pure. */
import { createHash } from "node:crypto";
import type { Finding } from "../planning";
import type { ManifestGuest, ManifestNetwork, ManifestProbe, SiteManifest } from "../planning/manifest";
import { refusal } from "./refusals";

/** What a drill must know of the site as it is now. */
export interface DrillFacts {
  /** Server that stands by for each guest now; absent when that is not known. */
  standbyServer: Readonly<Record<string, string | undefined>>;
  /** Servers that answer over the API and over SSH. */
  up: readonly string[];
  /** GiB of the guests that run on each server. */
  usedGiB: Readonly<Record<string, number>>;
  /** Newest good standby of guests by `restore`. */
  standby: Readonly<Record<string, { vmid: number; recoveryPoint?: string } | undefined>>;
  /** Last good replication of guests by `storage-replication`, ISO time. */
  lastSync: Readonly<Record<string, string | undefined>>;
  takenIds: readonly number[];
}

/** One copy of a guest. */
export interface DrillCopy {
  guest: string;
  drillId: number;
  /** `volumes`: from the replica's volumes; `standby`: a full clone of the standby. */
  from: "volumes" | "standby";
  standbyId?: number;
  /** The moment whose data it holds, ISO time. */
  recoveryPoint?: string;
  /** Bridge of each network card. */
  bridges: Record<number, string>;
  /** Address that the probes ask, without prefix length. */
  address?: string;
  probes: ManifestProbe[];
  bootSeconds: number;
  delaySeconds: number;
}

/** Guests that are started together, in this order, in a network of their own. */
export interface DrillUnit {
  name: string;
  server: string;
  memoryGiB: number;
  networks: { bridge: string; addresses: string[] }[];
  copies: DrillCopy[];
}

export interface DrillPlan {
  units: DrillUnit[];
  refusals: Finding[];
  warnings: Finding[];
}

const FIRST_DRILL_ID = 900_000_000;

/**
 * Plans drills of these guests: the members of an application group together, everything else alone.
 *
 * @param names Guests or groups; empty: every guest with a spare.
 */
export function planDrill(manifest: SiteManifest, facts: DrillFacts, names: readonly string[]): DrillPlan {
  const refusals: Finding[] = [];
  const warnings: Finding[] = [];
  const chosen = chosenGuests(manifest, names, refusals);
  const taken = new Set(facts.takenIds);
  const units: DrillUnit[] = [];
  for (const { unit, guests } of together(manifest, chosen)) {
    const problems = guests.flatMap((guest) => problemsOf(guest, manifest, facts));
    refusals.push(...problems);
    if (problems.length > 0) continue;
    for (const [server, members] of byServer(guests, facts)) {
      const name = guests.length === members.length ? unit : `${unit}-on-${server}`;
      const made = makeUnit(name, server, members, facts, taken);
      warnings.push(...members.flatMap(weakProbes));
      const free = (manifest.servers[server]?.memoryLimitGiB ?? 0) - (facts.usedGiB[server] ?? 0);
      if (made.memoryGiB > free) refusals.push(noRoom(made, free));
      else units.push(made);
    }
  }
  return { units, refusals, warnings };
}

function chosenGuests(manifest: SiteManifest, names: readonly string[], refusals: Finding[]): ManifestGuest[] {
  const all = Object.values(manifest.guests);
  if (names.length === 0) return all.filter(({ spare }) => spare !== undefined);
  const guests = new Set<ManifestGuest>();
  for (const name of names) {
    const group = manifest.groups[name];
    const found = group ? group.guests.flatMap((each) => manifest.guests[each] ?? []) : [manifest.guests[name]];
    for (const guest of found) {
      if (guest?.spare !== undefined) guests.add(guest);
      else if (!guest)
        refusals.push(
          refusal(
            "OPERATION-UNKNOWN-GUEST",
            name,
            `there is no guest and no group '${name}'`,
            "see `coldspare status`",
          ),
        );
      else if (!group)
        refusals.push(
          refusal(
            "OPERATION-NO-SPARE",
            name,
            `${name} has no spare, so there is nothing to start`,
            "give it a coldReplica",
          ),
        );
    }
  }
  return all.filter((guest) => guests.has(guest));
}

/** Units in the order of their start: groups by their order, then single guests by boot order. */
function together(
  manifest: SiteManifest,
  chosen: readonly ManifestGuest[],
): { unit: string; guests: ManifestGuest[] }[] {
  const groups = Object.entries(manifest.groups)
    .sort(([a, x], [b, y]) => x.order - y.order || (a < b ? -1 : 1))
    .map(([unit, { guests }]) => ({
      unit,
      guests: guests.flatMap((name) => chosen.find((guest) => guest.name === name) ?? []),
    }))
    .filter(({ guests }) => guests.length > 0);
  const alone = chosen
    .filter(({ group }) => group === undefined)
    .sort((a, b) => a.boot.order - b.boot.order || (a.name < b.name ? -1 : 1))
    .map((guest) => ({ unit: guest.name, guests: [guest] }));
  return [...groups, ...alone];
}

function problemsOf(guest: ManifestGuest, manifest: SiteManifest, facts: DrillFacts): Finding[] {
  const server = facts.standbyServer[guest.name];
  const { name } = guest;
  if (server === undefined)
    return [
      refusal("OPERATION-SIDE-UNKNOWN", name, `which side of ${name} stands by is not known`, "see `coldspare status`"),
    ];
  if (!facts.up.includes(server))
    return [
      refusal(
        "OPERATION-SERVER-DOWN",
        name,
        `${server}, which stands by for ${name}, does not answer`,
        `bring ${server} back first`,
      ),
    ];
  const found: Finding[] = [];
  if (!manifest.servers[server]?.ssh)
    found.push(
      refusal(
        "OPERATION-NO-SSH",
        name,
        `${server} is not reached over SSH, and the drill's network is made there`,
        `\`pulumi config set --path 'coldspare:ssh.hostKeys.${server}[0]' "ssh-ed25519 AAAA…"\`, then \`pulumi up\``,
      ),
    );
  if (guest.method === "restore" && !facts.standby[name])
    found.push(
      refusal(
        "OPERATION-NO-STANDBY",
        name,
        `${name} has no good standby on ${server}`,
        `\`coldspare refresh --guest ${name}\``,
      ),
    );
  if (guest.method === "zfs-sync")
    found.push(
      refusal(
        "OPERATION-METHOD",
        name,
        `${name} is kept by zfs-sync, whose copies this release does not drill by command`,
        `on ${server}, by hand: \`zfs clone <data set>@<point> <pool>/vm-<free id>-disk-0\` (\`coldspare-zfs replica points ${name}\` names the points), and a guest of that id without network; or a planned failover in a quiet hour`,
      ),
    );
  if (guest.method === "storage-replication" && guest.kind === "lxc")
    found.push(
      refusal(
        "OPERATION-DRILL-CONTAINER",
        name,
        `${name} is a container under storage-replication: Proxmox VE cannot copy its volumes while the configuration is on another server`,
        "drill it as a planned failover in a quiet hour (`coldspare failover --planned --guest`, then failback), or use the method restore",
      ),
    );
  if (guest.method === "storage-replication" && facts.lastSync[name] === undefined)
    found.push(
      refusal(
        "OPERATION-NO-REPLICA",
        name,
        `${name} was never replicated to ${server}`,
        "see `pvesr status` on its server",
      ),
    );
  return found;
}

function byServer(guests: readonly ManifestGuest[], facts: DrillFacts): Map<string, ManifestGuest[]> {
  const servers = new Map<string, ManifestGuest[]>();
  for (const guest of guests) {
    const server = facts.standbyServer[guest.name]!;
    servers.set(server, [...(servers.get(server) ?? []), guest]);
  }
  return servers;
}

function makeUnit(
  name: string,
  server: string,
  members: readonly ManifestGuest[],
  facts: DrillFacts,
  taken: Set<number>,
): DrillUnit {
  const networks = new Map<string, { bridge: string; addresses: string[] }>();
  const copies = members.map((guest): DrillCopy => {
    // It starts where the spare is, so with the spare's networks.
    const cards = guest.primary === server ? guest.networks : (guest.spareNetworks ?? guest.networks);
    const bridges: Record<number, string> = {};
    for (const [index, card] of cards.entries()) {
      const network = networkOf(name, card);
      bridges[index] = network.bridge;
      const known = networks.get(network.bridge) ?? { bridge: network.bridge, addresses: [] };
      known.addresses = [...new Set([...known.addresses, ...network.addresses])];
      networks.set(network.bridge, known);
    }
    const standby = facts.standby[guest.name];
    const address = cards.find((card) => card.address !== undefined)?.address?.split("/")[0];
    const fromStandby = guest.method === "restore";
    const recoveryPoint = fromStandby ? standby?.recoveryPoint : facts.lastSync[guest.name];
    return {
      guest: guest.name,
      drillId: freeId(guest.vmid, taken),
      from: fromStandby ? "standby" : "volumes",
      ...(fromStandby && standby ? { standbyId: standby.vmid } : {}),
      ...(recoveryPoint === undefined ? {} : { recoveryPoint }),
      bridges,
      ...(address === undefined ? {} : { address }),
      probes: guest.probes,
      bootSeconds: guest.boot.seconds,
      delaySeconds: guest.boot.delaySeconds,
    };
  });
  const memoryGiB = members.reduce((total, { memoryGiB: each }) => total + each, 0);
  return { name, server, memoryGiB, networks: [...networks.values()], copies };
}

/** The namespace takes the gateways' addresses: that is where the guests send what is not in their own network. */
function networkOf(unit: string, card: ManifestNetwork): { bridge: string; addresses: string[] } {
  const id = createHash("sha256").update(`${unit}/${card.network}`).digest("hex").slice(0, 8);
  const withPrefix = (gateway: string | undefined, address: string | undefined) =>
    gateway !== undefined && address !== undefined ? [`${gateway}/${address.split("/")[1]}`] : [];
  return {
    bridge: `csd${id}`,
    addresses: [...withPrefix(card.gateway, card.address), ...withPrefix(card.gateway6, card.address6)],
  };
}

function freeId(vmid: number, taken: Set<number>): number {
  let id = FIRST_DRILL_ID + (vmid % 90_000_000);
  while (taken.has(id)) id++;
  taken.add(id);
  return id;
}

function weakProbes({ name, probes }: ManifestGuest): Finding[] {
  if (probes.length > 0) return [];
  return [
    {
      code: "PROBE-MISSING",
      severity: "warning",
      subject: `guests.${name}.probes`,
      message: `${name} has no probe: the drill proves that it starts, not that its service answers`,
      fix: `add one, for example \`probes: [{ kind: tcp, port: 443 }]\``,
    },
  ];
}

function noRoom({ name, server, memoryGiB }: DrillUnit, freeGiB: number): Finding {
  return refusal(
    "OPERATION-NO-MEMORY",
    name,
    `the drill of ${name} needs ${memoryGiB} GiB on ${server}, which has ${Math.max(0, Math.round(freeGiB * 10) / 10)} GiB left beside what runs now`,
    "drill its guests one by one, or when less is running",
  );
}
