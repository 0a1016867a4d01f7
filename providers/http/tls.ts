/**
 * How the client knows that it talks to the right server: the certificate is signed by a given CA, or it is exactly the
 * one whose SHA-256 fingerprint was pinned. Verification is never switched off for a connection that carries a request.
 */
import type * as https from "node:https";
import * as tls from "node:tls";
import type { CallError, CallFailure } from "./errors";

/** A server's certificate as it presents itself. */
export interface PresentedCertificate {
  pem: string;
  /** SHA-256 of the certificate, in capitals with colons. */
  fingerprint: string;
  /** Names and addresses that it is made out for. */
  names: string;
}

const UNTRUSTED = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "INVALID_CA",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

/** Whether an error of the connection means that the certificate was not accepted. */
export function isUntrusted(code: string | undefined): boolean {
  return code !== undefined && UNTRUSTED.has(code);
}

/** Capitals with colons, whatever was typed. */
export function normalFingerprint(text: string): string {
  const hex = text
    .replace(/^sha256[:=]?/i, "")
    .replace(/[^0-9a-fA-F]/g, "")
    .toUpperCase();
  return hex.match(/../g)?.join(":") ?? "";
}

/**
 * Looks at a server's certificate. No request is sent over this connection, and nothing that comes over it is believed
 * but the certificate, which the caller compares with a pin or shows to a person; that is why it need not be verified.
 */
export function readCertificate(url: URL, timeoutSeconds: number): Promise<PresentedCertificate> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const look = { host, port: Number(url.port || 443), rejectUnauthorized: false };
    const socket = tls.connect(isAddress(host) ? look : { ...look, servername: host });
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(timeoutSeconds * 1000, () =>
      fail(Object.assign(new Error("no answer"), { code: "CONNECT_TIMEOUT" })),
    );
    socket.once("error", fail);
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (!certificate) return reject(new Error("the server shows no certificate"));
      resolve({
        pem: certificate.toString(),
        fingerprint: certificate.fingerprint256,
        names: certificate.subjectAltName ?? certificate.subject,
      });
    });
  });
}

function isAddress(host: string): boolean {
  return /^[0-9.]+$/.test(host) || host.includes(":");
}

/** Options of the agents for one server. */
export interface TrustOptions {
  server: string;
  url: URL;
  ca: string | undefined;
  fingerprint: string | undefined;
  connectSeconds: number;
  advice: TrustAdvice;
}

/** What a product's own words and commands are, for the errors of a connection that is not trusted. */
export interface TrustAdvice {
  fail(failure: CallFailure): CallError;
  /** How to see the certificate's fingerprint at the server's console, as a command. */
  compare: string;
  /** How to pin a certificate, as a command. */
  pin(server: string, fingerprint: string): string;
  /** How to renew the certificate, with where. */
  renew(server: string): string;
  /** How to trust the CA that signed it. */
  trustCa(server: string): string;
  /** The setting that holds the endpoint. */
  endpointKey(server: string): string;
}

/**
 * TLS options that accept exactly what is trusted.
 *
 * A pinned certificate is fetched, compared, and then made the only trust anchor, so that Node itself verifies every
 * connection against it, and its fingerprint is compared again on each. Its names do not matter: the pin is stronger.
 *
 * @throws CallError when the pinned fingerprint is another; the errors of the connection otherwise
 */
export async function trustFor(options: TrustOptions): Promise<https.AgentOptions> {
  const { url, ca, connectSeconds } = options;
  const pin = options.fingerprint === undefined ? undefined : normalFingerprint(options.fingerprint);
  // One context for all connections: reading some hundred certificates takes longer than a call.
  if (pin === undefined) return ca === undefined ? {} : withContext({ ca: [...tls.rootCertificates, ca] });
  const shown = await readCertificate(url, connectSeconds);
  if (shown.fingerprint !== pin) throw otherCertificate(options, pin, shown);
  return {
    // The pinned certificate is usually signed by the cluster's own CA, which is not at hand: the chain may end at the pin.
    ...withContext({ ca: [shown.pem], allowPartialTrustChain: true }),
    checkServerIdentity: (_host, peer) =>
      peer.fingerprint256 === pin ? undefined : new Error("the certificate is not the pinned one"),
  };
}

function withContext(options: tls.SecureContextOptions): https.AgentOptions {
  return { secureContext: tls.createSecureContext(options) };
}

function otherCertificate({ server, url, advice }: TrustOptions, pin: string, shown: PresentedCertificate): CallError {
  return advice.fail({
    server,
    doing: `trust the server at ${url.origin}`,
    call: "TLS",
    status: 0,
    code: "PIN_MISMATCH",
    reason: `its certificate has the SHA-256 fingerprint ${shown.fingerprint}, pinned is ${pin}`,
    fix: `${pinAdvice(advice, server, shown.fingerprint)}. If nobody renewed the certificate, somebody else answers at this address: do not go on`,
  });
}

const pinAdvice = (advice: TrustAdvice, server: string, fingerprint: string) =>
  `compare it on the console of ${server} with ${advice.compare} and then pin it: \`${advice.pin(server, fingerprint)}\``;

/** The error for a certificate that is not trusted: shows what it is and how to trust it. */
export async function untrusted(
  options: TrustOptions,
  call: string,
  doing: string | undefined,
  error: NodeJS.ErrnoException,
): Promise<CallError> {
  const { server, url, advice } = options;
  const shown = await readCertificate(url, options.connectSeconds).catch(() => undefined);
  const base = { server, call, status: 0, code: error.code ?? "UNTRUSTED", ...(doing === undefined ? {} : { doing }) };
  if (error.code === "CERT_HAS_EXPIRED" || error.code === "CERT_NOT_YET_VALID") {
    return advice.fail({
      ...base,
      reason: `the certificate of ${url.origin} is not valid now (${error.message})`,
      fix: `check the clock here and on ${server}, then renew it: ${advice.renew(server)}`,
    });
  }
  const fingerprint = shown?.fingerprint ?? "unknown";
  if (error.code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return advice.fail({
      ...base,
      reason: `the certificate of ${url.origin} is made out for other names (${shown?.names ?? "unknown"}); its SHA-256 fingerprint is ${fingerprint}`,
      fix: `use one of those names in ${advice.endpointKey(server)}, or ${pinAdvice(advice, server, fingerprint)}`,
    });
  }
  return advice.fail({
    ...base,
    reason: `the certificate of ${url.origin} is not trusted (${error.code}); its SHA-256 fingerprint is ${fingerprint}`,
    fix: `${advice.trustCa(server)}; or ${pinAdvice(advice, server, fingerprint)}`,
  });
}
