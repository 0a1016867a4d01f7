export { needs } from "./needs";
export { renderPrivileges } from "./page";
export { type PrivilegeOptions, planPrivileges } from "./plan-privileges";
export { pveumCommands } from "./pveum";
export { type RootOnly, rootOnly } from "./root-only";
export type { Account, AccountDuty, AccountRole, Need, Scope } from "./types";
