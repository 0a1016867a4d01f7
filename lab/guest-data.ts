import type { Domain } from "./domain";
import { ownVolumes } from "./qemu-config";
import type { Guest, Volume } from "./state";
import { findVolume } from "./volumes";

/** The first disk of a guest, as a node sees it: where its data is. */
export function dataVolume(domain: Domain, guest: Guest, node = guest.node): Volume | undefined {
  const volid =
    guest.type === "qemu"
      ? ownVolumes(guest.config, false).find(
          ({ volid: id, key }) => !id.includes("cloudinit") && !/^(efidisk|tpmstate)/.test(key),
        )?.volid
      : guest.config.rootfs?.split(",")[0];
  return volid ? findVolume(domain, node, volid) : undefined;
}
