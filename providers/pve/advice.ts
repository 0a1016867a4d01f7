/** What to do about a failed call, from PVE's own words. One table: first match wins. */

export interface FailedCall {
  server: string;
  guest?: string;
  call: string;
  status: number;
  reason: string;
  tokenId?: string;
  code?: string;
}

type Advice = (failed: FailedCall, match: RegExpMatchArray) => string;

const PRIVILEGE = /Permission check failed(?: \(([^,)]*)(?:, ([^)]*))?\))?/;

const TABLE: readonly (readonly [RegExp, Advice])[] = [
  [PRIVILEGE, missingPrivilege],
  [
    /quorum|\/etc\/pve\/.*Permission denied/i,
    ({ server }) =>
      "the cluster has lost its quorum and takes no change: bring the missing server or the third vote (QDevice) back. " +
      `Only when it is certain that the missing server is off: run \`pvecm expected 1\` on ${server}`,
  ],
  [
    /No space left|out of space|not enough (free )?space|insufficient (free )?space|disk quota exceeded/i,
    ({ server }) =>
      `free space on that storage (\`pvesm status\` on ${server} shows what is left; prune old backups and unused disks) or grow it`,
  ],
  [
    /bridge '([^']+)' does not exist/,
    ({ server }, [, bridge]) =>
      `create the bridge ${bridge} on ${server} as it is on the other server (System > Network), or give the guest a bridge that ${server} has`,
  ],
  [
    /storage '([^']+)' (does not exist|is not available|is not enabled|is not online)/,
    ({ server }, [, storage]) =>
      `add the storage ${storage} or make it available on ${server} (Datacenter > Storage, field Nodes), or name one that ${server} has`,
  ],
  [
    /missing replicate feature/,
    () => "put the guest's disks on a ZFS storage with the same name on both servers, or use the method 'restore'",
  ],
  [/protection mode/, () => "take the guest's protection off on purpose (Options > Protection), then run this again"],
  [
    /replication job '([^']+)'/,
    (_, [, job]) =>
      `remove the replication job first: \`pvesr delete ${job}\`, wait until it is gone, then run this again`,
  ],
  [
    /is locked \(([^)]+)\)/,
    ({ server, call }, [, lock]) =>
      `wait until the ${lock} on ${server} has ended and run this again; when none is running, a task was cut off: \`${unlockCommand(call)}\` there`,
  ],
  [
    /got lock|can't lock file|unable to acquire lock|got timeout/i,
    ({ server }) => `another task holds the lock on ${server}: run this again when it has ended`,
  ],
  [
    /(is|vm is|already) running/i,
    () => "shut the guest down first if it may be off; a running spare is the active side and is left alone",
  ],
  [
    /already exists/,
    ({ server }) => `the id is taken: choose another in the specification, or remove what holds it on ${server}`,
  ],
  [
    /hostname lookup '([^']+)' failed/,
    (_, [, node]) => `no server of this cluster is called ${node}: use the name that \`pvecm nodes\` shows`,
  ],
  [/TLS|ssl|certificate/i, () => "check date and certificates of the servers: `pvecm updatecerts` on each"],
];

/** Advice for a failed call. Never empty. */
export function adviceFor(failed: FailedCall): string {
  const { server, status } = failed;
  if (status === 401) return wrongToken(failed);
  if (status === 595 || (status === 0 && failed.code !== "CANCELLED")) return serverDown(failed);
  for (const [pattern, advice] of TABLE) {
    const match = failed.reason.match(pattern);
    if (match) return advice(failed, match);
  }
  if (status === 403) return missingPrivilege(failed, [""] as unknown as RegExpMatchArray);
  if (status === 400) return "correct the value that is named; PVE refused it, nothing was changed";
  if (status === 501) return `this call is unknown to ${server}: Proxmox VE 9 is needed`;
  if (status === 596 || status >= 502)
    return `look at pveproxy on ${server} (\`journalctl -u pveproxy\`), then run this again`;
  if (status === 200) return `read the whole log of the task on ${server}, mend what it names, then run this again`;
  return `look at the journal of ${server} (\`journalctl -u pvedaemon -u pveproxy\`), then run this again`;
}

function wrongToken({ server, tokenId }: FailedCall): string {
  const [user, name] = splitToken(tokenId);
  return (
    `${server} does not know the API token ${tokenId ?? ""}, or its secret is wrong or expired. ` +
    `Make a new one (\`pveum user token add ${user} ${name}\`) and store it: ` +
    `\`pulumi config set --secret coldspare:apiToken '${user}!${name}=<secret>'\``
  );
}

function missingPrivilege({ tokenId }: FailedCall, match: RegExpMatchArray): string {
  const path = match[1] || "/";
  const privileges = (match[2] ?? "").replace(/\|/g, ",").trim() || "<privilege>";
  const token = tokenId ?? "<user@realm!token>";
  return (
    `the token ${token} lacks ${privileges} on ${path}: ` +
    `\`pveum role add coldspare-extra --privs ${privileges}\` (or \`pveum role modify coldspare-extra --append 1 --privs ${privileges}\`), then ` +
    `\`pveum acl modify ${path} --tokens '${token}' --roles coldspare-extra\``
  );
}

function serverDown({ server }: FailedCall): string {
  return (
    `${server} is off, cut off, or its API does not listen: check its power, network and \`systemctl status pveproxy\`, and its address in coldspare:endpoints. ` +
    `If it is lost, leave its resources out of this run (\`pulumi up --exclude '**<guest>**'\`) and activate its spares`
  );
}

function unlockCommand(call: string): string {
  const [, kind, id] = call.match(/\/(qemu|lxc)\/(\d+)/) ?? [];
  return `${kind === "lxc" ? "pct" : "qm"} unlock ${id ?? "<id>"}`;
}

function splitToken(tokenId: string | undefined): [string, string] {
  const [user, name] = (tokenId ?? "").split("!");
  return [user || "<user@realm>", name || "<token>"];
}
