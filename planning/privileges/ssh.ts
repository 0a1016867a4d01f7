/** Keys for SSH to a site's servers that are not root's in full: lines of authorized_keys, bound to the gate on the servers. */
import type { SitePlan } from "../plan";
import { byName } from "../units";

/**
 * - `monitor`: status, metrics, results of drills and of test restores, `--from`, voters' records: reads
 * - `operate`: that, and failover, failback, drill, backups, restore, media, the site's way down and up
 */
export type SshDuty = "operate" | "monitor";

/** Where `pulumi up` places the gate on every server. */
export const SSH_GATE = "/usr/local/lib/coldspare/coldspare-ssh";

/** What a key of one duty is bound to, and where. */
export interface SshAccess {
  duty: SshDuty;
  /** Servers whose `/root/.ssh/authorized_keys` it belongs into, by name. */
  servers: string[];
  /** The line; `AAAA…` stands for the public key. */
  line: string;
}

/** What installs programs and configuration cannot be bounded: it could install another gate. */
export const SSH_INSTALL =
  "`pulumi up` writes programs, units and configuration over SSH and needs root in full: no gate is for it. Keep its key apart from these.";

const WITH_SSH = ["hypervisor", "backup-server", "witness"] as const;

/** One line for each duty, for every server of the specification that the commands reach over SSH. */
export function planSshAccess(plan: Pick<SitePlan, "servers">, duties: readonly SshDuty[]): SshAccess[] {
  const servers = Object.values(plan.servers)
    .filter(({ roles }) => WITH_SSH.some((role) => roles.includes(role)))
    .map(({ name }) => name)
    .sort(byName);
  return duties.map((duty) => ({
    duty,
    servers,
    line: `command="${SSH_GATE} ${duty}",restrict ssh-ed25519 AAAA… ${KEY_NAMES[duty]}`,
  }));
}

/** Not `coldspare@<server>`: these are the guard's own, which it rewrites. */
const KEY_NAMES: Record<SshDuty, string> = { operate: "coldspare-operator", monitor: "coldspare-monitoring" };
