/** What to do about a failed call, from Proxmox Backup Server's own words. One table: first match wins. */
import type { CallFailure } from "../http/errors";

type Advice = (failed: CallFailure, match: RegExpMatchArray) => string;

const TABLE: readonly (readonly [RegExp, Advice])[] = [
  [/permission check failed|missing permissions|not allowed/i, missingPrivilege],
  [
    /maintenance mode|offline maintenance|read-only maintenance/i,
    ({ server }) =>
      `somebody put the datastore into maintenance mode. When that work is done: \`proxmox-backup-manager datastore update <datastore> --delete maintenance-mode\` on ${server}`,
  ],
  [
    /not mounted|unplugged|not plugged|removable datastore/i,
    ({ server }) =>
      `attach the medium of this datastore to ${server} and mount it (\`proxmox-backup-manager datastore mount <datastore>\`), then run this again`,
  ],
  [
    /No space left|ENOSPC|out of space|disk quota exceeded/i,
    ({ server }) =>
      `make room on ${server}: prune, then \`proxmox-backup-manager garbage-collection start <datastore>\` (it frees what nothing has used for 24 hours), or grow the disk`,
  ],
  [
    /not empty|reuse-datastore|already contains|existing datastore/i,
    () =>
      "the folder holds a datastore already. If it is the one that belongs here, say `reuse: true`, which keeps its backups; otherwise name an empty folder",
  ],
  [
    /owner check failed|backup owner|wrong owner/i,
    () =>
      "a group belongs to the one user or token that made it: give each cluster its own namespace, or hand the group over (`proxmox-backup-client change-owner <group> <owner>`)",
  ],
  [
    /no such remote '([^']+)'/i,
    ({ server }, [, remote]) => `make the remote ${remote} on ${server} first (PbsRemote), or correct its name`,
  ],
  [
    /no such datastore '?([^'\s]+)'?/i,
    ({ server }, [, store]) =>
      `${server} has no datastore ${store} (\`proxmox-backup-manager datastore list\`): correct the name, or let the program make it`,
  ],
  [/already exists/i, ({ server }) => `the name is taken on ${server}: choose another, or remove what has it there`],
  [
    /possibly running|in use|already running|unable to acquire .*lock|got timeout/i,
    ({ server }) =>
      `another task on ${server} is at work there: run this again when it has ended (Administration > Tasks)`,
  ],
  [
    /^path .* not found|additional properties|schema does not allow/i,
    ({ server }) => `this call is unknown to ${server}: Proxmox Backup Server 4 is needed`,
  ],
  [
    /fingerprint|certificate|TLS|ssl/i,
    () => "compare the fingerprint with the one that `proxmox-backup-manager cert info` shows on the other server",
  ],
];

/** Advice for a failed call. Never empty. */
export function adviceFor(failed: CallFailure): string {
  const { server, status } = failed;
  if (status === 401) return wrongToken(failed);
  if (status === 0 && failed.code !== "CANCELLED") return serverDown(failed);
  for (const [pattern, advice] of TABLE) {
    const match = failed.reason.match(pattern);
    if (match) return advice(failed, match);
  }
  if (status === 403) return missingPrivilege(failed);
  if (status === 400) return "correct the value that is named; the backup server refused it, nothing was changed";
  if (status === 404) return `look whether it was removed on ${server}`;
  if (status === 200) return `read the whole log of the task on ${server}, mend what it names, then run this again`;
  return `look at the journal of ${server} (\`journalctl -u proxmox-backup-proxy -u proxmox-backup\`), then run this again`;
}

function wrongToken({ server, tokenId }: CallFailure): string {
  const [user, name] = splitToken(tokenId);
  return (
    `${server} does not know the API token ${tokenId ?? ""}, or its secret is wrong or expired. ` +
    `Make a new one (\`proxmox-backup-manager user generate-token ${user} ${name}\`) and store it: ` +
    `\`pulumi config set --secret coldspare:pbsToken '${user}!${name}:<secret>'\``
  );
}

/** A token has no more than its user has: both need the role. */
function missingPrivilege({ tokenId }: CallFailure): string {
  const [user] = splitToken(tokenId);
  const acl = (who: string) => `\`proxmox-backup-manager acl update / Admin --auth-id '${who}'\``;
  return `a token has only those rights that its user has, too: ${acl(user)} and ${acl(tokenId ?? "<user@realm!token>")}, or a smaller role on a smaller path`;
}

function serverDown({ server }: CallFailure): string {
  return (
    `${server} is off, cut off, or its API does not listen: check its power, network and \`systemctl status proxmox-backup-proxy\`, and its address in coldspare:pbs.${server}.endpoint. ` +
    "If it is lost, leave its resources out of this run (`pulumi up --exclude '**Pbs*'`); backups wait until there is another target"
  );
}

function splitToken(tokenId: string | undefined): [string, string] {
  const [user, name] = (tokenId ?? "").split("!");
  return [user || "<user@realm>", name || "<token>"];
}
