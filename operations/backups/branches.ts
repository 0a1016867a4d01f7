/** Branches that are there, and their removal: only of what carries our tag and our line in its notes. */
import { PveError } from "../../providers/pve/errors";
import type { GuestRow } from "../../providers/pve/types";
import { normalTags } from "../../providers/standby-inspect";
import { hypervisors, type Operator } from "../context";
import { configOf, type GuestAt, runs, stopHard } from "../guest-power";
import { BRANCH_TAG, type BranchNote, branchIn } from "./notes";
import { networkName } from "./plan-branch";

export interface Branch extends BranchNote {
  name: string;
  vmid: number;
  kind: "qemu" | "lxc";
  server: string;
  running: boolean;
  expired: boolean;
}

export interface Branches {
  branches: Branch[];
  /** Servers that could not be asked. */
  unasked: { server: string; reason: string }[];
}

/** All branches, by name. A guest that carries the tag without the line in its notes is none: somebody else has made it. */
export async function listBranches(operator: Operator): Promise<Branches> {
  const found = new Map<string, Branch>();
  const unasked: Branches["unasked"] = [];
  for (const server of hypervisors(operator.manifest)) {
    try {
      for (const branch of await branchesOn(operator, server)) found.set(`${branch.server}/${branch.vmid}`, branch);
    } catch (error) {
      if (!(error instanceof PveError)) throw error;
      unasked.push({ server, reason: error.reason });
    }
  }
  return { branches: [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), unasked };
}

async function branchesOn(operator: Operator, server: string): Promise<Branch[]> {
  const pve = operator.pveAt(server);
  if (pve === undefined) return [];
  const rows = await pve.get<GuestRow[]>("/cluster/resources", { type: "vm" });
  const now = operator.clock.now().getTime();
  const branches: Branch[] = [];
  for (const { vmid, node, type, status, tags, name } of rows) {
    if (node !== server || !normalTags(tags).includes(BRANCH_TAG)) continue;
    const config = await configOf(operator, { guest: name ?? String(vmid), kind: type, server, vmid });
    const note = branchIn(config?.description);
    if (config === undefined || note === undefined) continue;
    const own = config.name ?? config.hostname ?? String(vmid);
    const running = status === "running";
    branches.push({ ...note, name: own, vmid, kind: type, server, running, expired: Date.parse(note.expires) <= now });
  }
  return branches;
}

/**
 * Stops and destroys it, and takes its network down. Its configuration is read once more just before.
 *
 * @throws Error when it is no branch (any more)
 */
export async function removeBranch(operator: Operator, { name, kind, server, vmid }: Branch): Promise<void> {
  const at: GuestAt = { guest: name, kind, server, vmid };
  const config = await configOf(operator, at);
  if (config === undefined) return;
  if (!normalTags(config.tags).includes(BRANCH_TAG) || branchIn(config.description) === undefined)
    throw new Error(`guest ${vmid} '${name}' on ${server} is no branch any more: it is left alone`);
  if ((await runs(operator, at)) === true) await stopHard(operator, at);
  const about = { doing: `remove the branch ${vmid} '${name}'` };
  const form = { purge: true, "destroy-unreferenced-disks": false };
  await operator.pve.task(server, "DELETE", `/nodes/${server}/${kind}/${vmid}`, form, about);
  if (operator.manifest.servers[server]?.ssh === undefined) return;
  // A branch on a bridge of the site has no network of its own: then there is nothing to take down.
  await operator.ssh
    .run(server, ["/usr/local/sbin/coldspare-drill", "net-down", networkName(name)])
    .catch(() => undefined);
}
