/** The project folder of an imported site: what `coldspare import` hands to the writer of projects. */
import { type ImportFile, importFile } from "../planning/adoption/import-file";
import type { Interpretation } from "../planning/adoption/interpretation";
import { siteYaml } from "../planning/adoption/site-yaml";
import type { ClusterSnapshot } from "../planning/adoption/snapshot";
import { projectFiles, type StateChoice } from "./project";
import { providerSource } from "./provider-source";

export interface ImportedSite {
  snapshot: ClusterSnapshot;
  interpretation: Interpretation;
  /** How the cluster was reached, by server or address. */
  endpoints: Readonly<Record<string, string>>;
  /** PEM of the authority that the connection trusted. */
  ca?: string;
  state: StateChoice;
}

const CA_FILE = "pve-root-ca.pem";
const PORT = "8006";

/** Every file of the project, by its path. No secret is in any of them. */
export function importedProject(imported: ImportedSite): Record<string, string> {
  const { interpretation, snapshot, state } = imported;
  const { site } = interpretation;
  const certificates = certificatesIn(imported.ca);
  const hosts = Object.entries(site.servers).flatMap(([name, { address, address6 }]) => {
    const host = address ?? address6;
    return host === undefined ? [] : [[name, host] as const];
  });
  return projectFiles({
    name: site.site.name,
    siteText: siteYaml(interpretation),
    stack: "prod",
    endpoints: endpointsOf(imported),
    hosts: Object.fromEntries(hosts),
    state,
    adopt: true,
    ...(certificates !== undefined && { caFile: CA_FILE }),
    readme: [whatWasImported(snapshot, interpretation), programOfOnesOwn],
    extra: {
      "import.json": `${JSON.stringify(guestsToImport(interpretation), null, 2)}\n`,
      ...(certificates !== undefined && { [CA_FILE]: certificates }),
    },
  });
}

export function guestsToImport(interpretation: Interpretation): ImportFile {
  return importFile(interpretation, providerSource());
}

/** Nothing but certificates goes into the folder, whatever else the file holds. */
function certificatesIn(pem: string | undefined): string | undefined {
  const found = pem?.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g);
  return found ? `${found.join("\n")}\n` : undefined;
}

/**
 * The API of each hypervisor: as it was named, or at its address in the cluster where the one that was named is reached at its own, too.
 * Behind a tunnel only what was named is known, and any server of a cluster answers for the others.
 */
export function endpointsOf({ interpretation, endpoints }: Pick<ImportedSite, "interpretation" | "endpoints">) {
  const hypervisors = Object.entries(interpretation.site.servers).filter(([, { roles }]) =>
    roles.includes("hypervisor"),
  );
  const urls = Object.values(endpoints).map((url) => new URL(url));
  const own = ([name, { address, address6 }]: (typeof hypervisors)[number]): URL | undefined => {
    if (Object.hasOwn(endpoints, name)) return new URL(endpoints[name] ?? "");
    return urls.find(({ hostname }) => {
      const host = hostname.replace(/^\[|\]$/g, "");
      return host === address || host === address6 || host.split(".")[0]?.toLowerCase() === name.toLowerCase();
    });
  };
  const known = new Map(hypervisors.map((server) => [server[0], own(server)]));
  const [direct] = [...known].flatMap(([name, url]) => (url && !Object.hasOwn(endpoints, name) ? [url] : []));
  const found = hypervisors.flatMap(([name, { address, address6 }]): [string, string][] => {
    const url = known.get(name);
    if (url !== undefined) return [[name, url.origin]];
    const host = address ?? (address6 && `[${address6}]`);
    return direct === undefined || host === undefined ? [] : [[name, `https://${host}:${direct.port || PORT}`]];
  });
  const [first] = hypervisors;
  const [any] = urls;
  if (found.length === 0 && first !== undefined && any !== undefined) return { [first[0]]: any.origin };
  return Object.fromEntries(found);
}

function whatWasImported({ version, readAt }: ClusterSnapshot, { guests, left }: Interpretation): string {
  const taken = guests.filter(({ name }) => name !== undefined);
  const refused = guests.filter(({ name }) => name === undefined);
  const day = new Date(readAt * 1000).toISOString().slice(0, 10);
  return [
    `## What was imported\n\nRead on ${day} from Proxmox VE ${version}: ${taken.length} of ${guests.length} guests were taken over as they are. Nothing on the servers was changed.`,
    ...(refused.length === 0
      ? []
      : [
          `Not taken over; coldspare does not touch them:\n\n${refused.map(({ vmid, title, node, reason }) => `- ${vmid} \`${title}\` on ${node}: ${reason}`).join("\n")}`,
        ]),
    ...(left.length === 0
      ? []
      : [
          `Left as it is, as a specification has no words for it:\n\n${left.map(({ subject, what }) => `- ${subject}: ${what}`).join("\n")}`,
        ]),
    "What stays as it is of single guests stands above each of them in `site.yaml`.",
  ].join("\n\n");
}

const programOfOnesOwn = `## In a program of your own

\`import.json\` names the guests for the engine's own import, in a Pulumi program that uses none of this: \`pulumi import --file import.json\` reads them and writes their code. Choose one of the two ways: a guest belongs to one stack.`;
