import { randomUUID } from "node:crypto";
import { hashSecret, login } from "./authentication";
import { anyOf, type Call, flag, list, type Permission, perm, type Route, route } from "./call";
import { badParameters, fail } from "./errors";
import { hasPrivilege } from "./privileges";
import { BUILT_IN_ROLES } from "./seed";
import type { Acl, User } from "./state";

const FILE = "file-user_cfg";
// Groups and realms of a user are looked at as one: a lab has realms pam and pve.
const MODIFY = perm("/access/groups", "User.Modify");
const ALLOCATE: Permission = { every: [perm("/access/realm", "Realm.AllocateUser"), MODIFY] };
const OWN_OR_MODIFY: Permission = { some: [{ self: true }, MODIFY] };
const GROUPS = perm("/access/groups", "Group.Allocate");
const PERMISSIONS = perm("{path}", "Permissions.Modify");
const NUMBERS = new Set(["enable", "expire", "privsep"]);

function show(values: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, NUMBERS.has(key) ? Number(value) : value]),
  );
}

function userOf(call: Call): User {
  const user = call.domain.state.users[call.path.userid!];
  if (!user) throw fail(`no such user ('${call.path.userid}')`);
  return user;
}

function requireFile(call: Call): Promise<void> {
  return call.domain.requireClusterFile(call.node, FILE);
}

function shownUser(user: User, full: boolean): Record<string, unknown> {
  const groups = list(user.values.groups);
  const tokens = Object.entries(user.tokens);
  return {
    ...show(user.values),
    ...(full ? { groups } : { groups: groups.join(",") }),
    enable: Number(user.values.enable ?? "1"),
    expire: Number(user.values.expire ?? "0"),
    ...(full ? { tokens: Object.fromEntries(tokens.map(([name, token]) => [name, show(token.values)])) } : {}),
  };
}

async function createUser(call: Call): Promise<null> {
  await requireFile(call);
  const { userid = "", password, ...values } = call.params;
  const { users } = call.domain.state;
  if (!/^[^\s:/]+@(pam|pve)$/.test(userid))
    throw badParameters({ userid: "invalid format - value does not look like a valid user name\n" });
  if (users[userid]) throw fail(`create user failed: user '${userid}' already exists`);
  users[userid] = {
    userid,
    values: { enable: "1", expire: "0", ...values },
    tokens: {},
    ...(password ? { passwordHash: hashSecret(password) } : {}),
  };
  return null;
}

async function createToken(call: Call): Promise<Record<string, unknown>> {
  await requireFile(call);
  const user = userOf(call);
  const name = call.path.tokenid!;
  if (user.tokens[name]) throw badParameters({ tokenid: `Token already exists.` });
  const { userid: _userid, tokenid: _tokenid, ...given } = call.params;
  const values = { privsep: "1", expire: "0", ...given };
  const secret = randomUUID();
  user.tokens[name] = { values, secretHash: hashSecret(secret) };
  return { "full-tokenid": `${user.userid}!${name}`, value: secret, info: show(values) };
}

function tokenOf(call: Call): User["tokens"][string] {
  const token = userOf(call).tokens[call.path.tokenid!];
  if (!token) throw fail(`no such token '${call.path.tokenid}' for user '${call.path.userid}'`);
  return token;
}

async function changeAcl(call: Call): Promise<null> {
  await requireFile(call);
  const { domain, params } = call;
  const path = params.path ?? "/";
  const subjects: { type: Acl["type"]; ugid: string }[] = [
    ...list(params.users).map((ugid) => ({ type: "user" as const, ugid })),
    ...list(params.tokens).map((ugid) => ({ type: "token" as const, ugid })),
    ...list(params.groups).map((ugid) => ({ type: "group" as const, ugid })),
  ];
  for (const roleid of list(params.roles)) {
    if (!domain.state.roles[roleid]) throw fail(`role '${roleid}' does not exist`);
    for (const { type, ugid } of subjects) {
      if (type === "user" && !domain.state.users[ugid]) throw fail(`user '${ugid}' does not exist`);
      if (type === "token" && !domain.state.users[ugid.split("!")[0]!]?.tokens[ugid.split("!")[1] ?? ""])
        throw fail(`no such token '${ugid}'`);
      if (type === "group" && !domain.state.groups[ugid]) throw fail(`group '${ugid}' does not exist`);
      domain.state.acl = domain.state.acl.filter(
        (acl) => !(acl.path === path && acl.type === type && acl.ugid === ugid && acl.roleid === roleid),
      );
      if (!flag(params.delete))
        domain.state.acl.push({ path, type, ugid, roleid, propagate: flag(params.propagate, true) });
    }
  }
  return null;
}

