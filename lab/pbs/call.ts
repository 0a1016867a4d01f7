import type { World } from "../world";
import { hasPrivilege } from "./access";
import type { BackupServer } from "./backup-server";
import { forbidden } from "./errors";

/** One call of the API, authenticated, checked and with its path variables read. */
export interface PbsCall {
  world: World;
  server: BackupServer;
  method: string;
  /** `root@pam` or `backup@pbs!token`. */
  auth: string;
  path: Record<string, string>;
  /** Query and body: every value a string, booleans as 0 and 1, lists parted by NUL. */
  params: Record<string, string>;
}

export interface PbsRoute {
  method: "GET" | "POST" | "PUT" | "DELETE";
  template: string;
  handler: (call: PbsCall) => unknown;
}

/** An answer with members beside `data`: the log of a task (`total`). */
export class PbsAnswer {
  constructor(
    readonly data: unknown,
    readonly extra: Record<string, unknown>,
  ) {}
}

/** An answer that is bytes. */
export class PbsBytes {
  constructor(readonly bytes: Buffer) {}
}

/**
 * A route for those who have one of the privileges on a path.
 *
 * @param need - `path privilege|privilege`, e.g. `/datastore/{store} Datastore.Audit`; undefined: the handler checks
 */
export function pbsRoute(
  method: PbsRoute["method"],
  template: string,
  need: string | undefined,
  handler: PbsRoute["handler"],
): PbsRoute {
  if (!need) return { method, template, handler };
  const [path = "/", names = ""] = need.split(" ");
  return {
    method,
    template,
    handler: (call) => {
      requirePrivilege(
        call,
        path.replace(/\{([\w-]+)\}/g, (_, name: string) => call.path[name] ?? ""),
        ...names.split("|"),
      );
      return handler(call);
    },
  };
}

/** @throws PbsError 403 unless the caller has one of the privileges */
export function requirePrivilege(call: PbsCall, path: string, ...any: string[]): void {
  if (!hasPrivilege(call.server, call.auth, path, ...any)) throw forbidden();
}

export function isSet(value: string | undefined, fallback = false): boolean {
  return value === undefined ? fallback : ["1", "true", "yes", "on"].includes(value);
}

/** The members of a list parameter. */
export function listOf(value: string | undefined): string[] {
  return value === undefined || value === "" ? [] : value.split("\0");
}
