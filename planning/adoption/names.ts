/** Names of a specification for what has another one on the hypervisor. */
const LONGEST = 63;
/** Of an id, as the end of a name. */
const LONGEST_TAIL = 20;

/**
 * The host-name form of a text: lower case; dots, spaces and whatever else a host name has none of become dashes.
 *
 * @returns An empty text where nothing is left of it.
 */
export function hostNameForm(text: string): string {
  const dashed = text
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-");
  return trimDashes(trimDashes(dashed).slice(0, LONGEST));
}

/**
 * Names for things by their ids, each with the form of its title. Where two have the same, both get their id behind it: which one
 * comes first must not decide.
 *
 * @param things Ids are different from one another.
 * @param reserved Names that are taken already.
 */
export function uniqueNames(
  things: readonly { id: string; title: string; fallback: string }[],
  reserved: readonly string[] = [],
): Map<string, string> {
  const bases = things.map(({ title, fallback }) => hostNameForm(title) || fallback);
  const uses = new Map<string, number>(reserved.map((each) => [each, 1]));
  for (const base of bases) uses.set(base, (uses.get(base) ?? 0) + 1);
  const taken = new Set([...reserved, ...bases]);
  const names = new Map<string, string>();
  for (const [index, { id }] of things.entries()) {
    const base = bases[index] ?? "";
    const unique = uses.get(base) === 1 ? base : free(base, trimDashes(hostNameForm(id).slice(0, LONGEST_TAIL)), taken);
    taken.add(unique);
    names.set(id, unique);
  }
  return names;
}

function free(base: string, id: string, taken: ReadonlySet<string>): string {
  for (let attempt = 1; ; attempt++) {
    const parts = [...(id === "" ? [] : [id]), ...(attempt === 1 && id !== "" ? [] : [String(attempt)])];
    const tail = `-${parts.join("-")}`;
    const candidate = `${trimDashes(base.slice(0, LONGEST - tail.length))}${tail}`;
    if (!taken.has(candidate)) return candidate;
  }
}

function trimDashes(text: string): string {
  return text.replace(/^-+|-+$/g, "");
}
