/**
 * How a guest component comes to its part of a plan: from the site's plan where it is given, otherwise from a small
 * site made of nothing but what the guest itself names.
 */
import { isDeepStrictEqual } from "node:util";
import type { Finding, GuestPlan, GuestSpec, GuestSpecInput, SitePlan } from "../planning";
import { makeFinding, parseSite, planGuestAlone, planSite } from "../planning";
import { concernsGuest, type GuestSurroundings } from "../planning/alone";
import { formatPath } from "../planning/parse";
import { PlanError, refuseErrors } from "./plan-error";

/** A guest's part of the plan, the plan that it comes from, and what that plan has to say about this guest. */
export interface PlannedGuest {
  guest: GuestPlan;
  site: SitePlan;
  findings: Finding[];
}

/**
 * Plans one guest.
 *
 * With `site` a guest that the plan knows is taken as planned, and must be given as planned; one that it does not know is
 * added, and the whole site is proved again with it. Without `site` only the guest itself can be checked, which the
 * finding `SITE-PARTIAL` says.
 *
 * @param surroundings Networks and images that the guest names; only without `site`.
 * @throws PlanError with every error of the plan; of a guest on its own, with those that concern the guest; and with the
 * names of the arguments that differ from a plan that knows the guest.
 */
export function planGuest(
  name: string,
  spec: GuestSpecInput,
  site: SitePlan | undefined,
  surroundings: GuestSurroundings,
): PlannedGuest {
  const known = site?.guests[name];
  if (site && known) {
    // A plan with any error proves nothing for any of its guests.
    refuseErrors(`Guest ${name}`, site.findings);
    refuseOther(site, known, spec);
    return { guest: known, site, findings: site.findings.filter((finding) => concernsGuest(finding, name)) };
  }
  const plan = site ? replanWith(site, name, spec) : planGuestAlone(name, spec, surroundings);
  refuseErrors(`Guest ${name}`, plan.findings);
  const guest = plan.guests[name];
  if (!guest) throw new Error(`the plan holds no guest ${name}`);
  return { guest, site: plan, findings: plan.findings };
}

function replanWith(site: SitePlan, name: string, spec: GuestSpecInput): SitePlan {
  const active = Object.fromEntries(Object.values(site.guests).map((guest) => [guest.name, guest.activeSide]));
  return planSite(specWith(site, name, spec), { active });
}

function specWith(site: SitePlan, name: string, spec: GuestSpecInput): SitePlan["spec"] {
  const guests = { ...site.spec.guests, [name]: spec };
  const { spec: whole, findings } = parseSite({ ...site.spec, guests });
  refuseErrors(`Guest ${name}`, findings);
  if (!whole) throw new Error(`the specification of ${name} could not be read`);
  return whole;
}

/** The plan is what was proved: arguments that say something else would be ignored without a word. */
function refuseOther(site: SitePlan, { name, spec: planned }: GuestPlan, given: GuestSpecInput): void {
  if (isDeepStrictEqual(given, planned)) return;
  const spec: GuestSpec | undefined = specWith(site, name, given).guests[name];
  const differing = differences(spec, planned).map(formatPath).sort();
  if (differing.length === 0) return;
  throw new PlanError(`Guest ${name}`, [
    makeFinding(
      "SPEC-INVALID",
      `guests.${name}`,
      `the arguments of ${name} differ from the plan of the site at ${differing.join(", ")}`,
      `change it in the site's specification, or take the arguments from the plan: { ...plan.guests["${name}"].spec, site: plan }`,
    ),
  ]);
}

/** Paths at which two specifications differ, as deep as both have the same keys. */
function differences(one: unknown, other: unknown, path: readonly PropertyKey[] = []): (readonly PropertyKey[])[] {
  if (isDeepStrictEqual(one, other)) return [];
  if (Array.isArray(one) && Array.isArray(other)) {
    if (one.length !== other.length) return [path];
    return one.flatMap((entry, index) => differences(entry, other[index], [...path, index]));
  }
  if (!isRecord(one) || !isRecord(other)) return [path];
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].flatMap((key) => differences(one[key], other[key], [...path, key]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