function privileges(roleid: string, names: string[]): Record<string, unknown> {
  return { roleid, privs: [...names].sort().join(","), special: BUILT_IN_ROLES[roleid] ? 1 : 0 };
}

function checkPrivileges(names: string[]): void {
  const known = new Set(BUILT_IN_ROLES.Administrator);
  for (const name of names)
    if (!known.has(name)) throw badParameters({ privs: `invalid format - invalid privilege '${name}'\n` });
}

const ALL_PATHS = ["/", "/access", "/nodes", "/pool", "/sdn", "/storage", "/vms"];

/** One path if it is asked for; otherwise every path that has an entry, beside those that always stand there. */
function permissionsOf(call: Call): Record<string, Record<string, 1>> {
  const { path } = call.params;
  if (path !== undefined) return { [path]: privilegesOn(call, path) };
  const paths = new Set([...ALL_PATHS, ...call.domain.state.acl.map((entry) => entry.path)]);
  return Object.fromEntries(
    [...paths]
      .map((each) => [each, privilegesOn(call, each)] as const)
      .filter(([, found]) => Object.keys(found).length > 0),
  );
}

function privilegesOn(call: Call, path: string): Record<string, 1> {
  const held = BUILT_IN_ROLES.Administrator!.filter((name) => hasPrivilege(call.domain, call.identity, path, name));
  return Object.fromEntries(held.map((name) => [name, 1 as const]));
}

