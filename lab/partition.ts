import { regroup } from "./membership";
import type { World } from "./world";

/** No frame passes between the two sides any more. A second split adds to the first. */
export async function split(world: World, a: string[], b: string[]): Promise<void> {
  const both = a.find((name) => b.includes(name));
  if (both) throw new Error(`'${both}' cannot be on both sides`);
  world.state.splits = [...(world.state.splits ?? []), { a, b }];
  // A backup server is no real host: only the simulator keeps it apart.
  const { nodes, witnesses } = world.topology;
  const hosts = new Set(["operator", ...nodes.map((node) => node.name), ...witnesses]);
  const [first, second] = [a, b].map((side) => side.filter((name) => hosts.has(name))) as [string[], string[]];
  if (first.length > 0 && second.length > 0) await world.hosts?.split(first, second);
  changed(world);
}

/** Everybody sees everybody again. */
export async function heal(world: World): Promise<void> {
  delete world.state.splits;
  await world.hosts?.heal();
  changed(world);
}

/** The machine hangs, or goes on as if nothing had been. */
export async function freeze(world: World, name: string, isFrozen: boolean): Promise<void> {
  const others = (world.state.frozen ?? []).filter((each) => each !== name);
  world.state.frozen = isFrozen ? [...others, name] : others;
  if (isFrozen) await world.hosts?.freeze(name);
  else await world.hosts?.thaw(name);
  changed(world);
}

/** The third vote is there, or is not. */
export function setWitness(world: World, name: string, up: boolean): void {
  world.state.witnesses[name] = up;
  for (const domain of world.domains) regroup(domain);
  world.powerChanged(name);
  world.save();
}

function changed(world: World): void {
  for (const domain of world.domains) {
    regroup(domain);
    for (const node of domain.nodeNames()) world.powerChanged(node);
  }
  for (const { name } of world.backupServers) world.powerChanged(name);
  world.save();
}
