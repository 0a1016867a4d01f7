import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { bootGuests, nodeDown, nodeUp } from "../node-power";
import { setWitness } from "../partition";
import { shutdownById } from "../power";
import type { HostPower } from "../runtime";
import type { World } from "../world";
import { EtcPve } from "./etc-pve";
import type { DownReason, LabHosts } from "./types";

const LOOK_EVERY_MS = 500;
const SHUTDOWN_SECONDS = 30;

/** Keeps the simulated cluster and the real hosts together: power, network, and the files below `/etc/pve`. */
export class RealPower implements HostPower {
  private readonly files = new Map<string, EtcPve>();
  private readonly timer: NodeJS.Timeout;
  private work: Promise<void> = Promise.resolve();
  private closed = false;

  /** `hosts` is there when the first host boots. */
  constructor(
    private readonly world: World,
    private readonly hosts: () => LabHosts,
    private readonly folder: string,
  ) {
    this.timer = setInterval(() => void this.reconcile().catch(() => undefined), LOOK_EVERY_MS);
    this.timer.unref();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
  }

  /** Folder that a host sees as `/etc/pve`. */
  etcPve(node: string): string {
    const folder = path.resolve(this.folder, "etc-pve", node);
    fs.mkdirSync(folder, { recursive: true });
    return folder;
  }

  async cut(name: string): Promise<void> {
    await this.hosts().cut(name);
  }

  async boot(name: string): Promise<void> {
    await this.hosts().boot(name);
  }

  async restart(name: string, command: "reboot" | "shutdown"): Promise<void> {
    const domain = this.world.domainOf(name)!.at(name);
    const running = domain.guests(name).filter((guest) => guest.running);
    for (const { vmid, type } of running)
      shutdownById(domain, name, type, vmid, "root@pam", { timeout: SHUTDOWN_SECONDS, force: true });
    while (running.some((guest) => guest.running)) await pause(50);
    await this.hosts().exec(name, ["systemctl", command === "reboot" ? "reboot" : "poweroff"]);
  }

  async split(a: string[], b: string[]): Promise<void> {
    await this.hosts().split(a, b);
  }

  async heal(): Promise<void> {
    await this.hosts().heal();
  }

  async freeze(name: string): Promise<void> {
    this.hosts().freeze(name);
  }

  async thaw(name: string): Promise<void> {
    this.hosts().thaw(name);
  }

  async describe(): Promise<Record<string, unknown>> {
    const { topology } = this.world;
    const hosts = this.hosts();
    const names = [...topology.nodes.map(({ name }) => name), ...topology.witnesses];
    const found = names.map(async (name) => [
      name,
      {
        up: hosts.isUp(name),
        ssh: `127.0.0.1:${hosts.sshPort(name)}`,
        hostKey: await hosts.hostKey(name),
        keyFile: hosts.operatorKeyFile(),
        bmc: hosts.bmcUrl(name),
        bmcCaFile: hosts.bmcCaFile(),
      },
    ]);
    return Object.fromEntries(await Promise.all(found));
  }

  // ---- what a host tells

  /** Its file systems are there, its units do not run yet. */
  async beforeUnits(name: string): Promise<void> {
    const seconds = this.world.state.hostBootSeconds?.[name] ?? 0;
    if (seconds > 0) await pause(seconds * 1000);
    if (!this.world.domainOf(name)) return setWitness(this.world, name, true);
    await this.hosts().exec(name, ["mkdir", "-p", "/run/qemu-server", "/var/lib/vz/snippets", "/var/lib/vz/dump"]);
    nodeUp(this.world, name);
    const files = new EtcPve(this.world, this.hosts(), name, this.etcPve(name));
    files.open();
    this.files.set(name, files);
    await this.reconcile();
  }

  onUp(name: string): void {
    if (this.world.domainOf(name)) bootGuests(this.world, name);
  }

  onDown(name: string, _why: DownReason): void {
    if (this.closed) return;
    this.files.delete(name);
    const { state } = this.world;
    if (state.frozen) state.frozen = state.frozen.filter((each) => each !== name);
    if (this.world.domainOf(name)) nodeDown(this.world, name);
    else setWitness(this.world, name, false);
  }

  // ---- files

  /** One after the other: a file that is being written must not be read as somebody's change. */
  reconcile(): Promise<void> {
    const result = this.work.then(() => this.bringTogether());
    this.work = result.catch(() => undefined);
    return result;
  }

  private async bringTogether(): Promise<void> {
    if (this.closed) return;
    const all = [...this.files.values()];
    for (const files of all) files.read();
    for (const files of all) files.write();
    for (const files of all) await files.protect().catch(() => undefined);
  }
}
