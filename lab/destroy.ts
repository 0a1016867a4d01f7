import { type Call, flag } from "./call";
import { fail } from "./errors";
import { subject } from "./power";
import { setProcess } from "./processes";
import { ownVolumes } from "./qemu-config";
import type { Guest, GuestType } from "./state";
import { startTask } from "./tasks";
import { findVolume, removeVolume, volumesOfGuest } from "./volumes";
import { requireWritable } from "./writable";

/** Volume ids that a guest's configuration (of either kind) names. */
export function volumesNamed(guest: Guest): string[] {
  if (guest.type === "qemu") return ownVolumes(guest.config).map(({ volid }) => volid);
  return Object.entries(guest.config)
    .filter(([key]) => /^(rootfs|mp\d+|unused\d+)$/.test(key))
    .map(([, text]) => text.split(",")[0]!)
    .filter((volid) => volid.includes(":"));
}

/** `DELETE /nodes/{node}/qemu/{vmid}`. */
export function destroyGuest(call: Call, type: GuestType): string {
  const { domain, node, params, identity } = call;
  const guest = domain.guestOn(node, type, call.path.vmid!);
  const { vmid } = guest;
  if (guest.config.protection === "1") throw fail(`can't remove ${subject(guest)} - protection mode enabled`);
  const sid = `${type === "qemu" ? "vm" : "ct"}:${vmid}`;
  const purge = flag(params.purge);
  if (domain.state.haResources[sid] && !purge)
    throw fail(`unable to remove ${subject(guest)} - used in HA resources and purge parameter not set.`);
  const job = domain.replicationOf(vmid)[0];
  if (job && !purge)
    throw fail(`There is a replication job '${job.id}' for guest '${vmid}' - Please remove that first.`);
  if (guest.running && !(type === "lxc" && flag(params.force)))
    throw fail(type === "qemu" ? `VM ${vmid} is running - destroy failed` : `CT ${vmid} is running - destroy failed`);
  requireWritable(call, guest);
  return startTask(domain, {
    node,
    type: type === "qemu" ? "qmdestroy" : "vzdestroy",
    id: String(vmid),
    user: identity.full,
    work: (handle) =>
      domain.withGuest(vmid, async () => {
        domain.checkLock(guest);
        await handle.takes(1);
        if (linkedClones(call, guest).length > 0)
          throw new Error(`base volume '${linkedClones(call, guest)[0]}' is still in use by linked clones`);
        if (guest.running) await domain.world.runtime?.end(node, vmid, guest.running.pid, "kill");
        setProcess(domain, vmid, node, undefined);
        for (const volid of volumesNamed(guest)) {
          const volume = findVolume(domain, node, volid);
          if (volume && volume.vmid === vmid) removeVolume(domain, volume);
        }
        if (flag(params["destroy-unreferenced-disks"]))
          for (const { volume } of volumesOfGuest(domain, node, vmid)) removeVolume(domain, volume);
        delete domain.state.guests[String(vmid)];
        delete domain.state.firewall[`guest/${vmid}`];
        for (const pool of Object.values(domain.state.pools))
          pool.guests = pool.guests.filter((other) => other !== vmid);
        domain.state.acl = domain.state.acl.filter((acl) => acl.path !== `/vms/${vmid}`);
        if (purge) purgeJobs(call, guest, (line) => handle.log(line));
      }),
  });
}

function linkedClones(call: Call, guest: Guest): string[] {
  return volumesNamed(guest).filter((volid) => {
    const volume = findVolume(call.domain, guest.node, volid);
    return (
      volume !== undefined &&
      call.domain.state.volumes.some((other) => other.parent === volume.name && other.backing === volume.backing)
    );
  });
}

/** `purge=1` takes the guest out of backup, replication and HA jobs. */
function purgeJobs(call: Call, guest: Guest, log: (line: string) => void): void {
  const { state } = call.domain;
  log(`purging ${subject(guest)} from related configurations..`);
  for (const job of call.domain.replicationOf(guest.vmid)) {
    delete state.replication[job.id];
    delete state.replicationState[job.id];
  }
  for (const [id, job] of Object.entries(state.backupJobs)) {
    const left = (job.vmid ?? "").split(",").filter((vmid) => vmid !== "" && vmid !== String(guest.vmid));
    if (job.vmid === undefined) continue;
    if (left.length > 0) job.vmid = left.join(",");
    else delete state.backupJobs[id];
  }
  const sid = `${guest.type === "qemu" ? "vm" : "ct"}:${guest.vmid}`;
  delete state.haResources[sid];
  for (const rule of Object.values(state.haRules))
    if (rule.resources)
      rule.resources = rule.resources
        .split(",")
        .filter((other) => other !== sid)
        .join(",");
}
