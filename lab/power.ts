import type { Domain } from "./domain";
import { fail } from "./errors";
import { runHook } from "./hooks";
import { allProcesses, setProcess } from "./processes";
import { isDriveKey, parseDrive } from "./qemu-config";
import type { Guest } from "./state";
import { startTask, type TaskHandle } from "./tasks";
import { findVolume } from "./volumes";

const DEFAULT_BOOT_SECONDS = 10;
/** How long PVE waits for a guest that is to reboot. */
const REBOOT_SECONDS = 180;

const PREFIX = { qemu: "qm", lxc: "vz" } as const;

/** `VM 100` or `CT 100`, as PVE's messages call it. */
export function subject(guest: Guest): string {
  return `${guest.type === "qemu" ? "VM" : "CT"} ${guest.vmid}`;
}

function memoryBytes(guest: Guest): number {
  const text = guest.running?.config.memory ?? guest.config.memory ?? "512";
  return Number(text.replace("current=", "")) * 1024 * 1024;
}

function checkResources(domain: Domain, guest: Guest): void {
  for (const [key, text] of Object.entries(guest.config)) {
    if (!/^net\d+$/.test(key)) continue;
    const bridge = /(?:^|,)bridge=([^,]+)/.exec(text)?.[1];
    if (!bridge) continue;
    const iface = domain.nodeState(guest.node).interfaces[bridge];
    const vnet = domain.state.sdn.vnets?.[bridge];
    const real = domain.world.runtime?.hasInterface(guest.node, bridge);
    if (!iface && !vnet && !real) throw new Error(`bridge '${bridge}' does not exist`);
  }
  for (const [key, text] of Object.entries(guest.config)) {
    if (guest.type === "qemu" ? !isDriveKey(key) : !/^(rootfs|mp\d+)$/.test(key)) continue;
    const file = parseDrive(text).file ?? "";
    if (!file.includes(":")) continue;
    const entry = domain.state.storages[file.split(":")[0]!];
    if (!entry) throw new Error(`storage '${file.split(":")[0]}' does not exist`);
    if (!domain.active(entry, guest.node)) throw new Error(`storage '${entry.storage}' is not online`);
    if (!findVolume(domain, guest.node, file)) throw new Error(`volume '${file}' does not exist`);
  }
}

export interface PowerOn {
  /** The node that a live migration comes from; hook scripts see it as PVE_MIGRATED_FROM. */
  migratedFrom?: string;
}

/** Makes the guest run now, or fails as the start task would. A second start waits for the first, and finds it running. */
export function powerOn(domain: Domain, guest: Guest, handle?: TaskHandle, options: PowerOn = {}): Promise<void> {
  return domain.oneStart(guest.node, guest.vmid, () => start(domain, guest, handle, options));
}

async function start(
  domain: Domain,
  guest: Guest,
  handle: TaskHandle | undefined,
  { migratedFrom }: PowerOn,
): Promise<void> {
  const { runtime } = domain.world;
  const { node, vmid } = guest;
  // Also one whose configuration was elsewhere meanwhile.
  if (allProcesses(domain).some((process) => process.vmid === vmid && process.node === node))
    throw new Error(`${subject(guest)} already running`);
  if (guest.config.template === "1") throw new Error("you can't start a vm if it's a template");
  const env = migratedFrom === undefined ? {} : { env: { PVE_MIGRATED_FROM: migratedFrom } };
  await runHook(domain, guest, "pre-start", handle, env);
  checkResources(domain, guest);
  // The kernel overcommits memory between guests; one guest larger than the whole machine is refused.
  if (memoryBytes(guest) > domain.hardware(node).memoryGiB * 1024 ** 3) {
    handle?.log("kvm: cannot set up guest memory 'pc.ram': Cannot allocate memory");
    throw new Error("start failed: QEMU exited with code 1");
  }
  const noDrive = Object.entries(guest.config).some(
    ([key, text]) => isDriveKey(key) && parseDrive(text).file === "cdrom",
  );
  if (noDrive) handle?.warn("no physical CD-ROM available, ignoring");
  const pid = (await runtime?.start(node, guest, false)) ?? domain.nodeState(node).nextPid++;
  if (!domain.nodeState(node).up) throw new Error("interrupted by signal");
  noteRunning(domain, guest, pid);
  await runHook(domain, guest, "post-start", handle);
}

/** The guest runs from now on, with the configuration that it has now. */
export function noteRunning(domain: Domain, guest: Guest, pid: number): void {
  const running = { pid, startedAt: domain.world.clock.now(), realStart: Date.now(), config: { ...guest.config } };
  setProcess(domain, guest.vmid, guest.node, running);
}

/** Ends the guest at once. */
export async function powerOff(domain: Domain, guest: Guest, handle?: TaskHandle): Promise<void> {
  const { running, node, vmid } = guest;
  if (!running) return;
  await runHook(domain, guest, "pre-stop", handle);
  await domain.world.runtime?.end(node, vmid, running.pid, "kill");
  await wentOff(domain, guest, node, handle);
}

