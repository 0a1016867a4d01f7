import * as proxmoxve from "@pulumi/proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { Site, type SiteArgs } from "../components";
import { PlanError } from "../components/plan-error";
import {
  type Finding,
  parseSite,
  planSite,
  type SiteManifest,
  type SitePlan,
  type SiteReport,
  type SiteSpec,
  serverNoEndpoint,
  siteManifest,
  unguarded,
} from "../planning";
import { targetSecrets } from "../planning/checks/secrets";
import type { DrillResult } from "../providers/drill-results";
import { accessOf } from "./access";
import { adopting, adoptionMode, knownNames, refuseOtherReplication } from "./adoption";
import { type Deployed, readDeployed } from "./deployed";
import { readExisting } from "./existing";
import { lastDrills } from "./last-drills";
import { type StackSettings, secretFromConfig } from "./settings";
import { siteSsh } from "./site-ssh";
import { statePlaceFindings } from "./state-place";
import { voterRecords } from "./voter-records";

/** Outputs of a stack: the site's report, and the manifest that the commands read. */
export interface SiteOutputs extends SiteReport {
  manifest: SiteManifest;
  /** The last drill of each guest that had one, as of this update; `coldspare status` tells it at any time. */
  drills: Record<string, DrillResult>;
}

/**
 * Plans a site, compares the plan with what is deployed, and builds it.
 *
 * @returns the stack's outputs: see {@link SiteOutputs}
 * @throws PlanError with every finding at once, before the first resource is registered
 */
export async function buildSite(input: unknown, settings: StackSettings): Promise<SiteOutputs> {
  const { args, provider, drills } = await prepareSite(input, settings);
  const transformations = await adoption(args.site, settings);
  const site = new Site(args.site.site.name, args, { providers: { proxmoxve: provider }, transformations });
  return { ...site.report, manifest: site.manifest, drills };
}

/** While a site is taken over, what exists is imported instead of made. */
async function adoption(plan: SitePlan, settings: StackSettings): Promise<pulumi.ResourceTransformation[]> {
  const mode = adoptionMode(process.env);
  if (mode === undefined) return [];
  const existing = await readExisting(plan, settings);
  refuseOtherReplication(plan, existing);
  return [adopting(existing, mode, knownNames(process.env))];
}

/** A site that is proved and compared with what is deployed: what {@link Site} takes, and what it is made with. */
export interface PreparedSite {
  args: SiteArgs & { site: SitePlan };
  provider: proxmoxve.Provider;
  drills: SiteOutputs["drills"];
}

/** @throws PlanError with every finding at once, before the first resource is registered */
export async function prepareSite(input: unknown, settings: StackSettings): Promise<PreparedSite> {
  const parsed = parseSite(input);
  if (!parsed.spec) throw new PlanError("The site", parsed.findings);
  const plan = await planAgainstDeployed(parsed.spec, parsed.findings, settings);
  const provider = providerAt("pve", plan.endpoint, settings);
  const serverProviders = independentProviders(plan.site, settings);
  const args = {
    site: plan.site,
    protect: settings.protect,
    secrets: secretsOf(parsed.spec),
    access: accessOf(settings),
    ...(serverProviders && { serverProviders }),
    ...(settings.refreshToken ? { refreshToken: settings.refreshToken } : {}),
  };
  return { args, provider, drills: plan.drills };
}

function providerAt(name: string, endpoint: string, { apiToken }: StackSettings): proxmoxve.Provider {
  return new proxmoxve.Provider(name, { endpoint, apiToken, insecure: false });
}

/** Hypervisors that form no cluster: no other server answers for them. */
function independentServers({ site, servers }: SitePlan): string[] {
  const names = Object.values(servers).flatMap(({ name, roles }) => (roles.includes("hypervisor") ? [name] : []));
  return site.cluster === undefined && names.length > 1 ? names : [];
}

