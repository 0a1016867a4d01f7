/** Finds a site's manifest and opens the ways to its servers: all that a command needs, without the engine. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir, hostname, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { SiteManifest } from "../planning/manifest";
import { ManifestError, manifestText, parseManifest } from "../planning/manifest-text";
import { PveClient, type PveClientOptions } from "../providers/pve/client";
import { SshClient, SshError, type SshRunner } from "../providers/ssh";
import { type Clock, type Operator, type Progress, sshServers, systemClock } from "./context";
import { Journal } from "./journal";

type Environment = Readonly<Record<string, string | undefined>>;

/** The site cannot be opened; the message says what to do. */
export class OpenError extends Error {
  override readonly name = "OpenError";
}

/** How the manifest is found. */
export interface ManifestChoice {
  /** A file. */
  manifest?: string;
  /** `user@host`, or a server by the name that the manifest at hand has for it: fetched from there, and kept for the next time. */
  from?: string;
  /** Name of the site, where several are known on this machine. */
  site?: string;
}

/** Where a manifest came from. */
export interface FoundManifest {
  manifest: SiteManifest;
  source: string;
}

/**
 * The manifest of a file, a server (`from`), COLDSPARE_MANIFEST, `./coldspare.manifest.json`, or the operator's own folder
 * `~/.config/coldspare/<site>.json`; the first of them that is given or there.
 *
 * @throws OpenError that says where it was looked for
 */
export async function findManifest(choice: ManifestChoice, env: Environment): Promise<FoundManifest> {
  const { from, ...atHand } = choice;
  if (from !== undefined) return (await fetchByName(from, atHand, env)) ?? fetchManifest(from, env);
  const named = choice.manifest ?? (choice.site === undefined ? env.COLDSPARE_MANIFEST || undefined : undefined);
  if (named !== undefined) return readManifest(named);
  const folder = configFolder(env);
  if (choice.site !== undefined) return readManifest(join(folder, `${choice.site}.json`));
  if (existsSync(HERE)) return readManifest(HERE);
  const known = knownSites(folder);
  if (known.length === 1) return readManifest(join(folder, `${known[0]}.json`));
  if (known.length > 1)
    throw new OpenError(`several sites are known here: say which with --site (${known.join(", ")})`);
  throw new OpenError(
    `no site manifest: neither --manifest, COLDSPARE_MANIFEST, ${HERE} nor a file in ${folder}. ` +
      "Fetch it from any server of the site that is up (`--from root@ADDRESS`), or from the stack: `pulumi stack output manifest --json > coldspare.manifest.json`",
  );
}

const HERE = "coldspare.manifest.json";

function knownSites(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => name.slice(0, -".json".length))
      .sort();
  } catch {
    return [];
  }
}

function readManifest(file: string): FoundManifest {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new OpenError(`the site manifest ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
  try {
    return { manifest: parseManifest(text), source: file };
  } catch (error) {
    if (error instanceof ManifestError) throw new OpenError(`${file}: ${error.message}`);
    throw error;
  }
}

/** A server that an older manifest knows: by the way, and the host keys, that this one has. */
async function fetchByName(
  server: string,
  atHand: Omit<ManifestChoice, "from">,
  env: Environment,
): Promise<FoundManifest | undefined> {
  const known = await findManifest(atHand, env).catch(() => undefined);
  const way = known && Object.hasOwn(known.manifest.servers, server) ? known.manifest.servers[server]!.ssh : undefined;
  if (way === undefined) return undefined;
  const keyFile = env.COLDSPARE_SSH_KEY;
  const ssh = new SshClient({
    targets: { [server]: way },
    connectSeconds: CONNECT_SECONDS,
    ...(keyFile && { keyFile }),
  });
  try {
    const { code, stdout, stderr } = await ssh.run(server, ["cat", MANIFEST_FILE], { timeoutSeconds: FETCH_SECONDS });
    if (code !== 0) throw new OpenError(`the site manifest could not be read on ${server}: ${stderr.trim()}`);
    return keepFetched(stdout, server, env);
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    throw new OpenError(`the site manifest could not be fetched from ${server}: ${error.reason}; ${error.fix}`);
  } finally {
    await ssh.close();
  }
}

/** Where `pulumi up` places the manifest on every server. */
const MANIFEST_FILE = "/etc/coldspare/site.json";
const FETCH_SECONDS = 20;

/** A new machine knows no host keys of the site yet, so the user's own known_hosts and its rules count here. */
async function fetchManifest(from: string, env: Environment): Promise<FoundManifest> {
  const match = /^([A-Za-z0-9_][\w.-]*@)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(\d+))?$/.exec(from);
  if (!match || match[2]!.startsWith("-"))
    throw new OpenError(`--from ${from}: write root@ADDRESS, root@ADDRESS:PORT, or the name of a server`);
  const key = env.COLDSPARE_SSH_KEY ? ["-i", env.COLDSPARE_SSH_KEY] : [];
  const target = `${match[1] ?? "root@"}${match[2]!.replace(/^\[|\]$/g, "")}`;
  const options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "StrictHostKeyChecking=yes", ...key];
  const args = [...options, "-p", match[3] ?? "22", "--", target, "cat", MANIFEST_FILE];
  let text: string;
  try {
    ({ stdout: text } = await promisify(execFile)("ssh", args, {
      timeout: FETCH_SECONDS * 1000,
      maxBuffer: 32 * 1024 ** 2,
    }));
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? error).trim();
    throw new OpenError(
      `the site manifest could not be fetched from ${from}: ${said.split("\n").at(-1)}. ` +
        "If the host key is not known on this machine yet, compare it once: `ssh " +
        `${key.length > 0 ? `${key.join(" ")} ` : ""}-p ${match[3] ?? "22"} ${target}\``,
    );
  }
  return keepFetched(text, from, env);
}

