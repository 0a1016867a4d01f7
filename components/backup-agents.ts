import type * as pulumi from "@pulumi/pulumi";
import type { SiteManifest } from "../planning";
import { backupServers } from "../planning/backup/backup-conf";
import { BackupAgent } from "../providers/backup-agent";
import type { ServerGuard } from "../providers/server-guard";

/**
 * What makes copies on each server that has something to copy and is reached over SSH. Its programs rest on the guard's modules, so it
 * comes after the guard and goes before it.
 */
export function createBackupAgents(
  manifest: SiteManifest,
  options: {
    guards: Record<string, ServerGuard>;
    secrets?: Record<string, pulumi.Input<string>>;
    parent: pulumi.Resource;
  },
): Record<string, BackupAgent> {
  const { guards, secrets, parent } = options;
  const agents: Record<string, BackupAgent> = {};
  for (const server of backupServers(manifest)) {
    const guard = guards[server];
    if (guard === undefined) continue;
    const args = { server, manifest, ...(secrets === undefined ? {} : { secrets }) };
    agents[server] = new BackupAgent(`${server}-backups`, args, { parent, dependsOn: guard });
  }
  return agents;
}
