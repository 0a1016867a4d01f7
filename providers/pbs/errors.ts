/** Errors of Proxmox Backup Server, with the advice that goes with them. */
import { CallError, type CallFailure } from "../http/errors";
import { adviceFor } from "./advice";

/** A call to Proxmox Backup Server that failed, or was not made because it would have done harm. */
export class PbsError extends CallError {
  constructor(failure: CallFailure) {
    super(failure, adviceFor);
    this.name = "PbsError";
  }

  /** The datastore, job, user or snapshot named in the call is not there. */
  get isMissing(): boolean {
    return this.status >= 400 && isMissingText(this.reason);
  }

  /** A configuration file is locked by another change: nothing was done, and the same call may succeed later. */
  get isLocked(): boolean {
    return isLockText(this.reason);
  }
}

/** The server says `no such datastore 'x'`, `job 'x' does not exist`, `token 'x' not found`. */
function isMissingText(text: string): boolean {
  return /\bno such |does not exist|not found|could not find/i.test(text) && !/^path .* not found/i.test(text);
}

/** A lock on a configuration file lasts moments; one on a snapshot or a group lasts as long as a backup and is no such lock. */
export function isLockText(text: string): boolean {
  return /unable to acquire .*lock|got timeout/i.test(text) && !/snapshot|group|possibly/i.test(text);
}
