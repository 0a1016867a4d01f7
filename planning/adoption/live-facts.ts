/** What a report about a running cluster is computed from: guests with their volumes, storages with the place they lie in. */
import type { SitePlan } from "../plan";
import { byName } from "../units";
import { titleOf } from "./guests";
import type { Interpretation } from "./interpretation";
import type { LiveCopies, ReplicationState } from "./live-types";
import type { ClusterSnapshot, GuestSnapshot, NodeSnapshot, ReplicationEntry, StorageEntry } from "./snapshot";
import { flag, oneLine, parseGiB, parseOptions, wholeNumber } from "./words";

const GIB = 1024 ** 3;

/** A disk of a guest. */
export interface Volume {
  /** `scsi0`, `rootfs`. */
  key: string;
  /** Absent: a device or a folder of the server itself. */
  storage?: string;
  gib: number;
  inBackup: boolean;
  inReplication: boolean;
}

export interface LiveGuest {
  id: number;
  title: string;
  node: string;
  kind: "qemu" | "lxc";
  template: boolean;
  /** Whatever is not known to be off counts as running. */
  running: boolean;
  /** Absent: its configuration could not be read. */
  volumes?: Volume[];
  memoryGiB: number;
  cores: number;
  diskGiB: number;
  /** Proxmox VE's HA starts it again. */
  ha: boolean;
  /** What exists on its server alone, so that it does not start elsewhere: `hostpci0`, `ide2 (an ISO on local)`. */
  bound: string[];
  snapshot: GuestSnapshot;
}

/** Where a storage lies. */
export interface LiveStore {
  entry: StorageEntry;
  shared: boolean;
  /** The server of this cluster that lends it to the others. */
  hostServer?: string;
  /** The guest of this cluster that lends it. */
  hostGuest?: number;
}

/** A replication job with the state of its last run. */
export interface LiveJob extends ReplicationEntry {
  /** Absent: how it last ran was not read. */
  state?: ReplicationState;
}

export interface Facts {
  snapshot: ClusterSnapshot;
  plan: SitePlan;
  copies: LiveCopies | undefined;
  nodes: NodeSnapshot[];
  guests: LiveGuest[];
  stores: Map<string, LiveStore>;
  jobs: LiveJob[];
  /** The replication jobs, the HA resources, the storages: what could not be read, by a word in its name. */
  isUnread(word: RegExp): boolean;
}

export function factsOf(
  snapshot: ClusterSnapshot,
  interpretation: Interpretation,
  plan: SitePlan,
  copies: LiveCopies | undefined,
): Facts {
  const nodes = snapshot.nodes.toSorted((a, b) => byName(a.name, b.name));
  const states = new Map((copies?.replication ?? []).map((state) => [state.id, state]));
  const stores = storesOf(snapshot);
  const names = new Map(interpretation.guests.map(({ vmid, name }) => [vmid, name]));
  return {
    snapshot,
    plan,
    copies,
    nodes,
    stores,
    guests: snapshot.guests
      .map((guest) => guestOf(guest, snapshot, stores, plan.guests[names.get(guest.vmid) ?? ""]?.spec))
      .sort((a, b) => a.id - b.id),
    jobs: snapshot.replicationJobs.map((job) => {
      const state = states.get(job.id) ?? stateOf(job);
      return state === undefined ? job : { ...job, state };
    }),
    isUnread: (word) => snapshot.unread.some(({ what }) => word.test(what)),
  };
}

function stateOf({ id, lastSync, failCount, error }: ReplicationEntry): ReplicationState | undefined {
  if (lastSync === undefined && failCount === undefined && error === undefined) return undefined;
  return { id, lastSync: lastSync ?? 0, failCount: failCount ?? 0, ...(error !== undefined && { error }) };
}

