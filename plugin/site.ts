/** A whole site for programs in other languages: what `runSite` builds, as a component of a program of one's own. */
import * as pulumi from "@pulumi/pulumi";
import { Site } from "../components";
import { projectPath } from "../providers/config";
import { prepareSite } from "../stacks/build-site";
import { loadSiteFile } from "../stacks/layouts";

import { readSettings, type StackSettings } from "../stacks/settings";
import type { Made } from "./provider";

/** As the schema has it; `checkArguments` has looked at it. */
interface SiteInputs {
  specification?: unknown;
  siteFile?: string;
  protect?: boolean;
  refreshToken?: pulumi.Input<string>;
}

/**
 * Endpoints, credentials and secrets come from the stack's config, as for a site in TypeScript: the handlers of its resources
 * read them there, whichever language the program is written in.
 */
export async function constructSite(
  name: string,
  inputs: SiteInputs,
  options: pulumi.ComponentResourceOptions,
): Promise<Made> {
  const settings = readSettings();
  const { args, provider } = await prepareSite(await specificationOf(inputs, settings), settings);
  const { protect = args.protect, refreshToken = args.refreshToken } = inputs;
  const component = new Site(
    name,
    { ...args, ...(protect === undefined ? {} : { protect }), ...(refreshToken === undefined ? {} : { refreshToken }) },
    // A provider that the program hands over comes first.
    {
      ...options,
      providers: { proxmoxve: provider, ...(options.providers as Record<string, pulumi.ProviderResource>) },
    },
  );
  const { plan, report, manifest } = component;
  return { component, outputs: { guests: report.guests, findings: plan.findings, manifest } };
}

/** @throws InputPropertiesError unless exactly one of the two is given */
async function specificationOf({ specification, siteFile }: SiteInputs, settings: StackSettings): Promise<unknown> {
  if (specification !== undefined && siteFile !== undefined)
    throw new pulumi.InputPropertyError({
      propertyPath: "siteFile",
      reason: "the specification is given already: leave one of the two out",
    });
  if (specification !== undefined) return specification;
  const file = siteFile === undefined ? settings.siteFile : projectPath(siteFile);
  if (file === undefined)
    throw new pulumi.InputPropertyError({
      propertyPath: "specification",
      reason: "say what the site consists of: `specification` as an object, or `siteFile`",
    });
  return (await loadSiteFile(file)).input;
}
