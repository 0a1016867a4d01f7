import { createHash } from "node:crypto";
import { fail } from "./errors";
import { overlaid, presentVotes } from "./membership";
import { isPbs, isPbsActive, pbsUsage } from "./pbs-storage";
import { findNode, findStorageSize, isMissingExport } from "./places";
import type { DomainState, Guest, GuestConfig, GuestType, NodeState, ReplicationJob, StorageEntry } from "./state";
import type { LabNode } from "./topology";
import { usedBytes } from "./volumes";
import type { World } from "./world";

/** Capacity of a storage on a node, in bytes. */
export interface StorageUsage {
  total: number;
  used: number;
  avail: number;
}

/** One cluster, or one host of its own: its state and the questions that every handler asks of it. */
export class Domain {
  private readonly queues = new Map<number, Promise<unknown>>();
  /** Guests that are replicated or migrated now. */
  private readonly moving = new Set<number>();
  private readonly starts = new Map<string, Promise<unknown>>();
  private readonly views = new Map<string, Domain>();
  /** The domain itself; for the view of a node that is cut off, the domain that it was cut off from. */
  readonly main: Domain;

  constructor(
    readonly world: World,
    readonly state: DomainState,
    main?: Domain,
  ) {
    this.main = main ?? this;
  }

  save(): void {
    this.world.save();
  }

  /** The domain as a node sees it: a node without contact to the others goes on with what it knew. */
  at(node: string): Domain {
    const { main } = this;
    if (!main.state.views[node]) return main;
    let view = main.views.get(node);
    if (!view) {
      view = new Domain(this.world, overlaid(main.state, node), main);
      main.views.set(node, view);
    }
    return view;
  }

  /** The domain and the view of every living node that is cut off from it. */
  everyView(): Domain[] {
    const cutOff = Object.keys(this.state.views).filter((name) => this.state.nodes[name]?.up);
    return [this, ...cutOff.map((name) => this.at(name))];
  }

  /** After a restart of the lab no worker is left; unlike a power cut, the lab's own end leaves no locks behind. */
  clearRuntime(): void {
    for (const state of Object.values(this.state.replicationState)) delete state.running;
    for (const guest of Object.values(this.state.guests)) delete guest.config.lock;
  }

  // ---- nodes and quorum

  nodeNames(): string[] {
    return Object.keys(this.state.nodes);
  }

  /** The node's state; PVE tries to resolve the name of a node that it does not know. */
  nodeState(name: string): NodeState {
    const node = this.state.nodes[name];
    if (!node)
      throw fail(
        `hostname lookup '${name}' failed - failed to get address info for: ${name}: Temporary failure in name resolution`,
      );
    return node;
  }

  hardware(name: string): LabNode {
    return findNode(this.world.topology, name);
  }

  address(name: string): string {
    const given = this.world.topology.addresses?.[name]?.split("/")[0];
    return given ?? `10.99.0.${this.nodeNames().indexOf(name) + 1}`;
  }

  /** Whether `/etc/pve` can be written on this node. */
  quorate(node: string): boolean {
    if (!this.state.cluster) return true;
    return presentVotes(this, node) >= Math.floor(this.expectedVotes(node) / 2) + 1;
  }

  expectedVotes(node: string): number {
    const all = this.nodeNames().length + Object.keys(this.world.state.witnesses).length;
    return this.nodeState(node).expectedVotes ?? all;
  }

  /** Whether two nodes are up and see each other. */
  reaches(from: string, to: string): boolean {
    const { nodes } = this.state;
    return nodes[from]?.up === true && nodes[to]?.up === true && this.world.connected(from, to);
  }

  /** Handlers that check quorum first. */
  requireQuorum(node: string): void {
    if (!this.quorate(node)) throw fail("cluster not ready - no quorum?");
  }

  /** Handlers that take a lock of the cluster file system: PVE tries for ten seconds, then gives up. */
  async requireClusterFile(node: string, file: string): Promise<void> {
    if (this.quorate(node)) return;
    await this.world.clock.sleep(10);
    throw fail(`cfs-lock '${file}' error: no quorum!`);
  }

  // ---- guests

  guest(vmid: number | string): Guest | undefined {
    return this.state.guests[String(vmid)];
  }

  /** The guest on this node, or PVE's error for a configuration file that is not there. */
  guestOn(node: string, type: GuestType, vmid: number | string): Guest {
    const guest = this.guest(vmid);
    if (!guest || guest.node !== node || guest.type !== type)
      throw fail(
        `Configuration file 'nodes/${node}/${type === "qemu" ? "qemu-server" : "lxc"}/${vmid}.conf' does not exist`,
      );
    return guest;
  }

  guests(node?: string, type?: GuestType): Guest[] {
    return Object.values(this.state.guests)
      .filter((guest) => (!node || guest.node === node) && (!type || guest.type === type))
      .sort((a, b) => a.vmid - b.vmid);
  }

  /** Refuses while the configuration carries a lock. */
  checkLock(guest: Guest): void {
    const lock = guest.config.lock;
    if (lock) throw fail(`${guest.type === "qemu" ? "VM" : "CT"} is locked (${lock})`);
  }

