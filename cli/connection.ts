/** How a command reaches Proxmox VE: endpoints from options or the environment, credentials from the environment only. */
import { readFileSync } from "node:fs";
import type { PveClientOptions } from "../providers/pve/client";
import { type Io, UsageError } from "./io";
import { didYouMean } from "./suggest";

/** For help texts. */
export const connectionHelp = `Environment:
  COLDSPARE_API_TOKEN       user@realm!name=secret; never an option, which every user of the machine
                            could read in the list of processes
  COLDSPARE_API_TOKEN_FILE  a file that holds it instead (systemd: LoadCredential)
  COLDSPARE_ENDPOINTS       JSON, for example {"srv1": "https://192.168.10.11:8006"}
  COLDSPARE_CA_FILE         PEM of the CA of the servers' certificates (/etc/pve/pve-root-ca.pem)
  COLDSPARE_FINGERPRINTS    JSON, SHA-256 of single certificates by server, instead of a CA`;

/**
 * The client's options.
 *
 * @param endpoints `server=https://…`, each; without any, COLDSPARE_ENDPOINTS counts.
 * @param servers The hypervisors of the site: another name is a mistake.
 * @throws UsageError that says what to set. No message contains the token.
 */
export function connectionFrom(
  endpoints: readonly string[],
  servers: readonly string[],
  env: Io["env"],
): PveClientOptions {
  const byServer = endpoints.length > 0 ? fromAssignments(endpoints) : (fromJson("COLDSPARE_ENDPOINTS", env) ?? {});
  for (const [server, endpoint] of Object.entries(byServer)) {
    if (!servers.includes(server)) {
      throw new UsageError(
        `endpoint ${server}=${endpoint}: the site has no hypervisor '${server}'${didYouMean(server, servers)}`,
      );
    }
    if (!URL.canParse(endpoint) || new URL(endpoint).protocol !== "https:") {
      throw new UsageError(`endpoint ${server}=${endpoint}: write https://ADDRESS:8006`);
    }
  }
  if (Object.keys(byServer).length === 0) {
    throw new UsageError(
      `no endpoint of Proxmox VE is known: add --endpoint ${servers[0] ?? "srv1"}=https://ADDRESS:8006, or set COLDSPARE_ENDPOINTS`,
    );
  }
  const ca = env.COLDSPARE_CA_FILE ? readSetting("COLDSPARE_CA_FILE", env.COLDSPARE_CA_FILE) : undefined;
  const fingerprints = fromJson("COLDSPARE_FINGERPRINTS", env);
  return {
    endpoints: byServer,
    apiToken: tokenFrom(env),
    ...(ca === undefined ? {} : { ca }),
    ...(fingerprints === undefined ? {} : { fingerprints }),
  };
}

function tokenFrom(env: Io["env"]): string {
  const file = env.COLDSPARE_API_TOKEN_FILE;
  const token = (env.COLDSPARE_API_TOKEN || (file ? readSetting("COLDSPARE_API_TOKEN_FILE", file) : "")).trim();
  if (token === "") {
    throw new UsageError(
      "COLDSPARE_API_TOKEN is not set: give it a token as user@realm!name=secret, or name its file in COLDSPARE_API_TOKEN_FILE",
    );
  }
  if (!/^[^!=\s]+@[^!=\s]+![^=\s]+=\S+$/.test(token)) {
    throw new UsageError("the API token does not have the form user@realm!name=secret");
  }
  return token;
}

function fromAssignments(assignments: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    assignments.map((assignment) => {
      const at = assignment.indexOf("=");
      if (at <= 0) throw new UsageError(`--endpoint ${assignment}: write SERVER=https://ADDRESS:8006`);
      return [assignment.slice(0, at), assignment.slice(at + 1)];
    }),
  );
}

function fromJson(name: string, env: Io["env"]): Record<string, string> | undefined {
  const text = env[name];
  if (text === undefined || text.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const entries =
    typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;
  if (entries === undefined || entries.some(([, entry]) => typeof entry !== "string")) {
    throw new UsageError(`${name} is no JSON object of server names and texts`);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function readSetting(name: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(
      `${name} names ${file}, which cannot be read: ${(error as NodeJS.ErrnoException).code ?? error}`,
    );
  }
}
