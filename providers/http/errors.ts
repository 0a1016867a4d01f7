/** The error that every failed call to an API ends in: it says where, what, the server's own words, and what to do. */

/** What a caller wanted, in words, so that an error can say it. */
export interface CallContext {
  /** Completes 'could not …', for instance `start guest 110 'sql-erp'`. Default: the call itself. */
  doing?: string;
  /** Name of the guest that the call is about. */
  guest?: string;
  /** The server that the call is about, where its path does not name one. */
  server?: string;
}

/** The facts of a failed call. */
export interface CallFailure extends CallContext {
  /** The server that failed, as the site names it. */
  server: string;
  /** Method and path, for instance `POST /nodes/srv2/qemu/110/status/start`. */
  call: string;
  /** HTTP status; 0 when no answer came; 200 when the call was taken and its task failed. */
  status: number;
  /** The server's own words, or those of the connection. */
  reason: string;
  /** What to do; worked out from the rest when absent. */
  fix?: string;
  /** Last lines of the failed task's log. */
  log?: string[];
  /** The token's id (`user@realm!name`), which is no secret, for the commands in the advice. */
  tokenId?: string;
  /** Code of the connection's error, such as `ECONNREFUSED`. */
  code?: string;
}

/**
 * A call that failed. The message names server, guest, call, the server's own words and what to do:
 *
 * `srv2: could not start guest 110 'sql-erp' (POST /nodes/srv2/qemu/110/status/start): bridge 'vmbr0' does not exist. Fix: …`
 */
export abstract class CallError extends Error {
  readonly server: string;
  readonly guest: string | undefined;
  readonly call: string;
  readonly status: number;
  readonly reason: string;
  readonly fix: string;
  readonly log: readonly string[];
  /** Code of the connection's error, when there was one. Not called `code`: gRPC takes a field of that name for its own. */
  readonly connection: string | undefined;

  protected constructor(failure: CallFailure, advise: (failure: CallFailure) => string) {
    const reason = failure.reason.trim().replace(/\.$/, "");
    const fix = failure.fix ?? advise({ ...failure, reason });
    const log = failure.log ?? [];
    const shownLog =
      log.length > 0 ? `\n  last lines of the task's log:\n${log.map((line) => `    ${line}`).join("\n")}` : "";
    const doing = failure.doing === undefined ? `complete ${failure.call}` : `${failure.doing} (${failure.call})`;
    super(`${failure.server}: could not ${doing}: ${reason}. Fix: ${fix}${shownLog}`);
    this.server = failure.server;
    this.guest = failure.guest;
    this.call = failure.call;
    this.status = failure.status;
    this.reason = reason;
    this.fix = fix;
    this.log = log;
    this.connection = failure.code;
  }
}

/** Codes of a connection that never came about. */
export const UNREACHABLE: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "CONNECT_TIMEOUT",
]);

/** An error in one of the inputs or settings: it never reached a server. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}