function guestOf(
  guest: GuestSnapshot,
  { ha }: ClusterSnapshot,
  stores: ReadonlyMap<string, LiveStore>,
  planned: { memoryGiB: number; cores: number } | undefined,
): LiveGuest {
  const { vmid, type, node, config, template } = guest;
  const volumes = config && volumesOf(type, config);
  const entry = ha.find(({ sid }) => sid === `${type === "qemu" ? "vm" : "ct"}:${vmid}`);
  return {
    id: vmid,
    title: oneLine(titleOf(guest)),
    node,
    kind: type,
    template,
    running: !template && guest.status !== "stopped",
    ...(volumes && { volumes }),
    memoryGiB: planned?.memoryGiB ?? memoryOf(config),
    cores: planned?.cores ?? (wholeNumber(config?.cores) ?? 1) * (wholeNumber(config?.sockets) ?? 1),
    diskGiB: (volumes ?? []).reduce((total, { gib }) => total + gib, 0),
    ha: entry !== undefined && /^(started|enabled)$/.test(entry.state ?? "started"),
    bound: config ? boundOf(config, stores) : [],
    snapshot: guest,
  };
}

/** 0: it could not be read. A configuration without it has Proxmox VE's default of 512 MiB. */
function memoryOf(config: Readonly<Record<string, string>> | undefined): number {
  if (config === undefined) return 0;
  const text = config.memory ?? "512";
  return (wholeNumber(parseOptions(text, "current").get("current")) ?? 512) / 1024;
}

/** Disks, EFI and TPM state; neither CD drives nor cloud-init, which hold nothing of the guest's own. */
function volumesOf(type: "qemu" | "lxc", config: Readonly<Record<string, string>>): Volume[] {
  const keys = type === "qemu" ? /^(ide|sata|scsi|virtio|efidisk|tpmstate)\d+$/ : /^(rootfs|mp\d+)$/;
  return Object.entries(config).flatMap(([key, value]): Volume[] => {
    if (!keys.test(key)) return [];
    const options = parseOptions(value, "file");
    const file = options.get("file") ?? options.get("volume") ?? "";
    if (options.get("media") === "cdrom" || file === "none" || file === "cdrom") return [];
    const [, storage] = /^([^/:]+):./.exec(file) ?? [];
    return [
      {
        key,
        ...(storage !== undefined && { storage }),
        gib: parseGiB(options.get("size")) ?? 0,
        // vzdump leaves mount points out unless they say otherwise, and takes all other disks unless they say otherwise.
        inBackup: /^mp/.test(key) ? flag(options.get("backup")) : (options.get("backup") ?? "1") !== "0",
        inReplication: storage !== undefined && (options.get("replicate") ?? "1") !== "0",
      },
    ];
  });
}

/** Devices and images that another server does not have. */
function boundOf(config: Readonly<Record<string, string>>, stores: ReadonlyMap<string, LiveStore>): string[] {
  return Object.entries(config)
    .sort(([a], [b]) => byName(a, b))
    .flatMap(([key, value]) => {
      const options = parseOptions(value, "file");
      if (/^(hostpci|usb|serial|parallel)\d+$/.test(key)) return isBoundDevice(key, value) ? [key] : [];
      if (!/^(ide|sata|scsi)\d+$/.test(key) || options.get("media") !== "cdrom") return [];
      const [, storage] = /^([^/:]+):iso\//.exec(options.get("file") ?? "") ?? [];
      if (storage === undefined || stores.get(storage)?.shared === true) return [];
      return [`${key} (an ISO on ${storage})`];
    });
}

/** A mapped device may have a counterpart elsewhere, a socket and SPICE exist everywhere. */
function isBoundDevice(key: string, value: string): boolean {
  if (/(^|,)mapping=/.test(value)) return false;
  return key.startsWith("hostpci") || /(^|=)\/dev\//.test(value) || /(^|,)(host=)?[\da-f]{4}:[\da-f]{4}/i.test(value);
}

