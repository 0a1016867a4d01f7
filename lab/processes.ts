import type { Domain } from "./domain";
import type { DomainState, Guest, Stray } from "./state";

/** A guest that runs, and where. The configuration may be elsewhere by now: a process does not follow its file. */
export interface GuestProcess {
  vmid: number;
  node: string;
  running: NonNullable<Guest["running"]>;
}

function copies(state: DomainState): { guests: DomainState["guests"]; node?: string }[] {
  return [{ guests: state.guests }, ...Object.entries(state.views).map(([node, { files }]) => ({ ...files, node }))];
}

/** Every guest process of the cluster, whichever copy of the cluster file system knows of it. */
export function allProcesses({ main }: Domain): GuestProcess[] {
  const { state } = main;
  const found = new Map<string, GuestProcess>();
  const add = (process: GuestProcess) => {
    const key = `${process.vmid} ${process.node}`;
    if (!found.has(key)) found.set(key, process);
  };
  for (const { guests } of copies(state))
    for (const { vmid, node, running } of Object.values(guests)) if (running) add({ vmid, node, running });
  for (const { vmid, node, pid, running } of state.strays)
    add({ vmid, node, running: running ?? { pid, startedAt: 0, config: {} } });
  return [...found.values()];
}

/** Hands the processes to the guests that they belong to; one whose configuration is on another node is a stray. */
export function assignProcesses({ main }: Domain, processes: readonly GuestProcess[]): void {
  const { state } = main;
  const strays = new Set(processes);
  for (const { guests, node: owner } of copies(state))
    for (const guest of Object.values(guests)) {
      const process = processes.find(({ vmid, node }) => vmid === guest.vmid && node === guest.node);
      if (!process) {
        delete guest.running;
        continue;
      }
      guest.running = process.running;
      if (owner === undefined || owner === process.node) strays.delete(process);
    }
  state.strays = [...strays].map(({ vmid, node, running }): Stray => ({ vmid, node, pid: running.pid, running }));
}

/** Notes that a guest's process on a node began, changed or ended. */
export function setProcess(domain: Domain, vmid: number, node: string, running: Guest["running"]): void {
  const others = allProcesses(domain).filter((process) => process.vmid !== vmid || process.node !== node);
  assignProcesses(domain, running ? [...others, { vmid, node, running }] : others);
  domain.save();
}

/** Processes that run although the configuration that counts is on another node. */
export function strayProcesses({ main }: Domain): Stray[] {
  return allProcesses(main)
    .filter(({ vmid, node }) => main.guest(vmid)?.node !== node)
    .map(({ vmid, node, running }) => ({ vmid, node, pid: running.pid }));
}
