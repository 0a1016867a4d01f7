/** Where the backup servers are and how to get in: `coldspare:pbs` of the stack. */
import { z } from "zod";
import { type ConfigReader, readCaFile } from "../config";
import { ConfigError } from "../http/errors";
import { PbsClient, type PbsClientOptions } from "./client";

const settings = z.record(
  z.string(),
  z.strictObject({
    endpoint: z.string().min(1),
    fingerprint: z.string().optional(),
    ca: z.string().optional(),
    caFile: z.string().optional(),
    tokenSecret: z.string().min(1).optional(),
  }),
);

/** Key of the token where `coldspare:pbs.<target>.tokenSecret` names none. */
const DEFAULT_TOKEN = "pbsToken";

/**
 * The client's options for one backup server from configuration:
 *
 * | key | value |
 * |---|---|
 * | `coldspare:pbs` | object, target → `{ endpoint, fingerprint?, ca?, caFile?, tokenSecret? }` |
 * | `coldspare:pbs.<target>.endpoint` | `https://192.168.10.13:8007` |
 * | `coldspare:pbs.<target>.fingerprint` | SHA-256 of its certificate, which is self-signed after installation |
 * | `coldspare:pbs.<target>.ca`, `.caFile` | PEM text of a CA, or the path of a PEM file from the folder of Pulumi.yaml |
 * | `coldspare:pbs.<target>.tokenSecret` | name of the key with the token. Default: `pbsToken` |
 * | `coldspare:pbsToken`, `coldspare:<tokenSecret>` | secret, `user@realm!name:secret` |
 *
 * @throws ConfigError that says which `pulumi config set` is missing
 */
export function pbsOptionsFromConfig(read: ConfigReader, target: string): PbsClientOptions {
  const known = readSettings(read);
  const found = known[target];
  const set = (key: string, value: string) => `\`pulumi config set --path 'coldspare:pbs.${target}.${key}' ${value}\``;
  if (found === undefined) {
    const names = Object.keys(known);
    const others = names.length === 0 ? "" : ` It knows ${names.join(", ")}.`;
    throw new ConfigError(
      `The stack does not say how to reach the backup server of the target ${target}.${others} Fix: ${set("endpoint", "https://<address>:8007")} and ${set("fingerprint", "<SHA-256 of `proxmox-backup-manager cert info`>")}`,
    );
  }
  const { endpoint, fingerprint, tokenSecret = DEFAULT_TOKEN } = found;
  const token = read(`coldspare:${tokenSecret}`);
  if (!token) {
    throw new ConfigError(
      `The token for the backup server of the target ${target} has no value. Fix: \`pulumi config set --secret coldspare:${tokenSecret} '<user@realm!name>:<secret>'\``,
    );
  }
  const ca = found.ca ?? readCaFile(found.caFile, `coldspare:pbs.${target}.caFile`);
  return {
    server: target,
    endpoint,
    token,
    ...(ca === undefined ? {} : { ca }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
}

/** A client from configuration, see {@link pbsOptionsFromConfig}. */
export function pbsClientFromConfig(read: ConfigReader, target: string): PbsClient {
  return new PbsClient(pbsOptionsFromConfig(read, target));
}

/** Targets that `coldspare:pbs` knows. */
export function pbsTargetsOfConfig(read: ConfigReader): string[] {
  return Object.keys(readSettings(read)).sort();
}

function readSettings(read: ConfigReader): z.output<typeof settings> {
  const text = read("coldspare:pbs");
  if (text === undefined || text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const parsed = settings.safeParse(value);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(
    ({ path, message }) => `coldspare:pbs${path.map((key) => `.${String(key)}`).join("")}: ${message}`,
  );
  throw new ConfigError(
    `${wrong.join("; ")}. Fix: \`pulumi config set --path 'coldspare:pbs.<target>.endpoint' https://<address>:8007\`, likewise .fingerprint, .caFile and .tokenSecret; the token itself is a secret of its own, coldspare:pbsToken`,
  );
}
