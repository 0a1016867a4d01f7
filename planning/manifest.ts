/**
 * What the operator's commands need to know of a site, without the engine and without secrets. Each `pulumi up` exports it as
 * the output `manifest` and places it on every server. Which side of a guest is active is not in it: that is asked on the
 * servers. Sizes in GiB, times in seconds.
 */
import type { ManifestBackups } from "./backup/manifest";
import { manifestBackups } from "./backup/manifest-backups";
import type { GuestPlan, ServerPlan, SitePlan, SpareAddress } from "./plan";
import { planSite } from "./plan-site";
import type { Fencing, ReplicaMethod, ServerSpec, SiteSpec } from "./schema";
import type { DrillSpec, PowerSpec, ProbeSpec } from "./schema-recovery";
import { byName, parseDuration } from "./units";
import { type ZfsReplica, zfsReplicaOf } from "./zfs-replica";

/** Grows by keys only; a reader refuses a greater number than it knows. */
export const MANIFEST_FORMAT = 1;

export interface SiteManifest {
  format: typeof MANIFEST_FORMAT;
  site: string;
  /** Absent: independent hypervisors. */
  cluster?: string;
  domain?: string;
  fencing: Fencing;
  lease: LeaseTimes;
  /** The third voter of guests, beside primary and spare: a server that is no hypervisor. */
  witness?: string;
  /** PEM of the authority of the hypervisors' certificates. */
  ca?: string;
  /** After a loss, sheddable guests may stay off by priority. */
  allowShedding: boolean;
  /** Votes that the cluster expects. */
  expectedVotes: number;
  memoryOverheadGiB: number;
  servers: Record<string, ManifestServer>;
  guests: Record<string, ManifestGuest>;
  /** Application groups by name; a guest is in one at most. */
  groups: Record<string, ManifestGroup>;
  drills: Record<string, ManifestDrill>;
  /** Absent: no target and no policy, or a manifest of an older release. */
  backups?: ManifestBackups;
}

/** Seconds; see docs/guard.md for what each bounds. */
export interface LeaseTimes {
  termSeconds: number;
  renewSeconds: number;
  marginSeconds: number;
  watchdogSeconds: number;
}

export interface ManifestServer {
  roles: ServerSpec["roles"];
  /** Management address, without prefix length. */
  address?: string;
  /** API of Proxmox VE, hypervisors only. */
  endpoint?: string;
  /** SHA-256 of its certificate, where no authority is given. */
  fingerprint?: string;
  /** Absent: this server is not reached over SSH, and what needs it is refused by name. */
  ssh?: { host: string; port: number; user: string; hostKeys: string[] };
  /** What guests may take together. */
  memoryLimitGiB: number;
  coreLimit: number;
  power?: ManifestPower;
}

/** How a server is switched off and its state is read back. Passwords by the name of their secret. */
export type ManifestPower =
  | { kind: "redfish"; url: string; username: string; passwordSecret: string; system?: string; ca?: string }
  | { kind: "ipmi"; address: string; username: string; passwordSecret: string }
  /** Commands on the operator's machine; `status` prints `on` or `off`. */
  | { kind: "command"; off: string[]; on?: string[]; status: string[] };

export interface ManifestGuest {
  name: string;
  kind: "qemu" | "lxc";
  /** Id of the guest on its primary; with `storage-replication` and `zfs-sync` the id on either side. */
  vmid: number;
  /** Its name on the hypervisor. Absent: the same as here. */
  hostname?: string;
  /** Present where it is normally off: no command starts it after a loss, unless it is named. */
  started?: false;
  role?: string;
  primary: string;
  spare?: string;
  method?: ReplicaMethod;
  /** Only with `restore`: the two ids on the spare, used in turn. */
  standbyIds?: [number, number];
  backupStorage?: string;
  /** Storage on the spare for `restore`. */
  standbyStorage?: string;
  /** Only with `zfs-sync`. */
  zfs?: ZfsReplica;
  /** Servers that keep the record of who may run it, primary and spare first. */
  voters: string[];
  memoryGiB: number;
  cores: number;
  /** Name of the group it is in. */
  group?: string;
  boot: { order: number; delaySeconds: number; seconds: number; atHostBoot: boolean };
  /** Greater is more important. */
  priority: number;
  sheddable: boolean;
  /** RPO in seconds: what is promised, or else what the plan computed. Absent without a spare. */
  recoveryPointSeconds?: number;
  recoveryTimeSeconds?: number;
  recoveryTimePromisedSeconds?: number;
  storages: string[];
  networks: ManifestNetwork[];
  /** The networks as they are on the spare, where that differs (another bridge, VLAN or subnet). Same order and length. */
  spareNetworks?: ManifestNetwork[];
  cloudInit: boolean;
  agent: boolean;
  probes: ManifestProbe[];
  commands: ManifestCommand[];
}

