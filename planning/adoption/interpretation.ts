/** What a running cluster is in the words of a specification, and what has no words. */
import type { SiteSpecInput } from "../schema";

/** Result of `interpretCluster`: pure, the same snapshot gives the same result. */
export interface Interpretation {
  /** `site.asFound: true`, every guest `adopted`; parses without an error of the schema. */
  site: SiteSpecInput;
  /** Every guest of the cluster, by id; each is either in `site.guests` or has a `reason` why not. */
  guests: InterpretedGuest[];
  /** Everything else that exists and that `site` does not say, by subject. */
  left: LeftAsItIs[];
}

export interface InterpretedGuest {
  vmid: number;
  node: string;
  kind: "vm" | "container";
  /** Its name on the hypervisor, or `VM 100` where it has none. */
  title: string;
  /** Its key in `site.guests`; absent when it was not taken over. */
  name?: string;
  /** Why it was not taken over, and what to do: `it is a template: …`. */
  reason?: string;
  /** Settings of a guest that was taken over which the specification has no words for: they stay as they are. */
  left: string[];
}

export interface LeftAsItIs {
  /** For example `storage ceph-vm`, `backup job backup-1a2b`, `firewall`, `pool web`. */
  subject: string;
  /** What of it is not said, and what that means. */
  what: string;
}
