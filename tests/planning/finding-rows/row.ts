import type { FindingCode, PlanOptions } from "../../../planning";

/** A change of the clean site, and a finding that it brings. */
export interface Row {
  code: FindingCode;
  /** Overrides, as `--set` takes them. */
  set: string[];
  options?: PlanOptions;
  subject: string;
  message: string;
}
