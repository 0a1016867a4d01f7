/** What a project folder is made from. Plain data: `init` asks for it, `import` reads it from a running cluster. */

/** Where the engine keeps the state of the stack, and with it the key to its secrets. */
export type StateChoice =
  | {
      /** Files in a folder: `state` in the project, unless it names another one (absolute, or from the project). */
      kind: "local";
      folder?: string;
    }
  | {
      /** A bucket of any S3-compatible store. */
      kind: "s3";
      bucket: string;
      /** `https://s3.example.org`; absent: that of AWS. */
      endpoint?: string;
      region?: string;
    }
  | {
      /** Pulumi Cloud. */
      kind: "cloud";
      organisation?: string;
    };

/** A project to be written: see {@link projectFiles}. */
export interface ProjectOptions {
  /** The site's name, which becomes the project's. */
  name: string;
  /** The whole text of site.yaml. */
  siteText: string;
  stack: string;
  /** API of each hypervisor, for example `{ srv1: "https://192.168.10.11:8006" }`. */
  endpoints: Record<string, string>;
  state: StateChoice;
  /** PEM of the CA of the servers' certificates, counted from the project's folder. Default: none is named. */
  caFile?: string;
  /** Address of each server that is reached over SSH. Default: the hosts of `endpoints`. */
  hosts?: Record<string, string>;
  /** What exists is taken over first: the README then says `coldspare adopt` before the first update. */
  adopt?: boolean;
  /** Sections of the README, as Markdown, between its first lines and the steps. */
  readme: string[];
  /** More files by path, for example an import file. A path that the project has anyway replaces it. */
  extra?: Record<string, string>;
}

/** What the new package.json asks for. */
export interface ProjectVersions {
  coldspare: string;
  pulumi: string;
  typescript: string;
  /** Range of Node.js. */
  node: string;
}

const DEFAULT_FOLDER = "state";

/** The backend as Pulumi takes it, for `backend.url` of Pulumi.yaml and for PULUMI_BACKEND_URL. */
export function backendUrl(state: StateChoice): string {
  switch (state.kind) {
    case "local":
      return fileUrl(state.folder ?? DEFAULT_FOLDER);
    case "s3":
      return s3Url(state);
    case "cloud":
      return "https://api.pulumi.com";
  }
}

/** The engine counts `./` from where it is called, and knows `~` itself. */
function fileUrl(folder: string): string {
  return `file://${/^[/~]/.test(folder) ? folder : `./${folder.replace(/^\.\//, "")}`}`;
}

function s3Url({ bucket, endpoint, region }: Extract<StateChoice, { kind: "s3" }>): string {
  const query = new URLSearchParams();
  if (endpoint !== undefined) query.set("endpoint", endpoint);
  // Stores of one's own rarely have regions, but the protocol signs one.
  if (region !== undefined || endpoint !== undefined) query.set("region", region ?? "us-east-1");
  // bucket.host needs a name and a certificate for each bucket; host/bucket works everywhere.
  if (endpoint !== undefined) query.set("s3ForcePathStyle", "true");
  return `s3://${bucket}${query.size === 0 ? "" : `?${query}`}`;
}

/** The folder of local state inside the project, which the engine does not make; undefined where it is elsewhere. */
export function stateFolder(state: StateChoice): string | undefined {
  if (state.kind !== "local") return undefined;
  const folder = (state.folder ?? DEFAULT_FOLDER).replace(/^\.\//, "").replace(/\/+$/, "");
  return /^[/~]|^\.\.?($|\/)/.test(folder) ? undefined : folder;
}
