import { randomBytes, X509Certificate } from "node:crypto";
import * as path from "node:path";
import { gib, type LabBackupServer } from "../topology";
import type { World } from "../world";
import { Datastore } from "./datastore";
import { notFound, refused } from "./errors";
import { interruptPbsTasks } from "./tasks";
import { emptyPbsState, type PbsState } from "./types";

/** Capacity of the disk on which a datastore lies whose path no disk of the topology holds. */
const ROOT_GIB = 100;

/** One simulated Proxmox Backup Server: its state, its datastores and whether it answers. */
export class BackupServer {
  readonly name: string;
  readonly state: PbsState;
  /** SHA-256 of its certificate, as the dashboard shows it. */
  readonly fingerprint: string;
  /** Port of its API once it listens. */
  port = 0;
  private readonly opened = new Map<string, Datastore>();

  constructor(
    readonly world: World,
    readonly config: LabBackupServer,
    readonly certificate: { key: string; cert: string },
  ) {
    this.name = config.name;
    this.fingerprint = new X509Certificate(certificate.cert).fingerprint256.toLowerCase();
    world.state.backupServers ??= {};
    const known = world.state.backupServers[this.name];
    this.state = known ?? emptyPbsState(world.clock.now(), randomBytes(32).toString("hex"));
    world.state.backupServers[this.name] = this.state;
    interruptPbsTasks(this);
    if (known) return;
    for (const { name, sizeGiB: _size, ...values } of config.datastores) {
      this.state.datastores[name] = { name, path: `/mnt/datastore/${name}`, ...values };
      this.datastore(name).initialise();
    }
  }

  get address(): string {
    return this.config.address ?? this.name;
  }

  /** Whether the server runs; one that is also a node or a witness goes with that machine. */
  get up(): boolean {
    const { world, name } = this;
    const node = world.domainOf(name)?.state.nodes[name];
    return this.state.up && node?.up !== false && world.state.witnesses[name] !== false;
  }

  /** Whether somebody (a node, another server, `operator`) is there and can talk to it. */
  reachableFrom(who: string): boolean {
    const node = this.world.domainOf(who)?.state.nodes[who];
    return this.up && node?.up !== false && this.world.connected(who, this.name);
  }

  // ---- datastores

  /** The datastore, whatever state it is in. */
  datastore(name: string): Datastore {
    if (!this.state.datastores[name]) throw notFound(`datastore '${name}' does not exist`);
    let store = this.opened.get(name);
    if (!store) {
      store = new Datastore(this, name);
      this.opened.set(name, store);
    }
    return store;
  }

  datastores(): Datastore[] {
    return Object.keys(this.state.datastores).map((name) => this.datastore(name));
  }

  forget(name: string): void {
    this.opened.delete(name);
  }

  /** Where a path of the server lies in the lab's folder. */
  place(serverPath: string): string {
    return path.join(this.world.folder, "pbs", this.name, serverPath);
  }

  /** Where a removable medium lies: it is the same one in whichever server it is put. */
  medium(uuid: string): string {
    return path.join(this.world.folder, "pbs", "media", uuid);
  }

  /** Whether the medium is plugged into this server. */
  hasMedium(uuid: string): boolean {
    return this.world.state.media?.[uuid] === this.name;
  }

  /** Capacity in bytes of what a datastore lies on, and the name of that place. */
  disk(section: { path?: string; name?: string; "backing-device"?: string }): { id: string; bytes: number } {
    const uuid = section["backing-device"];
    if (uuid) {
      const medium = (this.world.topology.media ?? []).find((candidate) => candidate.uuid === uuid);
      if (!medium) throw refused(`no such device '/dev/disk/by-uuid/${uuid}'`);
      return { id: uuid, bytes: gib(medium.sizeGiB) };
    }
    const own = this.config.datastores.find(({ name }) => section.path === `/mnt/datastore/${name}`);
    if (own) return { id: section.path!, bytes: gib(own.sizeGiB) };
    const disk = (this.config.disks ?? []).find((candidate) => `${section.path}/`.startsWith(`${candidate.path}/`));
    return disk ? { id: disk.path, bytes: gib(disk.sizeGiB) } : { id: "/", bytes: gib(ROOT_GIB) };
  }

  /** The mean rate to and from another machine in bytes per second. */
  rateTo(who: string): number {
    return this.world.faults.linkRate(who, this.name);
  }

  // ---- power

  powerOff(): void {
    this.state.up = false;
    interruptPbsTasks(this);
    this.state.mounted = [];
    this.world.powerChanged(this.name);
    this.world.save();
  }

  powerOn(): void {
    this.state.up = true;
    this.state.bootedAt = this.world.clock.now();
    this.state.nextPid++;
    this.world.powerChanged(this.name);
    this.world.save();
  }
}
