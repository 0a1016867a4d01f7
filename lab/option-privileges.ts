import { anyOf, type Call, flag, list, type Permission, perm } from "./call";
import { ApiError, forbidden } from "./errors";
import { hasPrivilege } from "./privileges";

/** One of these is asked for before the settings are looked at one by one. */
export const CHANGE_MACHINE = anyOf(
  "/vms/{vmid}",
  "VM.Config.Disk",
  "VM.Config.CDROM",
  "VM.Config.CPU",
  "VM.Config.Memory",
  "VM.Config.Network",
  "VM.Config.HWType",
  "VM.Config.Options",
  "VM.Config.Cloudinit",
);
export const CHANGE_CONTAINER = anyOf(
  "/vms/{vmid}",
  "VM.Config.Disk",
  "VM.Config.CPU",
  "VM.Config.Memory",
  "VM.Config.Network",
  "VM.Config.Options",
);

export const CLONE: Permission = {
  every: [
    perm("/vms/{vmid}", "VM.Clone"),
    { some: [perm("/vms/{newid}", "VM.Allocate"), { ...perm("/pool/{pool}", "VM.Allocate"), requires: "pool" }] },
  ],
};

/** Which privilege a setting of a virtual machine needs (qemu-server, check_vm_modify_config_perm). */
const PRIVILEGES: [RegExp, string][] = [
  [/^(cpu|cores|sockets|vcpus|cpulimit|cpuunits|numa\d*|smp|affinity)$/, "VM.Config.CPU"],
  [/^(memory|balloon|shares|hugepages|keephugepages|allow-ksm)$/, "VM.Config.Memory"],
  [/^(net\d+|ipconfig\d+|nameserver|searchdomain)$/, "VM.Config.Network"],
  [/^(cicustom|ciuser|cipassword|citype|ciupgrade|sshkeys)$/, "VM.Config.Cloudinit"],
  [
    /^(acpi|hotplug|kvm|machine|scsihw|smbios1|tablet|vga|watchdog|audio\d+|bios|serial\d+|parallel\d+|usb\d+|rng0|arch|efidisk0|tpmstate0|vmgenid)$/,
    "VM.Config.HWType",
  ],
  [/^unused\d+$/, "VM.Config.Disk"],
];
const DRIVE = /^(ide|sata|scsi|virtio)\d+$/;
const NO_OPTION = new Set([
  "digest",
  "delete",
  "revert",
  "force",
  "skiplock",
  "background_delay",
  "node",
  "vmid",
  "import-working-storage",
]);

function privilegeOf(key: string, value: string): string {
  if (DRIVE.test(key)) return /(^|,)media=cdrom/.test(value) ? "VM.Config.CDROM" : "VM.Config.Disk";
  return PRIVILEGES.find(([pattern]) => pattern.test(key))?.[1] ?? "VM.Config.Options";
}

/** Which privilege a setting of a container needs (pve-container, check_ct_modify_config_perm). */
const CONTAINER_PRIVILEGES: [RegExp, string][] = [
  [/^(cores|cpuunits|cpulimit)$/, "VM.Config.CPU"],
  [/^(memory|swap)$/, "VM.Config.Memory"],
  [/^(net\d+|nameserver|searchdomain|hostname)$/, "VM.Config.Network"],
  [/^(rootfs|mp\d+|unused\d+)$/, "VM.Config.Disk"],
  [/^features$/, "VM.Allocate"],
];

/** Like {@link checkOptionPrivileges}, for a container. */
export function checkContainerOptions(call: Call, vmid: string, params: Record<string, string>): void {
  const path = `/vms/${vmid}`;
  for (const key of [...Object.keys(params).filter((each) => !NO_OPTION.has(each)), ...list(params.delete)]) {
    const privilege = CONTAINER_PRIVILEGES.find(([pattern]) => pattern.test(key))?.[1] ?? "VM.Config.Options";
    if (!hasPrivilege(call.domain, call.identity, path, privilege)) throw forbidden(path, privilege);
  }
  checkSpacePrivileges(call, params);
}

/** Refuses settings that the caller may not change; the message names the privilege that is missing. */
export function checkOptionPrivileges(call: Call, vmid: string, params: Record<string, string>): void {
  const path = `/vms/${vmid}`;
  const settings = Object.entries(params).filter(([key]) => !NO_OPTION.has(key));
  const removed = list(params.delete).map((key): [string, string] => [key, call.domain.guest(vmid)?.config[key] ?? ""]);
  for (const [key, value] of [...settings, ...removed]) {
    const privilege = privilegeOf(key, value);
    if (!hasPrivilege(call.domain, call.identity, path, privilege)) throw forbidden(path, privilege);
  }
  checkSpacePrivileges(call, params);
}

/** New volumes need space on their storage, cards the use of their bridge. */
export function checkSpacePrivileges(call: Call, params: Record<string, string>): void {
  for (const [key, value] of Object.entries(params)) {
    const storage = /^(?:file=|volume=)?([A-Za-z][\w.-]*):(?:\d+(?:\.\d+)?|cloudinit)(?:,|$)/.exec(value)?.[1];
    if (storage && /^(ide|sata|scsi|virtio|efidisk|tpmstate|mp|rootfs)\d*$/.test(key)) {
      const path = `/storage/${storage}`;
      if (!hasPrivilege(call.domain, call.identity, path, "Datastore.AllocateSpace"))
        throw forbidden(path, "Datastore.AllocateSpace");
    }
    const bridge = /^net\d+$/.test(key) ? /(?:^|,)bridge=([^,]+)/.exec(value)?.[1] : undefined;
    if (bridge) {
      const path = `/sdn/zones/localnetwork/${bridge}`;
      if (!hasPrivilege(call.domain, call.identity, path, "SDN.Use")) throw forbidden(path, "SDN.Use");
    }
  }
}

/** A new guest needs VM.Allocate on its id or its pool; a restore over a guest may also go with VM.Backup. */
export function checkCreatePrivileges(call: Call, vmid: number): void {
  const { domain, identity, params } = call;
  const has = (path: string, privilege: string) => hasPrivilege(domain, identity, path, privilege);
  if (has(`/vms/${vmid}`, "VM.Allocate")) return;
  if (params.pool && has(`/pool/${params.pool}`, "VM.Allocate")) return;
  if (params.archive && flag(params.force) && domain.guest(vmid) && has(`/vms/${vmid}`, "VM.Backup")) return;
  throw new ApiError(403, "Permission check failed");
}