function storesOf(snapshot: ClusterSnapshot): Map<string, LiveStore> {
  const entries = new Map(snapshot.storages.map((entry) => [entry.storage, entry]));
  return new Map(
    snapshot.storages.map((entry) => {
      const shared = entry.shared || entry.type === "pbs";
      return [entry.storage, { entry, shared, ...(shared && lenderOf(addressesOf(entry, entries), snapshot)) }];
    }),
  );
}

/** Names and addresses that a storage comes from; LVM on iSCSI names the storage below it. */
function addressesOf(entry: StorageEntry, entries: ReadonlyMap<string, StorageEntry>): string[] {
  const { server, server2, portal, base } = entry.options;
  const below = entries.get(base?.split(":")[0] ?? "");
  // A second server takes over from the first: neither alone takes the storage with it.
  if (server2 !== undefined) return [];
  const own = [server, portal].flatMap((text) => (text === undefined ? [] : [hostOf(text)]));
  return own.length > 0 || below === undefined || below === entry ? own : addressesOf({ ...below }, new Map());
}

/** `10.0.0.1:3260` without its port; an IPv6 address in brackets without these. */
function hostOf(text: string): string {
  const [, bracketed] = /^\[([^\]]+)\]/.exec(text) ?? [];
  if (bracketed !== undefined) return bracketed.toLowerCase();
  return (/^[^:]+:\d+$/.test(text) ? text.slice(0, text.indexOf(":")) : text).toLowerCase();
}

function lenderOf(
  addresses: readonly string[],
  { nodes, guests }: ClusterSnapshot,
): Pick<LiveStore, "hostServer" | "hostGuest"> {
  for (const address of addresses) {
    const server = nodes.find((node) => isNamed(address, node.name) || ownAddresses(node).includes(address));
    if (server !== undefined || /^(127\.|::1$|localhost$)/.test(address))
      return server ? { hostServer: server.name } : {};
    const guest = guests.find(
      ({ name, config, template }) =>
        !template && ((name !== undefined && isNamed(address, name)) || guestAddresses(config).includes(address)),
    );
    if (guest !== undefined) return { hostGuest: guest.vmid };
  }
  return {};
}

/** `pve1` and `pve1.example.org` are one host. */
function isNamed(address: string, name: string): boolean {
  const host = name.toLowerCase();
  return host !== "" && (address === host || address.startsWith(`${host}.`) || host.startsWith(`${address}.`));
}

function ownAddresses({ address, networks }: NodeSnapshot): string[] {
  const own = networks.flatMap(({ cidr, cidr6 }) => [cidr, cidr6].map((text) => text?.split("/")[0]?.toLowerCase()));
  return [address?.toLowerCase(), ...own].flatMap((text) => (text === undefined || text === "" ? [] : [text]));
}

/** Addresses that a guest's configuration says: of a container, or by cloud-init. */
function guestAddresses(config: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(config)
    .filter(([key]) => /^(net|ipconfig)\d+$/.test(key))
    .flatMap(([, value]) => {
      const options = parseOptions(value, "model");
      return [options.get("ip"), options.get("ip6")].flatMap((text) => text?.split("/")[0]?.toLowerCase() ?? []);
    });
}

/** Whether a storage, as a server sees it, is gone with the lost server. Undefined: there is no such storage that is known. */
export function diesWith(facts: Facts, storage: string, seenBy: string, lost: string): boolean | undefined {
  const store = facts.stores.get(storage);
  if (store === undefined) return undefined;
  if (!store.shared) return seenBy === lost;
  if (store.hostServer !== undefined) return store.hostServer === lost;
  return store.hostGuest !== undefined && facts.guests.some(({ id, node }) => id === store.hostGuest && node === lost);
}

/** Whether a server has a storage active. */
export function sees(facts: Facts, server: string, storage: string): boolean {
  const node = facts.nodes.find(({ name }) => name === server);
  return node?.storages.some((each) => each.storage === storage && each.active) === true;
}

export const toGiB = (bytes: number): number => Math.round((bytes / GIB) * 100) / 100;
