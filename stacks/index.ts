/** Whole programs: what `stacks/main.ts` does, for the `index.ts` of a project of one's own. */
export type { SiteOutputs } from "./build-site";
export { type RunSiteOptions, runSite } from "./run-site";
