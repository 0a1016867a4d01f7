/** docs/privileges.md: which call asks for what, from the table that accounts are made of. */
import { needs } from "./needs";
import { rootOnly } from "./root-only";

const DUTY_TEXT = { pulumi: "pulumi", operate: "operate", monitor: "monitor" } as const;

/** The whole page. */
export function renderPrivileges(): string {
  const calls = needs.map(({ call, purpose, duties, scope, privileges, inside }) => {
    const who = duties.map((duty) => DUTY_TEXT[duty]).join(", ");
    return `| \`${call}\` | ${purpose} | ${who} | ${scope} | ${privileges.join(", ")}${inside ? ` (checked inside: ${inside})` : ""} |`;
  });
  const root = rootOnly.map(({ what, why, instead }) => `| ${what} | ${why} | ${instead} |`);
  return `# What the program may do

<!-- Generated from planning/privileges by \`npm run docs\`. Changes here are overwritten. -->

\`coldspare privileges\` prints, for your specification, three accounts with what it needs and no more, as commands of \`pveum\`; the component
\`SiteAccess\` makes the same as resources. Each account is a user of realm pve without a password, and one token with separate privileges.

- **pulumi**: preview, up, refresh and destroy of the program.
- **operate**: failover, failback, drills, backups and restore.
- **monitor**: status, metrics, \`check --live\` and \`import\`: it reads. As Proxmox VE lists backups only to those who may
  make them, it could also start a backup of the site's guests; with the role PVEAuditor instead it sees everything but backups, and says so.

\`\`\`sh
npx coldspare privileges                     # all three, as commands for a server of the cluster
npx coldspare privileges --for operate       # one of them
npx coldspare privileges --json
\`\`\`

The lab refuses what these privileges do not allow: what each of its calls asks for is compared with the published API. The proofs of
failover, of copies and of the way in work with the printed accounts.
\`restore --as\` and \`branch\` make guests under ids of their own: whoever is to use them needs VM.Allocate on these ids as well
(\`coldspare privileges --for operate --any-id\`).

## Calls

| call | what for | account | where | privileges |
|---|---|---|---|---|
${calls.join("\n")}

'where' is a part of the site: \`guests\` are the guests of the specification by id, \`copies\` the ids that drills and kept copies take,
\`disk-storages\` the storages of its disks, and so on; \`everything\`, \`all-guests\` and \`all-storages\` are read-only.

## What Proxmox VE keeps for root@pam

No token and no role can do these. coldspare does without root's token:

| what | why | instead |
|---|---|---|
${root.join("\n")}

## SSH to the servers

SSH goes to root, as guard, agents and configuration files are root's. \`check\`, \`check --live\`, \`import\` and \`status --metrics\` of the
API need none. A key need not be root's in full: \`coldspare privileges --ssh\` prints lines for authorized_keys that bind one to a duty.

\`\`\`
command="/usr/local/lib/coldspare/coldspare-ssh monitor",restrict ssh-ed25519 AAAA… coldspare-monitoring
command="/usr/local/lib/coldspare/coldspare-ssh operate",restrict ssh-ed25519 AAAA… coldspare-operator
\`\`\`

- **monitor**: \`status\`, metrics, \`backups status\`, \`media status\`, results of drills and test restores, \`--from\`: it reads.
- **operate**: that, and failover, failback, drill, backups, restore, branch, media, shutdown and power-up.
- **pulumi** has none: \`pulumi up\` installs programs and configuration, which is root in full. Keep its key apart.

\`pulumi up\` installs the gate, \`coldspare-ssh\`, beside the guard's modules. It compares each word of what is asked for with the
program's own commands and runs it without a shell; commands and probes of your own must stand in the site's manifest on that server. Anything
else ends with exit code 126 and a line in the server's log. An operator still decides over guests, may shut a server down,
and reads and changes what is in the guests and their copies: the gate keeps the servers, not the guests, from that key.
Restore by \`--into\` goes to folders such as /root/restored, /srv or /mnt, never into /etc, /usr, /var, /opt or a hidden folder. The gate
knows the commands of its own release: after an update of the package, \`pulumi up\` comes first, or what has changed is refused by name.
\`SSH_ORIGINAL_COMMAND='true' coldspare-ssh operate --dry-run\` on a server says whether it would run.
`;
}
