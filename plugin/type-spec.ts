/** From the JSON Schema of a specification to the types of a Pulumi package. Pure. */

/** What the specification's JSON Schema consists of; see `siteJsonSchema`. */
export interface JsonSchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  const?: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: JsonSchema | boolean;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
}

/** A type of Pulumi's package schema. */
export interface TypeSpec {
  type?: "string" | "integer" | "number" | "boolean" | "array" | "object";
  items?: TypeSpec;
  additionalProperties?: TypeSpec;
  $ref?: string;
  plain?: boolean;
}

export interface PropertySpec extends TypeSpec {
  description?: string;
}

export interface ObjectSpec {
  type: "object";
  description?: string;
  properties: Record<string, PropertySpec>;
  /** Absent where nothing is. */
  required?: string[];
}

/** Pulumi's word for a value of any form: for alternatives, which a package schema cannot tell apart. */
export const ANY = "pulumi.json#/Any";

/**
 * Object types by token, collected while properties are converted.
 *
 * @param plain what the plan is computed from must be known when the program runs, so no output can stand for it
 */
export class TypeCollector {
  readonly types: Record<string, ObjectSpec> = {};

  constructor(
    private readonly pkg: string,
    private readonly plain: boolean,
  ) {}

  /** The properties of an object, whose nested types are named `<owner><Property>`. */
  properties(
    owner: string,
    schema: JsonSchema,
    without: readonly string[] = [],
  ): Pick<ObjectSpec, "properties" | "required"> {
    const entries = Object.entries(schema.properties ?? {}).filter(([key]) => !without.includes(key));
    const properties = Object.fromEntries(entries.map(([key, value]) => [key, this.property(owner, key, value)]));
    const required = (schema.required ?? []).filter((key) => properties[key] !== undefined).sort();
    return { properties, ...(required.length > 0 ? { required } : {}) };
  }

  property(owner: string, key: string, schema: JsonSchema): PropertySpec {
    const description = describe(schema);
    return {
      ...this.type(`${owner}${typeName(key)}`, schema),
      ...(this.plain ? { plain: true } : {}),
      ...(description === undefined ? {} : { description }),
    };
  }

  private type(name: string, schema: JsonSchema): TypeSpec {
    switch (schema.type) {
      case "string":
      case "integer":
      case "number":
      case "boolean":
        return { type: schema.type };
      case "array":
        return { type: "array", items: this.nested(name, schema.items ?? {}) };
      case "object":
        return this.object(name, schema);
      default:
        return { $ref: ANY };
    }
  }

  private object(name: string, schema: JsonSchema): TypeSpec {
    if (typeof schema.additionalProperties === "object")
      return { type: "object", additionalProperties: this.nested(name, schema.additionalProperties) };
    if (schema.properties === undefined) return { $ref: ANY };
    const token = `${this.pkg}:index:${name}`;
    this.types[token] = { type: "object", ...this.properties(name, schema) };
    return { $ref: `#/types/${token}` };
  }

  private nested(name: string, schema: JsonSchema): TypeSpec {
    return { ...this.type(name, schema), ...(this.plain ? { plain: true } : {}) };
  }
}

/** A property's own words, with what a package schema has no place for: the choice and the default. */
function describe({ description, enum: choice, default: standard }: JsonSchema): string | undefined {
  const sentences = [
    description,
    choice && `One of ${choice.join(", ")}`,
    isWorthTelling(standard) && !description?.includes("Default") ? `Default: ${standard}` : undefined,
  ];
  const text = sentences.filter((sentence) => sentence !== undefined).join(". ");
  return text === "" ? undefined : text;
}

function isWorthTelling(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/** `disks` holds values of the type Disk; `memoryGiB` is no list. */
function typeName(key: string): string {
  const singular = /[^s]s$/.test(key) ? key.slice(0, -1) : key;
  return `${singular[0]?.toUpperCase()}${singular.slice(1)}`;
}
