/** Opens the site that a command is about: manifest, endpoints, credentials, and the lines of progress. */
import type { Operator, Progress } from "../operations/context";
import { findManifest, OpenError, openOperator, secretVariable } from "../operations/open";
import { connectionFrom } from "./connection";
import { type Io, UsageError } from "./io";
import type { SiteOptions } from "./site-options";

export { type SiteOptions, siteHelp, withSiteOptions } from "./site-options";

/**
 * @param say Where progress goes; default: nowhere.
 * @throws UsageError when the manifest, an endpoint or a credential is missing
 */
export async function openSite(
  options: SiteOptions,
  io: Io,
  say?: (event: Progress) => void,
): Promise<{ operator: Operator; source: string; close(): Promise<void> }> {
  const glass = await breakGlass(io.env);
  // A variable that is set to nothing says nothing.
  const said = Object.fromEntries(Object.entries(io.env).filter(([, value]) => value !== ""));
  const env = { ...glass.env, ...said };
  const { manifest, source } = await found(options, env);
  const servers = Object.keys(manifest.servers).filter((name) => manifest.servers[name]?.roles.includes("hypervisor"));
  const fromManifest = Object.entries(manifest.servers).flatMap(([name, { endpoint }]) =>
    endpoint === undefined ? [] : [`${name}=${endpoint}`],
  );
  const given = options.endpoint ?? [];
  const endpoints = env.COLDSPARE_ENDPOINTS && given.length === 0 ? [] : [...fromManifest, ...given];
  const connection = connectionFrom(endpoints, servers, env);
  const fingerprints = Object.fromEntries(
    Object.entries(manifest.servers).flatMap(([name, { fingerprint }]) => (fingerprint ? [[name, fingerprint]] : [])),
  );
  const opened = openOperator({
    manifest,
    // Without the set's token: the site's own commands get this environment.
    env: io.env,
    ...(env.COLDSPARE_SSH_KEY && { sshKeyFile: env.COLDSPARE_SSH_KEY }),
    connection: {
      ...connection,
      ...(connection.ca === undefined && manifest.ca !== undefined && { ca: manifest.ca }),
      ...(connection.fingerprints === undefined && Object.keys(fingerprints).length > 0 && { fingerprints }),
    },
    ...(say && { say }),
    secret: (name) => io.env[secretVariable(name)] || glass.secrets[name],
  });
  return { ...opened, source };
}

/** What the break-glass file says, as the variables that it stands for; what is set already counts more. */
async function breakGlass(env: Io["env"]): Promise<{ env: Record<string, string>; secrets: Record<string, string> }> {
  const file = env.COLDSPARE_BREAK_GLASS;
  if (!file) return { env: {}, secrets: {} };
  const { readBreakGlass } = require("../providers/break-glass") as typeof import("../providers/break-glass");
  try {
    const { apiToken, sshKeyFile, caFile, manifestFile, secrets } = await readBreakGlass(file, env);
    const token = env.COLDSPARE_API_TOKEN_FILE ? undefined : apiToken;
    const variables = {
      COLDSPARE_API_TOKEN: token,
      COLDSPARE_SSH_KEY: sshKeyFile,
      COLDSPARE_CA_FILE: caFile,
      COLDSPARE_MANIFEST: manifestFile,
    };
    const set = Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return { env: Object.fromEntries(set), secrets };
  } catch (error) {
    if (error instanceof Error && error.name === "ConfigError") throw new UsageError(error.message);
    throw error;
  }
}

async function found(options: SiteOptions, env: Io["env"]): ReturnType<typeof findManifest> {
  try {
    return await findManifest(options, env);
  } catch (error) {
    if (error instanceof OpenError) throw new UsageError(error.message);
    throw error;
  }
}
