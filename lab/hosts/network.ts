import { type ChildProcess, spawn } from "node:child_process";
import { MARK, startTime } from "./processes";
import { cutRules } from "./router";
import { mustRun, runCommand } from "./run";
import type { ExecOptions, ExecResult, HostSpecification } from "./types";

/** The probe's place among the members; hosts count from 1. */
const PROBE = 0;
export const PROBE_NAME = "probe";
export const OPERATOR = "operator";

/** One layer-2 network: a bridge on each member that has it. */
interface Segment {
  index: number;
  bridge: string;
  isolated: boolean;
  /** Members that have the bridge in their present boot. */
  members: Set<string>;
}

interface Member {
  index: number;
  /** A process whose network namespace is the member's. */
  pid: number;
}

/**
 * The cables between the hosts. Every two hosts have a cable of their own for each network, and the ends do not pass on to each
 * other what came over a cable (isolated ports): so a frame takes the one direct way, there are no loops, and a partition
 * is a set of pulled cables. There is no switch, and nothing is made in the machine's own network namespace.
 */
export class Network {
  private readonly members = new Map<string, Member>();
  private readonly segments = new Map<string, Segment>();
  private readonly blocked = new Set<string>();
  private readonly order: Map<string, number>;
  private holder: ChildProcess | undefined;
  /** Whether the probe is the site's router, and has rules about partitions. */
  private routing = false;
  private cuts = false;
  private work: Promise<unknown> = Promise.resolve();

  constructor(
    hosts: HostSpecification[],
    private readonly mark: string,
  ) {
    this.order = new Map(hosts.map((host, at) => [host.name, at + 1]));
  }

