/** Words and commands that the chapters of the runbook share. */
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { formatDuration } from "../planning/units";

/** `20 min`: at most so much data is lost. */
export function pointOf({ recoveryPointSeconds, spare }: ManifestGuest): string {
  if (spare === undefined) return "see the backups";
  return recoveryPointSeconds === undefined ? "not promised" : formatDuration(recoveryPointSeconds);
}

/** `13 min (promised: 15 min)`: until its service answers. */
export function timeOf({ recoveryTimeSeconds, recoveryTimePromisedSeconds, spare }: ManifestGuest): string {
  if (spare === undefined || recoveryTimeSeconds === undefined) return "not planned";
  const promised = recoveryTimePromisedSeconds;
  return `${formatDuration(recoveryTimeSeconds)}${promised === undefined ? "" : ` (promised: ${formatDuration(promised)})`}`;
}

/** How one gets to a server from any machine. */
export function sshTo({ servers }: SiteManifest, server: string): string {
  const { ssh, address } = servers[server] ?? {};
  const port = ssh === undefined || ssh.port === 22 ? "" : `-p ${ssh.port} `;
  return `ssh ${port}${ssh?.user ?? "root"}@${ssh?.host ?? address ?? server}`;
}

/** The program on the server that knows this kind of guest, and its folder below /etc/pve/nodes. */
export function toolsOf({ kind }: Pick<ManifestGuest, "kind">): { program: "qm" | "pct"; folder: string } {
  return kind === "qemu" ? { program: "qm", folder: "qemu-server" } : { program: "pct", folder: "lxc" };
}
