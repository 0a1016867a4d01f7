import type { Call } from "./call";
import { fail } from "./errors";
import type { Guest } from "./state";

/** A write to a guest's configuration file without quorum: the file system is read-only. */
export function requireWritable(call: Call, guest: Guest): void {
  if (call.domain.quorate(call.node)) return;
  const folder = guest.type === "qemu" ? "qemu-server" : "lxc";
  throw fail(
    `unable to open file '/etc/pve/nodes/${guest.node}/${folder}/${guest.vmid}.conf.tmp.102' - Permission denied`,
  );
}
