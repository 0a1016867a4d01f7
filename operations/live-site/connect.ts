/** The way to a cluster that no specification describes: one address is enough, and its nodes answer for one another. */
import type { PveClientOptions } from "../../providers/pve/client";

/** A mistake in how the cluster was named; the message says what to write. */
export class EndpointError extends Error {
  override readonly name = "EndpointError";
}

/**
 * Endpoints as they are typed: `https://pve1:8006`, `pve1` (with https and port 8006), or `pve1=https://…`; several are tried in turn.
 *
 * @returns endpoints by a name for messages: the server's, or the address
 * @throws EndpointError
 */
export function liveEndpoints(given: readonly string[]): PveClientOptions["endpoints"] {
  if (given.length === 0)
    throw new EndpointError("no cluster is named: add --endpoint https://ADDRESS:8006, any server of it");
  return Object.fromEntries(given.map(endpoint));
}

function endpoint(typed: string): [string, string] {
  const [, name, address = typed] = /^([A-Za-z0-9-]+)=(.*)$/.exec(typed) ?? [];
  const withScheme = address.includes("://") ? address : `https://${address}`;
  if (!URL.canParse(withScheme) || new URL(withScheme).protocol !== "https:")
    throw new EndpointError(`--endpoint ${typed}: write https://ADDRESS:8006`);
  const url = new URL(withScheme);
  // Without a port in what was typed; URL drops 443, which is https's own.
  if (url.port === "" && !/:443(\/|$)/.test(address)) url.port = "8006";
  return [name ?? url.hostname, url.origin];
}
