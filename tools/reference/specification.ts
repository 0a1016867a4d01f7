/** docs/reference/specification.md: every word of a site file, from the schema that reads it. */
import { siteJsonSchema } from "../../planning/schema";

/** What is read of a JSON Schema (draft 2020-12). */
interface Schema {
  description?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  default?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  items?: Schema | boolean;
  prefixItems?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
}

interface Section {
  /** Where it stands, for example `guests.<name>.boot`. */
  path: string;
  description: string | undefined;
  schema: Schema;
}

/** The whole page. */
export function renderSpecification(): string {
  const sections = sectionsOf("", siteJsonSchema() as Schema);
  const head = `# The site file, word by word

<!-- Generated from planning/schema.ts by \`npm run docs\`. Changes here are overwritten. -->

Sizes are GiB (2^30 bytes) and times are seconds unless the word says otherwise. \`<name>\` is a name of your own, \`[]\` an entry
of a list. A word without a default may be left out unless it is marked **required**. \`coldspare schema\` prints the same for
editors. An example is [stacks/smb-site/site.yaml](../../stacks/smb-site/site.yaml).
`;
  return `${[head, ...sections.map(renderSection)].join("\n")}`;
}

function renderSection({ path, description, schema }: Section): string {
  const rows = Object.entries(schema.properties ?? {}).map(([key, value]) => {
    const required = schema.required?.includes(key) ? "**required**" : shown(value.default);
    return `| \`${key}\` | ${typeOf(value)} | ${required} | ${cell(value.description ?? "")} |`;
  });
  return [
    `## ${path === "" ? "The file" : `\`${path}\``}`,
    "",
    ...(description === undefined ? [] : [description, ""]),
    "| word | type | default | meaning |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

/** A section for each object with words of its own, in the order of the schema. */
function sectionsOf(path: string, schema: Schema, description = schema.description): Section[] {
  const own = schema.properties === undefined ? [] : [{ path, description, schema }];
  const below = Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    objectsIn(path === "" ? key : `${path}.${key}`, value),
  );
  return [...own, ...below];
}

/** Objects that a value holds: itself, the entries of a list or a record, each kind of an alternative. */
function objectsIn(path: string, schema: Schema): Section[] {
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants !== undefined) return variants.flatMap((each) => objectsIn(variantPath(path, each), each));
  if (schema.properties !== undefined) return sectionsOf(path, schema);
  if (typeof schema.items === "object") return objectsIn(`${path}[]`, schema.items);
  if (typeof schema.additionalProperties === "object") return objectsIn(`${path}.<name>`, schema.additionalProperties);
  return [];
}

function variantPath(path: string, { properties }: Schema): string {
  const kind = properties?.kind?.const;
  return kind === undefined ? path : `${path} (kind: ${String(kind)})`;
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(code).join(", ");
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants !== undefined) return [...new Set(variants.map(typeOf))].join(" or ");
  if (schema.prefixItems !== undefined) return `[${schema.prefixItems.map(typeOf).join(", ")}]`;
  if (typeof schema.items === "object") return `list of ${typeOf(schema.items)}`;
  if (typeof schema.additionalProperties === "object") return `${typeOf(schema.additionalProperties)} by name`;
  if (schema.type === "object") return "section";
  return [schema.type ?? "any"].flat().map(nameOfType).join(" or ");
}

const TYPE_NAMES: Record<string, string> = { string: "text", integer: "whole number", boolean: "true, false" };
const nameOfType = (type: string): string => TYPE_NAMES[type] ?? type;

function shown(value: unknown): string {
  // An empty section is no default of its own: those of its words count.
  if (value === undefined || (typeof value === "object" && Object.keys(value ?? {}).length === 0)) return "";
  return code(value);
}

const code = (value: unknown): string => `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("<", "&lt;");
