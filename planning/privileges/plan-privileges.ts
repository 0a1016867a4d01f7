/** Accounts with what a site needs and no more. */
import type { SitePlan } from "../plan";
import { needs } from "./needs";
import { pathsOf, type ScopePath } from "./paths";
import type { Account, AccountDuty, AccountRole, Need, Scope } from "./types";

export interface PrivilegeOptions {
  /** Operators may make guests under any id, for `restore --as` and `branch`. Default: under those of drills and kept copies. */
  anyId?: boolean;
}

const DUTIES: readonly AccountDuty[] = ["pulumi", "operate", "monitor"];

/**
 * The accounts that a site's program, operators and monitoring work with.
 *
 * ```ts
 * for (const { user, roles } of planPrivileges(planSite(spec))) console.log(user, roles);
 * ```
 *
 * Pure. A role is named after what it is for; its privileges are those of every call that the specification makes necessary.
 */
export function planPrivileges(plan: SitePlan, options: PrivilegeOptions = {}): Account[] {
  const known = pathsOf(plan);
  const paths = options.anyId ? { ...known, copies: [{ path: "/vms", propagate: true }] } : known;
  const hasJobs = Object.values(plan.backups.policies).some(
    ({ spec, storage, subjects }) =>
      spec.managed && storage !== undefined && subjects.some(({ vmid }) => vmid !== undefined),
  );
  return DUTIES.map((duty) => ({
    duty,
    user: `coldspare-${duty}@pve`,
    tokenName: plan.site.name,
    roles: rolesOf(
      `coldspare-${plan.site.name}-${duty}`,
      needs.filter((need) => need.duties.includes(duty) && (hasJobs || !need.onlyWithJobs)),
      paths,
    ),
  }));
}

/** Privileges by path; paths with the same ones share a role, which is named after the first scope that is in it. */
function rolesOf(prefix: string, wanted: readonly Need[], paths: Record<Scope, ScopePath[]>): AccountRole[] {
  const byPath = new Map<string, { at: ScopePath; scope: Scope; privileges: Set<string> }>();
  for (const { scope, privileges } of wanted)
    for (const at of paths[scope]) {
      const key = `${at.path} ${at.propagate}`;
      const entry = byPath.get(key) ?? { at, scope, privileges: new Set<string>() };
      for (const privilege of privileges) entry.privileges.add(privilege);
      byPath.set(key, entry);
    }
  const roles = new Map<string, AccountRole & { scope: Scope }>();
  for (const { at, scope, privileges } of byPath.values()) {
    const sorted = [...withInherited(at, privileges, byPath.values())].sort();
    const key = sorted.join();
    const role = roles.get(key) ?? { name: "", scope, privileges: sorted, paths: [] };
    role.paths.push(at);
    roles.set(key, role);
  }
  return named(prefix, [...roles.values()]);
}

/**
 * An entry further down replaces what came from above (pve-access-control, 'roles'): it has to say again what counts there as well.
 */
function withInherited(
  at: ScopePath,
  own: ReadonlySet<string>,
  entries: Iterable<{ at: ScopePath; privileges: ReadonlySet<string> }>,
): Set<string> {
  const found = new Set(own);
  for (const { at: above, privileges } of entries) {
    const isAbove = above.path === "/" ? at.path !== "/" : at.path.startsWith(`${above.path}/`);
    if (!isAbove || !above.propagate) continue;
    for (const privilege of privileges) if (countsAt(privilege, at.path)) found.add(privilege);
  }
  return found;
}

/** No call asks for a privilege of servers on a guest, a storage or a bridge. */
function countsAt(privilege: string, path: string): boolean {
  return !privilege.startsWith("Sys.") || path.startsWith("/nodes/");
}

function named(prefix: string, roles: (AccountRole & { scope: Scope })[]): AccountRole[] {
  const counts = new Map<string, number>();
  return roles.map(({ scope, privileges, paths }) => {
    const count = (counts.get(scope) ?? 0) + 1;
    counts.set(scope, count);
    return { name: `${prefix}-${scope}${count === 1 ? "" : `-${count}`}`, privileges, paths };
  });
}
