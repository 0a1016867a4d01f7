/** Dynamic resources and the Proxmox VE client. */
export { BackupAgent, type BackupAgentArgs } from "./backup-agent";
export {
  type ConfigReader,
  pveClientFromConfig,
  pveOptionsFromConfig,
  type SshSettings,
  sshSettingsFromConfig,
} from "./config";
export * from "./pbs";
export * from "./pve";
export { RegisteredGuest, type RegisteredGuestArgs } from "./registered-guest";
export type { ReplicationHealth } from "./replication-health";
export { ReplicationPair, type ReplicationPairArgs } from "./replication-pair";
export { ServerGuard, type ServerGuardArgs } from "./server-guard";
export * from "./ssh";
export { StandbyGuest, type StandbyGuestArgs } from "./standby-guest";
