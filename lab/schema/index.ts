import { readFileSync } from "node:fs";
import { checkObject, compileProperty, type Property, parsePropertyString } from "./check";
import { CoverageLog, type CoverageReport } from "./coverage";
import { type PathMatch, PathTree } from "./paths";
import type { ContentType, MethodSchema, ParameterErrors, PermissionSchema, SchemaFile } from "./types";

export { type CoverageReport, type EndpointCoverage, formatCoverage } from "./coverage";
export { FormatError } from "./errors";
export { decodeForm } from "./form";
export type { PathMatch } from "./paths";
export type { ContentType, MethodSchema, ParameterErrors, PermissionSchema, PropertySchema, SchemaFile } from "./types";

/** Parameters that passed, and what is wrong with the others. */
export interface ValidationResult {
  /**
   * Path, query and body parameters together. Integers and numbers are numbers, booleans are 0 or 1 (as PVE answers
   * them), a list given to an array parameter is an array, all else is text.
   */
  values: Record<string, unknown>;
  /** Empty when the call is good. Nested keys follow the parameter's name: `memory.current` is inside the text. */
  errors: ParameterErrors;
}

/** Checks calls against PVE's published API schema, with PVE's own messages, and counts what was used. */
export interface Validator {
  /** Version of PVE that the schema describes. */
  readonly version: string;
  /**
   * The template of a path (without `/api2/json`; a trailing slash does not matter).
   *
   * @returns undefined when no path or no such method on it exists: PVE answers 501 `Method 'GET /nope' not implemented`
   */
  match(method: string, path: string): PathMatch | undefined;
  /** Whether the schema has this method on this template. */
  has(method: string, template: string): boolean;
  /** Whether some method exists on the path. */
  knows(path: string): boolean;
  /**
   * Checks all parameters of a call.
   *
   * @param params - path, query and body parameters; a repeated form key may be a list
   * @param contentType - `form`: text only, booleans `0`/`1`; `json`: `true` and numbers are fine as well
   */
  validate(
    method: string,
    template: string,
    params: Record<string, unknown>,
    contentType: ContentType,
  ): ValidationResult;
  /**
   * Reads a property string (`net0`, `scsi0`, `agent`) by the format of that parameter.
   *
   * @throws FormatError with PVE's text; also when the parameter is no property string
   */
  parseProperty(method: string, template: string, parameter: string, value: string): Record<string, string>;
  /** Who may call the method, as published. */
  permissions(method: string, template: string): PermissionSchema | undefined;
  /** Records a call that was answered; `validate` does not count by itself. */
  covered(method: string, template: string, parameters: Iterable<string>): void;
  /** @param handled - endpoints that the lab answers, as `METHOD /template` */
  coverage(handled: Iterable<string>): CoverageReport;
}

interface CompiledMethod {
  schema: MethodSchema;
  /** Built when first called: most of the 680 methods never are. */
  properties: ReadonlyMap<string, Property> | undefined;
}

// Highest index of numbered families where the schema file does not say it (qemu-server, pve-container, pve-firewall).
const INDEX_MAX: Readonly<Record<string, number>> = {
  net: 31,
  ipconfig: 31,
  scsi: 30,
  virtio: 15,
  sata: 5,
  ide: 3,
  serial: 3,
  parallel: 2,
  usb: 13,
  hostpci: 15,
  numa: 7,
  virtiofs: 9,
  unused: 255,
  mp: 255,
  dev: 255,
  link: 7,
  acmedomain: 5,
};

/**
 * Loads a schema file (see the head of `types.ts` for its form) and makes it ready for thousands of calls a second.
 *
 * @param schemaFile - path of the JSON file
 * @throws Error when the file cannot be read or is of another format version
 */
export function createValidator(schemaFile: string): Validator {
  const file = JSON.parse(readFileSync(schemaFile, "utf8")) as SchemaFile;
  if (file.formatVersion !== 1 || typeof file.paths !== "object")
    throw new Error(`${schemaFile}: format version ${file.formatVersion}, expected 1: fetch the schema anew`);
  return new SchemaValidator(file);
}

class SchemaValidator implements Validator {
  readonly version: string;
  private readonly tree = new PathTree();
  private readonly methods = new Map<string, CompiledMethod>();
  private readonly unchecked = new Set<string>();
  private readonly log = new CoverageLog();

