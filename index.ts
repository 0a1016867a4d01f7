/** coldspare: sites that survive the loss of any server, as Pulumi components. */
export * from "./components";
export * from "./planning";
export { ReplicationPair, type ReplicationPairArgs, StandbyGuest, type StandbyGuestArgs } from "./providers";
