/** The program of a site, for the `index.ts` of a project of one's own. */
import { projectPath } from "../providers/config";
import { buildSite, type SiteOutputs } from "./build-site";
import { type LoadedSite, loadSiteFile, openLayout } from "./layouts";
import { readSettings, type StackSettings } from "./settings";

/** Options of {@link runSite}. */
export interface RunSiteOptions {
  /**
   * The specification, counted from the folder of Pulumi.yaml. Default: `coldspare:siteFile` of the stack's config; without
   * it and without `coldspare:layout`, the site file beside Pulumi.yaml.
   */
  siteFile?: string;
}

/**
 * Reads the stack's settings and the site's specification, builds the site and gives its report as the stack's outputs.
 *
 * ```ts
 * import { runSite } from "coldspare/stacks";
 *
 * export = runSite();
 * ```
 *
 * In an ES module: `export default runSite();`
 *
 * @returns the stack's outputs, among them the manifest that the commands of `coldspare` read
 * @throws PlanError with every finding at once, before the first resource is registered
 * @throws RunError that names the setting that is missing, and the command that sets it
 */
export async function runSite(options: RunSiteOptions = {}): Promise<SiteOutputs> {
  const settings = readSettings();
  const { input } = await openSite(options, settings);
  return buildSite(input, settings);
}

async function openSite(options: RunSiteOptions, settings: StackSettings): Promise<LoadedSite> {
  const siteFile = options.siteFile === undefined ? settings.siteFile : projectPath(options.siteFile);
  return siteFile === undefined ? openLayout(settings.layout) : loadSiteFile(siteFile);
}
