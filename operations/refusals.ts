/** Why an operation is refused, before anything is changed: findings of the family OPERATION, all of them at once. */
import type { CatalogueEntry, Finding } from "../planning";
import { adoptFindings } from "./refusals-adopt";
import { backupFindings } from "./refusals-backups";
import { returnFindings } from "./refusals-return";
import { switchFindings } from "./refusals-switch";

/** A refusal: the operation does not begin while there is one. */
export function refusal(code: `OPERATION-${string}`, subject: string, message: string, fix: string): Finding {
  return { code, severity: "error", subject, message, fix };
}

/** Worth knowing before one says yes. */
export function caution(code: `OPERATION-${string}`, subject: string, message: string, fix: string): Finding {
  return { code, severity: "warning", subject, message, fix };
}

/** Every refusal there is: a chapter of docs/findings.md. */
export const operationFindings: Readonly<Record<string, CatalogueEntry>> = {
  ...returnFindings,
  ...switchFindings,
  ...backupFindings,
  ...adoptFindings,
};
