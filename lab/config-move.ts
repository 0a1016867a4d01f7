import type { Domain } from "./domain";
import { allProcesses, assignProcesses } from "./processes";
import { swapReplication } from "./replication";
import type { World } from "./world";

/**
 * What `mv /etc/pve/nodes/a/qemu-server/100.conf /etc/pve/nodes/b/qemu-server/` on a node does: the guest is b's at
 * once. The cluster file system must be writable on the node where the command runs (the target, usually).
 *
 * @throws Error with the shell's text
 */
export function moveConfig(world: World, vmid: number, from: string, to: string, on = to): void {
  const domain: Domain | undefined = world.domainOf(on)?.at(on);
  const guest = domain?.guest(vmid);
  const folder = guest?.type === "lxc" ? "lxc" : "qemu-server";
  const path = (node: string) => `/etc/pve/nodes/${node}/${folder}`;
  const failed = (reason: string) => new Error(`mv: ${reason}`);
  if (!domain) throw failed(`cannot move: there is no node '${on}'`);
  if (!domain.state.nodes[on]?.up) throw failed(`node '${on}' is down, no command can run there`);
  if (!domain.state.nodes[to])
    throw failed(`cannot move '${path(from)}/${vmid}.conf' to '${path(to)}/': No such file or directory`);
  if (!guest || guest.node !== from)
    throw failed(`cannot stat '${path(from)}/${vmid}.conf': No such file or directory`);
  if (!domain.quorate(on))
    throw failed(`cannot move '${path(from)}/${vmid}.conf' to '${path(to)}/${vmid}.conf': Permission denied`);
  // The process on the old node, if one is left, is not taken along: the new node knows nothing of it.
  const processes = allProcesses(domain);
  guest.node = to;
  assignProcesses(domain, processes);
  swapReplication(domain, guest, from, false);
  domain.save();
}
