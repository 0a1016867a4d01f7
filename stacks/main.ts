/** The Pulumi program: reads the stack's settings and the site's specification, builds the site, exports its report. */
import { buildSite } from "./build-site";
import { loadSiteFile, openLayout } from "./layouts";
import { readSettings } from "./settings";

export = async () => {
  const settings = readSettings();
  const { input } = settings.siteFile ? await loadSiteFile(settings.siteFile) : openLayout(settings.layout);
  return buildSite(input, settings);
};
