import type { Finding } from "../plan";

/** What docs/findings.md says about a code. */
export interface CatalogueEntry {
  severity: Finding["severity"];
  title: string;
  explanation: string;
  /** A message as it is really shown; a test provokes it. */
  example: string;
  fix: string;
}
