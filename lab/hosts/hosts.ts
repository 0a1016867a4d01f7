import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { labCertificates, writePrivate } from "../tls";
import { Bmc, type PowerOver } from "./bmc";
import { Door } from "./door";
import { HostFiles, makeKey } from "./files";
import { sameNetwork, toNumber, toText } from "./ipv4";
import { releaseFolder, takeFolder, writeOwner } from "./leftovers";
import { Machine } from "./machine";
import { Network, OPERATOR, PROBE_NAME } from "./network";
import { Ports } from "./ports";
import { PowerStrip } from "./power-strip";
import type { BmcBehaviour, ExecOptions, ExecResult, HostSpecification, HostsOptions, LabHosts } from "./types";

/** The bridge that carries each host's management address. */
const MANAGEMENT = "vmbr0";
const WATCHDOG_SECONDS = 60;

/** What belongs to one host, each part alive for as long as the lab is. */
interface Parts {
  host: HostSpecification;
  files: HostFiles;
  machine: Machine;
  door: Door;
  bmc: Bmc;
  power: PowerOver;
}

/** The hosts of a lab; `startHosts` makes one. */
export class Hosts implements LabHosts {
  private readonly parts = new Map<string, Parts>();
  private readonly network: Network;
  private readonly folder: string;
  private strip: PowerStrip | undefined;
  private stopping = false;
  private owns = false;
  private password = "";
  private caFile = "";

  constructor(private readonly options: HostsOptions) {
    fs.mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    this.folder = fs.realpathSync(options.folder);
    this.network = new Network(options.hosts, this.folder);
  }

  /** Everything but the hosts' own boot. */
  async open(): Promise<void> {
    takeFolder(this.folder);
    this.owns = true;
    // A Unix socket's path may have 107 characters, which a lab's folder alone can exceed.
    const sockets = fs.mkdtempSync(path.join(os.tmpdir(), "coldspare-hosts-"));
    writeOwner(this.folder, sockets);
    const ports = new Ports(this.folder);
    const operator = await makeKey(this.operatorKeyFile(), "operator");
    const certificates = this.options.certificates ?? (await labCertificates(this.folder));
    this.caFile = certificates.caFile;
    this.password = once(path.join(this.folder, "bmc-password"));
    await this.network.open();
    await this.network.join(PROBE_NAME, MANAGEMENT);
    const first = this.options.hosts[0];
    if (first)
      await this.network.address(
        PROBE_NAME,
        MANAGEMENT,
        `${this.options.probeAddress ?? lastAddress(first)}/${first.prefix}`,
      );
    await this.openRouter();
    for (const [at, host] of this.options.hosts.entries()) {
      const files = new HostFiles(this.folder, host);
      await files.prepare(operator);
      const machine = this.machine(files);
      const power = this.power(machine);
      const door = this.door(host, path.join(sockets, String(at)));
      const bmc = new Bmc(power, this.password, certificates);
      await door.listen(ports);
      await bmc.listen(ports);
      this.parts.set(host.name, { host, files, machine, door, bmc, power });
    }
    this.strip = new PowerStrip(this.folder, new Map([...this.parts].map(([name, { power }]) => [name, power])));
    await this.strip.listen(ports);
  }

  private async openRouter(): Promise<void> {
    const { router = [], hosts } = this.options;
    for (const { address, bridge, vlan } of router) {
      const carriesHosts = hosts.some((host) => sameNetwork(address, host.address));
      if (carriesHosts) await this.network.address(PROBE_NAME, MANAGEMENT, address);
      else await this.probeJoin(bridge, vlan, address);
    }
    if (router.length > 0) await this.network.route();
  }

  async boot(name: string): Promise<void> {
    const { machine } = this.of(name);
    if (machine.up) return;
    if (this.stopping) throw new Error("the lab's hosts are being stopped");
    await machine.boot();
  }

  cut(name: string): Promise<void> {
    return this.of(name).machine.cut("power");
  }

  isUp(name: string): boolean {
    return this.of(name).machine.up;
  }

  freeze(name: string): void {
    this.of(name).machine.signalAll("SIGSTOP");
  }

  thaw(name: string): void {
    this.of(name).machine.signalAll("SIGCONT");
  }

  async exec(name: string, argv: string[], options?: ExecOptions): Promise<ExecResult> {
    return this.of(name).machine.exec(argv, options);
  }

  async spawn(name: string, argv: string[], options?: { env?: Record<string, string>; log?: string }): Promise<number> {
    return this.of(name).machine.spawn(argv, options);
  }

