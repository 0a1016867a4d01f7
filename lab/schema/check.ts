import { addError, FormatError } from "./errors";
import { CHECKS, PROPERTY_STRINGS } from "./formats";
import { compilePattern } from "./patterns";
import type { ParameterErrors, PropertySchema } from "./types";

/** A property made ready to be checked often: patterns compiled, formats looked up, nested formats resolved. */
export interface Property {
  readonly schema: PropertySchema;
  readonly type: string;
  readonly optional: boolean;
  readonly pattern: RegExp | undefined;
  readonly format: ((value: string, path: string) => unknown) | undefined;
  readonly nested: ReadonlyMap<string, Property> | undefined;
  readonly items: Property | undefined;
  readonly oneOf: readonly Property[];
}

/** Prepares a property. @param unchecked - receives the names of formats that have no check */
export function compileProperty(schema: PropertySchema, unchecked: Set<string>): Property {
  const nested = nestedFormat(schema, unchecked);
  return {
    schema,
    type: schema.type ?? "any",
    optional: Boolean(schema.optional),
    pattern: schema.pattern === undefined ? undefined : compilePattern(schema.pattern),
    nested,
    format: nested ? (value, path) => parsePropertyString(nested, value, path) : namedFormat(schema, unchecked),
    items: schema.items && compileProperty(schema.items, unchecked),
    oneOf: (schema.oneOf ?? []).map((one) => compileProperty(one, unchecked)),
  };
}

function nestedFormat(schema: PropertySchema, unchecked: Set<string>): ReadonlyMap<string, Property> | undefined {
  const format = typeof schema.format === "string" ? PROPERTY_STRINGS[schema.format] : schema.format;
  if (!format) return undefined;
  return new Map(Object.entries(format).map(([key, sub]) => [key, compileProperty(sub, unchecked)]));
}

function namedFormat(schema: PropertySchema, unchecked: Set<string>): Property["format"] {
  if (typeof schema.format !== "string") return undefined;
  const [, name, kind] = /^(.*?)(?:-(list|opt))?$/.exec(schema.format) as RegExpExecArray;
  const check = CHECKS[schema.format] ?? CHECKS[name as string];
  if (!check) {
    unchecked.add(schema.format);
    return undefined;
  }
  if (kind === "list")
    return (value) => {
      for (const part of splitList(value)) check(part);
    };
  if (kind === "opt") return (value) => value !== "" && check(value);
  return (value) => check(value);
}

/** Splits a `-list` value as PVE does: at commas, semicolons, blanks and NUL. */
export function splitList(value: string): string[] {
  return value.split(/[,;\s\0]+/).filter((part) => part !== "");
}

/** Checks one value; what is wrong is added to `errors` under `path`. `undefined` means not given. */
export function checkProperty(value: unknown, property: Property, path: string, errors: ParameterErrors): void {
  if (value === undefined || value === null) {
    if (!property.optional && property.type !== "null")
      addError(errors, path, "property is missing and it is not optional");
    return;
  }
  if (property.oneOf.length > 0) {
    const attempts = property.oneOf.map((one) => {
      const found: ParameterErrors = {};
      checkProperty(value, one, path, found);
      return found;
    });
    if (attempts.some((found) => Object.keys(found).length === 0)) return;
    for (const [at, message] of Object.entries(attempts[0] ?? {})) addError(errors, at, message);
    return;
  }
  if (!checkType(value, property.type, path, errors)) return;
  if (Array.isArray(value)) {
    const { items } = property;
    if (items) for (const [index, item] of value.entries()) checkProperty(item, items, `${path}[${index}]`, errors);
    return;
  }
  if (typeof value !== "object" && typeof value !== "boolean") checkScalar(String(value), property, path, errors);
}

function checkType(value: unknown, type: string, path: string, errors: ParameterErrors): boolean {
  const refuse = (got: string): false => {
    addError(errors, path, `type check ('${type}') failed${got}`);
    return false;
  };
  if (type === "any") return true;
  if (type === "null") return value === "" || refuse(" - value is not null");
  if (type === "array") return Array.isArray(value) || refuse("");
  if (type === "object") return (typeof value === "object" && !Array.isArray(value)) || refuse("");
  // PVE prints the Perl class of what a JSON body held.
  if (typeof value === "boolean") return type === "boolean" || refuse(" - got JSON::PP::Boolean");
  if (typeof value === "object") return refuse(Array.isArray(value) ? " - got ARRAY" : " - got HASH");
  const text = String(value);
  if (type === "boolean") return text === "0" || text === "1" || refuse(` - got '${text}'`);
  if (type === "integer") return /^[+-]?\d+$/.test(text) || refuse(` - got '${text}'`);
  if (type === "number") return isNumber(text) || refuse(` - got '${text}'`);
  return true;
}

function isNumber(text: string): boolean {
  return /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(text);
}

