/** Names as Proxmox Backup Server takes them. Source: the patterns of its published API. */
import type { InputFailure } from "../serve";

const ID = /^[A-Za-z0-9_][A-Za-z0-9._-]{2,31}$/;
const NAMESPACE = /^([A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*){0,6})?$/;
const USER = /^[^\s:/!@]+@[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const TOKEN = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/** Datastores, jobs, remotes, rules: 3 to 32 characters. */
export function checkId(property: string, id: string | undefined): InputFailure[] {
  if (id === undefined || ID.test(id)) return [];
  return [
    { property, reason: `'${id}' is no name of the backup server; write 3 to 32 letters, digits, '.', '-' or '_'` },
  ];
}

/** At most seven levels; the root is the empty text. */
export function checkNamespace(property: string, ns: string | undefined): InputFailure[] {
  if (ns === undefined || NAMESPACE.test(ns)) return [];
  return [
    {
      property,
      reason: `'${ns}' is no namespace; write names with '/' between, at most seven, such as office/servers`,
    },
  ];
}

export function checkUser(property: string, user: string | undefined): InputFailure[] {
  if (user === undefined || USER.test(user)) return [];
  return [{ property, reason: `'${user}' is no user; write name@realm, for instance coldspare@pbs` }];
}

export function checkTokenName(property: string, token: string | undefined): InputFailure[] {
  if (token === undefined || TOKEN.test(token)) return [];
  return [
    { property, reason: `'${token}' is no name of a token; write letters, digits, '.', '-' or '_', without the user` },
  ];
}

/** `user@realm` or `user@realm!token`. */
export function checkAuthId(property: string, authId: string | undefined): InputFailure[] {
  if (authId === undefined) return [];
  const [user = "", token] = authId.split("!");
  if (USER.test(user) && (token === undefined || TOKEN.test(token))) return [];
  return [{ property, reason: `'${authId}' is neither name@realm nor name@realm!token` }];
}

/** A number within bounds. */
export function checkRange(property: string, value: number | undefined, from: number, to: number): InputFailure[] {
  if (value === undefined || (Number.isInteger(value) && value >= from && value <= to)) return [];
  return [{ property, reason: `${value} is not between ${from} and ${to}` }];
}
