import type * as proxmoxve from "@pulumi/proxmoxve";
import type * as pulumi from "@pulumi/pulumi";
import { coresAtStart, type GuestPlan, type SitePlan, type VirtualMachineSpec } from "../planning";
import {
  cloudInitAddresses,
  guestSizes,
  hostnameOf,
  imageFileId,
  machineDisks,
  orderedCards,
  residence,
  startup,
  tagsOf,
} from "./guest-inputs";

/** What only travels to the provider: never part of the plan. */
export interface VirtualMachineTravel {
  /** Password of the cloud-init user. */
  password?: pulumi.Input<string>;
  /** Reboot a running machine when a change cannot be made while it runs. */
  rebootAfterUpdate?: boolean;
}

const OS_TYPES: Record<VirtualMachineSpec["os"], string> = {
  linux: "l26",
  "windows-11": "win11",
  "windows-10": "win10",
  other: "other",
};

/** The bridged provider's inputs for the active side of a machine. Pure: the same plan gives the same inputs. */
export function virtualMachineInputs(
  guest: GuestPlan,
  spec: VirtualMachineSpec,
  site: SitePlan,
  travel: VirtualMachineTravel,
): proxmoxve.VmLegacyArgs {
  return spec.adopted ? watchedInputs(guest, spec) : ownInputs(guest, spec, site, travel);
}

/** What is watched of a machine that was there before; the rest is left as it is, see {@link ignoredOf}. */
function watchedInputs(guest: GuestPlan, spec: VirtualMachineSpec): proxmoxve.VmLegacyArgs {
  const { keep } = spec;
  return {
    ...common(guest, spec, {}),
    // Of a part that is kept the values that Proxmox VE takes by itself: where it has others, they count.
    cpu: keep.includes("cpu") ? { cores: 1, sockets: 1 } : { cores: spec.cores / spec.sockets, sockets: spec.sockets },
    memory: { dedicated: keep.includes("memory") ? 512 : guestSizes(spec).memoryMiB },
    disks: machineDisks(spec).map((disk) => ({
      interface: disk.interface,
      datastoreId: disk.storage,
      // One that is no whole number is not compared.
      size: Math.ceil(disk.sizeGiB),
    })),
    networkDevices: cards(guest),
  };
}

function common(guest: GuestPlan, spec: VirtualMachineSpec, travel: VirtualMachineTravel) {
  const { nodeName, atHostBoot } = residence(guest);
  return {
    vmId: guest.id,
    name: hostnameOf(guest),
    nodeName,
    // Without it a changed node name is a replacement, which destroys a guest that was promoted elsewhere.
    migrate: true,
    protection: spec.protection,
    onBoot: atHostBoot,
    // A change that needs a reboot waits for the next one, unless it is asked for: nobody's database restarts by surprise.
    rebootAfterUpdate: travel.rebootAfterUpdate ?? false,
    purgeOnDestroy: true,
    // Volumes that no configuration names may be a diverged copy that somebody still needs.
    deleteUnreferencedDisksOnDestroy: false,
  };
}

function cards(guest: GuestPlan) {
  return orderedCards(guest).map((nic) => ({
    bridge: nic.bridge,
    macAddress: nic.mac,
    firewall: nic.firewall,
    ...(nic.vlan === undefined ? {} : { vlanId: nic.vlan }),
  }));
}

function ownInputs(
  guest: GuestPlan,
  spec: VirtualMachineSpec,
  site: SitePlan,
  travel: VirtualMachineTravel,
): proxmoxve.VmLegacyArgs {
  const systemStorage = spec.disks[0]?.storage ?? "local";
  return {
    ...common(guest, spec, travel),
    description: guest.notes,
    tags: tagsOf(guest),
    ...(spec.pool ? { poolId: spec.pool } : {}),
    started: residence(guest).started,
    startup: startup(spec),
    operatingSystem: { type: OS_TYPES[spec.os] },
    ...firmware(spec, systemStorage),
    // An empty first disk is skipped, so that the first start installs, and every later one finds the system.
    bootOrders: installMedium(spec, site) === "none" ? ["scsi0"] : ["scsi0", "ide3"],
    // Without a cdrom of its own the guest gets the node's drive and can never be migrated.
    cdrom: { fileId: installMedium(spec, site), interface: "ide3" },
    ...processor(spec),
    memory: { dedicated: guestSizes(spec).memoryMiB },
    scsiHardware: "virtio-scsi-single",
    disks: disks(spec, site),
    networkDevices: cards(guest).map((card) => ({ ...card, model: "virtio" })),
    agent: { enabled: spec.agent, ...(spec.agent ? { timeout: "60s" } : {}) },
    ...(spec.os === "linux" ? { serialDevices: [{ device: "socket" }] } : {}),
    ...cloudInit(guest, spec, site, systemStorage, travel),
  };
}

/** UEFI and TPM volumes exist from the start or never: both are part of the machine's identity. */
function firmware(spec: VirtualMachineSpec, storage: string): Partial<proxmoxve.VmLegacyArgs> {
  return {
    bios: spec.bios,
    ...(spec.bios === "ovmf"
      ? {
          machine: "q35",
          efiDisk: { datastoreId: storage, fileFormat: "raw", type: "4m", preEnrolledKeys: true },
        }
      : {}),
    ...(spec.tpm ? { tpmState: { datastoreId: storage, version: "v2.0" } } : {}),
  };
}

/** Cores and memory grow in a running machine only if it was started with room for more, and with NUMA. */
function processor(spec: VirtualMachineSpec): Partial<proxmoxve.VmLegacyArgs> {
  const { sockets } = spec;
  const cpu = { sockets, type: spec.cpuType };
  // Those of one socket, as Proxmox VE counts.
  if (!spec.hotplug) return { cpu: { ...cpu, cores: spec.cores / sockets } };
  return {
    hotplug: "network,disk,usb,memory,cpu",
    cpu: { ...cpu, cores: coresAtStart(spec) / sockets, hotplugged: spec.cores, numa: true },
  };
}

function installMedium(spec: VirtualMachineSpec, site: SitePlan): string {
  const image = spec.image ? site.spec.images[spec.image] : undefined;
  return image?.kind === "iso" ? imageFileId(image) : "none";
}

function disks(spec: VirtualMachineSpec, site: SitePlan): NonNullable<proxmoxve.VmLegacyArgs["disks"]> {
  const image = spec.image ? site.spec.images[spec.image] : undefined;
  return machineDisks(spec).map((disk) => ({
    interface: disk.interface,
    datastoreId: disk.storage,
    size: disk.sizeGiB,
    fileFormat: "raw",
    ssd: disk.ssd,
    discard: disk.discard ? "on" : "ignore",
    iothread: true,
    ...(disk.first && image?.kind === "disk-image" ? { importFrom: imageFileId(image) } : {}),
  }));
}

function cloudInit(
  guest: GuestPlan,
  spec: VirtualMachineSpec,
  site: SitePlan,
  storage: string,
  travel: VirtualMachineTravel,
): Partial<proxmoxve.VmLegacyArgs> {
  if (!spec.cloudInit) return {};
  const { user, sshKeys } = spec.cloudInit;
  const addresses = cloudInitAddresses(guest, site);
  return {
    initialization: {
      datastoreId: storage,
      interface: "ide2",
      ...addresses,
      userAccount: {
        ...(user ? { username: user } : {}),
        ...(sshKeys.length > 0 ? { keys: sshKeys } : {}),
        ...(travel.password ? { password: travel.password } : {}),
      },
    },
  };
}