/** One network card: `net0`, `net1` … in order. */
export interface ManifestNetwork {
  network: string;
  bridge: string;
  vlan?: number;
  mac: string;
  /** With prefix length; absent: DHCP. */
  address?: string;
  address6?: string;
  gateway?: string;
  gateway6?: string;
  dnsServers?: string[];
}

/** Guests that belong together, started one after another in this order. */
export interface ManifestGroup {
  guests: string[];
  /** Smaller starts first; a group starts when the one before is up. */
  order: number;
  /** Wait after the group's last guest. */
  delaySeconds: number;
  commands: ManifestCommand[];
}

/** A command around a switch. It gets COLDSPARE_GUEST or COLDSPARE_GROUP, COLDSPARE_FROM, COLDSPARE_TO in its environment. */
export interface ManifestCommand {
  when: "before-stop" | "after-stop" | "before-start" | "after-start";
  /** `operator`: the machine of whoever types the command; otherwise a server's name, `spare`, `primary`, or `guest` (by its agent). */
  on: string;
  run: string[];
  timeoutSeconds: number;
  /** A failure stops the operation. Default: it is reported and the operation goes on. */
  required: boolean;
}

/** How one sees that a guest's service answers. Addresses default to the guest's first one. */
export type ManifestProbe =
  | { kind: "ping"; timeoutSeconds: number }
  | { kind: "tcp"; port: number; timeoutSeconds: number }
  | { kind: "http"; port: number; path: string; expect?: string; status?: number; tls: boolean; timeoutSeconds: number }
  | { kind: "agent"; timeoutSeconds: number }
  /** Run inside the probing namespace of the drill, on the spare. */
  | { kind: "command"; run: string[]; timeoutSeconds: number };

export interface ManifestDrill {
  guests: string[];
  /** systemd calendar event. */
  schedule?: string;
  /** A drill older than this is overdue. */
  maximumAgeSeconds?: number;
}

/** What the stack's config says of the way to the servers. */
export interface ManifestAccess {
  endpoints: Record<string, string>;
  fingerprints?: Record<string, string>;
  ca?: string;
  ssh?: {
    user?: string;
    port?: number;
    /** `host` or `host:port` by server; default: the server's management address. */
    hosts?: Record<string, string>;
    /** Public host keys by server: `ssh-ed25519 AAAA…`. Without a key a server is not reached over SSH. */
    hostKeys: Record<string, string[]>;
  };
}

/**
 * The manifest of a planned site. The same plan and access give the same manifest, whatever the order of their keys and
 * whichever side of a guest is active.
 *
 * @example
 * ```ts
 * const manifest = siteManifest(planSite(spec), { endpoints: { srv1: "https://192.168.10.11:8006" } });
 * ```
 */
export function siteManifest(planned: SitePlan, access: ManifestAccess): SiteManifest {
  // Recovery points and times are those of the site as it is meant to be: they do not change with the active side.
  const away = Object.values(planned.guests).some(({ activeSide }) => activeSide === "spare");
  const plan = away ? planSite(planned.spec) : planned;
  const { spec } = plan;
  const witness = witnessOf(plan);
  const backups = manifestBackups(plan);
  return {
    format: MANIFEST_FORMAT,
    site: plan.site.name,
    ...(plan.site.cluster !== undefined && { cluster: plan.site.cluster }),
    ...(plan.site.domain !== undefined && { domain: plan.site.domain }),
    fencing: plan.site.fencing,
    lease: spec.site.lease,
    ...(witness !== undefined && { witness }),
    ...(access.ca !== undefined && { ca: access.ca }),
    allowShedding: spec.policies.allowShedding,
    expectedVotes: Object.values(plan.losses)[0]?.quorum?.expected ?? 1,
    memoryOverheadGiB: spec.policies.memoryOverheadGiB,
    servers: mapValues(plan.servers, (server) => manifestServer(server, access)),
    guests: mapValues(plan.guests, (guest) => manifestGuest(plan, guest)),
    groups: mapValues(spec.groups, (group) => ({ ...group, guests: group.guests.filter(isGuest(spec)) })),
    drills: mapValues(spec.drills, (drill) => manifestDrill(spec, drill)),
    ...(backups && { backups }),
  };
}

