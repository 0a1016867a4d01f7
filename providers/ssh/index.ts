/** Commands on servers, over the system's OpenSSH client. */
export { SshClient, type SshClientOptions, type SshRunner } from "./client";
export { SshError, type SshErrorKind } from "./errors";
export { quote } from "./quote";
export type { SshResult, SshRunOptions, SshTarget } from "./types";