function keepFetched(text: string, from: string, env: Environment): FoundManifest {
  try {
    const manifest = parseManifest(text);
    return { manifest, source: keepManifest(manifest, env) };
  } catch (error) {
    if (error instanceof ManifestError) throw new OpenError(`${from}: ${error.message}`);
    throw error;
  }
}

function keepManifest(manifest: SiteManifest, env: Environment): string {
  const folder = configFolder(env);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${manifest.site}.json`);
  writeFileSync(`${file}.new`, manifestText(manifest), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return file;
}

function configFolder(env: Environment): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config"), "coldspare");
}

/** Where the journal of a site lies on this machine. */
export function journalFolder(site: string, env: Environment): string {
  const base =
    env.COLDSPARE_STATE || join(env.XDG_STATE_HOME || join(env.HOME || homedir(), ".local", "state"), "coldspare");
  return join(base, site);
}

/** What {@link openOperator} needs beside the manifest. */
export interface OperatorOptions {
  manifest: SiteManifest;
  /** How the API is reached; without it no command that needs it works, but `journal` does. */
  connection: PveClientOptions;
  env: Environment;
  /** Private key for SSH. Default: COLDSPARE_SSH_KEY of the environment, else what ssh itself takes. */
  sshKeyFile?: string;
  say?: (event: Progress) => void;
  secret?: (name: string) => string | undefined;
  clock?: Clock;
  /** In tests: something else than the system's ssh. */
  ssh?: SshRunner;
}

/** Seconds that an endpoint which does not answer costs. */
const CONNECT_SECONDS = 4;

/** Opens the ways to the servers. Nothing is connected to yet. */
export function openOperator(options: OperatorOptions): { operator: Operator; close(): Promise<void> } {
  const { manifest, connection, env } = options;
  const clock = options.clock ?? systemClock;
  const keyFile = options.sshKeyFile ?? env.COLDSPARE_SSH_KEY;
  const ssh =
    options.ssh ??
    new SshClient({
      targets: Object.fromEntries(
        Object.entries(manifest.servers).flatMap(([name, server]) => (server.ssh ? [[name, server.ssh]] : [])),
      ),
      connectSeconds: CONNECT_SECONDS,
      ...(keyFile ? { keyFile } : {}),
    });
  const brief: PveClientOptions = { connectSeconds: CONNECT_SECONDS, retry: { attempts: 4 }, ...connection };
  const pve = new PveClient(brief);
  const single = new Map<string, PveClient>();
  const journal = new Journal({
    folder: journalFolder(manifest.site, env),
    ssh,
    servers: sshServers(manifest),
    clock,
  });
  const operator: Operator = {
    manifest,
    pve,
    pveAt(server) {
      const endpoint = connection.endpoints[server];
      if (endpoint === undefined) return undefined;
      const known = single.get(server) ?? new PveClient({ ...brief, endpoints: { [server]: endpoint } });
      single.set(server, known);
      return known;
    },
    ssh,
    journal,
    clock,
    by: env.COLDSPARE_BY || whoami(),
    say: options.say ?? (() => undefined),
    secret: options.secret ?? ((name) => env[secretVariable(name)] || undefined),
    env,
  };
  return {
    operator,
    async close() {
      pve.close();
      for (const client of single.values()) client.close();
      await ssh.close();
    },
  };
}

/** `bmc-srv2` is read from COLDSPARE_SECRET_BMC_SRV2. */
export function secretVariable(name: string): string {
  return `COLDSPARE_SECRET_${name.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
}

function whoami(): string {
  let user = "somebody";
  try {
    user = userInfo().username;
  } catch {
    // A container may run under an id without a name.
  }
  return `${user}@${hostname()}`;
}
