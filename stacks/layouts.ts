/**
 * The layouts that come with coldspare, and site files of one's own. Imports no Pulumi: `coldspare check` reads a
 * specification through this file in a few milliseconds.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, extname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Document } from "yaml";
import { overrideSite } from "../planning";

/** Where a value stands in a site file: both numbers count from 1. */
export interface SourcePosition {
  line: number;
  column: number;
  /** The layout whose file that is, when the site was derived from another one. */
  source?: string;
}

/** A specification as it was read, not yet checked. Give `input` to `parseSite`. */
export interface LoadedSite {
  input: unknown;
  /** Name of the layout, or the file's path as a person would write it. */
  source: string;
  /** Position of a path such as `guests.sql-erp.memoryGiB`; undefined where the file's form does not tell. */
  locate?(path: string): SourcePosition | undefined;
}

/** A layout or site file that cannot be read at all. `message` is written for the person who named it. */
export class LayoutError extends Error {
  override readonly name = "LayoutError";
}

interface Layout {
  description: string;
  /** Folder beside this file that holds the site.yaml. */
  folder: string;
  overrides: readonly string[];
}

const layouts: Readonly<Record<string, Layout>> = {
  "smb-site": {
    description: "a small firm: two hypervisors, one backup server, one guest per duty",
    folder: "smb-site",
    overrides: [],
  },
  "smb-site-too-large": {
    description: "the same firm with guests that the loss of a server leaves no room for",
    folder: "smb-site",
    overrides: [
      // 16 GiB for the database run well on srv2, but after its loss srv1 would need 34.75 of its 28 GiB.
      "guests.sql-erp.memoryGiB=16",
      // Ten virtual cores are more than srv1 has logical ones (6): there the replica could not even start.
      "guests.remote-app.cores=10",
      // 800 GiB of shares, beside the replicas of srv2's guests, go beyond 85 % of srv1's pool of 1800 GiB.
      "guests.files-1.disks[1].sizeGiB=800",
    ],
  },
};

/** Names that `loadLayout` knows. */
export const layoutNames: readonly string[] = Object.keys(layouts);

/** One line about a layout, for lists in help texts. */
export function describeLayout(name: string): string {
  return layouts[name]?.description ?? "";
}

/**
 * A shipped layout's specification, ready for `parseSite` or `planSite`.
 *
 * @throws LayoutError when there is no layout of that name, or its file is not in the package.
 */
export function loadLayout(name: string): unknown {
  return openLayout(name).input;
}

/** As `loadLayout`, with the positions of its values. */
export function openLayout(name: string): LoadedSite {
  const layout = Object.hasOwn(layouts, name) ? layouts[name] : undefined;
  if (layout === undefined) {
    throw new LayoutError(`there is no layout '${name}'; the layouts are ${layoutNames.join(" and ")}`);
  }
  const loaded = readYaml(layoutFile(layout.folder), layout.folder);
  if (layout.folder === name) return loaded;
  const { input, locate } = withOverrides(loaded, layout.overrides);
  const inBase = (path: string): SourcePosition | undefined => {
    const at = locate?.(path);
    return at && { ...at, source: layout.folder };
  };
  return { input, source: name, locate: inBase };
}

/**
 * A site with some values replaced, as `overrideSite` takes them. What was replaced does not stand in the file: no
 * position is better than a misleading one.
 *
 * @throws OverrideError for an override that cannot be applied
 */
export function withOverrides(site: LoadedSite, overrides: readonly string[]): LoadedSite {
  if (overrides.length === 0) return site;
  const { source, locate } = site;
  const input = overrideSite(site.input, overrides);
  const replaced = overrides.map((override) => keysOf(override.split("=", 1)[0] ?? ""));
  const isReplaced = (path: string): boolean => {
    const keys = keysOf(path);
    return replaced.some((prefix) => prefix.every((key, index) => key === keys[index]));
  };
  return { input, source, ...(locate && { locate: (path) => (isReplaced(path) ? undefined : locate(path)) }) };
}

/** Keys and indexes of a path, in both ways to write one: `disks[0].sizeGiB` and `disks.0.sizeGiB`. */
function keysOf(path: string): string[] {
  return path.split(/[.[\]]+/).filter((part) => part !== "");
}

function layoutFile(folder: string): string {
  const file = join(__dirname, folder, "site.yaml");
  if (!existsSync(file)) {
    throw new LayoutError(`${folder}/site.yaml is not where it belongs (${file}): run 'npm run build', or reinstall`);
  }
  return file;
}

const siteFileNames = ["site.yaml", "site.yml", "site.json", "site.ts", "site.mjs", "site.js", "site.cjs"];

/**
 * Reads a site file: .yaml, .yml, .json, or a module (.js, .cjs, .mjs, .ts) whose default export, or export `site`, is
 * the specification. A folder stands for the site file in it. TypeScript runs through Node's own type stripping.
 *
 * @throws LayoutError when the file is missing or cannot be read; for YAML and JSON with line and column.
 */
export async function loadSiteFile(path: string): Promise<LoadedSite> {
  const file = siteFileIn(path);
  const source = displayPath(file);
  switch (extname(file).toLowerCase()) {
    case ".yaml":
    case ".yml":
    // JSON is YAML: one reader gives both the same positions and messages.
    case ".json":
      return readYaml(file, source);
    case ".js":
    case ".cjs":
    case ".mjs":
    case ".ts":
    case ".mts":
    case ".cts":
      return { input: await importSite(file, source), source };
    default:
      throw new LayoutError(
        `${source}: a site file ends in .yaml, .yml, .json, .ts, .mjs, .cjs or .js, not in '${extname(file)}'`,
      );
  }
}