  /** Makes the probe's namespace, which lives as long as the process that holds it. */
  async open(): Promise<void> {
    const hold =
      "[ ! -d /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo here; exec cat";
    const holder = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", hold], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { PATH: process.env.PATH, [MARK]: this.mark },
      detached: true,
    });
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once("data", () => resolve());
      holder.once("error", reject);
      holder.once("exit", (code) => reject(new Error(`the network's namespace could not be made (${code})`)));
    });
    this.holder = holder;
    this.members.set(PROBE_NAME, { index: PROBE, pid: holder.pid! });
    await this.ip(PROBE_NAME, ["link set lo up"]);
  }

  async close(): Promise<void> {
    const holder = this.holder;
    if (!holder || holder.exitCode !== null) return;
    const gone = new Promise((resolve) => holder.once("exit", resolve));
    holder.kill("SIGKILL");
    await gone;
    this.members.clear();
  }

  /** Takes a booting host in. */
  attach(name: string, pid: number): Promise<void> {
    return this.queued(async () => {
      this.members.set(name, { index: this.order.get(name)!, pid });
      await this.ip(name, ["link set lo up"]);
    });
  }

  /** Forgets a host that went down; the others' ends of its cables go at once, not when the kernel gets to it. */
  detach(name: string): Promise<void> {
    return this.queued(async () => {
      const index = this.members.get(name)?.index;
      this.members.delete(name);
      for (const segment of this.segments.values()) {
        if (!segment.members.delete(name)) continue;
        for (const other of segment.members) await this.ip(other, [`link del ${cable(index!, segment)}`], true);
      }
    });
  }

  /** Makes the member's bridge, and its cables to all that have the same. @returns the bridge's interface */
  join(name: string, bridge: string, vlan?: number, isolated = false): Promise<string> {
    return this.queued(async () => {
      const segment = this.segment(bridge, vlan, isolated);
      if (segment.members.has(name)) return segment.bridge;
      await this.ip(name, [
        `link add name ${segment.bridge} address ${mac(this.index(name), segment.index)} type bridge mcast_snooping 0`,
        `link set ${segment.bridge} up`,
      ]);
      for (const other of segment.isolated ? [] : segment.members)
        await this.plug(name, other, segment).catch((error: Error) => {
          // A peer that loses its power meanwhile needs no cable; its own end of the story is told by `detach`.
          if (this.alive(other)) throw error;
        });
      segment.members.add(name);
      return segment.bridge;
    });
  }

  /** Gives the member an address on the bridge. */
  async address(name: string, bridge: string, address: string): Promise<void> {
    await this.ip(name, [`addr replace ${address} dev ${bridge}`]);
  }

  /** From now on the probe passes packets on between its networks, as the site's router. */
  async route(): Promise<void> {
    this.routing = true;
    await mustRun([...this.enter(PROBE_NAME), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
  }

  async defaultRoute(name: string, gateway: string): Promise<void> {
    await this.ip(name, [`route replace default via ${gateway}`]);
  }

  /** argv that runs the rest in a member's network namespace alone. */
  enter(name: string): string[] {
    const pid = this.members.get(name)?.pid;
    if (pid === undefined) throw new Error(`${name} is not in the network: it is down`);
    return ["nsenter", `--net=/proc/${pid}/ns/net`, "--"];
  }

  run(name: string, argv: string[], options: ExecOptions = {}): Promise<ExecResult> {
    return runCommand([...this.enter(name), ...argv], options);
  }

  connected(a: string, b: string): boolean {
    return a === b || !this.blocked.has(pair(a, b));
  }

  split(sideA: string[], sideB: string[]): Promise<void> {
    return this.queued(async () => {
      for (const a of sideA)
        for (const b of sideB) {
          if (a === b) throw new Error(`${a} cannot stand on both sides of a split`);
          this.blocked.add(pair(a, b));
          await this.carry(a, b, "down");
        }
      await this.cutRouting();
    });
  }

  heal(): Promise<void> {
    return this.queued(async () => {
      const pairs = [...this.blocked].map((each) => each.split(" ") as [string, string]);
      this.blocked.clear();
      for (const [a, b] of pairs) await this.carry(a, b, "up");
      await this.cutRouting();
    });
  }

  /** The router is no way around a partition. Without nftables it is, and says so. */
  private async cutRouting(): Promise<void> {
    if (!this.routing) return;
    const pairs = [...this.blocked].flatMap((each): [number, number][] => {
      const [a, b] = each.split(" ").map((name) => this.order.get(name));
      return a === undefined || b === undefined ? [] : [[a, b]];
    });
    if (pairs.length === 0 && !this.cuts) return;
    this.cuts = true;
    const rules = cutRules(pairs);
    const { code, stderr } = await this.run(PROBE_NAME, ["nft", "-f", "-"], { input: rules });
    if (code !== 0)
      process.stderr.write(`lab: the router still leads around the partition, nftables is needed: ${stderr.trim()}\n`);
  }

  /** Pulls or plugs all cables between two hosts. */
  private async carry(a: string, b: string, state: "up" | "down"): Promise<void> {
    const [from, to] = [this.members.get(a), this.members.get(b)];
    if (!from || !to) return;
    const shared = [...this.segments.values()].filter(
      (each) => !each.isolated && each.members.has(a) && each.members.has(b),
    );
    const ends: [string, Member][] = [
      [a, to],
      [b, from],
    ];
    for (const [name, peer] of ends) {
      const lines = shared.map((segment) => `link set ${cable(peer.index, segment)} ${state}`);
      await this.ip(name, lines).catch((error: Error) => {
        if (this.alive(a) && this.alive(b)) throw error;
      });
    }
  }

  private async plug(a: string, b: string, segment: Segment): Promise<void> {
    const [from, to] = [this.index(a), this.index(b)];
    const state = this.connected(a, b) ? "up" : "down";
    const end = (port: string) => [
      `link set ${port} master ${segment.bridge}`,
      `link set dev ${port} type bridge_slave isolated on`,
      `link set ${port} ${state}`,
    ];
    const [here, there] = [cable(to, segment), cable(from, segment)];
    await this.ip(b, [`link del ${there}`], true);
    const ends = [
      `name ${here} index ${interfaceIndex(to, segment)}`,
      `name ${there} index ${interfaceIndex(from, segment)}`,
    ];
    const add = `link add ${ends[0]} type veth peer ${ends[1]} netns ${this.members.get(b)!.pid}`;
    await this.ip(a, [add, ...end(here)]);
    await this.ip(b, end(there));
  }

  private segment(bridge: string, vlan: number | undefined, isolated: boolean): Segment {
    const key = `${bridge} ${vlan ?? ""}`;
    const known = this.segments.get(key);
    if (known && known.isolated !== isolated)
      throw new Error(
        `bridge ${bridge} is ${known.isolated ? "isolated" : "joined with the other hosts'"} already, it cannot be both`,
      );
    if (known) return known;
    const name = vlan === undefined ? bridge : `${bridge}v${vlan}`;
    if (!/^[A-Za-z][A-Za-z0-9_.-]{0,14}$/.test(name))
      throw new Error(`${name} is no name of an interface (at most 15 letters and digits)`);
    const made = { index: this.segments.size, bridge: name, isolated, members: new Set<string>() };
    this.segments.set(key, made);
    return made;
  }

  private index(name: string): number {
    const member = this.members.get(name);
    if (!member) throw new Error(`${name} is not in the network: it is down`);
    return member.index;
  }

  private alive(name: string): boolean {
    const pid = this.members.get(name)?.pid;
    return pid !== undefined && startTime(pid) !== undefined;
  }

  /** Runs `ip` commands in a member's namespace; `lenient` goes on after a line that fails. */
  private async ip(name: string, lines: string[], lenient = false): Promise<void> {
    if (lines.length === 0 || !this.members.has(name)) return;
    const argv = [...this.enter(name), "ip", ...(lenient ? ["-force"] : []), "-batch", "-"];
    const input = `${lines.join("\n")}\n`;
    if (lenient) await runCommand(argv, { input });
    else await mustRun(argv, { input });
  }

  /** One change after the other: two hosts that boot at once would both lay the cable between them. */
  private queued<T>(task: () => Promise<T>): Promise<T> {
    const result = this.work.then(task, task);
    this.work = result.catch(() => undefined);
    return result;
  }
}

function pair(a: string, b: string): string {
  return [a, b].sort().join(" ");
}

/** Interface of the cable that leads to the member of this index. */
function cable(peer: number, segment: Segment): string {
  return `x${peer}-${segment.index}`;
}

/**
 * Interface numbers of a cable's two ends must differ: where they are equal by chance, the kernel takes the pair for a plain
 * interface and lets a bridge know of its carrier up to a second late (linkwatch_urgent_event in net/core/link_watch.c).
 */
function interfaceIndex(peer: number, segment: Segment): number {
  return 1000 * (segment.index + 1) + peer;
}

/** The same in every boot, so that nobody's neighbour table is wrong afterwards. */
function mac(member: number, segment: number): string {
  const bytes = [0x02, 0xc5, member >> 8, member & 255, segment >> 8, segment & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
