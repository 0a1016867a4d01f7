/** What machines and containers have in common on their way to the provider. */
import {
  activeAddresses,
  type GuestAddress,
  type GuestPlan,
  type GuestSpec,
  type ImageSpec,
  type SitePlan,
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

/**
 * Where the primary's guest is, and whether it runs. `restore` and `zfs-sync` activate another guest: the primary's stays
 * where it was, and must never start by itself again.
 */
export function residence(guest: GuestPlan): { nodeName: string; started: boolean; atHostBoot: boolean } {
  const ofItsOwn = hasOwnSpare(guest);
  const started = !(ofItsOwn && guest.activeSide === "spare");
  return {
    nodeName: ofItsOwn ? guest.primary : guest.activeServer,
    started,
    atHostBoot: started && guest.spec.boot.atHostBoot,
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
  return residence(guest).started ? guest.tags : [...guest.tags, "coldspare-diverged"].sort();
}

export function guestSizes(spec: GuestSpec): { memoryMiB: number } {
  return { memoryMiB: Math.round(spec.memoryGiB * 1024) };
}

export function startup(spec: GuestSpec): { order: number; upDelay: number } {
  return { order: spec.boot.order, upDelay: spec.boot.delaySeconds };
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
