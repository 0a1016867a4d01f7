import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Domain } from "../domain";
import { dataVolume } from "../guest-data";
import { nameOf } from "../guest-status";
import { wentOff } from "../power";
import { allProcesses, setProcess } from "../processes";
import type { GuestRuntime, ProgramResult } from "../runtime";
import type { Guest } from "../state";
import { volumeFile } from "../volumes";
import type { World } from "../world";
import { PROGRAMS_INSIDE } from "./files";
import { guestCards, neighbour } from "./guests-network";
import { kill, startTime } from "./processes";
import type { LabHosts } from "./types";

/** Where every host sees the lab's volumes. */
export const VOLUMES_INSIDE = "/run/lab-volumes";
/** Real seconds until a guest answers that nobody set a time for. */
const BOOT_SECONDS = 1;
const LOOK_EVERY_MS = 200;
const HOOK_SECONDS = 120;

interface Tracked {
  node: string;
  vmid: number;
  pid: number;
  start: string | undefined;
  /** The lab itself ends it: no news. */
  ending?: boolean;
}

/** Guests as processes on real hosts. */
export class RealGuests implements GuestRuntime {
  private readonly tracked = new Map<string, Tracked>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly world: World,
    private readonly hosts: LabHosts,
  ) {
    this.timer = setInterval(() => this.lookAround(), LOOK_EVERY_MS);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
  }

  exec(node: string, argv: string[], env?: Record<string, string>): Promise<ProgramResult> {
    return this.hosts.exec(node, argv, { timeoutSeconds: HOOK_SECONDS, ...(env ? { env } : {}) });
  }

  file(node: string, name: string): { executable: boolean; outside: string } | undefined {
    const outside = this.outside(node, name);
    const stat = outside === undefined ? undefined : fs.statSync(outside, { throwIfNoEntry: false });
    return outside && stat?.isFile() ? { executable: (stat.mode & 0o111) !== 0, outside } : undefined;
  }

  hasInterface(node: string, name: string): boolean {
    const outside = this.outside(node, path.posix.join("/sys/class/net", name));
    return outside !== undefined && fs.lstatSync(outside, { throwIfNoEntry: false }) !== undefined;
  }

  /** A path of the host as this process sees it; undefined when the host is down. */
  private outside(node: string, name: string): string | undefined {
    const pid = this.hosts.pid(node);
    return pid === undefined ? undefined : path.join(`/proc/${pid}/root`, name);
  }

  bootSeconds(guest: Guest): number {
    if (guest.bootSeconds !== undefined) return guest.bootSeconds;
    const { guestBootSeconds = {} } = this.world.topology;
    const domain = this.world.domainOf(guest.node);
    const macs = domain ? guestCards(domain, guest).map(({ mac }) => mac) : [];
    return macs.flatMap((mac) => guestBootSeconds[mac] ?? [])[0] ?? BOOT_SECONDS;
  }

  async start(node: string, guest: Guest, booted: boolean): Promise<number> {
    const domain = this.world.domainOf(node)!.at(node);
    const { vmid } = guest;
    const cards = await Promise.all(
      guestCards(domain, guest).map(async ({ bridge, vlan, mac, address, gateway }) => {
        const known = domain.nodeState(node).interfaces[bridge] ?? domain.state.sdn.vnets?.[bridge];
        // A bridge that somebody made on the host itself is taken as it is.
        const device = known ? await this.hosts.bridge(node, bridge, vlan) : bridge;
        return [device, mac, address ?? "-", gateway ?? "-"].join(",");
      }),
    );
    const volume = dataVolume(domain, guest, node);
    const file = volume ? path.relative(this.world.volumes, volumeFile(domain, volume)) : undefined;
    const argv = [
      ...["/usr/bin/perl", `${PROGRAMS_INSIDE}/guest`, guest.type, String(vmid), nameOf(guest), node],
      ...[String(booted ? 0 : this.bootSeconds(guest)), file ? `${VOLUMES_INSIDE}/${file}` : "/dev/null"],
      ...cards,
    ];
    const pid = await this.hosts.spawn(node, argv, { log: `/var/log/lab-guest-${vmid}.log` });
    this.tracked.set(key(node, vmid), { node, vmid, pid, start: startTime(pid) });
    if (guest.type === "qemu") await this.named(node, vmid, pid);
    return pid;
  }

  /** A machine counts as started once its pid file is there. */
  private async named(node: string, vmid: number, pid: number): Promise<void> {
    for (let attempt = 0; attempt < 500; attempt++) {
      if (this.file(node, pidFile(vmid))) return;
      if (!alive({ pid, start: this.tracked.get(key(node, vmid))?.start })) break;
      await pause(10);
    }
    this.tracked.delete(key(node, vmid));
    kill(pid, "SIGKILL");
    throw new Error("start failed: QEMU exited with code 1");
  }

  async end(node: string, vmid: number, pid: number, how: "shutdown" | "kill", seconds = 30): Promise<boolean> {
    const tracked = this.tracked.get(key(node, vmid)) ?? { node, vmid, pid, start: startTime(pid) };
    tracked.ending = true;
    kill(pid, how === "kill" ? "SIGKILL" : "SIGTERM");
    const deadline = Date.now() + seconds * 1000;
    while (alive(tracked) && Date.now() < deadline) await pause(20);
    tracked.ending = false;
    if (alive(tracked)) return false;
    this.forget(tracked);
    return true;
  }

  private forget({ node, vmid, pid }: Tracked): void {
    if (this.tracked.get(key(node, vmid))?.pid === pid) this.tracked.delete(key(node, vmid));
    const left = this.outside(node, pidFile(vmid));
    if (left) fs.rmSync(left, { force: true });
  }

  signal(pid: number, what: "reset" | "pause" | "resume"): void {
    kill(pid, ({ reset: "SIGUSR1", pause: "SIGSTOP", resume: "SIGCONT" } as const)[what]);
  }

  /** Notices guests that ended by themselves or were killed by somebody. */
  private lookAround(): void {
    for (const tracked of this.tracked.values()) {
      if (tracked.ending || alive(tracked)) continue;
      const { node, vmid } = tracked;
      if (!this.hosts.isUp(node)) {
        this.tracked.delete(key(node, vmid));
        continue;
      }
      this.forget(tracked);
      const domain = this.world.domainOf(node)!;
      const guest = domain.at(node).guest(vmid);
      if (guest?.node === node) void wentOff(domain.at(node), guest, node).catch(() => undefined);
      else setProcess(domain, vmid, node, undefined);
    }
  }

  /** Asks the guest's service: from the probe's place in the network, or within a given node from the guest itself. */
  async request(
    vmid: number,
    method: string,
    target: string,
    body: string,
    node?: string,
  ): Promise<{ status: number; body: string }> {
    const { domain, guest } = this.find(vmid, node);
    const card = guestCards(domain, guest).find(({ address }) => address !== undefined);
    const program = ["perl", path.join(__dirname, "programs", "guest-request")];
    const words = [method, target, "3"];
    const input = { input: body, timeoutSeconds: 5 };
    let result: ProgramResult;
    if (node !== undefined || !card?.address) {
      const process = allProcesses(domain).find((each) => each.vmid === vmid && each.node === (node ?? guest.node));
      if (!process) throw new Error(`guest ${vmid} does not run${node ? ` on ${node}` : ""}`);
      const inside = ["nsenter", `--net=/proc/${process.running.pid}/ns/net`, "--"];
      result = await this.hosts.probe([...inside, ...program, "127.0.0.1", ...words], input);
    } else {
      await this.hosts.probeJoin(card.bridge, card.vlan, neighbour(card.address));
      result = await this.hosts.probe([...program, card.address.split("/")[0]!, ...words], input);
    }
    if (result.code !== 0) throw new Error(`guest ${vmid}: ${result.stderr.trim() || "no answer"}`);
    const [status = "", ...rest] = result.stdout.split("\n");
    return { status: Number(status), body: rest.join("\n") };
  }

  private find(vmid: number, node: string | undefined): { domain: Domain; guest: Guest } {
    for (const main of this.world.domains) {
      // Hosts of their own may each have a guest of that id.
      if (node !== undefined && main.state.nodes[node] === undefined) continue;
      const domain = node !== undefined && main.state.nodes[node] ? main.at(node) : main;
      const guest = domain.guest(vmid);
      if (guest) return { domain, guest };
    }
    throw new Error(`there is no guest ${vmid}`);
  }
}

function key(node: string, vmid: number): string {
  return `${node} ${vmid}`;
}

function pidFile(vmid: number): string {
  return `/run/qemu-server/${vmid}.pid`;
}

/** Whether the process is still the one that was started; one that waits to be reaped is not. */
function alive({ pid, start }: { pid: number; start: string | undefined }): boolean {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim();
    const fields = text.split(" ");
    return fields[0] !== "Z" && fields[0] !== "X" && startTime(pid) === start;
  } catch {
    return false;
  }
}
