/** Where this run keeps its state, as far as it can be known, and whether that is a part of the site: warnings, never more. */
import { readFileSync } from "node:fs";
import { homedir, hostname, networkInterfaces } from "node:os";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import type { Finding, SitePlan } from "../planning";
import { backendOnSite, keyOnSite, placesUnknown } from "../planning/checks/state";
import type { Machine } from "../planning/places";
import { projectPath } from "../providers/config";

/** What is read of the computer that the engine runs on; handed in, so that tests need no other computer. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  home: string;
  /** The folder of Pulumi.yaml. */
  project: string;
  machine: Machine;
  /** The text of a file; undefined where it cannot be read. */
  read(path: string): string | undefined;
}

/** Findings that the specification alone does not bring: about the backend, and the passphrase's file, in use. */
export function statePlaceFindings(plan: SitePlan, surroundings: Surroundings = ownSurroundings()): Finding[] {
  const { spec } = plan;
  const { env, machine } = surroundings;
  const backend = backendInUse(surroundings);
  const keyFile = spec.state?.secretsKey === undefined ? env.PULUMI_CONFIG_PASSPHRASE_FILE : undefined;
  const found = [
    ...(backend === undefined ? [] : backendOnSite(spec, backend, machine)),
    ...(keyFile ? keyOnSite(spec, resolve(surroundings.project, keyFile), machine) : []),
    ...(spec.state === undefined ? placesUnknown(spec) : []),
  ];
  const said = new Set(plan.findings.map(({ code }) => code));
  return found.filter(({ code }) => !said.has(code));
}

/**
 * The backend as the engine chooses it (pkg/workspace/creds.go, GetCurrentCloudURLWithSource): the environment, Pulumi.yaml,
 * then what `pulumi login` has stored. A folder is made absolute. Of the stored credentials only the URL is read.
 */
export function backendInUse({ env, home, project, read }: Surroundings): string | undefined {
  const stored = join(env.PULUMI_CREDENTIALS_PATH || env.PULUMI_HOME || join(home, ".pulumi"), "credentials.json");
  const url =
    env.PULUMI_BACKEND_URL ||
    textAt(read(join(project, "Pulumi.yaml")), ["backend", "url"]) ||
    textAt(read(stored), ["current"]);
  if (!url?.startsWith("file://")) return url || undefined;
  const folder = url.slice("file://".length).split("?", 1)[0] ?? "";
  return `file://${resolve(project, folder.replace(/^~(?=\/|$)/, home))}`;
}

/** A text in a file of YAML, or of JSON, which is YAML; undefined where there is none. */
function textAt(file: string | undefined, path: readonly string[]): string | undefined {
  if (file === undefined) return undefined;
  let value: unknown;
  try {
    value = parse(file);
  } catch {
    return undefined;
  }
  for (const key of path) value = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  return typeof value === "string" && value !== "" ? value : undefined;
}

function ownSurroundings(): Surroundings {
  return {
    env: process.env,
    home: homedir(),
    project: projectPath("."),
    machine: { hosts: ownHosts(), mounts: networkMounts(readText("/proc/self/mounts") ?? "") },
    read: readText,
  };
}

function ownHosts(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((cards) => cards ?? []);
  return [
    hostname(),
    ...addresses.filter(({ internal }) => !internal).map(({ address }) => address.split("%", 1)[0] ?? ""),
  ];
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Folders that another host exports, from the lines of /proc/self/mounts. */
export function networkMounts(text: string): Machine["mounts"] {
  return text.split("\n").flatMap((line) => {
    const [source = "", folder = "", type = ""] = line.split(" ").map(unescaped);
    if (!/^(nfs4?|cifs|smb3|fuse\.sshfs|fuse\.glusterfs)$/.test(type)) return [];
    const host = /^\/\/([^/]+)\//.exec(source)?.[1] ?? /^(?:[^@/]+@)?(\[[^\]]+\]|[^:/]+):/.exec(source)?.[1];
    return host === undefined ? [] : [{ folder, host: host.replace(/^\[|\]$/g, "") }];
  });
}

/** The kernel writes spaces as \040, in octal. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_match, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
