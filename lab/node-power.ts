import type { Domain } from "./domain";
import { publishStatus } from "./guest-status";
import { regroup } from "./membership";
import { powerOn } from "./power";
import { allProcesses, assignProcesses } from "./processes";
import type { Guest } from "./state";
import { interruptTasks, startTask, type TaskHandle } from "./tasks";
import type { World } from "./world";

/** Virtual seconds that a server needs until its API answers. */
const SERVER_BOOT_SECONDS = 60;

/** What a node's end means for the cluster: its guests stop as with a power cut, its tasks never end, its API is gone. */
export function nodeDown(world: World, name: string): void {
  const domain = domainOf(world, name);
  const node = domain.nodeState(name);
  if (!node.up) return;
  // What the others knew of its guests last is what they go on showing.
  publishStatus(domain.at(name), name);
  node.up = false;
  if (world.state.frozen) world.state.frozen = world.state.frozen.filter((each) => each !== name);
  const left = allProcesses(domain).filter((process) => process.node !== name);
  assignProcesses(domain, left);
  interruptTasks(domain, name, world.clock.seconds());
  regroup(domain);
  world.powerChanged(name);
}

/** The node's daemons run again; nothing is started yet. */
export function nodeUp(world: World, name: string): void {
  const domain = domainOf(world, name);
  const node = domain.nodeState(name);
  if (node.up) return;
  node.up = true;
  node.bootedAt = world.clock.now();
  delete node.expectedVotes;
  regroup(domain);
  world.powerChanged(name);
}

/** Power cut of a node, and of the host behind it where there is one. */
export async function killNode(world: World, name: string): Promise<void> {
  domainOf(world, name);
  await world.hosts?.cut(name);
  nodeDown(world, name);
}

/** Brings a node back; what has `onboot` starts when the cluster has a quorum. */
export async function reviveNode(world: World, name: string): Promise<void> {
  if (domainOf(world, name).nodeState(name).up) return;
  // A real host tells by itself when its daemons run and when it is up.
  if (world.hosts) return world.hosts.boot(name);
  nodeUp(world, name);
  bootGuests(world, name);
}

/** Reboot or shutdown by the API: the guests are shut down in order, then the node goes. */
export function restartNode(world: World, name: string, command: "reboot" | "shutdown"): void {
  const { clock } = world;
  if (world.hosts) return void world.hosts.restart(name, command);
  clock.at(clock.now() + 5, () => void killNode(world, name));
  if (command === "reboot") clock.at(clock.now() + 5 + SERVER_BOOT_SECONDS, () => void reviveNode(world, name));
}

function domainOf(world: World, name: string): Domain {
  const domain = world.domainOf(name);
  if (!domain) throw new Error(`there is no node '${name}'`);
  return domain;
}

/** Boot order and delay from `startup: order=1,up=30`. */
function startup(guest: Guest): { order: number; up: number } {
  const text = guest.config.startup ?? "";
  const order = /(?:^|,)(?:order=)?(\d+)(?:,|$)/.exec(text)?.[1];
  const up = /up=(\d+)/.exec(text)?.[1];
  return { order: order === undefined ? Number.MAX_SAFE_INTEGER : Number(order), up: Number(up ?? 0) };
}

/** How long `startall` waits for the quorum (PVE::API2::Nodes); nobody tries again after that. */
const QUORUM_SECONDS = 10;

async function waitForQuorum(domain: Domain, name: string, handle: TaskHandle): Promise<void> {
  // Real hosts boot in real time, however fast the lab's clock runs.
  const scale = domain.world.hosts ? domain.world.clock.speed : 1;
  for (let left = QUORUM_SECONDS; left > 0 && !domain.quorate(name); left--) await handle.waits(scale);
  domain.requireQuorum(name);
}

/** `startall` of a node that has just booted: waits for the quorum, then starts in order. */
export function bootGuests(world: World, name: string): void {
  const domain = domainOf(world, name);
  const onBoot = () =>
    domain
      .at(name)
      .guests(name)
      .filter((guest) => guest.config.onboot === "1" && guest.config.template !== "1")
      .sort((a, b) => startup(a).order - startup(b).order || a.vmid - b.vmid);
  if (onBoot().length === 0) return;
  startTask(domain, {
    node: name,
    type: "startall",
    id: "",
    user: "root@pam",
    seconds: 1,
    work: async (handle) => {
      await waitForQuorum(domain, name, handle);
      for (const { vmid, type } of onBoot()) {
        domain.requireQuorum(name);
        const now = domain.at(name);
        // The configuration may have been moved to another node meanwhile.
        const guest = now.guest(vmid);
        if (!guest || guest.node !== name || guest.running) continue;
        handle.log(`Starting ${type === "qemu" ? "VM" : "CT"} ${vmid}`);
        try {
          await handle.takes(1);
          await now.withGuest(vmid, async () => {
            now.checkLock(guest);
            await powerOn(now, guest, handle);
          });
        } catch (error) {
          handle.warn(`unable to start ${vmid} - ${error instanceof Error ? error.message : String(error)}`);
        }
        if (startup(guest).up > 0) await handle.waits(startup(guest).up);
      }
    },
  });
}
