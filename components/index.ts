/** Components: what runs where, what stands by for it, and where its copies lie. */

export type { GuestReport, SiteReport } from "../planning";
export { BackupPolicy, type BackupPolicyArgs, type BackupPolicyNodes } from "./backup-policy";
export { BackupTarget, type BackupTargetArgs, type BackupTargetNodes } from "./backup-target";
export { Container, type ContainerArgs } from "./container";
export type { GuestComponentArgs, GuestNodes } from "./guest-component";
export { PhysicalServer, type PhysicalServerArgs, type PhysicalServerNodes } from "./physical-server";
export { PlanError } from "./plan-error";
export { Site, type SiteArgs, type SiteNodes } from "./site";
export { SiteAccess, type SiteAccessArgs } from "./site-access";
export { VirtualMachine, type VirtualMachineArgs } from "./virtual-machine";
