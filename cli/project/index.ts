/** A folder with a program, settings and README for one site: what `coldspare init` and `coldspare import` write. */
export { backendUrl, type ProjectOptions, type ProjectVersions, type StateChoice } from "./options";
export { projectFiles } from "./project-files";
export { refuseUnlessEmpty, writeProject } from "./write-project";
