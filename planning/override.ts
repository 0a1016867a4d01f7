/** `--set path=value`: parts of a specification replaced, to ask 'what if'. */
import { type FindingCode, makeFinding } from "./findings";
import { nearest } from "./nearest";
import { formatPath } from "./parse";
import type { Finding } from "./plan";
import type { SiteSpecInput } from "./schema";

/** An override that cannot be applied; `finding` says what to write instead. */
export class OverrideError extends Error {
  readonly finding: Finding;

  constructor(override: string, why: string, fix: string) {
    const code: FindingCode = "SPEC-OVERRIDE";
    super(`'${override}' cannot be applied: ${why}. ${fix}`);
    this.name = "OverrideError";
    this.finding = makeFinding(code, override, `'${override}' cannot be applied: ${why}.`, fix);
  }
}

const EXAMPLE = "Write path=value, for example guests.sql-erp.memoryGiB=24 or guests.sql-erp.disks[0].sizeGiB=200.";

/** Sections whose keys are names that people choose. */
const NAMED_SECTIONS: readonly string[] = [
  "servers",
  "storages",
  "networks",
  "images",
  "guests",
  "groups",
  "drills",
  "backups",
  "targets",
  "devices",
] satisfies (keyof SiteSpecInput)[];

/**
 * A copy of a specification with some values replaced. Values are read as JSON (`24`, `true`, `"text"`, `[1, 2]`,
 * `{"on": "srv1"}`, `null`); what is no JSON is taken as text. Missing keys are made; `null` removes a key, so that its
 * default applies.
 * @param overrides `path=value`, with dots between keys and `[n]` or `.n` for the n-th entry of a list, from 0
 * @throws OverrideError for a text without '=', or a path that leads into an entry (a guest, a server) that is not
 * there, through a plain value or past the end of a list
 */
export function overrideSite(spec: unknown, overrides: readonly string[]): unknown {
  let result = spec;
  for (const override of overrides) result = apply(result, override);
  return result;
}

function apply(spec: unknown, override: string): unknown {
  const equals = override.indexOf("=");
  if (equals <= 0) throw new OverrideError(override, equals < 0 ? "it has no '='" : "it has no path", EXAMPLE);
  const path = splitPath(override, override.slice(0, equals));
  const value = parseValue(override.slice(equals + 1));
  refuseNewEntry(spec, path, override);
  return put(spec ?? {}, path, value, override, []);
}

/** A key deep inside an entry that is not there: a mistyped name, not the beginning of a new guest or server. */
function refuseNewEntry(spec: unknown, [section = "", name = "", ...rest]: readonly string[], override: string): void {
  if (rest.length === 0 || !NAMED_SECTIONS.includes(section)) return;
  const entries = typeof spec === "object" && spec !== null ? Reflect.get(spec, section) : undefined;
  if (typeof entries === "object" && entries !== null && Object.hasOwn(entries, name)) return;
  const near = nearest(name, Object.keys(entries ?? {}));
  throw new OverrideError(
    override,
    `${section} has no '${name}'`,
    `${near === undefined ? "" : `Did you mean '${near}'? `}A new one is added as a whole: ${section}.${name}={…}.`,
  );
}

function splitPath(override: string, text: string): string[] {
  const path = text
    .trim()
    .replaceAll(/\[(\d+)\]/g, ".$1")
    .split(".");
  if (path.some((key) => key === "")) throw new OverrideError(override, `'${text}' has an empty key`, EXAMPLE);
  if (path.some((key) => key === "__proto__")) throw new OverrideError(override, "'__proto__' is no key", EXAMPLE);
  return path;
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function put(target: unknown, path: readonly string[], value: unknown, override: string, done: string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const here = formatPath(done);
  if (typeof target !== "object" || target === null)
    throw new OverrideError(
      override,
      `${here} is ${JSON.stringify(target)}, which has no '${key}' in it`,
      `Set ${here} itself.`,
    );
  if (Array.isArray(target)) {
    const index = Number(key);
    if (!Number.isInteger(index) || index < 0 || index > target.length)
      throw new OverrideError(
        override,
        `${here} is a list of ${target.length}, which has no entry '${key}'`,
        `Write ${here}[n] with n from 0 to ${target.length}; ${target.length} adds one.`,
      );
    const list: unknown[] = [...target];
    list[index] = put(list[index] ?? {}, rest, value, override, [...done, key]);
    return list;
  }
  // Copies along the path only: two servers that share an entry (a YAML anchor) are told apart from here on.
  const copy: Record<string, unknown> = { ...target };
  if (rest.length === 0 && value === null) delete copy[key];
  else copy[key] = put((Object.hasOwn(copy, key) ? copy[key] : undefined) ?? {}, rest, value, override, [...done, key]);
  return copy;
}
