import { type Call, type Identity, list, type Permission, type PrivilegeCheck } from "./call";
import type { Domain } from "./domain";
import { ApiError, forbidden } from "./errors";
import { BUILT_IN_ROLES } from "./seed";
import type { Acl } from "./state";

/** Privileges that an entry of the access control list gives a user or a token on a path. */
function granted(domain: Domain, type: Acl["type"], ugid: string, path: string): Set<string> {
  const parts = path.split("/").filter((part) => part !== "");
  const chain = ["/", ...parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`)];
  let current = new Set<string>();
  for (const [depth, step] of chain.entries()) {
    const entries = domain.state.acl.filter((acl) => acl.path === step && acl.type === type && acl.ugid === ugid);
    const counting = entries.filter((acl) => depth === chain.length - 1 || acl.propagate);
    // An entry further down replaces what came from above.
    if (counting.length > 0)
      current = new Set(counting.flatMap((acl) => domain.state.roles[acl.roleid] ?? BUILT_IN_ROLES[acl.roleid] ?? []));
  }
  return current;
}

function userHas(domain: Domain, user: string, path: string, privilege: string): boolean {
  if (user === "root@pam") return true;
  const pool = poolPath(domain, path);
  const paths = pool === undefined ? [path] : [path, pool];
  const groups = list(domain.state.users[user]?.values.groups);
  return paths.some(
    (place) =>
      granted(domain, "user", user, place).has(privilege) ||
      groups.some((group) => granted(domain, "group", group, place).has(privilege)),
  );
}

/** Guests and storages inherit what is granted on their pool. */
function poolPath(domain: Domain, path: string): string | undefined {
  const guest = /^\/vms\/(\d+)$/.exec(path)?.[1];
  const storage = /^\/storage\/(.+)$/.exec(path)?.[1];
  const found = Object.entries(domain.state.pools).find(
    ([, pool]) => (guest && pool.guests.includes(Number(guest))) || (storage && pool.storages.includes(storage)),
  );
  return found ? `/pool/${found[0]}` : undefined;
}

/** Whether whoever calls has the privilege. A token with separated privileges needs it for itself and for its user. */
export function hasPrivilege(domain: Domain, identity: Identity, path: string, privilege: string): boolean {
  if (!userHas(domain, identity.user, path, privilege)) return false;
  if (!identity.token) return true;
  const token = domain.state.users[identity.user]?.tokens[identity.token];
  if (token?.values.privsep !== "1") return true;
  if (granted(domain, "token", identity.full, path).has(privilege)) return true;
  const pool = poolPath(domain, path);
  return pool !== undefined && granted(domain, "token", identity.full, pool).has(privilege);
}

function fill(path: string, call: Call): string {
  return path.replace(/\{(\w+)\??\}/g, (_, name: string) => call.path[name] ?? call.params[name] ?? "");
}

/** Throws PVE's 403 unless the caller has what the route asks for (pve-access-control, exec_api2_perm_check). */
export function checkPermission(call: Call, permission: Permission): void {
  if ("every" in permission) for (const part of permission.every) checkPermission(call, part);
  else if ("some" in permission) checkSome(call, permission.some);
  else if ("self" in permission) checkSelf(call);
  else checkPrivileges(call, permission);
}

function checkSome(call: Call, parts: Permission[]): void {
  const passes = parts.some((part) => {
    try {
      checkPermission(call, part);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) return false;
      throw error;
    }
  });
  if (!passes) throw refused();
}

function checkSelf(call: Call): void {
  if ((call.path.userid ?? call.params.userid) !== call.identity.user) throw refused();
}

function checkPrivileges(call: Call, { path: template, privileges, any, requires }: PrivilegeCheck): void {
  if (requires !== undefined && call.params[requires] === undefined) throw refused();
  const path = fill(template, call).replace(/\/$/, "") || "/";
  const has = (privilege: string) => hasPrivilege(call.domain, call.identity, path, privilege);
  if (any) {
    if (!privileges.some(has)) throw forbidden(path, privileges.join("|"));
    return;
  }
  for (const privilege of privileges) if (!has(privilege)) throw forbidden(path, privilege);
}

function refused(): ApiError {
  return new ApiError(403, "Permission check failed");
}