/** Servers that keep the record of who may run a guest: its two sides and a third one; none for a guest without a spare. */
export function votersOf(plan: SitePlan, guest: GuestPlan): string[] {
  if (guest.spare === undefined) return [];
  const sides = [guest.primary, guest.spare];
  const others = Object.values(plan.servers)
    .filter(({ name, roles }) => roles.includes("hypervisor") && !sides.includes(name))
    .map(({ name }) => name)
    .sort(byName);
  const third = witnessOf(plan) ?? others[0];
  return [...new Set(third === undefined ? sides : [...sides, third])];
}

/** The first witness by name that is no hypervisor. */
export function witnessOf(plan: SitePlan): string | undefined {
  return Object.values(plan.servers)
    .filter(({ roles }) => roles.includes("witness") && !roles.includes("hypervisor"))
    .map(({ name }) => name)
    .sort(byName)[0];
}

/** The same keys, sorted, with other values. */
function mapValues<A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> {
  const entries = Object.entries(record).sort(([a], [b]) => byName(a, b));
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value)]));
}

function isGuest(spec: SiteSpec): (name: string) => boolean {
  return (name) => Object.hasOwn(spec.guests, name);
}

function manifestServer({ name, roles, spec, capacity }: ServerPlan, access: ManifestAccess): ManifestServer {
  const address = spec.address ?? spec.address6;
  const endpoint = own(access.endpoints, name);
  const fingerprint = own(access.fingerprints, name);
  const ssh = sshAccess(name, address, access.ssh);
  return {
    roles,
    ...(address !== undefined && { address }),
    ...(endpoint !== undefined && { endpoint }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...(ssh !== undefined && { ssh }),
    memoryLimitGiB: capacity.before.memoryLimitGiB,
    coreLimit: capacity.before.coreLimit,
    ...(spec.power !== undefined && { power: manifestPower(spec.power) }),
  };
}

function sshAccess(server: string, address: string | undefined, ssh: ManifestAccess["ssh"]): ManifestServer["ssh"] {
  const hostKeys = own(ssh?.hostKeys, server) ?? [];
  const way = own(ssh?.hosts, server) ?? address;
  if (ssh === undefined || way === undefined || hostKeys.length === 0) return undefined;
  // [fd00::1]:22, host:22 or a bare address; more than one colon without brackets is IPv6 without a port.
  const match = /^\[([^\]]+)\](?::(\d+))?$/.exec(way) ?? /^([^:]+):(\d+)$/.exec(way);
  const port = match?.[2] === undefined ? (ssh.port ?? 22) : Number(match[2]);
  return { host: match?.[1] ?? way, port, user: ssh.user ?? "root", hostKeys };
}

