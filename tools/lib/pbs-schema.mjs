// The published API of Proxmox Backup Server in the form the lab validates with, from either of two sources. Pure.
//
// Its own apidoc.js has nearly the form of PVE's. The Python client on PyPI is generated from it: for each call it holds method,
// `resource_path` and the parameters with their limits; the parameters of a changing call are the fields of a model. Only this
// fixed form is read, no Python.
import { normalizeTree } from "./schema-normalize.mjs";

const SCALARS = {
  str: "string",
  StrictStr: "string",
  StrictBytes: "string",
  bytes: "string",
  int: "integer",
  StrictInt: "integer",
  float: "number",
  StrictFloat: "number",
  bool: "boolean",
  StrictBool: "boolean",
};
const LIMITS = { ge: "minimum", le: "maximum", min_length: "minLength", max_length: "maxLength" };

/** The tree of PBS's apidoc.js, as normalizeTree does for PVE's. */
export function normalizePbsTree(tree) {
  return normalizeTree(inPveForm(tree));
}

/** PBS prints patterns with slashes and anchors, and a property string's format as the schema of the object that it stands for. */
function inPveForm(value) {
  if (Array.isArray(value)) return value.map(inPveForm);
  if (value === null || typeof value !== "object") return value;
  const { pattern, format, ...rest } = value;
  const out = Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, inPveForm(inner)]));
  // A parameter may be called `pattern` or `format`: then its value is a schema, which has a type and no properties.
  if (typeof pattern === "string") out.pattern = plainPattern(pattern);
  else if (pattern !== undefined) out.pattern = inPveForm(pattern);
  if (format?.properties !== undefined) out.format = propertyString(format);
  else if (format !== undefined && format.type !== "array") out.format = inPveForm(format);
  return out;
}

function propertyString({ properties, default_key: first }) {
  return Object.fromEntries(
    Object.entries(properties).map(([key, schema]) => [
      key,
      { ...inPveForm(schema), ...(key === first ? { default_key: true } : {}) },
    ]),
  );
}

/**
 * Reads the client's sources.
 * @param {Record<string, string>} files path in the wheel to text (`clientapi_pbs/api/…_api.py`, `clientapi_pbs/models/….py`)
 * @returns {Record<string, Record<string, object>>} path templates to methods, as normalizeTree gives them
 */
export function normalizeClient(files) {
  const models = readModels(files);
  const paths = {};
  for (const [name, text] of Object.entries(files)) {
    if (!/\/api\/\w+_api\.py$/.test(name)) continue;
    for (const call of readCalls(text)) {
      paths[call.path] ??= {};
      paths[call.path][call.method] = {
        name: call.name,
        parameters: parametersOf(call, models),
        additionalProperties: false,
      };
    }
  }
  return paths;
}

/** Python's bracket expressions: `Annotated[str, Field(max_length=5)]` as a tree of names and arguments. */
export function parseType(text) {
  let at = 0;
  const skip = () => {
    while (text[at] === " ") at++;
  };
  const expression = () => {
    skip();
    const start = at;
    while (at < text.length && /[\w.]/.test(text[at])) at++;
    const node = { name: text.slice(start, at), args: [] };
    if (text[at] === '"' || text[at] === "'") return { name: string(), args: [] };
    const closing = { "[": "]", "(": ")" }[text[at]];
    if (!closing) {
      // A keyword's value, or a sign: `ge=-5`.
      while (at < text.length && !/[,\])]/.test(text[at])) at++;
      return { ...node, name: text.slice(start, at).trim() };
    }
    at++;
    for (skip(); at < text.length && text[at] !== closing; skip()) {
      node.args.push(expression());
      skip();
      if (text[at] === ",") at++;
    }
    at++;
    return node;
  };
  const string = () => {
    const quote = text[at++];
    const start = at;
    while (at < text.length && text[at] !== quote) at += text[at] === "\\" ? 2 : 1;
    return text.slice(start, at++);
  };
  return expression();
}

/** Texts for people hold brackets and quotes, and say nothing that a check needs. */
function withoutTexts(line) {
  return line.replace(/(?:description|default)=r?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/g, "x=0");
}

function schemaOf(type, models) {
  const { name, args } = type;
  if (name === "Optional") return { ...schemaOf(args[0], models), optional: true };
  if (name === "Annotated") return { ...schemaOf(args[0], models), ...limitsOf(args[1]) };
  if (name === "List") return { type: "array", items: schemaOf(args[0], models) };
  if (SCALARS[name]) return { type: SCALARS[name] };
  return models.enums[name] ?? models.strings[name] ?? {};
}

