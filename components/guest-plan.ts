/**
 * How a guest component comes to its part of a plan: from the site's plan where it is given, otherwise from a small
 * site made of nothing but what the guest itself names.
 */
import type { Finding, GuestPlan, GuestSpecInput, NetworkSpecInput, SitePlan } from "../planning";
import { parseSite, planGuestAlone, planSite } from "../planning";
import { concernsGuest } from "../planning/alone";
import { refuseErrors } from "./plan-error";

/** A guest's part of the plan, the plan that it comes from, and what that plan has to say about this guest. */
export interface PlannedGuest {
  guest: GuestPlan;
  site: SitePlan;
  findings: Finding[];
}

/**
 * Plans one guest.
 *
 * With `site` a guest that the plan knows is taken as planned; one that it does not know is added, and the whole site
 * is proved again with it. Without `site` only the guest itself can be checked, which the finding `SITE-PARTIAL` says.
 *
 * @throws PlanError with every error of the plan; of a guest on its own, with those that concern the guest.
 */
export function planGuest(
  name: string,
  spec: GuestSpecInput,
  site: SitePlan | undefined,
  networks: Record<string, NetworkSpecInput> | undefined,
): PlannedGuest {
  const known = site?.guests[name];
  if (site && known) {
    // A plan with any error proves nothing for any of its guests.
    refuseErrors(`Guest ${name}`, site.findings);
    return { guest: known, site, findings: site.findings.filter((finding) => concernsGuest(finding, name)) };
  }
  const plan = site ? replanWith(site, name, spec) : planGuestAlone(name, spec, networks);
  refuseErrors(`Guest ${name}`, plan.findings);
  const guest = plan.guests[name];
  if (!guest) throw new Error(`the plan holds no guest ${name}`);
  return { guest, site: plan, findings: plan.findings };
}

function replanWith(site: SitePlan, name: string, spec: GuestSpecInput): SitePlan {
  const guests = { ...site.spec.guests, [name]: spec };
  const { spec: whole, findings } = parseSite({ ...site.spec, guests });
  refuseErrors(`Guest ${name}`, findings);
  if (!whole) throw new Error(`the specification of ${name} could not be read`);
  const active = Object.fromEntries(Object.values(site.guests).map((guest) => [guest.name, guest.activeSide]));
  return planSite(whole, { active });
}
