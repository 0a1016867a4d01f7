/** Why a running site cannot be read, in words that say what to do. */

import { isUntrusted } from "../../providers/http/tls";
import { PveError } from "../../providers/pve/errors";

/** A running site cannot be read; the message says what to do. */
export class LiveSiteError extends Error {
  override readonly name = "LiveSiteError";

  constructor(
    /**
     * - `no-access`: the token or the certificate is not accepted
     * - `privilege`: the token may not see what is needed
     * - `not-proxmox`: something else answers there
     * - `too-old`: a version that is not supported
     * - `changing`: guests moved, came or went each time they were read
     * - `unreachable`: nobody answers
     */
    readonly kind: "no-access" | "privilege" | "not-proxmox" | "too-old" | "changing" | "unreachable",
    message: string,
  ) {
    super(message);
  }
}

/** The three commands that make a token which reads everything and changes nothing. */
const NEW_TOKEN =
  "`pveum user add coldspare@pve`, `pveum acl modify / --users coldspare@pve --roles PVEAuditor`, " +
  "`pveum user token add coldspare@pve read --privsep 0`";

/** What is no Proxmox VE. @param found What it is, or what it said. */
export function notProxmox(found: string): LiveSiteError {
  return new LiveSiteError(
    "not-proxmox",
    `${found}: this is no Proxmox VE. Fix: name the API of a hypervisor, for example --endpoint https://192.168.10.11:8006`,
  );
}

/** A failure of the client as one of this reader; everything that is no answer of an API is handed on as it is. */
export function readable(error: unknown): unknown {
  if (!(error instanceof PveError) || error.connection === "CANCELLED") return error;
  const { status, reason, connection, server } = error;
  if (connection === "PIN_MISMATCH" || isUntrusted(connection)) return untrusted(error);
  if (status === 0 && speaksOtherwise(connection)) return notProxmox(`what ${server} answers is no HTTPS (${reason})`);
  if (status === 401) return refused(error);
  if (status === 403) return new LiveSiteError("privilege", error.message);
  if (status >= 300 && status < 500) return notProxmox(`${server} answers ${status} ${reason} to ${error.call}`);
  if (status === 501) return notProxmox(`${server} does not know the call ${error.call}`);
  return new LiveSiteError(
    "unreachable",
    `no server of the cluster answers: ${reason}. Fix: check the address, the way there and \`systemctl status pveproxy\`; ` +
      "give another server with a second --endpoint, so that one may be off",
  );
}

/** Codes of a peer that speaks no TLS, or no HTTP within it. */
const speaksOtherwise = (code = ""): boolean => /^(EPROTO|ERR_SSL_|ERR_TLS_|HPE_)/.test(code);

function refused({ server, reason }: PveError): LiveSiteError {
  // Its own way to say so; Proxmox VE says 'Authentication failed!' or 'No ticket'.
  if (/^authentication failed - /i.test(reason))
    return notProxmox(
      `${server} refuses the token as a Proxmox Backup Server does (${reason}); those listen on port 8007`,
    );
  return new LiveSiteError(
    "no-access",
    `${server} does not take the API token: ${reason}. Fix: compare user, name and secret in COLDSPARE_API_TOKEN with \`pveum user token list <user>\`; ` +
      `a secret is shown once only. A new one that reads everything and changes nothing: ${NEW_TOKEN}`,
  );
}

function untrusted({ reason, server }: PveError): LiveSiteError {
  return new LiveSiteError(
    "no-access",
    `${reason}. Fix: copy /etc/pve/pve-root-ca.pem from ${server} and name the file in COLDSPARE_CA_FILE; ` +
      "or compare the fingerprint on the server's console (`openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256`) " +
      `and set COLDSPARE_FINGERPRINTS='{"${server}": "<fingerprint>"}'`,
  );
}