function limitsOf(field) {
  const limits = {};
  for (const { name } of field?.args ?? []) {
    const [key, value] = name.split("=");
    if (LIMITS[key]) limits[LIMITS[key]] = Number(value);
  }
  return limits;
}

function readModels(files) {
  const models = { enums: {}, strings: {}, fields: {} };
  for (const [name, text] of Object.entries(files)) {
    if (!name.includes("/models/")) continue;
    for (const [, model, base, body] of text.matchAll(
      /^class (\w+)\(([^)]*)\):\n([\s\S]*?)(?=^class |$(?![\s\S]))/gm,
    )) {
      if (base.includes("Enum")) models.enums[model] = readEnum(body);
      // A property string: either the text, or its parts as an object. The wire knows the text.
      else if (/one_of_schemas: Set\[str\] = \{[^}]*"str"/.test(body)) models.strings[model] = { type: "string" };
      else models.fields[model] = body;
    }
  }
  return models;
}

function readEnum(body) {
  const values = [...body.matchAll(/^ {4}\w+ = (?:'([^']*)'|(-?\d+))$/gm)];
  const numeric = values.length > 0 && values.every(([, text]) => text === undefined);
  return { type: numeric ? "integer" : "string", enum: values.map(([, text, number]) => text ?? Number(number)) };
}

function fieldsOf(model, models) {
  const body = models.fields[model] ?? "";
  const patterns = patternsOf(body);
  const fields = {};
  for (const [line, name, declared] of body.matchAll(/^ {4}([a-z]\w*): (.*?) = Field\(.*\)$/gm)) {
    const alias = /, alias="([^"]+)"\)$/.exec(line)?.[1] ?? name;
    fields[alias] = {
      ...schemaOf(parseType(declared), models),
      ...(patterns[name] ? { pattern: patterns[name] } : {}),
    };
  }
  return fields;
}

function patternsOf(body) {
  const found = {};
  const validators =
    /@field_validator\('(\w+)'\)\s+def \w+_validate_regular_expression(?:(?!@field_validator)[\s\S])*?re\.match\(r(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/g;
  for (const [, name, double, single] of body.matchAll(validators)) found[name] = plainPattern(double ?? single);
  return found;
}

/**
 * A pattern of PBS as the lab's checks take it: without slashes and anchors (they are set around the whole pattern), and
 * with Rust's named classes spelled out.
 */
export function plainPattern(pattern) {
  const inner = pattern
    .replace(/^\/(.*)\/$/s, "$1")
    .replace(/^\^/, "")
    .replace(/\$$/, "");
  const spelled = inner.replaceAll("[[:^cntrl:]]", "[^\\x00-\\x1f\\x7f]").replaceAll("[:cntrl:]", "\\x00-\\x1f\\x7f");
  return spelled.includes("|") ? `(?:${spelled})` : spelled;
}

function* readCalls(text) {
  const serializers = /^ {4}def _(\w+)_serialize\(\n([\s\S]*?)method='(\w+)',\s*resource_path='([^']+)'/gm;
  for (const [, name, body, method, path] of text.matchAll(serializers)) {
    const signature = new RegExp(`^ {4}def ${name}\\(\\n([\\s\\S]*?)\\n {4}\\) ->`, "m").exec(text)?.[1] ?? "";
    yield { name, method, path, signature: signatureOf(signature), ...wireNames(body) };
  }
}

function signatureOf(text) {
  const types = {};
  for (const [, name, declared] of withoutTexts(text).matchAll(/^ {8}([a-z]\w*): (.*?)(?: = None)?,$/gm))
    types[name] = declared;
  return types;
}

/** Which of Python's names stand for which names on the wire, and which one is the body. */
function wireNames(body) {
  const names = {};
  for (const [, wire, name] of body.matchAll(/_path_params\['([^']+)'\] = (\w+)/g)) names[name] = wire;
  for (const [, wire, name] of body.matchAll(/_query_params\.append\(\('([^']+)', (\w+)/g)) names[name] = wire;
  return { names, body: /^ +_body_params = (\w+)$/m.exec(body)?.[1] };
}

function parametersOf({ signature, names, body }, models) {
  const parameters = {};
  for (const [name, wire] of Object.entries(names))
    parameters[wire] = signature[name] ? schemaOf(parseType(signature[name]), models) : {};
  if (body && signature[body]) {
    const type = parseType(signature[body]);
    Object.assign(parameters, fieldsOf(type.name === "Optional" ? type.args[0].name : type.name, models));
  }
  return parameters;
}
