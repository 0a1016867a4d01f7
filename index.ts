/** coldspare: sites that survive the loss of any server, as Pulumi components. */
export * from "./components";
export * from "./planning";
export {
  PbsAcl,
  type PbsAclArgs,
  PbsDatastore,
  type PbsDatastoreArgs,
  PbsNamespace,
  type PbsNamespaceArgs,
  PbsPruneJob,
  type PbsPruneJobArgs,
  PbsRemote,
  type PbsRemoteArgs,
  PbsSyncJob,
  type PbsSyncJobArgs,
  PbsToken,
  type PbsTokenArgs,
  PbsTrafficControl,
  type PbsTrafficControlArgs,
  PbsUser,
  type PbsUserArgs,
  PbsVerifyJob,
  type PbsVerifyJobArgs,
  ReplicationPair,
  type ReplicationPairArgs,
  StandbyGuest,
  type StandbyGuestArgs,
} from "./providers";
