import type { World } from "../world";
import { clientIdentity } from "./access";
import type { BackupServer } from "./backup-server";

export const PBS_PORT = 8007;

/** How a client (a PVE node, another backup server) is told to reach a backup server. */
export interface Repository {
  host: string;
  port?: number;
  fingerprint?: string;
  auth: string;
  secret: string;
}

/** Why a client cannot work with a backup server; each kind has other words in PVE and in PBS. */
export class ConnectError extends Error {
  constructor(
    readonly kind: "unreachable" | "fingerprint" | "credentials",
    message: string,
  ) {
    super(message);
  }
}

/** The server behind an address: its own address or name with PBS's port, or the loopback with the port that it really has. */
export function findServer(world: World, host: string, port = PBS_PORT): BackupServer | undefined {
  const loopback = ["127.0.0.1", "localhost", "::1"].includes(host);
  return world.backupServers.find((server) =>
    loopback
      ? server.port === port
      : [server.address, server.name].includes(host) && [PBS_PORT, server.port].includes(port),
  );
}

/**
 * Connects and logs in.
 *
 * @param from - the machine that connects
 * @throws ConnectError
 */
export function connect(world: World, from: string, repository: Repository): BackupServer {
  const { host, port = PBS_PORT, fingerprint, auth, secret } = repository;
  const server = findServer(world, host, port);
  if (!server?.reachableFrom(from))
    throw new ConnectError(
      "unreachable",
      `Can't connect to ${host}:${port} (${server ? "Connection timed out" : "No route to host"})`,
    );
  // No machine of the lab knows its CA: without a fingerprint the certificate is nobody's.
  if (fingerprint?.toLowerCase() !== server.fingerprint)
    throw new ConnectError("fingerprint", `Can't connect to ${host}:${port} (certificate verify failed)`);
  if (!clientIdentity(server, auth, secret)) throw new ConnectError("credentials", "401 Unauthorized");
  return server;
}
