/** Errors of Proxmox VE, with the advice that goes with them. */
import { CallError, type CallFailure, UNREACHABLE } from "../http/errors";
import { adviceFor } from "./advice";

export { type CallContext, ConfigError, UNREACHABLE } from "../http/errors";

/** The facts of a failed call to Proxmox VE. */
export type PveFailure = CallFailure;

/** A call to Proxmox VE that failed. */
export class PveError extends CallError {
  constructor(failure: PveFailure) {
    super(failure, adviceFor);
    this.name = "PveError";
  }

  /** The guest, volume, storage or job named in the call is not there. */
  get isMissing(): boolean {
    return (
      this.status >= 400 && /does not exist|no such |unable to find/i.test(this.reason) && !/^bridge /.test(this.reason)
    );
  }

  /** The server named in the call is off or cut off. */
  get isServerDown(): boolean {
    return (
      this.status === 595 || (this.status === 0 && this.connection !== undefined && UNREACHABLE.has(this.connection))
    );
  }

  /** The guest or a file is locked by other work: nothing was done, and the same call may succeed later. */
  get isLocked(): boolean {
    return isLockText(this.reason);
  }
}

/** Whether PVE refused because something holds a lock. A missing quorum is reported in the same words and is none. */
export function isLockText(text: string): boolean {
  return (
    /got lock|is locked|can't lock file|unable to acquire lock|lock.*got timeout/i.test(text) && !/quorum/i.test(text)
  );
}
