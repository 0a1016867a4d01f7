export { needs } from "./needs";
export { renderPrivileges } from "./page";
export { type PrivilegeOptions, planPrivileges } from "./plan-privileges";
export { pveumCommands } from "./pveum";
export { type RootOnly, rootOnly } from "./root-only";
export { planSshAccess, SSH_GATE, SSH_INSTALL, type SshAccess, type SshDuty } from "./ssh";
export type { Account, AccountDuty, AccountRole, Need, Scope } from "./types";
