/** What must be so before a cluster is read: a Proxmox VE of a known version, and a token that may see what counts. */
import type { UnreadPart } from "../../planning/adoption/snapshot";
import type { PveClient } from "../../providers/pve/client";
import { LiveSiteError, notProxmox } from "./error";
import { flag, isRow, number, text } from "./rows";

/** Proxmox VE 8.0: replication, jobs and the calls that are read here are as in 9; 7 has been without updates since July 2024. */
const OLDEST = 8;

/**
 * @returns the version, for example `9.1.1`
 * @throws LiveSiteError when what answers is no Proxmox VE, or an old one
 */
export async function readVersion(pve: PveClient): Promise<string> {
  const answer = await pve.get<unknown>("/version", {}, { doing: "ask for the version" });
  const row = isRow(answer) ? answer : {};
  const [version, release] = [text(row.version), text(row.release)];
  const major = number(version?.split(".")[0]);
  if (version === undefined || release === undefined || major === undefined)
    throw notProxmox("what answers there does not tell a version as Proxmox's products do");
  // Proxmox VE repeats the beginning of its version there (9.1 of 9.1.1), Proxmox Backup Server has its end.
  if (!version.startsWith(release))
    throw notProxmox(`version ${version}, release ${release} is told by a Proxmox Backup Server`);
  if (major < OLDEST)
    throw new LiveSiteError(
      "too-old",
      `this is Proxmox VE ${version}; ${OLDEST}.0 and newer are read, and ${OLDEST + 1} is what coldspare builds on. ` +
        "Fix: upgrade it, one major version after the other (https://pve.proxmox.com/wiki/Category:Upgrade)",
    );
  return version;
}

interface Privilege {
  path: string;
  privilege: string;
  without: string;
}

/** Privileges without which lists come back empty or cut instead of being refused. */
const NEEDED: readonly Privilege[] = [
  { path: "/", privilege: "Sys.Audit", without: "neither servers nor backup jobs are told" },
  { path: "/vms", privilege: "VM.Audit", without: "no guest is listed" },
  { path: "/storage", privilege: "Datastore.Audit", without: "no storage is listed" },
];

const OPTIONAL: readonly (Privilege & { what: string })[] = [
  { what: "the pools", path: "/pool", privilege: "Pool.Audit", without: "pools are not listed" },
];

/** What `/access/permissions` answers: by path, the privileges there, and 1 for those that count below it, too. */
type Granted = Record<string, Record<string, unknown>>;

/**
 * Proxmox VE leaves out of its lists what a token may not see: an empty list is no empty cluster.
 *
 * @returns what will not be seen, and need not be
 * @throws LiveSiteError that names every privilege that is missing, and the commands that grant them
 */
export async function checkPrivileges(pve: PveClient): Promise<UnreadPart[]> {
  const answer = await pve.get<unknown>("/access/permissions", {}, { doing: "ask what the token may see" });
  if (!isRow(answer)) throw notProxmox("/access/permissions has no answer");
  const granted = answer as Granted;
  const missing = NEEDED.filter((each) => !isGranted(granted, each));
  if (missing.length > 0) throw new LiveSiteError("privilege", lackOf(missing, pve.tokenId));
  const hidden = Object.keys(granted).flatMap((path) => {
    const vmid = /^\/vms\/(\d+)$/.exec(path)?.[1];
    return vmid !== undefined && granted[path]!["VM.Audit"] === undefined
      ? [{ what: `guest ${vmid}`, why: `the token lacks VM.Audit on ${path}` }]
      : [];
  });
  const without = OPTIONAL.filter((each) => !isGranted(granted, each)).map(({ what, path, privilege, without }) => ({
    what,
    why: `the token lacks ${privilege} on ${path}: ${without}`,
  }));
  return [...without, ...hidden];
}

/** The paths that are asked for are always evaluated: one that is not in the answer has no privilege. */
const isGranted = (granted: Granted, { path, privilege }: Privilege): boolean => flag(granted[path]?.[privilege]);

function lackOf(missing: readonly Privilege[], tokenId: string): string {
  const list = missing.map(({ path, privilege, without }) => `${privilege} on ${path} (without it ${without})`);
  const [user] = tokenId.split("!");
  return (
    `the token ${tokenId} may not see what is needed: it lacks ${list.join(", ")}. ` +
    "Fix: give it and its user the role that reads everything and changes nothing: " +
    `\`pveum acl modify / --users ${user} --roles PVEAuditor\` and \`pveum acl modify / --tokens '${tokenId}' --roles PVEAuditor\``
  );
}
