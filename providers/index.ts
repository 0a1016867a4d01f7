/** Dynamic resources and the Proxmox VE client. */
export {
  type ConfigReader,
  pveClientFromConfig,
  pveOptionsFromConfig,
  type SshSettings,
  sshSettingsFromConfig,
} from "./config";
export * from "./pbs";
export * from "./pve";
export type { ReplicationHealth } from "./replication-health";
export { ReplicationPair, type ReplicationPairArgs } from "./replication-pair";
export { ServerGuard, type ServerGuardArgs } from "./server-guard";
export * from "./ssh";
export { StandbyGuest, type StandbyGuestArgs } from "./standby-guest";
