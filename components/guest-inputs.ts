/** What machines and containers have in common on their way to the provider. */
import {
  activeAddresses,
  type DiskSpec,
  type GuestAddress,
  type GuestPlan,
  type GuestSpec,
  type ImageSpec,
  type SitePlan,
  type VirtualMachineSpec,
} from "../planning";

const CONTENT_OF: Record<ImageSpec["kind"], "import" | "iso" | "vztmpl"> = {
  "disk-image": "import",
  iso: "iso",
  "container-template": "vztmpl",
};

/** Content type under which Proxmox VE keeps an image. */
export function imageContent(image: ImageSpec): "import" | "iso" | "vztmpl" {
  return CONTENT_OF[image.kind];
}

/** Volume id of an image: the same on every server that downloaded it. */
export function imageFileId(image: ImageSpec): string {
  return `${image.storage}:${imageContent(image)}/${image.fileName}`;
}

/** By `restore` and `zfs-sync` the spare starts a guest of its own; otherwise the one there is goes over. */
function hasOwnSpare({ replica }: GuestPlan): boolean {
  return replica?.method === "restore" || replica?.method === "zfs-sync";
}

/** Its spare is a guest of its own and is active: this one must never start by itself again. */
function isOldSide(guest: GuestPlan): boolean {
  return hasOwnSpare(guest) && guest.activeSide === "spare";
}

/**
 * Where the primary's guest is, and whether it runs. `restore` and `zfs-sync` activate another guest: the primary's stays
 * where it was, and must never start by itself again.
 */
export function residence(guest: GuestPlan): { nodeName: string; started: boolean; atHostBoot: boolean } {
  const { adopted, boot, started: normallyOn } = guest.spec;
  return {
    nodeName: hasOwnSpare(guest) ? guest.primary : guest.activeServer,
    started: normallyOn && !isOldSide(guest),
    // One that was taken over may be off and start with its server all the same.
    atHostBoot: (normallyOn || adopted) && !isOldSide(guest) && boot.atHostBoot,
  };
}

/**
 * The network cards of the guest of the primary's id where it is now. A restored standby is another guest, whose cards the
 * failover sets: the one it was made from keeps the primary's.
 */
export function cardsOf(guest: GuestPlan): readonly (GuestAddress & { dnsServers?: string[] })[] {
  return hasOwnSpare(guest) ? guest.addresses : activeAddresses(guest);
}

/**
 * Tags of the guest of the primary's id. While its restored standby is active it is the old side, which the agent on its server
 * marks: the program says the same, or every update would take the mark away.
 */
export function tagsOf(guest: GuestPlan): string[] {
  return isOldSide(guest) ? [...guest.tags, "coldspare-diverged"].sort() : guest.tags;
}

export function guestSizes(spec: GuestSpec): { memoryMiB: number } {
  return { memoryMiB: Math.round(spec.memoryGiB * 1024) };
}

export function startup(spec: GuestSpec): { order: number; upDelay: number } {
  return { order: spec.boot.order, upDelay: spec.boot.delaySeconds };
}

/** What it is called on the hypervisor. */
export function hostnameOf({ name, spec }: GuestPlan): string {
  return spec.hostname ?? name;
}

/** A disk of a machine with the name that Proxmox VE has for it. */
export type MachineDisk = DiskSpec & { interface: string; first: boolean };

/** A machine's disks in the order in which the provider lists them: by controller, then by number. */
export function machineDisks({ disks }: VirtualMachineSpec): MachineDisk[] {
  const named = disks.map((disk, index) => ({
    ...disk,
    interface: disk.interface ?? `scsi${index}`,
    first: index === 0,
  }));
  return named.sort((a, b) => compareInterfaces(a.interface, b.interface));
}

/** A guest's cards in the order of their numbers, each with whether its traffic passes the firewall. */
export function orderedCards(guest: GuestPlan): (GuestAddress & { firewall: boolean })[] {
  const { networks } = guest.spec;
  return cardsOf(guest)
    .map((card, index) => {
      const { interface: name = `net${index}`, firewall = true } = networks[index] ?? {};
      return { name, card: { ...card, firewall } };
    })
    .sort((a, b) => compareInterfaces(a.name, b.name))
    .map(({ card }) => card);
}

function compareInterfaces(one: string, other: string): number {
  const [kind, number] = interfaceParts(one);
  const [otherKind, otherNumber] = interfaceParts(other);
  if (kind !== otherKind) return kind < otherKind ? -1 : 1;
  return number - otherNumber;
}

function interfaceParts(name: string): [string, number] {
  const match = /^(\D*)(\d*)$/.exec(name);
  return [match?.[1] ?? name, Number(match?.[2] || 0)];
}

/** DNS and IP settings for cloud-init (machines) or the container's own configuration. */
export function cloudInitAddresses(guest: GuestPlan, site: SitePlan) {
  const cards = cardsOf(guest);
  const dnsServers = [
    ...new Set(cards.flatMap((nic) => nic.dnsServers ?? site.spec.networks[nic.network]?.dnsServers ?? [])),
  ];
  const domain = site.site.domain;
  return {
    ...(domain || dnsServers.length > 0
      ? { dns: { ...(domain ? { domain } : {}), ...(dnsServers.length > 0 ? { servers: dnsServers } : {}) } }
      : {}),
    ipConfigs: cards.map((nic) => ({
      ipv4: nic.address
        ? { address: nic.address, ...(nic.gateway ? { gateway: nic.gateway } : {}) }
        : { address: "dhcp" },
      ...(nic.address6 ? { ipv6: { address: nic.address6, ...(nic.gateway6 ? { gateway: nic.gateway6 } : {}) } } : {}),
    })),
  };
}