function own<T>(record: Record<string, T> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

function manifestPower(power: PowerSpec): ManifestPower {
  if (power.kind === "ipmi") return power;
  if (power.kind === "command") {
    const { kind, off, on, status } = power;
    return { kind, off, ...(on !== undefined && { on }), status };
  }
  const { kind, url, username, passwordSecret, system, ca } = power;
  return {
    kind,
    url,
    username,
    passwordSecret,
    ...(system !== undefined && { system }),
    ...(ca !== undefined && { ca }),
  };
}

function manifestGuest(plan: SitePlan, guest: GuestPlan): ManifestGuest {
  const { spec, replica } = guest;
  const zfs = zfsReplicaOf(plan.spec, spec, guest.id);
  const group = Object.entries(plan.spec.groups)
    .sort(([a], [b]) => byName(a, b))
    .find(([, { guests }]) => guests.includes(guest.name))?.[0];
  return {
    name: guest.name,
    kind: guest.kind === "vm" ? "qemu" : "lxc",
    vmid: guest.id,
    ...(guest.hostname !== guest.name && { hostname: guest.hostname }),
    ...(!spec.started && { started: false as const }),
    ...(spec.role !== undefined && { role: spec.role }),
    primary: guest.primary,
    ...(guest.spare !== undefined && { spare: guest.spare }),
    ...(replica && manifestReplica(guest, replica)),
    ...(zfs && { zfs }),
    voters: votersOf(plan, guest),
    memoryGiB: spec.memoryGiB,
    cores: spec.cores,
    ...(group !== undefined && { group }),
    boot: { ...spec.boot, atHostBoot: spec.boot.atHostBoot && spec.started },
    priority: spec.priority,
    sheddable: spec.sheddable,
    storages: [...new Set(spec.disks.map(({ storage }) => storage))].sort(byName),
    ...manifestNetworks(plan.spec, guest),
    cloudInit: spec.kind === "vm" && spec.cloudInit !== undefined,
    agent: spec.agent,
    probes: spec.probes.map(manifestProbe),
    commands: spec.commands,
  };
}

type ReplicaKeys =
  | "method"
  | "standbyIds"
  | "backupStorage"
  | "standbyStorage"
  | "recoveryPointSeconds"
  | "recoveryTimeSeconds"
  | "recoveryTimePromisedSeconds";

function manifestReplica(
  guest: GuestPlan,
  replica: NonNullable<GuestPlan["replica"]>,
): Pick<ManifestGuest, ReplicaKeys> {
  const { method, standbyIds, backupStorage, recoveryPoint, recoveryTime } = replica;
  const point = recoveryPoint.promisedSeconds ?? recoveryPoint.seconds;
  const standbyStorage = method === "restore" ? (replica.storage ?? guest.spec.disks[0]?.storage) : undefined;
  return {
    method,
    ...(standbyIds && { standbyIds }),
    ...(backupStorage !== undefined && { backupStorage }),
    ...(standbyStorage !== undefined && { standbyStorage }),
    // A schedule that is none promises nothing, and JSON has no number for it.
    ...(Number.isFinite(point) && { recoveryPointSeconds: point }),
    recoveryTimeSeconds: recoveryTime.seconds,
    ...(recoveryTime.promisedSeconds !== undefined && { recoveryTimePromisedSeconds: recoveryTime.promisedSeconds }),
  };
}

function manifestNetworks(spec: SiteSpec, guest: GuestPlan): Pick<ManifestGuest, "networks" | "spareNetworks"> {
  const dnsServers = (network: string) => own(spec.networks, network)?.dnsServers ?? [];
  return {
    networks: guest.addresses.map((card) => manifestCard({ ...card, dnsServers: dnsServers(card.network) })),
    ...(guest.spareAddresses && { spareNetworks: guest.spareAddresses.map(manifestCard) }),
  };
}

function manifestCard({ dnsServers, ...card }: SpareAddress): ManifestNetwork {
  return { ...card, ...(dnsServers.length > 0 && { dnsServers }) };
}

function manifestProbe(probe: ProbeSpec): ManifestProbe {
  if (probe.kind !== "http") return probe;
  const { kind, path, tls, timeoutSeconds, port = tls ? 443 : 80, expect, status } = probe;
  return {
    kind,
    port,
    path,
    tls,
    timeoutSeconds,
    ...(expect !== undefined && { expect }),
    ...(status !== undefined && { status }),
  };
}

/** Guests with a spare that a drill starts, in the order of its group or else by name; names that are no guests are left out. */
export function drillGuests(spec: SiteSpec, { guests, group }: Pick<DrillSpec, "guests" | "group">): string[] {
  const withSpare = (name: string) => own(spec.guests, name)?.coldReplica !== undefined;
  const members = group === undefined ? [] : (own(spec.groups, group)?.guests ?? []);
  const named = guests ?? (group === undefined ? "all" : []);
  const chosen = named === "all" ? Object.keys(spec.guests).sort(byName) : named;
  return [...new Set([...members, ...chosen])].filter(withSpare);
}

function manifestDrill(spec: SiteSpec, drill: DrillSpec): ManifestDrill {
  return {
    guests: drillGuests(spec, drill),
    ...(drill.schedule !== undefined && { schedule: drill.schedule }),
    ...(drill.maximumAge !== undefined && { maximumAgeSeconds: parseDuration(drill.maximumAge) }),
  };
}
