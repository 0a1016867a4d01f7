import { randomUUID } from "node:crypto";
import {
  deny,
  hashSecret,
  hasPrivilege,
  issueTicket,
  passwordIdentity,
  privileges,
  ROLES,
  ticketUser,
  userOf,
} from "./access";
import { isSet, type PbsCall, type PbsRoute, pbsRoute, requirePrivilege } from "./call";
import { badParameters, forbidden, notFound, refused } from "./errors";
import { applyChange, checkDigest, shown, withDigest } from "./sections";
import type { PbsUser } from "./types";

const USERS = "/access/users";
const USER = `${USERS}/{userid}`;
const TOKEN = `${USER}/token/{token-name}`;

async function login(call: PbsCall): Promise<unknown> {
  const { server, params } = call;
  const user = params.username ?? "";
  const secret = params.password ?? "";
  if (ticketUser(server, secret) !== user && !passwordIdentity(server, user, secret))
    return deny(server, "invalid credentials");
  return { username: user, ...issueTicket(server, user) };
}

function userAt(call: PbsCall): PbsUser {
  const found = call.server.state.users[call.path.userid ?? ""];
  if (!found) throw notFound(`user '${call.path.userid}' does not exist.`);
  return found;
}

/** Whoever may change users, or the user himself. */
function requireSelfOr(call: PbsCall, privilege: string): void {
  if (userOf(call.auth) === call.path.userid && !call.auth.includes("!")) return;
  requirePrivilege(call, USERS, privilege);
}

function showUser(userid: string, user: PbsUser): Record<string, unknown> {
  return { userid, ...shown(user.values) };
}

function listUsers(call: PbsCall): unknown {
  const { state } = call.server;
  const all = hasPrivilege(call.server, call.auth, USERS, "Sys.Audit");
  const users = Object.entries(state.users)
    .filter(([userid]) => all || userid === userOf(call.auth))
    .map(([userid, user]) => ({
      ...showUser(userid, user),
      ...(isSet(call.params.include_tokens)
        ? { tokens: Object.entries(user.tokens).map(([name, token]) => showToken(userid, name, token)) }
        : {}),
    }));
  return withDigest(users, state.users);
}

function createUser(call: PbsCall): null {
  const { userid = "", password, ...values } = call.params;
  const { users } = call.server.state;
  if (users[userid]) throw refused(`user '${userid}' already exists.`);
  if (password !== undefined && !userid.endsWith("@pbs")) throw refused("cannot set password for this realm");
  users[userid] = { values, tokens: {}, ...(password === undefined ? {} : { passwordHash: hashSecret(password) }) };
  return null;
}

function changeUser(call: PbsCall): null {
  const user = userAt(call);
  checkDigest(call.params, call.server.state.users);
  const { password, ...params } = call.params;
  if (password !== undefined) user.passwordHash = hashSecret(password);
  applyChange(user.values, params);
  return null;
}

function deleteUser(call: PbsCall): null {
  userAt(call);
  const { state } = call.server;
  checkDigest(call.params, state.users);
  delete state.users[call.path.userid!];
  state.acl = state.acl.filter((acl) => userOf(acl.ugid) !== call.path.userid);
  return null;
}

function changePassword(call: PbsCall): null {
  const { userid = "", password = "" } = call.params;
  if (userid !== call.auth) requirePrivilege(call, USERS, "Permissions.Modify");
  const user = call.server.state.users[userid];
  if (!user) throw notFound(`user '${userid}' does not exist.`);
  user.passwordHash = hashSecret(password);
  return null;
}

// ---- tokens

function showToken(userid: string, name: string, token: { values: Record<string, string> }): Record<string, unknown> {
  return { tokenid: `${userid}!${name}`, "token-name": name, ...shown(token.values) };
}

function tokenAt(call: PbsCall): PbsUser["tokens"][string] {
  const token = userAt(call).tokens[call.path["token-name"] ?? ""];
  if (!token) throw notFound(`token '${tokenId(call)}' does not exist.`);
  return token;
}

function tokenId(call: PbsCall): string {
  return `${call.path.userid}!${call.path["token-name"]}`;
}

/** The secret is shown this once. */
function createToken(call: PbsCall): Record<string, string> {
  requireSelfOr(call, "Permissions.Modify");
  const user = userAt(call);
  const name = call.path["token-name"]!;
  if (user.tokens[name]) throw refused(`token '${name}' for user '${call.path.userid}' already exists.`);
  const { digest: _digest, ...values } = call.params;
  const value = randomUUID();
  user.tokens[name] = { values, secretHash: hashSecret(value) };
  return { tokenid: tokenId(call), value };
}

function changeToken(call: PbsCall): Record<string, string> | null {
  requireSelfOr(call, "Permissions.Modify");
  const token = tokenAt(call);
  checkDigest(call.params, call.server.state.users);
  const { regenerate, ...params } = call.params;
  applyChange(token.values, params);
  if (!isSet(regenerate)) return null;
  const secret = randomUUID();
  token.secretHash = hashSecret(secret);
  return { secret };
}

function deleteToken(call: PbsCall): null {
  requireSelfOr(call, "Permissions.Modify");
  tokenAt(call);
  checkDigest(call.params, call.server.state.users);
  const { state } = call.server;
  delete state.users[call.path.userid!]!.tokens[call.path["token-name"]!];
  state.acl = state.acl.filter((acl) => acl.ugid !== tokenId(call));
  return null;
}

