/** Dynamic resources and the Proxmox VE client. */
export { type ConfigReader, pveClientFromConfig, pveOptionsFromConfig } from "./config";
export * from "./pve";
export { type ReplicationHealth, ReplicationPair, type ReplicationPairArgs } from "./replication-pair";
export { StandbyGuest, type StandbyGuestArgs } from "./standby-guest";
