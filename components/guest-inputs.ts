/** What machines and containers have in common on their way to the provider. */
import type { GuestPlan, GuestSpec, ImageSpec, SitePlan } from "../planning";

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

export function guestSizes(spec: GuestSpec): { memoryMiB: number } {
  return { memoryMiB: Math.round(spec.memoryGiB * 1024) };
}

export function startup(spec: GuestSpec): { order: number; upDelay: number } {
  return { order: spec.boot.order, upDelay: spec.boot.delaySeconds };
}

/** DNS and IP settings for cloud-init (machines) or the container's own configuration. */
export function cloudInitAddresses(guest: GuestPlan, site: SitePlan) {
  const dnsServers = [...new Set(guest.addresses.flatMap((nic) => site.spec.networks[nic.network]?.dnsServers ?? []))];
  const domain = site.site.domain;
  return {
    ...(domain || dnsServers.length > 0
      ? { dns: { ...(domain ? { domain } : {}), ...(dnsServers.length > 0 ? { servers: dnsServers } : {}) } }
      : {}),
    ipConfigs: guest.addresses.map((nic) => ({
      ipv4: nic.address
        ? { address: nic.address, ...(nic.gateway ? { gateway: nic.gateway } : {}) }
        : { address: "dhcp" },
      ...(nic.address6 ? { ipv6: { address: nic.address6, ...(nic.gateway6 ? { gateway: nic.gateway6 } : {}) } } : {}),
    })),
  };
}