function siteFileIn(path: string): string {
  const full = resolve(path);
  const stats = statSync(full, { throwIfNoEntry: false });
  if (stats === undefined) throw new LayoutError(`there is no file ${displayPath(full)}`);
  if (!stats.isDirectory()) return full;
  const found = findSiteFile(full);
  if (found === undefined) throw new LayoutError(`there is no site.yaml in the folder ${displayPath(full)}`);
  return found;
}

/** The site file of a folder: site.yaml, or another form of it. */
export function findSiteFile(folder: string): string | undefined {
  return siteFileNames.map((name) => join(folder, name)).find((candidate) => existsSync(candidate));
}

function displayPath(file: string): string {
  const short = relative(process.cwd(), file);
  if (short === "") return ".";
  return short.startsWith("..") ? file : short;
}

function readYaml(file: string, source: string): LoadedSite {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new LayoutError(`${source} cannot be read: ${(error as Error).message}`);
  }
  return parseYaml(text, source, basename(file));
}

/** Loaded when first needed: a site written in TypeScript does without it. */
const yaml = (): typeof import("yaml") => require("yaml");

function parseYaml(text: string, source: string, file: string): LoadedSite {
  const { LineCounter, parseDocument, isNode } = yaml();
  const shown = source.endsWith(file) ? source : `${source}/${file}`;
  if (NO_TEXT.test(text)) throw new LayoutError(`${shown} is no site file: it is no UTF-8 text`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, merge: true });
  if (document.errors.length > 0) {
    const reports = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return `${shown}:${line}:${col}: ${firstLine(error.message)}`;
    });
    throw new LayoutError(reports.join("\n"));
  }
  let input: unknown;
  try {
    input = document.toJS();
  } catch (error) {
    // An alias without its anchor, or so many of them that it looks like an attack.
    const at = brokenAlias(document);
    const { line, col } = at === undefined ? { line: 1, col: 1 } : lines.linePos(at);
    throw new LayoutError(`${shown}:${line}:${col}: ${firstLine((error as Error).message)}`);
  }
  if (typeof input !== "object" || input === null || Array.isArray(input)) throw new LayoutError(noSite(shown, input));
  const positionOf = (path: readonly string[]): SourcePosition | undefined => {
    const node = document.getIn(path, true);
    if (!isNode(node) || node.range == null) return undefined;
    const { line, col } = lines.linePos(node.range[0]);
    return { line, column: col };
  };
  return { input, source, locate: (path) => positionOf(keysOf(path)) };
}

/** What no text file holds; U+FFFD stands for bytes that are no UTF-8. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const NO_TEXT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffd]/;

function noSite(shown: string, input: unknown): string {
  const model = displayPath(layoutFile("smb-site"));
  if (input === null || input === undefined) return `${shown} is empty: begin with a copy of ${model}`;
  const what = Array.isArray(input) ? "a list" : "one value";
  return `${shown} is no site file: it holds ${what}, not 'site:', 'servers:' and the like as ${model} does`;
}

/** Offset of the first alias that no anchor stands before. */
function brokenAlias(document: Document): number | undefined {
  let offset: number | undefined;
  yaml().visit(document, {
    Alias: (_key, alias) => {
      if (alias.resolve(document) !== undefined) return undefined;
      offset = alias.range?.[0];
      return yaml().visit.BREAK;
    },
  });
  return offset;
}

async function importSite(file: string, source: string): Promise<unknown> {
  let loaded: Record<string, unknown>;
  try {
    loaded = await import(pathToFileURL(file).href);
  } catch (error) {
    throw new LayoutError(`${source} cannot be loaded: ${explainImport(error as NodeJS.ErrnoException)}`);
  }
  const site = siteOf(loaded);
  if (site === undefined) {
    throw new LayoutError(
      `${source} exports no site: write 'export default defineSite({ … })' or 'export const site = …'`,
    );
  }
  return site;
}

/**
 * A specification has a key `site` itself: a module with an export `site` is told from one by the `servers` in that
 * export. What is neither goes to `parseSite` as it is, which says what is wrong with it.
 */
function siteOf(module: { default?: unknown; site?: unknown }): unknown {
  if (module.default === undefined) return module.site;
  const exported = module.default as { default?: unknown; site?: { servers?: unknown } } | null;
  // A compiled ES module hands its default export through another `default`.
  return exported?.default ?? (exported?.site?.servers === undefined ? exported : exported.site);
}

function explainImport(error: NodeJS.ErrnoException): string {
  if (error.code === "ERR_UNKNOWN_FILE_EXTENSION") {
    return `this Node.js (${process.version}) runs no TypeScript; use 22.18 or newer, or compile the file first`;
  }
  if (error instanceof SyntaxError) {
    // Node puts 'file:line' on the first line of the stack, and nowhere else.
    const where = /:(\d+)$/.exec(firstLine(error.stack ?? ""))?.[1];
    return where === undefined ? error.message : `line ${where}: ${error.message}`;
  }
  return firstLine(error.message ?? String(error));
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? text;
}
