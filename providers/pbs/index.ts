/** Proxmox Backup Server: its client, and its settings as resources. */
export * from "./access-resources";
export type { PbsRole } from "./acl";
export { PbsClient, type PbsClientOptions, type PbsParameters } from "./client";
export { pbsClientFromConfig, pbsOptionsFromConfig, pbsTargetsOfConfig } from "./config";
export type { PbsNotify, PbsTuning } from "./datastore";
export * from "./datastore-resources";
export { PbsError } from "./errors";
export type { PbsTaskOptions } from "./tasks";