function checkScalar(value: string, property: Property, path: string, errors: ParameterErrors): void {
  const { schema } = property;
  if (property.format) {
    try {
      property.format(value, path);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      addError(errors, path, `invalid format - ${error.message}\n`);
      return;
    }
  }
  if (property.pattern && !property.pattern.test(value)) {
    addError(errors, path, "value does not match the regex pattern");
    return;
  }
  if (schema.maxLength !== undefined && value.length > schema.maxLength) {
    addError(errors, path, `value may only be ${schema.maxLength} characters long`);
    return;
  }
  if (schema.minLength !== undefined && value.length < schema.minLength) {
    addError(errors, path, `value must be at least ${schema.minLength} characters long`);
    return;
  }
  if (isNumber(value)) {
    if (schema.maximum !== undefined && +value > schema.maximum)
      addError(errors, path, `value must have a maximum value of ${schema.maximum}`);
    if (schema.minimum !== undefined && +value < schema.minimum)
      addError(errors, path, `value must have a minimum value of ${schema.minimum}`);
  }
  if (schema.enum && !schema.enum.some((allowed) => String(allowed) === value)) {
    addError(errors, path, `value '${value}' does not have a value in the enumeration '${schema.enum.join(", ")}'`);
  }
}

/**
 * Reads a property string (`virtio=BC:…,bridge=vmbr0,firewall=1`) by its format: aliases resolved, the key of the
 * first bare value filled in, booleans as `0` or `1`.
 *
 * @param format - keys of the string
 * @param text - the value
 * @param path - name of the parameter, which PVE puts before the key in its messages
 * @throws FormatError with PVE's text
 */
export function parsePropertyString(
  format: ReadonlyMap<string, Property>,
  text: string,
  path: string,
): Record<string, string> {
  const result: Record<string, string> = {};
  let usedDefault: string | undefined;
  for (const part of text.split(",")) {
    if (/^\s*$/.test(part)) continue;
    const pair = /^([^=]+)=(.+)$/s.exec(part);
    if (pair) setKey(format, result, pair[1] as string, pair[2] as string);
    else if (!part.includes("=")) {
      const key = defaultKey(format);
      if (key === undefined) throw new FormatError("value without key, but schema does not define a default key");
      if (usedDefault !== undefined || result[key] !== undefined)
        throw new FormatError(`duplicate key in comma-separated list property: ${key}`);
      usedDefault = key;
      result[key] = part;
    } else throw new FormatError("missing key in comma-separated list property");
  }
  const errors: ParameterErrors = {};
  checkObject(result, format, false, path, errors);
  const wrong = Object.entries(errors).sort(([a], [b]) => (a < b ? -1 : 1));
  if (wrong.length > 0)
    throw new FormatError(["format error", ...wrong.map(([at, message]) => `${at}: ${message.trimEnd()}`)].join("\n"));
  return result;
}

function setKey(
  format: ReadonlyMap<string, Property>,
  result: Record<string, string>,
  givenKey: string,
  givenValue: string,
): void {
  let key = givenKey;
  if (result[key] !== undefined) throw new FormatError(`duplicate key in comma-separated list property: ${key}`);
  let property = format.get(key);
  if (property?.schema.alias) {
    const { alias, keyAlias } = property.schema;
    if (keyAlias) {
      if (result[keyAlias] !== undefined) throw new FormatError(`key alias '${keyAlias}' is already defined`);
      result[keyAlias] = key;
    }
    key = alias;
    property = format.get(key);
  }
  if (!property) throw new FormatError(`invalid key in comma-separated list property: ${key}`);
  result[key] = property.type === "boolean" ? booleanWord(givenValue) : givenValue;
}

// Inside property strings PVE takes words for booleans, unlike in the parameters themselves.
function booleanWord(value: string): string {
  if (/^(1|on|yes|true)$/i.test(value)) return "1";
  if (/^(0|off|no|false)$/i.test(value)) return "0";
  return value;
}

function defaultKey(format: ReadonlyMap<string, Property>): string | undefined {
  for (const [key, property] of format) if (property.schema.default_key) return key;
  return undefined;
}

/** Checks all properties of an object: those that are missing, those that are wrong, those that nobody knows. */
export function checkObject(
  value: Record<string, unknown>,
  properties: ReadonlyMap<string, Property>,
  additional: boolean,
  path: string,
  errors: ParameterErrors,
  resolve: (key: string) => Property | undefined = (key) => properties.get(key),
): void {
  const at = (key: string) => (path === "" ? key : `${path}.${key}`);
  for (const [key, property] of properties) {
    if (property.schema.alias === undefined && value[key] === undefined)
      checkProperty(undefined, property, at(key), errors);
  }
  for (const key of Object.keys(value).sort()) {
    const property = resolve(key);
    if (!property) {
      if (!additional)
        addError(
          errors,
          at(key),
          "property is not defined in schema and the schema does not allow additional properties",
        );
      continue;
    }
    checkProperty(value[key], property, at(key), errors);
    const { requires } = property.schema;
    if (requires !== undefined && value[requires] === undefined)
      addError(errors, at(requires), `missing property - '${at(key)}' requires this property`);
  }
}
