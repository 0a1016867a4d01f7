/** The way to a cluster that no specification names yet: for `import` and `check --live`. */
import { EndpointError, liveEndpoints } from "../operations/live-site/connect";
import type { ReadProgress } from "../operations/live-site/read";
import { ConfigError } from "../providers/http/errors";
import { PveClient, type PveClientOptions } from "../providers/pve/client";
import { connectionFrom } from "./connection";
import { type Io, UsageError } from "./io";

/**
 * The client's options for a cluster of any name.
 *
 * @param given `--endpoint`, each an address alone or `server=https://…`; without any, COLDSPARE_ENDPOINTS counts.
 * @throws UsageError that says what to set. No message contains the token.
 */
export function liveConnection(given: readonly string[], env: Io["env"]): PveClientOptions {
  const endpoints = given.length > 0 || !env.COLDSPARE_ENDPOINTS?.trim() ? named(given) : fromEnvironment(env);
  const assignments = Object.entries(endpoints).map(([name, url]) => `${name}=${url}`);
  return connectionFrom(assignments, Object.keys(endpoints), env);
}

function named(given: readonly string[]): PveClientOptions["endpoints"] {
  try {
    return liveEndpoints(given);
  } catch (error) {
    if (error instanceof EndpointError) throw new UsageError(error.message);
    throw error;
  }
}

function fromEnvironment({ COLDSPARE_ENDPOINTS: text = "" }: Io["env"]): PveClientOptions["endpoints"] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && Object.values(value).every((url) => typeof url === "string"))
      return value as Record<string, string>;
  } catch {
    // Told below, with what to write.
  }
  throw new UsageError('COLDSPARE_ENDPOINTS is no JSON object like {"srv1": "https://192.168.10.11:8006"}');
}

/**
 * Opens the cluster for one piece of work, with a line of progress on a terminal.
 *
 * @throws UsageError for options that no client can be made of
 */
export async function withLiveCluster<T>(
  connection: PveClientOptions,
  io: Io,
  work: (pve: PveClient, say: (progress: ReadProgress) => void) => Promise<T>,
): Promise<T> {
  const pve = clientOf(connection);
  const line = progressLine(io);
  try {
    return await work(pve, line.say);
  } finally {
    line.end();
    pve.close();
  }
}

function clientOf(connection: PveClientOptions): PveClient {
  try {
    return new PveClient(connection);
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    throw error;
  }
}

/** One line that is written over, on a terminal only. */
function progressLine({ stderr }: Io): { say(progress: ReadProgress): void; end(): void } {
  if (stderr.isTTY !== true) return { say: () => undefined, end: () => undefined };
  const clear = "\r\u001b[K";
  return {
    say: ({ done, total, what }) => void stderr.write(`${clear}reading ${done} of ${total}: ${what}`),
    end: () => void stderr.write(clear),
  };
}
