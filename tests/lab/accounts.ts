/** The accounts that the planner prints for a site, made in a lab as an administrator would: once, by root. */
import { readFileSync } from "node:fs";
import type { Lab } from "../../lab";
import type { SitePlan } from "../../planning";
import { type AccountDuty, type PrivilegeOptions, planPrivileges } from "../../planning/privileges";
import { PveClient } from "../../providers/pve/client";

/** `user@pve!token=secret`, by what the account is for. */
export type SiteTokens = Record<AccountDuty, string>;

/** Roles, users, tokens and where they count, in every cluster (or lone hypervisor) that the lab has. */
export async function createAccounts(lab: Lab, plan: SitePlan, options: PrivilegeOptions = {}): Promise<SiteTokens> {
  const ca = readFileSync(lab.caFile, "utf8");
  const pve = new PveClient({ endpoints: lab.endpoints, apiToken: lab.tokens.root, ca, pollSeconds: 0.2 });
  try {
    const tokens: Partial<SiteTokens> = {};
    for (const account of planPrivileges(plan, options)) tokens[account.duty] = await createAccount(pve, account);
    return tokens as SiteTokens;
  } finally {
    pve.close();
  }
}

async function createAccount(
  pve: PveClient,
  { user, tokenName, roles }: ReturnType<typeof planPrivileges>[number],
): Promise<string> {
  for (const { name, privileges } of roles)
    await pve.post("/access/roles", { roleid: name, privs: privileges.join(",") });
  await pve.post("/access/users", { userid: user });
  const { value } = await pve.post<{ value: string }>(`/access/users/${user}/token/${tokenName}`, { privsep: 1 });
  const token = `${user}!${tokenName}`;
  for (const { name, paths } of roles)
    for (const { path, propagate } of paths)
      await pve.put("/access/acl", {
        path,
        roles: name,
        users: user,
        tokens: token,
        propagate: propagate ? 1 : 0,
      });
  return `${token}=${value}`;
}
