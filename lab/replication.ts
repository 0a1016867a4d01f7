import type { Domain } from "./domain";
import type { Guest } from "./state";

/** A guest that has moved to the target of its job: source and target change places by themselves. */
export function swapReplication(domain: Domain, guest: Guest, from: string): void {
  for (const job of domain.replicationOf(guest.vmid)) {
    if (job.target === guest.node) job.target = from;
    job.source = guest.node;
  }
}
