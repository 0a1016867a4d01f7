import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { regroup } from "../membership";
import { nodeDown } from "../node-power";
import { freeze, heal, setWitness, split } from "../partition";
import { assignProcesses } from "../processes";
import type { NodeServer } from "../server";
import type { LabCertificates } from "../tls";
import type { World } from "../world";
import { CommandSocket, HOST_COMMANDS } from "./commands";
import { PROGRAMS } from "./files";
import { RealGuests, VOLUMES_INSIDE } from "./guests";
import { RealPower } from "./guests-power";
import { startHosts } from "./index";
import type { HostBind, HostSpecification, HostsOptions, LabHosts } from "./types";
import { zfsBinds } from "./zfs";

const SOCKET_INSIDE = "/run/lab-pve";
const DEFAULT_PREFIX = 24;

/** What of the hosts a lab lets its maker choose. */
export type RealHostsOptions = Pick<HostsOptions, "environment" | "watchdogSeconds" | "unreachable">;

/** The real part of a lab: its hosts, and the guests and commands on them. */
export interface RealLab {
  hosts: LabHosts;
  guests: RealGuests;
  /** Boots everything that is not switched off, as when power returns to the whole site. */
  powerOn(): Promise<void>;
  stop(): Promise<void>;
}

function specifications(world: World): HostSpecification[] {
  const { nodes, witnesses, addresses = {} } = world.topology;
  const names = [...nodes.map((node) => node.name), ...witnesses];
  return names.map((name, index) => {
    const [address = "", prefix] = (addresses[name] ?? `10.99.0.${index + 1}/24`).split("/");
    return { name, address, prefix: Number(prefix ?? DEFAULT_PREFIX), hypervisor: index < nodes.length };
  });
}

/** A folder with a short name, as a Unix socket's path may have 107 characters; that of a lab that was killed is removed. */
function socketFolder(folder: string): string {
  const note = path.join(folder, "sockets");
  if (fs.existsSync(note)) fs.rmSync(fs.readFileSync(note, "utf8"), { recursive: true, force: true });
  const made = fs.mkdtempSync(path.join(os.tmpdir(), "coldspare-pve-"));
  fs.writeFileSync(note, made);
  return made;
}

/** Makes the hosts' surroundings; none boots before `powerOn`. */
export async function makeReal(
  world: World,
  servers: readonly NodeServer[],
  certificates: LabCertificates,
  options: RealHostsOptions,
): Promise<RealLab> {
  const folder = path.join(world.folder, "hosts");
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const sockets = socketFolder(folder);
  const holder: { hosts?: LabHosts } = {};
  const power = new RealPower(world, () => holder.hosts!, folder);
  const up = switchAllOff(world);
  const commands: CommandSocket[] = [];
  const binds: HostBind[] = [{ from: path.resolve(world.volumes), to: VOLUMES_INSIDE }];
  for (const [index, server] of servers.entries()) {
    const own = path.join(sockets, String(index));
    const socket = new CommandSocket(world, server, path.join(own, "pve.sock"));
    await socket.listen();
    commands.push(socket);
    binds.push({ from: own, to: SOCKET_INSIDE, hosts: [server.node] });
    binds.push({ from: power.etcPve(server.node), to: "/etc/pve", hosts: [server.node] });
    for (const name of Object.keys(HOST_COMMANDS))
      binds.push({
        from: path.join(PROGRAMS, "host-command"),
        to: `/usr/sbin/${name}`,
        hosts: [server.node],
        readOnly: true,
      });
  }
  binds.push(...zfsBinds(specifications(world), sockets, SOCKET_INSIDE));
  const hosts = await startHosts({
    ...options,
    folder,
    hosts: specifications(world),
    binds,
    certificates,
    router: world.topology.gateways ?? [],
    beforeUnits: (name) => power.beforeUnits(name),
    onUp: (name) => power.onUp(name),
    onDown: (name, why) => power.onDown(name, why),
  });
  holder.hosts = hosts;
  for (const { a, b } of world.state.splits ?? []) await hosts.split(a, b);
  const guests = new RealGuests(world, hosts);
  world.runtime = guests;
  world.hosts = power;
  return {
    hosts: followed(hosts, world),
    guests,
    powerOn: async () => {
      await Promise.all(up.map((name) => hosts.boot(name)));
      delete world.state.starting;
      world.save();
    },
    stop: async () => {
      // From here on a host that goes down was not switched off: the next start boots it again.
      power.close();
      guests.close();
      await hosts.stop();
      await Promise.all(commands.map((socket) => socket.close()));
      fs.rmSync(sockets, { recursive: true, force: true });
      fs.rmSync(path.join(folder, "sockets"), { force: true });
    },
  };
}

/** The hosts as the lab's maker gets them: what is done to their network is done to the simulated cluster too. */
function followed(hosts: LabHosts, world: World): LabHosts {
  const own: Partial<LabHosts> = {
    split: (a, b) => split(world, a, b),
    heal: () => heal(world),
    freeze: (name) => void freeze(world, name, true),
    thaw: (name) => void freeze(world, name, false),
  };
  return new Proxy(hosts, {
    get: (target, key) => {
      const value: unknown = Reflect.get(own, key) ?? Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** No host runs yet, whatever the state of an earlier run says. @returns the names that were up then */
function switchAllOff(world: World): string[] {
  const witnesses = Object.keys(world.state.witnesses).filter((name) => world.state.witnesses[name]);
  // A lab that was killed while its hosts booted goes on where it was.
  const { starting } = world.state;
  const nodes = world.domains.flatMap((domain) => domain.nodeNames().filter((name) => domain.state.nodes[name]!.up));
  const up = starting ?? [...nodes, ...witnesses];
  world.state.starting = up;
  for (const name of nodes) nodeDown(world, name);
  for (const name of witnesses) setWitness(world, name, false);
  for (const domain of world.domains) {
    assignProcesses(domain, []);
    regroup(domain);
  }
  return up;
}
