import type { Domain } from "./domain";
import { badParameters, fail, missing } from "./errors";
import { isDriveKey, normalTags, storedNet } from "./qemu-config";
import type { Guest, GuestType } from "./state";
import { removeVolume, volumesOfGuest } from "./volumes";

/** Parameters of create and restore that are no part of the configuration. */
const NOT_CONFIG = new Set([
  "vmid",
  "node",
  "archive",
  "storage",
  "force",
  "unique",
  "bwlimit",
  "pool",
  "start",
  "live-restore",
  "import-working-storage",
  "ha-managed",
  "digest",
  "delete",
  "revert",
  "skiplock",
  "background_delay",
]);

/** Refuses an id that any guest of the cluster has. */
export function refuseTaken(domain: Domain, vmid: number, verb: "create" | "restore", type: GuestType = "qemu"): void {
  const other = domain.guest(vmid);
  if (!other) return;
  const subject = type === "qemu" ? "VM" : "CT";
  const kind = other.type === "qemu" ? "VM" : "CT";
  throw fail(`unable to ${verb} ${subject} ${vmid} - ${kind} ${vmid} already exists on node '${other.node}'`);
}

/** Puts plain values into a configuration; drives are set apart because they make volumes. */
export function setPlainValues(guest: Guest, params: Record<string, string>): void {
  for (const [key, value] of Object.entries(params)) {
    if (NOT_CONFIG.has(key) || isDriveKey(key)) continue;
    if (key === "tags") {
      const tags = normalTags(value);
      if (tags === "") delete guest.config.tags;
      else guest.config.tags = tags;
    } else if (/^net\d+$/.test(key)) guest.config[key] = storedNet(key, value);
    else if (value === "" && key === "description") delete guest.config[key];
    else guest.config[key] = value;
  }
}

/** Guest ids start at 100. */
export function readVmid(text: string | undefined): number {
  if (text === undefined) throw missing("vmid");
  const vmid = Number(text);
  if (!/^\d+$/.test(text) || vmid < 100 || vmid > 999_999_999)
    throw badParameters({ vmid: "invalid format - value does not look like a valid VM ID\n" });
  return vmid;
}

/** Removes what a failed creation left. */
export function discard(domain: Domain, guest: Guest): void {
  for (const { volume } of volumesOfGuest(domain, guest.node, guest.vmid)) removeVolume(domain, volume);
  delete domain.state.guests[String(guest.vmid)];
  for (const pool of Object.values(domain.state.pools)) pool.guests = pool.guests.filter((vmid) => vmid !== guest.vmid);
}
