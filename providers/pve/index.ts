/** The Proxmox VE client. */

export type { RetryPolicy } from "../http/retry";
export { normalFingerprint, type PresentedCertificate, readCertificate } from "../http/tls";
export { type Parameters, PveClient, type PveClientOptions } from "./client";
export { type CallContext, ConfigError, PveError, type PveFailure } from "./errors";
export type { TaskOptions } from "./tasks";
export type * from "./types";