  async bridge(name: string, bridge: string, vlan?: number, options: { isolated?: boolean } = {}): Promise<string> {
    this.of(name);
    return this.network.join(name, bridge, vlan, options.isolated ?? false);
  }

  async probeJoin(bridge: string, vlan: number | undefined, address: string): Promise<void> {
    const device = await this.network.join(PROBE_NAME, bridge, vlan);
    await this.network.address(PROBE_NAME, device, address);
  }

  async probe(argv: string[], options?: ExecOptions): Promise<ExecResult> {
    return this.network.run(PROBE_NAME, argv, options);
  }

  async split(sideA: string[], sideB: string[]): Promise<void> {
    for (const name of [...sideA, ...sideB]) if (name !== OPERATOR) this.of(name);
    await this.network.split(sideA, sideB);
    for (const [name, { door }] of this.parts) if (!this.connected(name, OPERATOR)) door.drop();
  }

  connected(a: string, b: string): boolean {
    return this.network.connected(a, b);
  }

  heal(): Promise<void> {
    return this.network.heal();
  }

  sshPort(name: string): number {
    return this.of(name).door.port;
  }

  async hostKey(name: string): Promise<string> {
    return this.of(name).files.hostKey();
  }

  operatorKeyFile(): string {
    return path.join(this.folder, "operator-key");
  }

  bmcUrl(name: string): string {
    return this.of(name).bmc.url;
  }

  bmcPassword(): string {
    return this.password;
  }

  bmcCaFile(): string {
    return this.caFile;
  }

  bmc(name: string, behaviour: BmcBehaviour): void {
    this.of(name).bmc.behave(behaviour);
  }

  powerSwitch(name: string): string[] {
    this.of(name);
    return this.strip!.command(name);
  }

  pid(name: string): number | undefined {
    return this.of(name).machine.pid;
  }

  hostFolder(name: string): string {
    return this.of(name).files.folder;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    const all = [...this.parts.values()];
    await Promise.all(all.map(({ machine }) => machine.cut("power")));
    await Promise.all(all.flatMap(({ door, bmc }) => [door.close(), bmc.close()]));
    await this.strip?.close();
    await this.network.close();
    // A start that was refused because of another lab must leave that lab's notes alone.
    if (this.owns) releaseFolder(this.folder);
  }

  private of(name: string): Parts {
    const parts = this.parts.get(name);
    if (!parts) throw new Error(`no host ${name} in the lab: there are ${[...this.parts.keys()].join(", ")}`);
    return parts;
  }

  private machine(files: HostFiles): Machine {
    const { host } = files;
    const { hosts, binds = [], environment = {}, watchdogSeconds = WATCHDOG_SECONDS } = this.options;
    return new Machine({
      files,
      environment,
      watchdogSeconds,
      mark: this.folder,
      beforeBoot: () => files.prepareBoot(hosts, binds, environment, watchdogSeconds),
      prepare: async (pid) => {
        await this.network.attach(host.name, pid);
        const device = await this.network.join(host.name, MANAGEMENT);
        await this.network.address(host.name, device, `${host.address}/${host.prefix}`);
        const gateway = this.options.router?.find(({ address }) => sameNetwork(address, host.address));
        if (gateway) await this.network.defaultRoute(host.name, gateway.address.split("/")[0]!);
        await this.options.beforeUnits?.(host.name, pid);
      },
      ready: () => this.of(host.name).door.attach(this.network.enter(host.name)),
      up: () => this.options.onUp?.(host.name),
      ended: async (why) => {
        this.of(host.name).door.detach();
        await this.network.detach(host.name);
        this.options.onDown?.(host.name, why);
      },
    });
  }

  private power(machine: Machine): PowerOver {
    return {
      host: machine.name,
      isOn: () => machine.on,
      on: () => this.boot(machine.name),
      off: () => machine.cut("power"),
      restart: () => (machine.up ? machine.cut("power", true) : this.boot(machine.name)),
      shutDown: () => machine.shutDown(),
    };
  }

  private door(host: HostSpecification, socket: string): Door {
    return new Door({
      host: host.name,
      address: host.address,
      socket,
      mark: this.folder,
      unreachable: this.options.unreachable ?? "closed",
      open: () => this.connected(host.name, OPERATOR),
    });
  }
}

/** A generated secret, the same after a restart. */
function once(file: string): string {
  if (!fs.existsSync(file)) writePrivate(file, crypto.randomBytes(18).toString("base64url"));
  return fs.readFileSync(file, "utf8").trim();
}

/** The highest address of the network that a host can have. */
function lastAddress(host: HostSpecification): string {
  const size = 2 ** (32 - host.prefix);
  return toText((Math.floor(toNumber(host.address) / size) + 1) * size - 2);
}
