/** The Proxmox VE client. */
export { type Parameters, PveClient, type PveClientOptions } from "./client";
export { type CallContext, ConfigError, PveError, type PveFailure } from "./errors";
export type { RetryPolicy } from "./retry";
export type { TaskOptions } from "./tasks";
export { normalFingerprint, type PresentedCertificate, readCertificate } from "./tls";
export type * from "./types";
