/** Dynamic resources and the Proxmox VE client. */
export { type ReplicationHealth, ReplicationPair, type ReplicationPairArgs } from "./replication-pair";
export { StandbyGuest, type StandbyGuestArgs } from "./standby-guest";
