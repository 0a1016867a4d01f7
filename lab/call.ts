import type { Domain } from "./domain";
import type { World } from "./world";

/** Who makes a call. */
export interface Identity {
  /** `root@pam` */
  user: string;
  /** `root@pam!token`, or the user when a ticket was used. */
  full: string;
  token?: string;
  /** Root with a ticket: the only one who may do what PVE keeps for root. */
  isRoot: boolean;
}

/** One call of the API, authenticated and with its path variables read. */
export interface Call {
  world: World;
  domain: Domain;
  /** Node whose listener took the call. */
  listener: string;
  /** Node that carries it out: the one in the path, else the listener. */
  node: string;
  method: string;
  template: string;
  /** Variables of the path. */
  path: Record<string, string>;
  /** Query and form (or JSON) parameters, every value a string, booleans as 0 and 1. */
  params: Record<string, string>;
  identity: Identity;
  /** Uploaded file, if the body was a form with files. */
  file?: { name: string; data: Buffer };
  remote: string;
}

/** Privileges on one path. Variables in the path are filled in from the call. */
export interface PrivilegeCheck {
  path: string;
  privileges: string[];
  /** One of them is enough. */
  any?: boolean;
  /** Fails without this parameter, whoever calls. */
  requires?: string;
}

/** What a call asks for, as the published API states it; `self`: the caller is the user whom it is about. */
export type Permission = PrivilegeCheck | { every: Permission[] } | { some: Permission[] } | { self: true };

/** An answer with members beside `data`, as task logs (`total`) and interfaces (`changes`) have. */
export class AnswerWith {
  constructor(
    readonly data: unknown,
    readonly extra: Record<string, unknown>,
  ) {}
}

/** An answer that is the bytes of a file. */
export class AnswerBytes {
  constructor(readonly bytes: Buffer) {}
}

export interface Route {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path with variables, as the published schema writes it. */
  template: string;
  permission?: Permission;
  handler: (call: Call) => unknown;
}

/** Short form for a table of routes. */
export function route(
  method: Route["method"],
  template: string,
  permission: Permission | undefined,
  handler: Route["handler"],
): Route {
  return permission ? { method, template, permission, handler } : { method, template, handler };
}

export function perm(path: string, ...privileges: string[]): PrivilegeCheck {
  return { path, privileges };
}

export function anyOf(path: string, ...privileges: string[]): PrivilegeCheck {
  return { path, privileges, any: true };
}

/** A form's boolean. */
export function flag(value: string | undefined, fallback = false): boolean {
  return value === undefined ? fallback : value === "1" || value === "true" || value === "yes" || value === "on";
}

/** Members of a list parameter; PVE splits on commas, semicolons, blanks and NUL. */
export function list(value: string | undefined): string[] {
  return (value ?? "").split(/[,;\s\0]+/).filter((part) => part !== "");
}
