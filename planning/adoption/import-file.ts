/** Pulumi's own import file: for `pulumi import --file` in a program that uses none of these components. */
import type { Interpretation } from "./interpretation";

/** One resource of the file, in the engine's words. */
export interface ImportedResource {
  type: string;
  name: string;
  id: string;
  version: string;
  pluginDownloadUrl: string;
}

export interface ImportFile {
  resources: ImportedResource[];
}

/** The provider that the resources are read by. */
export interface ProviderSource {
  /** For example `8.6.0`. */
  version: string;
  /** Where the engine finds its plugin. */
  pluginDownloadUrl: string;
}

const TYPES = {
  vm: "proxmoxve:index/vmLegacy:VmLegacy",
  container: "proxmoxve:index/containerLegacy:ContainerLegacy",
} as const;

/**
 * Every guest that was taken over, without parents: `pulumi import --file import.json` reads each of them and writes its program.
 * Names are those of the site file.
 */
export function importFile({ guests }: Interpretation, provider: ProviderSource): ImportFile {
  const resources = guests.flatMap(({ name, kind, node, vmid }): ImportedResource[] =>
    name === undefined ? [] : [{ type: TYPES[kind], name, id: `${node}/${vmid}`, ...provider }],
  );
  return { resources };
}
