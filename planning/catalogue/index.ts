/** Every finding there is: docs/findings.md is generated from here. */
import { addressFindings } from "./addresses";
import { adoptionFindings } from "./adoption";
import { backupFindings } from "./backups";
import { capacityFindings } from "./capacity";
import { placementFindings } from "./placement";
import { protectionFindings } from "./protection";
import { specificationFindings } from "./specification";
import { stateFindings } from "./state";
import { switchingFindings } from "./switching";
import type { CatalogueEntry } from "./types";

export type { CatalogueEntry } from "./types";

/** The chapters of docs/findings.md. */
export const findingChapters = {
  "The specification": specificationFindings,
  "Networks and addresses": addressFindings,
  "What runs and lies where": placementFindings,
  "Room and votes": capacityFindings,
  "Replicas, backups and recovery": protectionFindings,
  "Targets, policies and media": backupFindings,
  "Changing sides": switchingFindings,
  "A site that was there before": adoptionFindings,
  "Where the state lies": stateFindings,
} as const satisfies Record<string, Record<string, CatalogueEntry>>;

const catalogue = {
  ...specificationFindings,
  ...addressFindings,
  ...placementFindings,
  ...capacityFindings,
  ...protectionFindings,
  ...backupFindings,
  ...switchingFindings,
  ...adoptionFindings,
  ...stateFindings,
} as const;

export type FindingCode = keyof typeof catalogue;

/** All codes with severity, title, explanation, an example message and the fix. */
export const FindingCatalogue: Readonly<Record<FindingCode, CatalogueEntry>> = catalogue;
