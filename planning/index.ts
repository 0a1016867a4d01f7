/**
 * Planning: from a site specification to a plan and its findings. No Pulumi, no input or output, no clock.
 *
 * @example
 * ```ts
 * import { parse } from "yaml";
 * import { planSite } from "coldspare/planning";
 *
 * const plan = planSite(parse(text));
 * console.log(plan.ok, plan.losses["srv1"]?.restarts);
 * ```
 */

export { type GuestSurroundings, type ImageSpecInput, planGuestAlone } from "./alone";
export type * from "./backup/manifest";
export type * from "./backup/plan";
export type { BackupsReport } from "./backup/report-backups";
export * from "./backup/schema";
export * from "./backup/subjects";
export {
  CALENDAR_EXAMPLES,
  type CalendarEvent,
  longestGapSeconds,
  nextRun,
  type ParsedCalendarEvent,
  parseCalendarEvent,
} from "./calendar";
export { coresAtStart } from "./capacity";
export { type CatalogueEntry, FindingCatalogue, type FindingCode } from "./catalogue";
export {
  type ActiveEvidence,
  activeMismatch,
  adoptedGone,
  containerElsewhere,
  guestIdTaken,
  makeFinding,
  orderFindings,
  serverNoEndpoint,
  serverUnreachable,
  switchUnderWay,
  unguarded,
} from "./findings";
export { renderFindings } from "./findings-page";
export { deriveGuestId, deriveMac } from "./identity";
export * from "./manifest";
export * from "./manifest-text";
export { idsOf, NODE_CONF_FORMAT, renderNodeConf } from "./node-conf";
export { OverrideError, overrideSite } from "./override";
export { type ParsedSite, parseSite } from "./parse";
export type * from "./plan";
export { planSite } from "./plan-site";
export { ACTIVATION_SECONDS, DECISION_SECONDS, POWER_OFF_SECONDS } from "./recovery";
export { type GuestReport, type SiteReport, siteReport } from "./report";
export * from "./schema";
export * from "./schema-recovery";
export { activeAddresses } from "./spare-networks";
export { type StandbyPlan, standbyOf } from "./standby";
export { type StartGroup, type Starting, type StartStep, startOrder } from "./start-order";
export { type Share, shareOf } from "./storage-types";
export { formatDuration, formatGiB, parseDuration } from "./units";

import type { SiteSpecInput } from "./schema";

/** A site specification in TypeScript: returns it unchanged, with its type checked and completed by the editor. */
export function defineSite(spec: SiteSpecInput): SiteSpecInput {
  return spec;
}
