/** Why an operation is refused, before anything is changed: findings of the family OPERATION, all of them at once. */
import type { Finding } from "../planning";

/** A refusal: the operation does not begin while there is one. */
export function refusal(code: `OPERATION-${string}`, subject: string, message: string, fix: string): Finding {
  return { code, severity: "error", subject, message, fix };
}

/** Worth knowing before one says yes. */
export function caution(code: `OPERATION-${string}`, subject: string, message: string, fix: string): Finding {
  return { code, severity: "warning", subject, message, fix };
}
