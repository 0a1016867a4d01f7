/** Proxmox Backup Server's own words and commands about its certificates. */
import type { TrustAdvice } from "../http/tls";
import { PbsError } from "./errors";

export const PBS_TRUST: TrustAdvice = {
  fail: (failure) => new PbsError(failure),
  compare: "`proxmox-backup-manager cert info`",
  pin: (server, fingerprint) => `pulumi config set --path 'coldspare:pbs.${server}.fingerprint' ${fingerprint}`,
  renew: (server) => `\`proxmox-backup-manager cert update --force\` on ${server}`,
  trustCa: (server) =>
    `trust the CA that signed it: \`pulumi config set --path 'coldspare:pbs.${server}.caFile' <path>\``,
  endpointKey: (server) => `coldspare:pbs.${server}.endpoint`,
};
