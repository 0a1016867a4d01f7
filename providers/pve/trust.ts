/** Proxmox VE's own words and commands about its certificates. */
import type { TrustAdvice } from "../http/tls";
import { PveError } from "./errors";

export const PVE_TRUST: TrustAdvice = {
  fail: (failure) => new PveError(failure),
  compare:
    "`openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256` (or pveproxy-ssl.pem, if you installed one)",
  pin: (server, fingerprint) => `pulumi config set --path 'coldspare:fingerprints.${server}' ${fingerprint}`,
  renew: (server) => `\`pvecm updatecerts --force\` on ${server}`,
  trustCa: (server) =>
    `trust the cluster's CA: copy /etc/pve/pve-root-ca.pem from ${server} and \`pulumi config set coldspare:caFile <path>\``,
  endpointKey: () => "coldspare:endpoints",
};
