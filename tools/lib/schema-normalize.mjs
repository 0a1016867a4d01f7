// PVE's published API description (apidoc.js) in the form the lab validates with. Pure.

/** Texts for people: two thirds of the file, and nothing that a check needs. */
const TEXTS = new Set(["description", "verbose_description", "typetext", "title", "format_description"]);
const PERL_BOOLEANS = new Set(["optional", "protected", "allowtoken", "default_key", "additionalProperties"]);
/** Keys below which names are the API's own (a parameter may be called `description` or `optional`). */
const NAME_TABLES = new Set(["properties", "format"]);

/** How far a numbered family goes, where PVE's texts do not say it (qemu-server and pve-container, constants of 9.x). */
const INDEX_MAX = {
  "net[n]": 31,
  "ipconfig[n]": 31,
  "scsi[n]": 30,
  "sata[n]": 5,
  "ide[n]": 3,
  "virtio[n]": 15,
  "unused[n]": 255,
  "mp[n]": 255,
  "dev[n]": 255,
  "hostpci[n]": 15,
  "usb[n]": 13,
  "numa[n]": 7,
  "serial[n]": 3,
  "parallel[n]": 2,
  "virtiofs[n]": 9,
  "acmedomain[n]": 5,
  "link[n]": 7,
};

function clean(value, isNameTable = false) {
  if (Array.isArray(value)) return value.map((v) => clean(v));
  if (value === null || typeof value !== "object") return value;
  const out = {};
  for (const [key, inner] of Object.entries(value)) {
    if (isNameTable) out[key] = clean(inner);
    else if (TEXTS.has(key) || inner === null) continue;
    else if (PERL_BOOLEANS.has(key) && (inner === 0 || inner === 1 || inner === "0" || inner === "1"))
      out[key] = Number(inner) === 1;
    else out[key] = clean(inner, NAME_TABLES.has(key) && typeof inner === "object");
  }
  return out;
}

function normalizeMethod(method) {
  const parameters = {};
  const published = method.parameters ?? {};
  for (const [name, schema] of Object.entries(published.properties ?? {})) {
    parameters[name] = clean(schema);
    if (INDEX_MAX[name] !== undefined) parameters[name].indexMax = INDEX_MAX[name];
  }
  const rest = clean({
    additionalProperties: published.additionalProperties ?? 1,
    permissions: method.permissions,
    protected: method.protected,
    allowtoken: method.allowtoken,
    returns: method.returns,
  });
  return { name: method.name ?? method.method_name, parameters, ...rest };
}

/**
 * Turns the tree of apidoc.js (`[{ path, info: { GET: … }, children: […] }]`) into `{ path: { METHOD: … } }`.
 * @returns {Record<string, Record<string, object>>}
 */
export function normalizeTree(tree) {
  const paths = {};
  const visit = (node) => {
    if (node.info && Object.keys(node.info).length > 0) {
      paths[node.path] = mapValues(node.info, normalizeMethod);
    }
    for (const child of node.children ?? []) visit(child);
  };
  for (const node of tree) visit(node);
  return paths;
}

/** The same from the flat capture that the wheel carries (`{ merged_endpoints: { path: { methods } } }`). */
export function normalizeCapture(capture) {
  return mapValues(capture.merged_endpoints, (endpoint) => mapValues(endpoint.methods, normalizeMethod));
}

function mapValues(table, f) {
  return Object.fromEntries(Object.entries(table).map(([key, value]) => [key, f(value)]));
}

/**
 * Reads the JSON value out of apidoc.js, which is a script: `const apiSchema = [ … ];` and then the viewer's code.
 * @throws when the script does not look like that
 */
export function parseApidoc(script) {
  const start = script.search(/(?:const|var|let)\s+(?:apiSchema|pveapi)\s*=\s*\[/);
  if (start < 0) throw new Error("apidoc.js has no 'apiSchema' table");
  const from = script.indexOf("[", start);
  return JSON.parse(script.slice(from, endOfArray(script, from)));
}

function endOfArray(text, from) {
  let depth = 0;
  let inString = false;
  for (let i = from; i < text.length; i++) {
    const c = text[i];
    if (inString) {
      if (c === "\\") i++;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else if (c === "[" || c === "{") depth++;
    else if ((c === "]" || c === "}") && --depth === 0) return i + 1;
  }
  throw new Error("apidoc.js ends in the middle of its table");
}