/** Named by the server, so that its URN never changes; `undefined` where one provider serves all. */
function independentProviders(plan: SitePlan, settings: StackSettings): Record<string, proxmoxve.Provider> | undefined {
  const providers: Record<string, proxmoxve.Provider> = {};
  for (const server of independentServers(plan)) {
    const endpoint = settings.endpoints[server];
    if (endpoint !== undefined) providers[server] = providerAt(`pve-${server}`, endpoint, settings);
  }
  return Object.keys(providers).length > 0 ? providers : undefined;
}

/** No other server answers for one that is in no cluster. */
export function endpointFindings(plan: SitePlan, { endpoints }: Pick<StackSettings, "endpoints">): Finding[] {
  return independentServers(plan)
    .filter((server) => endpoints[server] === undefined)
    .map(serverNoEndpoint);
}

/** The plan, proved with the sizes that disks have now: a disk that would shrink is refused at preview. */
async function planAgainstDeployed(
  spec: SiteSpec,
  findings: Finding[],
  settings: StackSettings,
): Promise<{ site: SitePlan; endpoint: string; drills: Record<string, DrillResult> }> {
  const first = planSite(spec, { active: settings.active });
  const [deployed, drills] = await readServers(first, settings);
  const plan = planSite(spec, { active: settings.active, deployedDisks: deployed.disks });
  const all = [
    ...findings,
    ...plan.findings,
    ...deployed.findings,
    ...guardFindings(plan, settings),
    ...endpointFindings(plan, settings),
    ...statePlaceFindings(plan),
  ];
  if (all.some((finding) => finding.severity === "error")) throw new PlanError(`Site ${spec.site.name}`, all);
  return { site: { ...plan, findings: all }, endpoint: deployed.endpoint, drills };
}

/** What is deployed, and the last drills. */
async function readServers(plan: SitePlan, settings: StackSettings): Promise<[Deployed, Record<string, DrillResult>]> {
  const ssh = siteSsh(plan, settings);
  try {
    return await Promise.all([
      readDeployed(plan, settings, ssh && voterRecords(plan, ssh)),
      ssh === undefined ? {} : lastDrills(plan, ssh),
    ]);
  } finally {
    await ssh?.close();
  }
}

/** Every server that keeps a record of a guest needs the guard, and a way to install it. */
export function guardFindings(plan: SitePlan, settings: Pick<StackSettings, "endpoints" | "ssh">): Finding[] {
  const { fencing, guests, servers } = siteManifest(plan, accessOf(settings));
  const voters = new Set(Object.values(guests).flatMap((guest) => guest.voters));
  const finding = unguarded(fencing, [...voters].filter((name) => servers[name]?.ssh === undefined).sort());
  return finding === undefined ? [] : [finding];
}

/** A secret is what the config says, or a password made once and kept in the state, encrypted. */
function secretsOf(spec: SiteSpec): Record<string, pulumi.Output<string>> {
  const names = Object.values(spec.guests).flatMap((guest) =>
    guest.kind === "vm" && guest.cloudInit?.passwordSecret ? [guest.cloudInit.passwordSecret] : [],
  );
  const value = (name: string) =>
    secretFromConfig(name) ?? pulumi.secret(new random.RandomPassword(name, { length: 24 }).result);
  const made = [...new Set(names)].sort().map((name) => [name, value(name)] as const);
  return { ...secretsOfCopies(spec), ...Object.fromEntries(made) };
}

/** Passwords of backup servers, shares and repositories: others have set them, so none is made up. What has no value is refused where it is used. */
function secretsOfCopies({ storages, targets }: SiteSpec): Record<string, pulumi.Output<string>> {
  const names = [
    ...Object.values(storages).flatMap(({ passwordSecret }) => passwordSecret ?? []),
    ...Object.values(targets).flatMap((target) => targetSecrets(target).map(([, name]) => name)),
  ];
  const known = names.flatMap((name) => {
    const value = secretFromConfig(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(known);
}
