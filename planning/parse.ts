/** From whatever was read to a specification, or to findings that say what is wrong with it: all of them at once. */
import type { z } from "zod";
import { makeFinding, orderFindings } from "./findings";
import { nearest } from "./nearest";
import type { Finding } from "./plan";
import { type SiteSpec, siteSpec } from "./schema";
import { list } from "./units";

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

export interface ParsedSite {
  /** With every default filled in. Absent when the specification is too far from the schema to be planned. */
  spec?: SiteSpec;
  findings: Finding[];
}

/**
 * Checks a specification against the schema. Unknown keys are left out of `spec`, so that the rest can be planned and
 * all findings shown together.
 */
export function parseSite(input: unknown): ParsedSite {
  const first = siteSpec.safeParse(input, { jitless: true });
  if (first.success) return { spec: first.data, findings: [] };
  const findings = orderFindings(first.error.issues.flatMap((issue) => fromIssue(issue, input)));
  const second = siteSpec.safeParse(withoutUnknownKeys(input, first.error.issues), { jitless: true });
  return second.success ? { spec: second.data, findings } : { findings };
}

/** A path as people write it: `guests.sql-erp.disks[0].sizeGiB`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const key of path) text += typeof key === "number" ? `[${key}]` : `${text === "" ? "" : "."}${String(key)}`;
  return text === "" ? "(the whole specification)" : text;
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function fromIssue(issue: Issue, input: unknown): Finding[] {
  const subject = formatPath(issue.path);
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(issue.path, key, input));
  if (issue.code === "invalid_union" && issue.errors.length > 0 && !("discriminator" in issue)) {
    // The alternative that comes closest tells most.
    const best = [...issue.errors].sort((a, b) => a.length - b.length)[0] ?? [];
    return best.flatMap((inner) => fromIssue({ ...inner, path: [...issue.path, ...inner.path] } as Issue, input));
  }
  if (issue.code === "invalid_key") {
    const key = String(issue.path.at(-1));
    const why = issue.issues.map(({ message }) => lower(message)).join(", ");
    return [makeFinding("SPEC-INVALID", subject, `The name '${key}' cannot be used: ${why}.`, `Rename ${subject}.`)];
  }
  const value = valueAt(input, issue.path);
  if (value === undefined) {
    const expected = "expected" in issue ? ` (${typeInWords(String(issue.expected))})` : "";
    const options = optionsOf(issue).length > 0 ? ` (${list(optionsOf(issue), "or")})` : "";
    return [makeFinding("SPEC-MISSING", subject, `${subject} is missing${options || expected}.`, `Add ${subject}.`)];
  }
  if (typeof value === "string" && /Secret$/.test(String(issue.path.at(-1)))) return [secretInClear(subject, [])];
  return [
    makeFinding("SPEC-INVALID", subject, `${subject} is ${show(value)}: ${explain(issue)}.`, fixFor(issue, subject)),
  ];
}

/** Values that would have told the alternatives of a union apart. */
function optionsOf(issue: Issue): string[] {
  return "options" in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
}

const TYPES: Record<string, string> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  object: "an object",
  record: "an object",
};

function typeInWords(type: string): string {
  return TYPES[type] ?? type;
}

function lower(message: string): string {
  return message
    .replace(/^Invalid string: /, "")
    .replace(/^Invalid input: /, "")
    .replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase());
}