/** What happens after a guest has ended, whatever ended it. */
export async function wentOff(domain: Domain, guest: Guest, node: string, handle?: TaskHandle): Promise<void> {
  if (!guest.running || guest.node !== node) return;
  setProcess(domain, guest.vmid, node, undefined);
  await runHook(domain, guest, "post-stop", handle, { node });
}

/** Virtual seconds after its start until the guest answers its agent. */
export function bootSeconds(guest: Guest): number {
  return guest.bootSeconds ?? DEFAULT_BOOT_SECONDS;
}

export function hasBooted(domain: Domain, guest: Guest): boolean {
  const { runtime } = domain.world;
  if (runtime && guest.running) return Date.now() - (guest.running.realStart ?? 0) >= runtime.bootSeconds(guest) * 1000;
  return guest.running !== undefined && domain.world.clock.now() - guest.running.startedAt >= bootSeconds(guest);
}

/** Starts the task that starts the guest. */
export function startGuest(domain: Domain, guest: Guest, user: string): string {
  return startById(domain, guest.node, guest.type, guest.vmid, user);
}

/** A start of an id that does not exist is accepted, and its task fails. */
export function startById(domain: Domain, node: string, type: Guest["type"], vmid: number, user: string): string {
  return startTask(domain, {
    node,
    type: `${PREFIX[type]}start`,
    id: String(vmid),
    user,
    work: (handle) =>
      domain.withGuest(vmid, async () => {
        const guest = domain.guestOn(node, type, vmid);
        domain.checkLock(guest);
        if (guest.running) throw new Error(`${subject(guest)} already running`);
        await handle.takes(1);
        await powerOn(domain, guest, handle);
      }),
  });
}

/** Stop works without quorum and on a locked guest. */
export function stopById(domain: Domain, node: string, type: Guest["type"], vmid: number, user: string): string {
  return startTask(domain, {
    node,
    type: `${PREFIX[type]}stop`,
    id: String(vmid),
    user,
    work: async (handle) => {
      const guest = domain.guestOn(node, type, vmid);
      if (!guest.running) {
        if (type === "lxc") throw new Error(`CT ${vmid} not running`);
        return;
      }
      await handle.takes(1);
      await powerOff(domain, guest, handle);
    },
  });
}

/** How a guest reacts to a wish to shut down: after its boot it follows within a few seconds, before that it does not. */
export function shutdownById(
  domain: Domain,
  node: string,
  type: Guest["type"],
  vmid: number,
  user: string,
  options: { timeout: number; force: boolean },
): string {
  return startTask(domain, {
    node,
    type: `${PREFIX[type]}shutdown`,
    id: String(vmid),
    user,
    work: async (handle) => {
      const guest = domain.guestOn(node, type, vmid);
      domain.checkLock(guest);
      if (!guest.running) {
        if (type === "lxc") throw new Error(`CT ${vmid} not running`);
        return;
      }
      await runHook(domain, guest, "pre-stop", handle);
      if (await shutDown(domain, guest, options.timeout, handle)) return wentOff(domain, guest, node, handle);
      if (!options.force)
        throw new Error(type === "qemu" ? "VM quit/powerdown failed - got timeout" : "container did not stop");
      if (guest.running) await domain.world.runtime?.end(node, vmid, guest.running.pid, "kill");
      await wentOff(domain, guest, node, handle);
    },
  });
}

/** Whether the guest follows the wish to shut down within so many seconds. */
async function shutDown(domain: Domain, guest: Guest, timeout: number, handle: TaskHandle): Promise<boolean> {
  const { runtime } = domain.world;
  if (runtime) return runtime.end(guest.node, guest.vmid, guest.running!.pid, "shutdown", timeout);
  const needs = guest.type === "lxc" ? 2 : 5;
  const waits = hasBooted(domain, guest) ? needs : bootSeconds(guest) + needs;
  await handle.waits(Math.min(waits, timeout));
  return waits <= timeout;
}

export function rebootById(
  domain: Domain,
  node: string,
  type: Guest["type"],
  vmid: number,
  user: string,
  hard: boolean,
): string {
  return startTask(domain, {
    node,
    type: `${PREFIX[type]}${hard ? "reset" : "reboot"}`,
    id: String(vmid),
    user,
    work: async (handle) => {
      const guest = domain.guestOn(node, type, vmid);
      domain.checkLock(guest);
      if (!guest.running) throw fail(`${subject(guest)} is not running`);
      const { runtime } = domain.world;
      if (runtime && !hard) {
        await runtime.end(node, vmid, guest.running.pid, "shutdown", REBOOT_SECONDS);
        await wentOff(domain, guest, node, handle);
        return powerOn(domain, guest, handle);
      }
      if (runtime) runtime.signal(guest.running.pid, "reset");
      else await handle.takes(hard ? 1 : 5);
      if (!guest.running) return;
      const { pid } = guest.running;
      // Pending changes take effect: the guest runs with its new configuration.
      noteRunning(domain, guest, hard ? pid : pid + 1);
    },
  });
}