// ---- the access list

function listAcl(call: PbsCall): unknown {
  const { server, auth, params } = call;
  const readsAll = hasPrivilege(server, auth, "/access/acl", "Sys.Audit", "Permissions.Modify");
  const entries = server.state.acl
    .filter(
      (acl) =>
        params.path === undefined ||
        (isSet(params.exact) ? acl.path === params.path : acl.path.startsWith(params.path)),
    )
    .filter((acl) => readsAll || (!auth.includes("!") && userOf(acl.ugid) === auth))
    .map(({ path, ugid, ugidType, role, propagate }) => ({ path, ugid, ugid_type: ugidType, propagate, roleid: role }));
  return withDigest(entries, server.state.acl);
}

function changeAcl(call: PbsCall): null {
  const { server, auth, params } = call;
  const { path = "/", role = "", "auth-id": id, group } = params;
  const ugid = id ?? group;
  if (ugid === undefined) throw badParameters({ "auth-id": "missing parameter" });
  // A user may give his own tokens what he has.
  const isOwnToken = id?.includes("!") === true && userOf(id) === auth;
  if (!isOwnToken && !hasPrivilege(server, auth, "/access/acl", "Permissions.Modify")) throw forbidden();
  checkDigest(params, server.state.acl);
  const matches = (acl: { path: string; ugid: string; role: string }) =>
    acl.path === path && acl.ugid === ugid && acl.role === role;
  const rest = server.state.acl.filter((acl) => !matches(acl));
  if (isSet(params.delete)) {
    server.state.acl = rest;
    return null;
  }
  if (!ROLES[role]) throw badParameters({ role: `value '${role}' is not defined in the enumeration.` });
  if (id) requireIdentity(call, id);
  const propagate = isSet(params.propagate, true);
  server.state.acl = [...rest, { path, ugid, ugidType: group ? "group" : "user", role, propagate }];
  return null;
}

function requireIdentity(call: PbsCall, id: string): void {
  const [user = "", token] = id.split("!");
  const found = call.server.state.users[user];
  if (!found) throw refused(`no such user.`);
  if (token !== undefined && !found.tokens[token]) throw refused("no such API token.");
}

function showPermissions(call: PbsCall): Record<string, Record<string, boolean>> {
  const { server, auth, params } = call;
  const id = params["auth-id"] ?? auth;
  const isSelf = id === auth || (userOf(id) === auth && id.includes("!"));
  if (!isSelf) requirePrivilege(call, "/access", "Sys.Audit");
  const paths = params.path
    ? [params.path]
    : [...new Set(["/", "/access", "/datastore", "/remote", "/system", ...server.state.acl.map((acl) => acl.path)])];
  return Object.fromEntries(paths.map((path) => [path, Object.fromEntries(privileges(server, id, path))] as const));
}

/** Who there is and what he may do. */
export const accessRoutes: PbsRoute[] = [
  pbsRoute("POST", "/access/ticket", undefined, login),
  pbsRoute("GET", "/access/domains", undefined, () => [
    { realm: "pam", comment: "Linux PAM standard authentication", default: true, type: "pam" },
    { realm: "pbs", comment: "Proxmox Backup authentication server", type: "pbs" },
  ]),
  pbsRoute("PUT", "/access/password", undefined, changePassword),
  pbsRoute("GET", "/access/permissions", undefined, showPermissions),
  pbsRoute("GET", "/access/roles", undefined, () =>
    Object.entries(ROLES).map(([roleid, privs]) => ({ roleid, privs })),
  ),
  pbsRoute("GET", "/access/acl", undefined, listAcl),
  pbsRoute("PUT", "/access/acl", undefined, changeAcl),
  pbsRoute("GET", USERS, undefined, listUsers),
  pbsRoute("POST", USERS, `${USERS} Permissions.Modify`, createUser),
  pbsRoute("GET", USER, undefined, (call) => {
    requireSelfOr(call, "Sys.Audit");
    return withDigest(showUser(call.path.userid!, userAt(call)), call.server.state.users);
  }),
  pbsRoute("PUT", USER, undefined, (call) => {
    requireSelfOr(call, "Permissions.Modify");
    return changeUser(call);
  }),
  pbsRoute("DELETE", USER, `${USERS} Permissions.Modify`, deleteUser),
  pbsRoute("GET", `${USER}/token`, undefined, (call) => {
    requireSelfOr(call, "Sys.Audit");
    const tokens = Object.entries(userAt(call).tokens);
    return withDigest(
      tokens.map(([name, token]) => showToken(call.path.userid!, name, token)),
      call.server.state.users,
    );
  }),
  pbsRoute("GET", TOKEN, undefined, (call) => {
    requireSelfOr(call, "Sys.Audit");
    const { "token-name": _name, ...token } = showToken(call.path.userid!, call.path["token-name"]!, tokenAt(call));
    return withDigest(token, call.server.state.users);
  }),
  pbsRoute("POST", TOKEN, undefined, createToken),
  pbsRoute("PUT", TOKEN, undefined, changeToken),
  pbsRoute("DELETE", TOKEN, undefined, deleteToken),
];
