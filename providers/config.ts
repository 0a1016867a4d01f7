/** Where the servers are and how to get in: read from the stack's configuration, never from inputs or state. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
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

/** The way to the servers over SSH, as `coldspare:ssh` says it. Servers without a pinned host key are not reached. */
export interface SshSettings {
  /** Default: root. */
  user?: string;
  /** Default: 22. */
  port?: number;
  /** Private key; without it the agent's and those of ~/.ssh. A relative path counts from the folder of Pulumi.yaml. */
  keyFile?: string;
  /** `host` or `host:port` by server. Default: the server's management address. */
  hosts?: Record<string, string>;
  /** Public host keys by server, `ssh-ed25519 AAAA…`. */
  hostKeys: Record<string, string[]>;
}

/**
 * `coldspare:ssh` of the stack; `undefined` when it is not set.
 *
 * @throws ConfigError that names every key that is wrong, and how to set it
 */
export function sshSettingsFromConfig(read: ConfigReader): SshSettings | undefined {
  const text = read("coldspare:ssh");
  if (text === undefined || text.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const settings = sshSettingsSchema.safeParse(value);
  if (settings.success) {
    const { keyFile, ...rest } = settings.data;
    return { ...dropUndefined(rest), ...(keyFile === undefined ? {} : { keyFile: keyPath(keyFile) }) } as SshSettings;
  }
  const wrong = settings.error.issues.map(
    ({ path, message }) => `coldspare:ssh${path.map((key) => `.${String(key)}`).join("")}: ${message}`,
  );
  throw new ConfigError(
    `${wrong.join("; ")}. Fix: \`pulumi config set --path 'coldspare:ssh.hostKeys.<server>[0]' 'ssh-ed25519 AAAA…'\`, likewise coldspare:ssh.user, .port, .keyFile and .hosts.<server>`,
  );
}

const sshSettingsSchema = z.strictObject({
  user: z.string().min(1).optional(),
  port: z.coerce.number().int().min(1).max(65535).optional(),
  keyFile: z.string().min(1).optional(),
  hosts: z.record(z.string(), z.string().min(1)).optional(),
  hostKeys: z.record(
    z.string(),
    z.array(
      z.string().regex(/^(ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/]+=*(\s|$)/, "no public host key such as 'ssh-ed25519 AAAA…'"),
    ),
  ),
});

function dropUndefined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

function keyPath(path: string): string {
  return path.startsWith("~/") ? join(homedir(), path.slice(2)) : projectPath(path);
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

/** The PEM text of a file that `coldspare:caFile`, or another key, names. @throws ConfigError when it cannot be read */
export function readCaFile(path: string | undefined, key = "coldspare:caFile"): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(projectPath(path), "utf8");
  } catch (error) {
    throw new ConfigError(
      key === "coldspare:caFile"
        ? `${key}, '${path}', cannot be read (${(error as Error).message}). Fix: copy /etc/pve/pve-root-ca.pem from any server there, or \`pulumi config set coldspare:caFile <path>\``
        : `${key}, '${path}', cannot be read (${(error as Error).message}). Fix: put the PEM text of the CA there, or \`pulumi config set --path '${key}' <path>\``,
    );
  }
}
