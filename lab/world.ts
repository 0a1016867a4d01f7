import { randomBytes } from "node:crypto";
import * as path from "node:path";
import { backupMinute } from "./backup-jobs";
import { Calls } from "./calls";
import { VirtualClock } from "./clock";
import { Domain } from "./domain";
import { Faults } from "./faults";
import { publishStatus, STATUS_ROUND } from "./guest-status";
import type { HookCall } from "./hooks";
import { regroup } from "./membership";
import type { BackupServer } from "./pbs/backup-server";
import { schedulerMinute } from "./pbs/jobs";
import { StateFile } from "./persistence";
import { replicationMinute } from "./replication";
import type { GuestRuntime, HostPower } from "./runtime";
import { seedTopology } from "./seed";
import { emptyDomain, type LabState } from "./state";
import { interruptTasks } from "./tasks";
import type { LabTopology } from "./topology";

/** Everything behind the listeners: one or more clusters (or hosts), one clock, one folder. */
export class World {
  readonly clock: VirtualClock;
  readonly faults = new Faults();
  /** Calls of hook scripts, the latest last. */
  readonly hookCalls: HookCall[] = [];
  /** Set when the lab has real hosts. */
  runtime: GuestRuntime | undefined;
  hosts: HostPower | undefined;
  readonly calls = new Calls();
  readonly domains: Domain[];
  /** Simulated Proxmox Backup Servers; added once their certificates are there. */
  readonly backupServers: BackupServer[] = [];
  readonly state: LabState;
  /** Files that `download-url` may take instead of making a file from the address. */
  readonly shelf: string;
  readonly volumes: string;
  private readonly file: StateFile;
  private readonly listeners = new Map<string, Set<() => void>>();

  constructor(
    readonly folder: string,
    readonly topology: LabTopology,
    speed: number,
    private readonly taskSpeed = 1,
  ) {
    const previous = StateFile.read(folder);
    const now = Date.now() / 1000;
    this.state = previous ?? {
      version: 1,
      clock: now,
      witnesses: {},
      domains: [],
      ticketKey: randomBytes(32).toString("hex"),
    };
    this.clock = new VirtualClock(Math.max(now, this.state.clock), speed);
    this.shelf = path.join(folder, "shelf");
    this.volumes = path.join(folder, "volumes");
    this.file = new StateFile(folder, () => {
      this.state.clock = this.clock.now();
      return this.state;
    });
    for (const witness of topology.witnesses ?? []) this.state.witnesses[witness] ??= true;
    this.domains = this.openDomains(previous !== undefined);
    this.save();
  }

  private openDomains(restarted: boolean): Domain[] {
    const { topology, state } = this;
    const groups = topology.cluster
      ? [{ cluster: topology.cluster, nodes: topology.nodes }]
      : topology.nodes.map((node) => ({ cluster: undefined, nodes: [node] }));
    return groups.map((group) => {
      const first = group.nodes[0]!.name;
      let found = state.domains.find((domain) => Object.keys(domain.nodes).includes(first));
      if (!found) {
        found = emptyDomain(group.cluster);
        state.domains.push(found);
      }
      // A state that an older lab wrote lacks what has come since.
      Object.assign(found, { ...emptyDomain(group.cluster), ...found });
      const domain = new Domain(this, found);
      seedTopology(domain, group.nodes);
      if (restarted) for (const node of Object.keys(found.nodes)) interruptTasks(domain, node, this.clock.seconds());
      if (restarted) domain.clearRuntime();
      regroup(domain);
      return domain;
    });
  }

  /** The cluster or host that a node belongs to. */
  domainOf(node: string): Domain | undefined {
    return this.domains.find((domain) => domain.state.nodes[node] !== undefined);
  }

  /** Whether no split lies between two machines. Whether they are up is not asked. */
  connected(x: string, y: string): boolean {
    if (x === y) return true;
    if (this.state.frozen?.some((name) => name === x || name === y)) return false;
    return !(this.state.splits ?? []).some(
      ({ a, b }) => (a.includes(x) && b.includes(y)) || (a.includes(y) && b.includes(x)),
    );
  }

  /** What PVE itself does within so many virtual seconds: copies, backups, starts. */
  work(seconds: number): Promise<void> {
    return this.clock.sleep(seconds / this.taskSpeed);
  }

  /** The state has changed. */
  save(): void {
    this.file.touch();
  }

  /** Called when a node goes down, comes back, or is cut off from whoever calls it. */
  onPower(node: string, callback: () => void): void {
    const callbacks = this.listeners.get(node) ?? new Set();
    callbacks.add(callback);
    this.listeners.set(node, callbacks);
  }

  powerChanged(node: string): void {
    for (const callback of this.listeners.get(node) ?? []) callback();
  }

  /** Begins what runs by the clock: replication and backup jobs, looked at once a virtual minute. */
  startSchedulers(): void {
    this.everyMinute();
    this.everyRound();
  }

  private everyRound(): void {
    this.clock.at(this.clock.now() + STATUS_ROUND, () => {
      for (const domain of this.domains) for (const view of domain.everyView()) publishStatus(view);
      this.everyRound();
    });
  }

  private everyMinute(): void {
    const next = Math.floor(this.clock.now() / 60) * 60 + 60;
    this.clock.at(next, () => {
      for (const domain of this.domains) {
        for (const view of domain.everyView()) replicationMinute(view);
        backupMinute(domain);
      }
      for (const server of this.backupServers) schedulerMinute(server);
      this.everyMinute();
    });
  }

  /** Ends the clock and writes the state. */
  close(): void {
    this.file.flush();
    this.clock.stop();
  }
}
