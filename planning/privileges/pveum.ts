/** Accounts as commands for a shell of any server of the cluster. */
import type { Account } from "./types";

/**
 * Commands of `pveum` (Proxmox VE 9), in the order in which they must run. The last line of an account prints its token's secret, once.
 *
 * A token's privileges are its own and never more than its user's: roles are given to both.
 */
export function pveumCommands({ user, tokenName, duty, roles }: Account): string[] {
  const token = `${user}!${tokenName}`;
  return [
    ...roles.map(({ name, privileges }) => `pveum role add ${name} --privs "${privileges.join(",")}"`),
    `pveum user add ${user} --comment "coldspare: ${duty}"`,
    `pveum user token add ${user} ${tokenName} --privsep 1`,
    ...roles.flatMap(({ name, paths }) =>
      paths.map(
        ({ path, propagate }) =>
          `pveum acl modify ${path} --users ${user} --tokens '${token}' --roles ${name}${propagate ? "" : " --propagate 0"}`,
      ),
    ),
  ];
}
