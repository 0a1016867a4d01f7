/** What must be so before a cluster is read: a Proxmox VE of a known version, and a token that may see what counts. */
import type { UnreadPart } from "../../planning/adoption/snapshot";
import type { PveClient } from "../../providers/pve/client";
import { PveError } from "../../providers/pve/errors";
import { LiveSiteError } from "./error";
import { number, text } from "./rows";

/** Proxmox VE 8.0: replication, jobs and the calls that are read here are as in 9; 7 has been without updates since July 2024. */
const OLDEST = 8;

/**
 * @returns the version, for example `9.1.1`
 * @throws LiveSiteError for whatever answers there that is no Proxmox VE of a supported version, or does not answer
 */
export async function readVersion(pve: PveClient): Promise<string> {
  let answer: unknown;
  try {
    answer = await pve.get<unknown>("/version", {}, { doing: "ask for the version" });
  } catch (error) {
    throw readable(error);
  }
  const row = typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : {};
  const version = text(row.version);
  const major = number(version?.split(".")[0]);
  if (version === undefined || major === undefined || !("repoid" in row || "release" in row)) throw notProxmox();
  // Proxmox Backup Server answers /version in the same form, and knows no cluster.
  if (major < OLDEST)
    throw new LiveSiteError(
      "too-old",
      `this is version ${version}; Proxmox VE ${OLDEST}.0 or newer is read here. Fix: upgrade it (https://pve.proxmox.com/wiki/Upgrade_from_7_to_8); an endpoint on port 8007 is Proxmox Backup Server: take a hypervisor's, on port 8006`,
    );
  return version;
}

function notProxmox(): LiveSiteError {
  return new LiveSiteError(
    "not-proxmox",
    "what answers there is no Proxmox VE. Fix: name a hypervisor's API, for example --endpoint https://192.168.10.11:8006",
  );
}

/** Errors of the client in the words of this reader. */
export function readable(error: unknown): unknown {
  if (!(error instanceof PveError)) return error;
  if (error.isServerDown) return new LiveSiteError("unreachable", error.message);
  if (error.status === 401 || /certificate/i.test(error.reason)) return new LiveSiteError("no-access", error.message);
  if (error.status === 403) return new LiveSiteError("privilege", error.message);
  const foreign = error.status === 404 || error.status === 501 || /JSON|HTML|unexpected/i.test(error.reason);
  return foreign ? notProxmox() : new LiveSiteError("unreachable", error.message);
}

/** Privileges without which lists come back empty or cut instead of being refused. */
const NEEDED = [
  { path: "/vms", privilege: "VM.Audit", without: "no guest is listed" },
  { path: "/nodes", privilege: "Sys.Audit", without: "servers have no sizes" },
  { path: "/storage", privilege: "Datastore.Audit", without: "no storage is listed" },
] as const;

const OPTIONAL = [
  { path: "/pool", privilege: "Pool.Audit", without: "pools are not listed" },
  { path: "/sdn", privilege: "SDN.Audit", without: "SDN zones and VNets are not listed" },
] as const;

/**
 * Proxmox VE leaves out of its lists what a token may not see: an empty list is no empty cluster.
 *
 * @returns what will not be seen, and need not be
 * @throws LiveSiteError that names every privilege that is missing, and the command that grants all of them
 */
export async function checkPrivileges(pve: PveClient): Promise<UnreadPart[]> {
  let granted: Record<string, Record<string, unknown>>;
  try {
    granted = await pve.get("/access/permissions", {}, { doing: "ask what the token may see" });
  } catch (error) {
    throw readable(error);
  }
  const has = ({ path, privilege }: { path: string; privilege: string }) =>
    flagAt(granted, path, privilege) || flagAt(granted, "/", privilege);
  const missing = NEEDED.filter((each) => !has(each));
  if (missing.length > 0) {
    const list = missing.map(({ path, privilege, without }) => `${privilege} on ${path} (without it ${without})`);
    throw new LiveSiteError(
      "privilege",
      `the token may not see what is needed: it lacks ${list.join(", ")}. Fix: \`pveum acl modify / --users <user> --roles PVEAuditor\`, and the same with --tokens '<user>!<token>' where privileges are separated`,
    );
  }
  return OPTIONAL.filter((each) => !has(each)).map(({ path, privilege, without }) => ({
    what: path.slice(1),
    why: `the token lacks ${privilege} on ${path}: ${without}`,
  }));
}

const flagAt = (granted: Record<string, Record<string, unknown>>, path: string, privilege: string): boolean =>
  granted[path]?.[privilege] !== undefined;
