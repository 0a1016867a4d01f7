import * as proxmoxve from "@pulumi/proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import type { SitePlan } from "../planning";
import { type Account, type AccountDuty, type PrivilegeOptions, planPrivileges } from "../planning/privileges";

/** Arguments of {@link SiteAccess}. */
export interface SiteAccessArgs extends PrivilegeOptions {
  /** The plan of the site. */
  site: SitePlan;
  /** Which accounts. Default: all three. */
  duties?: AccountDuty[];
}

/**
 * The accounts of a site on its hypervisors: for the program, for operators and for monitoring, each with what the specification needs
 * and no more.
 *
 * ```ts
 * const access = new SiteAccess("office", { site: plan, duties: ["operate", "monitor"] }, { provider });
 * export const monitoring = access.tokens.monitor;
 * ```
 *
 * Made with the token of an administrator, from a stack of its own: an account that could make this could make itself another.
 */
export class SiteAccess extends pulumi.ComponentResource {
  /** `user@pve!site=secret`, by duty: secrets. */
  readonly tokens: Partial<Record<AccountDuty, pulumi.Output<string>>> = {};
  readonly accounts: Account[];

  constructor(name: string, args: SiteAccessArgs, opts?: pulumi.ComponentResourceOptions) {
    super("coldspare:index:SiteAccess", name, {}, opts);
    this.accounts = planPrivileges(args.site, args).filter(({ duty }) => args.duties?.includes(duty) ?? true);
    for (const account of this.accounts) this.tokens[account.duty] = this.createAccount(name, account);
    this.registerOutputs({ tokens: this.tokens });
  }

  private createAccount(name: string, { duty, user: userId, tokenName, roles }: Account): pulumi.Output<string> {
    const parent = { parent: this };
    const user = new proxmoxve.UserLegacy(`${name}-${duty}`, { userId, comment: `coldspare: ${duty}` }, parent);
    const token = new proxmoxve.user.Token(
      `${name}-${duty}-token`,
      { userId, tokenName, privilegesSeparation: true },
      { ...parent, dependsOn: [user], additionalSecretOutputs: ["value"] },
    );
    for (const { name: roleId, privileges, paths } of roles) {
      const role = new proxmoxve.RoleLegacy(roleId, { roleId, privileges }, parent);
      for (const { path, propagate } of paths)
        for (const [who, holder] of [
          ["user", { userId }],
          ["token", { tokenId: `${userId}!${tokenName}` }],
        ] as const)
          new proxmoxve.Acl(
            `${roleId}-${who}${path === "/" ? "" : path.replaceAll("/", "-")}`,
            { path, roleId, propagate, ...holder },
            { ...parent, dependsOn: [role, token] },
          );
    }
    return pulumi.secret(token.value);
  }
}