  /** Starts of a guest's process on one node come one after the other, whoever asks and whichever view he has. */
  async oneStart<T>(node: string, vmid: number, work: () => Promise<T>): Promise<T> {
    const key = `${node} ${vmid}`;
    const mine = (this.main.starts.get(key) ?? Promise.resolve()).catch(() => undefined).then(work);
    this.main.starts.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.main.starts.get(key) === mine) this.main.starts.delete(key);
    }
  }

  /** One change of a guest at a time, in the order they came. */
  async withGuest<T>(vmid: number, work: () => Promise<T> | T): Promise<T> {
    const before = this.queues.get(vmid) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(work);
    const settled = mine.catch(() => undefined);
    this.queues.set(vmid, settled);
    try {
      return await mine;
    } finally {
      if (this.queues.get(vmid) === settled) this.queues.delete(vmid);
    }
  }

  /**
   * A guest is replicated or migrated, never both at once. Proxmox VE gives up after some seconds; the lab, whose seconds are
   * short, waits. @returns undefined when it is not free and nobody wants to wait
   */
  async withMigrationLock<T>(vmid: number, waits: boolean, work: () => Promise<T>): Promise<T | undefined> {
    while (this.moving.has(vmid)) {
      if (!waits) return undefined;
      await this.world.clock.sleep(0.5);
    }
    this.moving.add(vmid);
    try {
      return await work();
    } finally {
      this.moving.delete(vmid);
    }
  }

  replicationOf(vmid: number): ReplicationJob[] {
    return Object.values(this.state.replication).filter((job) => job.guest === vmid);
  }

  poolOf(vmid: number): string | undefined {
    return Object.entries(this.state.pools).find(([, pool]) => pool.guests.includes(vmid))?.[0];
  }

  // ---- storages

  /** The storage entry, enabled and available on the node if one is named. */
  storage(id: string, node?: string): StorageEntry {
    const entry = this.state.storages[id];
    if (!entry) throw fail(`storage '${id}' does not exist`);
    if (entry.disable === "1") throw fail(`storage '${id}' is disabled`);
    if (node && !this.onNode(entry, node)) throw fail(`storage '${id}' is not available on node '${node}'`);
    return entry;
  }

  onNode(entry: StorageEntry, node: string): boolean {
    return !entry.nodes || entry.nodes.split(",").includes(node);
  }

  isShared(entry: StorageEntry): boolean {
    return ["nfs", "cifs", "pbs", "rbd", "cephfs", "iscsi"].includes(entry.type) || entry.shared === "1";
  }

  /** The place that a storage id means on a node. Two ids that point to one place see the same volumes. */
  backing(entry: StorageEntry, node: string): string {
    if (entry.type === "nfs") return `nfs/${entry.server}${entry.export}`;
    if (entry.type === "cifs") return `cifs/${entry.server}/${entry.share}`;
    if (isPbs(entry)) return `pbs/${entry.server}/${entry.datastore}/${entry.namespace ?? ""}`;
    if (entry.type === "zfspool") return `${node}/zfs/${entry.pool ?? entry.storage}`;
    if (entry.type === "lvmthin") return `${node}/lvm/${entry.thinpool ?? entry.storage}`;
    if (entry.type === "lvm") return `${this.isShared(entry) ? "shared" : node}/lvm/${entry.vgname ?? entry.storage}`;
    if (["rbd", "cephfs", "iscsi"].includes(entry.type)) return `${entry.type}/${entry.storage}`;
    const path = entry.path ?? `/${entry.storage}`;
    return this.isShared(entry) ? `shared${path}` : `${node}${path}`;
  }

  /** Whether the storage answers on the node: an export that nobody offers does not. */
  active(entry: StorageEntry, node: string): boolean {
    if (entry.disable === "1" || !this.onNode(entry, node)) return false;
    return isPbs(entry) ? isPbsActive(this, node, entry) : !isMissingExport(this.world.topology, entry);
  }

  usage(entry: StorageEntry, node: string): StorageUsage {
    if (isPbs(entry)) return pbsUsage(this, node, entry);
    const total = findStorageSize(this.world.topology, entry, node);
    const backing = this.backing(entry, node);
    const used = Math.min(total, usedBytes(this, backing, entry) + (this.state.filler[backing] ?? 0));
    return { total, used, avail: total - used };
  }

  // ---- bookkeeping

  journal(node: string, user: string, tag: string, msg: string): void {
    this.state.log.push({ time: this.world.clock.seconds(), node, user, tag, msg, pri: 6 });
    if (this.state.log.length > 500) this.state.log.splice(0, this.state.log.length - 500);
  }
}

/** The digest that PVE gives for a configuration: a SHA-1 of its file. */
export function digestOf(value: GuestConfig | unknown): string {
  const text =
    typeof value === "object" && value !== null
      ? JSON.stringify(Object.entries(value as Record<string, unknown>).sort(([a], [b]) => a.localeCompare(b)))
      : String(value);
  return createHash("sha1").update(text).digest("hex");
}
