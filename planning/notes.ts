/** Tags and notes that tell whoever looks at the hypervisor's interface which side of a guest is which. */
import type { Placed } from "./context";
import type { ReplicaPlan } from "./plan";
import { byName, formatDuration } from "./units";

/** Tags of the active guest: Proxmox VE shows them lower-case and sorted. */
export function activeTags(guest: Placed): string[] {
  return tags(guest, guest.spare === undefined ? [] : ["coldspare-primary"]);
}

function tags({ spec }: Placed, side: string[]): string[] {
  const all = ["coldspare", ...side, ...(spec.duty === undefined ? [] : [spec.duty]), ...spec.tags];
  return [...new Set(all.map((tag) => tag.toLowerCase()))].sort(byName);
}

/** Notes in Markdown: the same on both sides, and the same after a failover but for the line that says who is active. */
export function guestNotes(site: string, guest: Placed, replica: ReplicaPlan | undefined): string {
  const lines = [`## ${guest.name}`, ""];
  if (guest.spec.description !== undefined) lines.push(guest.spec.description, "");
  lines.push(`- Site: ${site}`, `- Primary: ${guest.primary}`);
  if (replica === undefined) lines.push("- Spare: none");
  else
    lines.push(`- Spare: ${replica.server}, powered off`, `- Refreshed by: ${replica.method}, '${replica.schedule}'`);
  // The promise, not what is computed: that depends on the other guests, whose change must not change these notes.
  const promised = replica?.recoveryPoint.promisedSeconds;
  if (promised !== undefined) lines.push(`- Recovery point: ${formatDuration(promised)}, as promised`);
  lines.push(`- Active: ${guest.activeSide} (${guest.activeServer})`);
  lines.push("", "Managed by coldspare. Only one side may ever run.");
  // No line break at the end: Proxmox VE strips it, and the provider would show a difference for ever.
  return lines.join("\n");
}