  constructor(file: SchemaFile) {
    this.version = file.version;
    for (const [template, methods] of Object.entries(file.paths)) {
      this.tree.add(template);
      for (const [method, schema] of Object.entries(methods))
        this.methods.set(`${method} ${template}`, { schema, properties: undefined });
    }
  }

  match(method: string, path: string): PathMatch | undefined {
    const found = this.tree.find(path);
    return found && this.methods.has(`${method} ${found.template}`) ? found : undefined;
  }

  has(method: string, template: string): boolean {
    return this.methods.has(`${method} ${template}`);
  }

  knows(path: string): boolean {
    return this.tree.find(path) !== undefined;
  }

  validate(
    method: string,
    template: string,
    params: Record<string, unknown>,
    contentType: ContentType,
  ): ValidationResult {
    const { schema } = this.method(method, template);
    const properties = this.properties(method, template);
    const given = normalise(params, properties, contentType);
    const errors: ParameterErrors = {};
    checkObject(given, properties, schema.additionalProperties !== false, "", errors, (key) => lookUp(properties, key));
    const values: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(given)) {
      if (value !== undefined && errors[key] === undefined) values[key] = convert(value, lookUp(properties, key)?.type);
    }
    return { values, errors };
  }

  parseProperty(method: string, template: string, parameter: string, value: string): Record<string, string> {
    const nested = lookUp(this.properties(method, template), parameter)?.nested;
    if (!nested) throw new Error(`${method} ${template}: '${parameter}' is no property string`);
    return parsePropertyString(nested, value, parameter);
  }

  permissions(method: string, template: string): PermissionSchema | undefined {
    return this.methods.get(`${method} ${template}`)?.schema.permissions;
  }

  covered(method: string, template: string, parameters: Iterable<string>): void {
    const properties = this.properties(method, template);
    const names = [...parameters].map((key) => (properties.has(key) ? key : key.replace(/\d+$/, "[n]")));
    this.log.record(
      `${method} ${template}`,
      names.filter((name) => properties.has(name)),
    );
  }

  coverage(handled: Iterable<string>): CoverageReport {
    const schemas = new Map([...this.methods].map(([endpoint, { schema }]) => [endpoint, schema]));
    return this.log.report(this.version, schemas, handled, this.unchecked);
  }

  private method(method: string, template: string): CompiledMethod {
    const found = this.methods.get(`${method} ${template}`);
    if (!found) throw new Error(`the schema has no ${method} ${template}`);
    return found;
  }

  private properties(method: string, template: string): ReadonlyMap<string, Property> {
    const found = this.method(method, template);
    found.properties ??= new Map(
      Object.entries(found.schema.parameters ?? {}).map(([name, property]) => [
        name,
        compileProperty(property, this.unchecked),
      ]),
    );
    return found.properties;
  }
}

/** `net7` is `net[n]` as long as PVE has so many. */
function lookUp(properties: ReadonlyMap<string, Property>, key: string): Property | undefined {
  const exact = properties.get(key);
  if (exact) return exact;
  const numbered = /^(.*?)(0|[1-9]\d*)$/.exec(key);
  if (!numbered) return undefined;
  const [, name, index] = numbered as unknown as [string, string, string];
  const family = properties.get(`${name}[n]`);
  return family && Number(index) <= (family.schema.indexMax ?? INDEX_MAX[name] ?? 255) ? family : undefined;
}

// A form has no lists: PVE reads one value, or several parted by NUL, where an array is due.
function normalise(
  params: Record<string, unknown>,
  properties: ReadonlyMap<string, Property>,
  contentType: ContentType,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined || value === null) continue;
    const isArray = lookUp(properties, key)?.type === "array";
    const scalar = contentType === "form" && typeof value === "boolean" ? String(value) : value;
    if (!isArray || Array.isArray(scalar)) result[key] = scalar;
    else result[key] = typeof scalar === "string" ? scalar.split("\0") : [scalar];
  }
  return result;
}

function convert(value: unknown, type: string | undefined): unknown {
  if (typeof value === "object") return value;
  if (type === "integer" || type === "number") return Number(value);
  if (type === "boolean") return value === true || String(value) === "1" ? 1 : 0;
  return type === undefined ? value : String(value);
}

/** Whether a call is refused, as the body that PVE sends with `400 Parameter verification failed.` */
export function refusal(errors: ParameterErrors): { data: null; message: string; errors: ParameterErrors } | undefined {
  return Object.keys(errors).length === 0
    ? undefined
    : { data: null, message: "Parameter verification failed.\n", errors };
}