function explain(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${typeInWords(issue.expected)}`;
    case "invalid_value":
      return `expected ${list(issue.values.map(String), "or")}`;
    case "too_small":
      return `must be ${issue.inclusive === false ? "greater than" : "at least"} ${issue.minimum}${unitOf(issue.origin)}`;
    case "too_big":
      return `must be ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}${unitOf(issue.origin)}`;
    case "invalid_union":
      return `expected ${list(optionsOf(issue), "or") || "something else"}`;
    default:
      return lower(issue.message);
  }
}

/** What a limit counts, unless it is the value itself. */
function unitOf(origin: string): string {
  return { string: " characters long", array: " entries" }[origin] ?? "";
}

function fixFor(issue: Issue, subject: string): string {
  if (issue.code === "invalid_value") return `Set ${subject} to ${list(issue.values.map(String), "or")}.`;
  if (optionsOf(issue).length > 0) return `Set ${subject} to ${list(optionsOf(issue), "or")}.`;
  return `Correct ${subject}.`;
}

/** Keys under which people write a secret itself. */
const SECRET_KEY =
  /(pass(word|wd|phrase)?|secret|token|credentials?|(access|secret|private|api|encryption)[_-]?key(id)?)$/i;

/** A secret in the specification: it is named, never shown. */
function secretInClear(subject: string, known: readonly string[]): Finding {
  const names = known.filter((key) => key.endsWith("Secret"));
  const where = names.length === 0 ? "" : ` (${list(names, "or")})`;
  return makeFinding(
    "SECRET-IN-CLEAR",
    subject,
    `${subject} contains what looks like a secret itself; the specification only says names of secrets.`,
    `Write the name of a secret${where}, set its value with \`pulumi config set --secret coldspare:<name>\`, and change what was written here: it is known now.`,
  );
}

function unknownKey(path: Path, key: string, input: unknown): Finding {
  const known = knownKeys(path, input);
  const subject = formatPath([...path, key]);
  if (SECRET_KEY.test(key)) return secretInClear(subject, known);
  const where = path.length === 0 ? "the specification" : formatPath(path);
  const near = nearest(key, known);
  return makeFinding(
    "SPEC-UNKNOWN-KEY",
    subject,
    `'${key}' is no key of ${where}${near === undefined ? "." : `: did you mean '${near}'?`}`,
    near === undefined ? `Remove '${key}'; known here: ${list(known)}.` : `Write '${near}' instead of '${key}'.`,
  );
}

/** The keys that the schema knows at a path. Discriminated unions are told apart by what the input says. */
export function knownKeys(path: Path, input?: unknown): string[] {
  let schema: unknown = siteSpec;
  for (const [depth, key] of path.entries()) schema = child(resolve(schema, valueAt(input, path.slice(0, depth))), key);
  const found = resolve(schema, valueAt(input, path));
  return found?.type === "object" ? Object.keys(found.shape ?? {}) : [];
}

interface Definition {
  type: string;
  shape?: Record<string, unknown>;
  valueType?: unknown;
  element?: unknown;
  items?: unknown[];
  innerType?: unknown;
  options?: unknown[];
}

function definition(schema: unknown): Definition | undefined {
  return (schema as { _zod?: { def?: Definition } } | undefined)?._zod?.def;
}

/** Unwraps defaults and optionals, and picks the alternative of a union by the value's `kind`. */
function resolve(schema: unknown, value: unknown): Definition | undefined {
  let def = definition(schema);
  while (def?.innerType !== undefined) def = definition(def.innerType);
  if (def?.type !== "union") return def;
  const kind = typeof value === "object" && value !== null ? Reflect.get(value, "kind") : undefined;
  const options = (def.options ?? []).map(definition);
  const literals = (option: Definition | undefined) =>
    (definition(option?.shape?.kind) as { values?: unknown[] } | undefined)?.values ?? [];
  return options.find((option) => literals(option).includes(kind)) ?? options[0];
}

function child(def: Definition | undefined, key: PropertyKey): unknown {
  if (def?.type === "object") return def.shape?.[String(key)];
  if (def?.type === "record") return def.valueType;
  if (def?.type === "array") return def.element;
  return def?.items?.[Number(key)];
}

function withoutUnknownKeys(input: unknown, issues: readonly Issue[]): unknown {
  const copy = structuredClone(input);
  for (const issue of issues) {
    if (issue.code !== "unrecognized_keys") continue;
    const parent = valueAt(copy, issue.path);
    if (typeof parent === "object" && parent !== null)
      for (const key of issue.keys) Reflect.deleteProperty(parent, key);
  }
  return copy;
}
