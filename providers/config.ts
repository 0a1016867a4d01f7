/** Where the servers are and how to get in: read from the stack's configuration, never from inputs or state. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { PveClient, type PveClientOptions } from "./pve/client";
import { ConfigError } from "./pve/errors";

/** Reads a key of the configuration, such as `coldspare:endpoints`; `undefined` when it is not set. */
export type ConfigReader = (key: string) => string | undefined;

/**
 * The client's options from configuration:
 *
 * | key | value |
 * |---|---|
 * | `coldspare:endpoints` | object, server name → URL |
 * | `coldspare:apiToken` | secret, `user@realm!name=secret` |
 * | `coldspare:ca` | PEM text of the CA, or |
 * | `coldspare:caFile` | path of a PEM file, from the folder of Pulumi.yaml |
 * | `coldspare:fingerprints` | object, server name → SHA-256 of its certificate |
 *
 * @throws ConfigError that says which `pulumi config set` is missing
 */
export function pveOptionsFromConfig(read: ConfigReader): PveClientOptions {
  const endpoints = readObject(read, "coldspare:endpoints", "https://10.0.0.11:8006");
  const apiToken = read("coldspare:apiToken");
  const missing: string[] = [];
  if (endpoints === undefined)
    missing.push("`pulumi config set --path 'coldspare:endpoints.<server>' https://<address>:8006`");
  if (!apiToken) missing.push("`pulumi config set --secret coldspare:apiToken '<user@realm!name>=<secret>'`");
  if (endpoints === undefined || !apiToken) {
    throw new ConfigError(`The stack does not say how to reach Proxmox VE. Fix: ${missing.join(" and ")}`);
  }
  const ca = read("coldspare:ca") ?? readCaFile(read("coldspare:caFile"));
  const fingerprints = readObject(read, "coldspare:fingerprints", "AB:CD:…");
  return {
    endpoints,
    apiToken,
    ...(ca === undefined ? {} : { ca }),
    ...(fingerprints === undefined ? {} : { fingerprints }),
  };
}

/** A client from configuration, see {@link pveOptionsFromConfig}. */
export function pveClientFromConfig(read: ConfigReader): PveClient {
  return new PveClient(pveOptionsFromConfig(read));
}

function readObject(read: ConfigReader, key: string, example: string): Record<string, string> | undefined {
  const text = read(key);
  if (text === undefined || text.trim() === "") return undefined;
  const wrong = () =>
    new ConfigError(
      `${key} is no object of server names and texts. Fix: \`pulumi config set --path '${key}.<server>' ${example}\``,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong();
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong();
  const entries = Object.entries(value);
  if (entries.length === 0) return undefined;
  if (entries.some(([, entry]) => typeof entry !== "string")) throw wrong();
  return Object.fromEntries(entries) as Record<string, string>;
}

/**
 * A path as the stack's configuration means it: from the folder of Pulumi.yaml. The engine runs the program in the folder
 * of its `main`, which is another one where that is compiled code.
 */
export function projectPath(path: string, cwd = process.cwd()): string {
  for (let folder = cwd; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "Pulumi.yaml"))) return resolve(folder, path);
    if (folder === dirname(folder)) return resolve(cwd, path);
  }
}

/** The PEM text of a file that `coldspare:caFile` names. @throws ConfigError when it cannot be read */
export function readCaFile(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(projectPath(path), "utf8");
  } catch (error) {
    throw new ConfigError(
      `coldspare:caFile, '${path}', cannot be read (${(error as Error).message}). Fix: copy /etc/pve/pve-root-ca.pem from any server there, or \`pulumi config set coldspare:caFile <path>\``,
    );
  }
}