/** Tickets, users, tokens, groups, roles and who may do what. */
export const accessRoutes: Route[] = [
  route("POST", "/access/ticket", undefined, (call) => login(call.world, call.domain, call.params)),
  route("GET", "/access/ticket", undefined, () => null),
  route("GET", "/access/domains", undefined, () => [
    { realm: "pam", type: "pam", comment: "Linux PAM standard authentication" },
    { realm: "pve", type: "pve", comment: "Proxmox VE authentication server" },
  ]),
  route("GET", "/access/permissions", undefined, permissionsOf),
  route("GET", "/access/users", undefined, (call) =>
    Object.values(call.domain.state.users).map((user) => ({ userid: user.userid, ...shownUser(user, false) })),
  ),
  route("POST", "/access/users", ALLOCATE, createUser),
  route("GET", "/access/users/{userid}", anyOf("/access/groups", "User.Modify", "Sys.Audit"), (call) =>
    shownUser(userOf(call), true),
  ),
  route("PUT", "/access/users/{userid}", MODIFY, async (call) => {
    await requireFile(call);
    const { userid: _userid, append: _append, ...values } = call.params;
    Object.assign(userOf(call).values, values);
    return null;
  }),
  route("DELETE", "/access/users/{userid}", ALLOCATE, async (call) => {
    await requireFile(call);
    const { userid } = userOf(call);
    delete call.domain.state.users[userid];
    call.domain.state.acl = call.domain.state.acl.filter(
      (acl) => acl.ugid !== userid && !acl.ugid.startsWith(`${userid}!`),
    );
    return null;
  }),
  route("PUT", "/access/password", { some: [{ self: true }, ALLOCATE] }, async (call) => {
    await requireFile(call);
    const { userid = "", password = "" } = call.params;
    const user = call.domain.state.users[userid];
    if (!user) throw fail(`no such user ('${userid}')`);
    user.passwordHash = hashSecret(password);
    return null;
  }),
  route("GET", "/access/users/{userid}/token", OWN_OR_MODIFY, (call) =>
    Object.entries(userOf(call).tokens).map(([tokenid, token]) => ({ tokenid, ...show(token.values) })),
  ),
  route("GET", "/access/users/{userid}/token/{tokenid}", OWN_OR_MODIFY, (call) => show(tokenOf(call).values)),
  route("POST", "/access/users/{userid}/token/{tokenid}", OWN_OR_MODIFY, createToken),
  route("PUT", "/access/users/{userid}/token/{tokenid}", OWN_OR_MODIFY, async (call) => {
    await requireFile(call);
    const { userid: _userid, tokenid: _tokenid, ...values } = call.params;
    const token = tokenOf(call);
    Object.assign(token.values, values);
    return show(token.values);
  }),
  route("DELETE", "/access/users/{userid}/token/{tokenid}", OWN_OR_MODIFY, async (call) => {
    await requireFile(call);
    tokenOf(call);
    const user = userOf(call);
    delete user.tokens[call.path.tokenid!];
    call.domain.state.acl = call.domain.state.acl.filter((acl) => acl.ugid !== `${user.userid}!${call.path.tokenid}`);
    return null;
  }),
  route("GET", "/access/groups", undefined, (call) =>
    Object.entries(call.domain.state.groups).map(([groupid, group]) => ({ groupid, ...group })),
  ),
  route("POST", "/access/groups", GROUPS, (call) => {
    const { groupid = "", comment } = call.params;
    if (call.domain.state.groups[groupid]) throw fail(`create group failed: group '${groupid}' already exists`);
    call.domain.state.groups[groupid] = comment ? { comment } : {};
    return null;
  }),
  route("DELETE", "/access/groups/{groupid}", GROUPS, (call) => {
    if (!call.domain.state.groups[call.path.groupid!])
      throw fail(`delete group failed: group '${call.path.groupid}' does not exist`);
    delete call.domain.state.groups[call.path.groupid!];
    return null;
  }),
  route("GET", "/access/roles", undefined, (call) =>
    Object.entries(call.domain.state.roles).map(([roleid, names]) => privileges(roleid, names)),
  ),
  route("POST", "/access/roles", perm("/access", "Sys.Modify"), async (call) => {
    await requireFile(call);
    const { roleid = "", privs } = call.params;
    if (call.domain.state.roles[roleid]) throw fail(`create role failed: role '${roleid}' already exists`);
    checkPrivileges(list(privs));
    call.domain.state.roles[roleid] = list(privs);
    return null;
  }),
  route("GET", "/access/roles/{roleid}", undefined, (call) => {
    const names = call.domain.state.roles[call.path.roleid!];
    if (!names) throw fail(`role '${call.path.roleid}' does not exist`);
    return Object.fromEntries(names.map((name) => [name, 1]));
  }),
  route("PUT", "/access/roles/{roleid}", perm("/access", "Sys.Modify"), async (call) => {
    await requireFile(call);
    const roleid = call.path.roleid!;
    const { roles } = call.domain.state;
    if (BUILT_IN_ROLES[roleid]) throw fail(`auto-generated role '${roleid}' cannot be modified`);
    if (!roles[roleid]) throw fail(`role '${roleid}' does not exist`);
    checkPrivileges(list(call.params.privs));
    roles[roleid] = flag(call.params.append)
      ? [...new Set([...roles[roleid]!, ...list(call.params.privs)])]
      : list(call.params.privs);
    return null;
  }),
  route("DELETE", "/access/roles/{roleid}", perm("/access", "Sys.Modify"), async (call) => {
    await requireFile(call);
    const roleid = call.path.roleid!;
    if (BUILT_IN_ROLES[roleid]) throw fail(`auto-generated role '${roleid}' cannot be deleted`);
    if (!call.domain.state.roles[roleid]) throw fail(`role '${roleid}' does not exist`);
    delete call.domain.state.roles[roleid];
    return null;
  }),
  route("GET", "/access/acl", undefined, (call) =>
    call.domain.state.acl.map((acl) => ({ ...acl, propagate: acl.propagate ? 1 : 0 })),
  ),
  route("PUT", "/access/acl", PERMISSIONS, changeAcl),
];
