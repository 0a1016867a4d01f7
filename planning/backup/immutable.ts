/** Copies that nobody can remove for a time, not even with the credentials of the server that made them. */
import type { BackupPolicySpec, TargetSpec } from "./schema";

/**
 * Whether a target can keep a server from removing what it wrote there: a Proxmox Backup Server gives the hypervisors'
 * token no right to prune, a ZFS receiver that fetches is not reached by the sender, and restic's rest-server or an S3
 * key without the right to delete take additions only. A directory of vzdump files, and SFTP, obey whoever logs in.
 */
export function canBeImmutable(target: TargetSpec | undefined): boolean {
  switch (target?.kind) {
    case "pbs":
      return target.managed;
    case "zfs-receiver":
      return target.direction === "pull";
    case "restic":
      return target.appendOnly && (target.backend.type === "rest" || target.backend.type === "s3");
    default:
      return false;
  }
}

/** Whether the copies of a policy are immutable for a time, or for good. */
export function isImmutable(target: TargetSpec | undefined, policy: BackupPolicySpec): boolean {
  if (!canBeImmutable(target)) return false;
  return policy.immutableFor !== undefined || (target?.kind === "restic" && target.appendOnly);
}
