/** Findings of `coldspare check --live`: a chapter of docs/findings.md. The plan's own codes stand for the same in a plan. */
import type { CatalogueEntry } from "../catalogue";
import { liveClusterFindings } from "./live-catalogue-cluster";
import { liveCopyFindings } from "./live-catalogue-copies";

/** By code. */
export const liveFindings = { ...liveCopyFindings, ...liveClusterFindings } as const satisfies Record<
  string,
  CatalogueEntry
>;

export type LiveCode = keyof typeof liveFindings;
