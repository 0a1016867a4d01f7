/** Every finding there is: docs/findings.md is generated from here. */
import { specificationFindings } from "./specification";
import type { CatalogueEntry } from "./types";

export type { CatalogueEntry } from "./types";

const catalogue = { ...specificationFindings } as const;

export type FindingCode = keyof typeof catalogue;

/** All codes with severity, title, explanation, an example message and the fix. */
export const FindingCatalogue: Readonly<Record<FindingCode, CatalogueEntry>> = catalogue;
