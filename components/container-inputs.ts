import type * as proxmoxve from "@pulumi/proxmoxve";
import type * as pulumi from "@pulumi/pulumi";
import type { ContainerSpec, GuestPlan, SitePlan } from "../planning";
import {
  cloudInitAddresses,
  guestSizes,
  hostnameOf,
  imageFileId,
  orderedCards,
  residence,
  startup,
  tagsOf,
} from "./guest-inputs";

/** What only travels to the provider: never part of the plan. */
export interface ContainerTravel {
  /** Password of root inside the container. */
  password?: pulumi.Input<string>;
  /** Public SSH keys of root inside the container. */
  sshKeys?: pulumi.Input<string>[];
}

/** The bridged provider's inputs for the active side of a container. */
export function containerInputs(
  guest: GuestPlan,
  spec: ContainerSpec,
  site: SitePlan,
  travel: ContainerTravel,
): proxmoxve.ContainerLegacyArgs {
  return spec.adopted ? watchedInputs(guest, spec) : ownInputs(guest, spec, site, travel);
}

/** What is watched of a container that was there before; the rest is left as it is, see {@link ignoredOf}. */
function watchedInputs(guest: GuestPlan, spec: ContainerSpec): proxmoxve.ContainerLegacyArgs {
  const { keep, disks } = spec;
  const { nodeName, atHostBoot } = residence(guest);
  return {
    vmId: guest.id,
    nodeName,
    protection: spec.protection,
    startOnBoot: atHostBoot,
    // Of a part that is kept the values that the provider takes by itself: where there are others, they count.
    cpu: { cores: keep.includes("cpu") ? 1 : spec.cores },
    memory: { dedicated: keep.includes("memory") ? 512 : guestSizes(spec).memoryMiB },
    // A size that is no whole number is not compared.
    disk: { datastoreId: disks[0]?.storage ?? "local", size: Math.ceil(disks[0]?.sizeGiB ?? 8) },
    networkInterfaces: cards(guest),
    initialization: { hostname: hostnameOf(guest) },
  };
}

function cards(guest: GuestPlan) {
  return orderedCards(guest).map((nic, index) => ({
    name: `eth${index}`,
    bridge: nic.bridge,
    macAddress: nic.mac,
    firewall: nic.firewall,
    ...(nic.vlan === undefined ? {} : { vlanId: nic.vlan }),
  }));
}

function ownInputs(
  guest: GuestPlan,
  spec: ContainerSpec,
  site: SitePlan,
  travel: ContainerTravel,
): proxmoxve.ContainerLegacyArgs {
  const { nodeName, started, atHostBoot } = residence(guest);
  const template = spec.image ? site.spec.images[spec.image] : undefined;
  if (!template) throw new Error(`container ${guest.name} names no template`);
  const [root, ...more] = spec.disks;
  const account = {
    ...(travel.password ? { password: travel.password } : {}),
    ...(travel.sshKeys ? { keys: travel.sshKeys } : {}),
  };
  return {
    vmId: guest.id,
    nodeName,
    description: guest.notes,
    tags: tagsOf(guest),
    ...(spec.pool ? { poolId: spec.pool } : {}),
    protection: spec.protection,
    started,
    startOnBoot: atHostBoot,
    startup: startup(spec),
    unprivileged: spec.unprivileged,
    features: { nesting: spec.nesting },
    operatingSystem: { templateFileId: imageFileId(template), type: spec.os },
    cpu: { cores: spec.cores },
    memory: { dedicated: guestSizes(spec).memoryMiB, swap: Math.round(spec.swapGiB * 1024) },
    // Unless told, the provider takes the root disk out of the replication with the next change of its size.
    disk: { datastoreId: root?.storage ?? "local", size: root?.sizeGiB ?? 8, replicate: true },
    mountPoints: more.map((disk, index) => ({
      volume: disk.storage,
      size: `${disk.sizeGiB}G`,
      path: `/srv/${disk.name ?? `data${index + 1}`}`,
      backup: true,
    })),
    networkInterfaces: cards(guest),
    initialization: {
      hostname: hostnameOf(guest),
      ...cloudInitAddresses(guest, site),
      ...(Object.keys(account).length > 0 ? { userAccount: account } : {}),
    },
  };
}
