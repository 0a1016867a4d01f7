/** The schema of the plugin's package: what programs in other languages may write. Pure: computed from the specification's own schema. */
import { siteJsonSchema } from "../planning";
import { ANY, type JsonSchema, type ObjectSpec, type PropertySpec, TypeCollector } from "./type-spec";

export const PACKAGE = "coldspare";

export interface ResourceSpec {
  isComponent: true;
  description: string;
  inputProperties: Record<string, PropertySpec>;
  /** Absent where nothing is. */
  requiredInputs?: string[];
  properties: Record<string, PropertySpec>;
  required: string[];
}

/** As Pulumi's metaschema has it (github.com/pulumi/pulumi, pkg/codegen/schema/pulumi.json). */
export interface PackageSchema {
  name: string;
  version: string;
  displayName: string;
  description: string;
  license: string;
  /** Of the provider itself: none, as endpoints and credentials are the stack's. */
  config: Record<string, never>;
  types: Record<string, ObjectSpec>;
  resources: Record<string, ResourceSpec>;
}

/** The specification's schema, split into what the components take. */
interface SiteParts {
  vm: JsonSchema;
  container: JsonSchema;
  network: JsonSchema;
  image: JsonSchema;
}

/** Token of a component. */
export function token(component: string): string {
  return `${PACKAGE}:index:${component}`;
}

/**
 * @param version the package's
 * @param site the specification's JSON Schema
 */
export function packageSchema(version: string, site = siteJsonSchema() as JsonSchema): PackageSchema {
  const collector = new TypeCollector(PACKAGE, true);
  const parts = partsOf(site);
  const resources = {
    [token("Container")]: guest(collector, "Container", parts.container, parts, {
      sshKeys: { type: "array", items: { type: "string" }, description: "Public keys of the container's root" },
    }),
    [token("Site")]: siteResource(),
    [token("VirtualMachine")]: guest(collector, "VirtualMachine", parts.vm, parts, {
      rebootAfterUpdate: plain({
        type: "boolean",
        description: "Reboot a running machine when a change cannot be made while it runs",
      }),
    }),
  };
  return {
    name: PACKAGE,
    version,
    displayName: "coldspare",
    description: "Proxmox VE guests with cold spares, planned and proved before anything is built",
    license: "Apache-2.0",
    config: {},
    types: { ...collector.types, [token("Finding")]: finding },
    resources,
  };
}

const finding: ObjectSpec = {
  type: "object",
  description: "What a check of the plan reports",
  properties: {
    code: { type: "string", description: "Stable; docs/findings.md explains it" },
    severity: { type: "string", description: "error, warning or info" },
    subject: { type: "string", description: "Path of what is meant, for example guests.sql" },
    message: { type: "string" },
    fix: { type: "string", description: "What to change" },
  },
  required: ["code", "fix", "message", "severity", "subject"],
};

const findings: PropertySpec = {
  type: "array",
  items: { $ref: `#/types/${token("Finding")}` },
  description: "What the plan says beyond errors",
};

/** Arguments of every component beside its part of the specification. */
const common: Record<string, PropertySpec> = {
  protect: plain({
    type: "boolean",
    description: "Deny deletion of guests by the engine until they are unprotected. Default: true",
  }),
  refreshToken: {
    type: "string",
    description: "A changed value refreshes a `restore` replica from its newest backup at the next update",
  },
};

function siteResource(): ResourceSpec {
  return {
    isComponent: true,
    description:
      "A whole site: servers, storages, guests with their replicas and backup jobs, out of one specification that is proved " +
      "before the first resource is registered. Endpoints, credentials and secrets come from the stack's config (coldspare:…).",
    inputProperties: {
      specification: plain({
        $ref: ANY,
        description: "The specification as an object, in the words of site.yaml (docs/reference/specification.md)",
      }),
      siteFile: plain({
        type: "string",
        description:
          "Or its file, counted from the folder of Pulumi.yaml: site.yaml, or another form of it. Default: coldspare:siteFile, else the one beside Pulumi.yaml",
      }),
      ...common,
    },
    properties: {
      guests: { $ref: ANY, description: "What the plan says of each guest" },
      findings,
      manifest: {
        $ref: ANY,
        description: "What the operator's commands need to know of the site: export it as `manifest`",
      },
    },
    required: ["findings", "guests", "manifest"],
  };
}

function guest(
  collector: TypeCollector,
  name: string,
  schema: JsonSchema,
  { network, image }: SiteParts,
  own: Record<string, PropertySpec>,
): ResourceSpec {
  // The component is of one kind; the specification's word for it is the component's name.
  const { properties, required } = collector.properties(name, schema, ["kind"]);
  const named = (key: string, of: JsonSchema, description: string) =>
    collector.property("", key, { type: "object", additionalProperties: of, description });
  return {
    isComponent: true,
    description:
      `A ${name === "Container" ? "container (LXC)" : "virtual machine"} on its primary server, with a powered-off ` +
      "replica on another. Sizes are GiB.",
    inputProperties: {
      ...properties,
      siteNetworks: named("siteNetworks", network, "Networks that the guest names"),
      siteImages: named("siteImages", image, "Images that the guest names, which its servers have already"),
      password: { type: "string", description: "Password of its first user; kept as a secret" },
      ...own,
      ...common,
    },
    ...(required === undefined ? {} : { requiredInputs: required }),
    properties: {
      guestId: { type: "integer", description: "Guest id on its active side" },
      primary: { type: "string", description: "The server it normally runs on" },
      spare: { type: "string", description: "The server that keeps its powered-off replica, if there is one" },
      activeSide: { type: "string", description: "primary or spare" },
      activeServer: { type: "string", description: "The server it runs on now" },
      findings,
    },
    required: ["activeServer", "activeSide", "findings", "guestId", "primary"],
  };
}

function plain(property: PropertySpec): PropertySpec {
  return { ...property, plain: true };
}

/** @throws Error when the specification's schema has another form than this file knows */
function partsOf(site: JsonSchema): SiteParts {
  const { guests, networks, images } = site.properties ?? {};
  const kind = (wanted: string) =>
    entriesOf(guests)?.oneOf?.find(({ properties }) => properties?.kind?.const === wanted);
  const parts = {
    vm: kind("vm"),
    container: kind("container"),
    network: entriesOf(networks),
    image: entriesOf(images),
  };
  for (const [name, part] of Object.entries(parts))
    if (part === undefined) throw new Error(`the specification's schema does not say what a ${name} is`);
  return parts as SiteParts;
}

function entriesOf(record: JsonSchema | undefined): JsonSchema | undefined {
  return typeof record?.additionalProperties === "object" ? record.additionalProperties : undefined;
}
